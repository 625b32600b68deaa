"""The home page and the user's own pages."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_not_required, permission_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.caches import Preferences, home_figures
from dashboard.forms import PreferencesForm
from dashboard.models import UserPreferences
from invalidation import cached_page, clock
from locations.caches import limits_for


@require_safe
@permission_required("equipment.view_equipment", raise_exception=True)
@cached_page
def home(request: HttpRequest) -> HttpResponse:
    """What the register holds and what is late, as of one instant."""
    now = clock.now()
    today = timezone.localdate(now)
    chosen: Preferences = cast(Any, request).preferences
    figures = home_figures(day=today, days_ahead=chosen.dashboard_days, limits=limits_for(request.user))
    context = {
        "section": "home",
        "as_of": now,
        "figures": figures,
        "attention": [(row, (today - row.scheduled_date).days) for row in figures.attention],
    }
    return render(request, "dashboard/home.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    """What the signed-in user has chosen for themselves; a form works on the row itself, not on a copy of it."""
    user = cast(User, request.user)
    stored = UserPreferences.objects.filter(user=user).first()
    form = PreferencesForm(request.POST or None, instance=stored or UserPreferences(user=user))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Your preferences are saved."))
        return redirect("preferences")
    return render(
        request,
        "accounts/preferences.html",
        {"section": "preferences", "form": form},
        status=400 if form.errors else 200,
    )


class SignOutView(LogoutView):
    """Signs out, and has the browser forget the pages it keeps."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> TemplateResponse:
        response = cast(TemplateResponse, super().post(request, *args, **kwargs))
        response.headers["Clear-Site-Data"] = '"cache"'
        return response


@login_not_required
@never_cache
def admin_sign_in(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """The admin's own sign-in page gives way to ours; who is signed in without access is told so, not asked again."""
    target = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        target = reverse("admin:index")
    if not request.user.is_authenticated:
        return redirect_to_login(target)
    if not admin.site.has_permission(request):
        raise PermissionDenied
    return redirect(target)
