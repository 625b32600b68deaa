"""What holds for every page: signing in first, the user's own preferences, and no copy left in the browser."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import translation

from dashboard.caches import preferences_of

GetResponse = Callable[[HttpRequest], HttpResponse]


class SignInMiddleware(LoginRequiredMiddleware):
    """Django's own, but a view open to everybody is answered without looking the user up."""

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)


class PreferencesMiddleware:
    """Gives the request `preferences`, the stored ones or the defaults, and speaks the language chosen there.

    Must come after SignInMiddleware. Pages open to everybody get neither: they follow the browser.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> None:
        if not getattr(view_func, "login_required", True) or not request.user.is_authenticated:
            return
        preferences = preferences_of(user_id=request.user.pk)
        request.preferences = preferences  # type: ignore[attr-defined]
        if preferences.language:
            # LocaleMiddleware, further out, resets it after the response.
            translation.activate(preferences.language)
            request.LANGUAGE_CODE = translation.get_language() or preferences.language


class PrivatePagesMiddleware:
    """Keeps answers that do not say how they may be stored out of every cache, the browser's history included.

    Without it the back button would show a private page after signing out.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "private, no-store")
        return response
