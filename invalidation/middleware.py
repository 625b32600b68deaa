"""What the engine does around a request: collects what is read for it, times it, and answers a refused write."""

import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import TemplateDoesNotExist, loader
from django.utils.translation import gettext as _

from invalidation import fills, timing
from invalidation.exceptions import WriteRefusedError
from invalidation.pages import Page, Visit, known_user
from invalidation.release import release

GetResponse = Callable[[HttpRequest], HttpResponse]

RETRY_AFTER_SECONDS = 5
REFUSED_TEMPLATE = "503.html"


class VisitMiddleware:
    """Collects what is read for a request, so that a page decorated with `cached_page` can be answered with a 304.

    Must come before everything that reads: before sessions, users and languages. Adds `Server-Timing` for staff, and
    for everybody with DEBUG.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        # The name of the files that this process runs, taken before others can replace them.
        release()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timing.recording() as log:
            response = self._answer(request)
        # After the counting: the page as a whole is not one of the reads it is made of.
        page: Page | None = getattr(response, "invalidation_page", None)
        if page is not None:
            page.finish(response)
        for_all = settings.DEBUG or getattr(settings, "INVALIDATION_SERVER_TIMING", False)
        if for_all or getattr(known_user(request), "is_staff", False):
            response.headers["Server-Timing"] = log.header()
        return response

    def _answer(self, request: HttpRequest) -> HttpResponse:
        with fills.collect("request") as frame:
            visit = Visit(frame)
            request.invalidation_visit = visit  # type: ignore[attr-defined]
            with timing.watching_queries(visit.watch_query):
                return self.get_response(request)


class RefusedWriteMiddleware:
    """Answers a refused write with 503 and `Retry-After`: nothing was committed, the request may be sent again.

    The page is the template INVALIDATION_REFUSED_TEMPLATE, rendered without the request, as what reads a session could
    fail for the same reason. Must come before every middleware that writes, that of sessions included.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        got_request_exception.connect(_note_refusal, dispatch_uid="invalidation.refused_write")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # Raised by a middleware: Django has made a plain 500 of it, the write is refused all the same.
        if response.status_code == 500 and getattr(request, "invalidation_refused", False):
            return refusal(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return refusal(request) if is_refusal(exception) else None


def is_refusal(error: BaseException | None) -> bool:
    """Whether the error is a refused write, or was raised on account of one."""
    while error is not None:
        if isinstance(error, WriteRefusedError):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def refusal(request: HttpRequest) -> HttpResponse:
    """The answer to a request whose write was refused, as a page, or as JSON for who does not take pages."""
    text = _("Nothing was saved: other pages could not be told of the change. Please try again in a moment.")
    response: HttpResponse
    if not request.accepts("text/html"):
        response = JsonResponse({"detail": text}, status=503)
    else:
        response = _refusal_page(text)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _refusal_page(text: str) -> HttpResponse:
    template = getattr(settings, "INVALIDATION_REFUSED_TEMPLATE", REFUSED_TEMPLATE)
    try:
        return HttpResponse(loader.render_to_string(template, {"detail": text}), status=503)
    except TemplateDoesNotExist:
        return HttpResponse(text, status=503, content_type="text/plain; charset=utf-8")


def _note_refusal(request: HttpRequest | None = None, **_signal: Any) -> None:
    if request is not None and is_refusal(sys.exc_info()[1]):
        request.invalidation_refused = True  # type: ignore[attr-defined]
