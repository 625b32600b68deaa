"""Whole pages and API responses: an `ETag` made of stamps, and a `304` answered from stamps alone.

Nothing of a page is stored but a proof of what it was made of: the tags of all cached reads of its request, with their
stamps. While they stand, the copy in the browser is what the site would answer now, and the browser is told so before
the view runs. The page itself may hold a CSRF token or a name: it stays between the site and that browser.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.conf import settings
from django.contrib.messages import get_messages
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.crypto import salted_hmac
from django.utils.functional import SimpleLazyObject
from django.utils.http import parse_etags
from django.utils.translation import get_language

from invalidation import clock, conf, fills, metrics, validators
from invalidation.exceptions import DeclarationError, UndeclaredDependencyError
from invalidation.fills import Frame
from invalidation.keys import text_of
from invalidation.release import release

# Besides Cookie, whose every value is part of the key too.
VARIES_BY = ("Accept", "Accept-Language", "Authorization")
KEPT = "private, no-cache"
NOT_KEPT = "private, no-store"

Varies = Callable[[HttpRequest], Mapping[str, Any]]
View = Callable[..., Any]


def cached_page(view: View | None = None, *, name: str = "", varies: Varies | None = None) -> Any:
    """Decorate a view, or a view's method, whose GET is made of cached reads: its answer gets an `ETag`, later a `304`.

    For any callable that takes a request and returns a response, so for views of Django REST Framework too: there
    decorate the method (`get`, `list`), or what it checks before is passed by. A page depends on its address, cookies,
    language, the user, the local date and the release; `varies` gives further plain values it depends on, if any.

    A query of the view outside of cached reads would make the `304` a lie. It raises UndeclaredDependencyError in tests
    and development; in production that answer has no `ETag`. So has one that sets a cookie (the CSRF cookie aside),
    shows a message, uses a nonce or was read past the cache.
    """

    def decorate(decorated: View) -> View:
        if iscoroutinefunction(decorated):
            raise DeclarationError(f"{decorated.__qualname__}: cached_page takes views that are not coroutines")
        title = name or f"{decorated.__module__}.{decorated.__qualname__}"

        @wraps(decorated)
        def checked(*args: Any, **kwargs: Any) -> Any:
            request = _request_among(args)
            if request.method not in {"GET", "HEAD"}:
                return decorated(*args, **kwargs)
            page = Page(title, request, varies)
            not_modified = page.not_modified()
            if not_modified is not None:
                return not_modified
            page.visit.guards_view = True
            try:
                response = decorated(*args, **kwargs)
            finally:
                page.visit.guards_view = False
            page.take(response)
            return response

        return checked

    return decorate if view is None else decorate(view)


@dataclass(slots=True)
class Visit:
    """One request while it is answered: what was read for it, and whether something was read past the cache.

    While `guards_view` is set, a query outside of cached reads is the view's own.
    """

    frame: Frame
    outside: str = ""
    guards_view: bool = False
    page: Page | None = None

    def watch_query(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """An execute wrapper; raises UndeclaredDependencyError for the view's own query where the engine is strict."""
        if fills.current() is self.frame:
            self.outside = self.outside or f"a query outside of cached reads: {str(sql)[:200]}"
            if self.guards_view and conf.is_strict() and not self.frame.unstorable:
                raise UndeclaredDependencyError(f"a page of cached reads makes {self.outside}")
        return execute(sql, params, many, context)

    def why_not(self) -> str:
        """Why the answer may not be given again for the same stamps; "" if it may."""
        return self.frame.unstorable or self.outside


class Page:
    """The answer to one GET of a decorated view, from before the view runs until the headers are set."""

    def __init__(self, name: str, request: Any, varies: Varies | None) -> None:
        self.request: HttpRequest = getattr(request, "_request", request)
        self.visit = _visit_of(self.request)
        self.name = name
        self.vary: tuple[str, ...] = VARIES_BY
        self._own = dict(varies(request)) if varies is not None else {}
        self._user = _pk_of(known_user(self.request))
        self._date = clock.today()
        self._had_messages = len(get_messages(self.request)) > 0
        self._began = time.perf_counter()

    def key(self, cookies: Mapping[str, str]) -> str:
        """A digest of all that the page depends on besides what was read; secret, as cookies are in it."""
        request = self.request
        parts = {
            "url": [request.scheme or "", request.get_host(), request.get_full_path()],
            "cookies": dict(cookies),
            "user": [self._user, request.META.get("REMOTE_USER", "")],
            "language": get_language(),
            "time_zone": timezone.get_current_timezone_name(),
            "date": self._date,
            "release": release(),
            "own": self._own,
            "headers": _headers(request, VARIES_BY),
        }
        return salted_hmac("invalidation.pages", text_of(parts), algorithm="sha256").hexdigest()[:40]

    def not_modified(self) -> HttpResponseNotModified | None:
        """A 304, if the copy the client has is what the view would answer now; costs one look at Redis."""
        asked = parse_etags(self.request.META.get("HTTP_IF_NONE_MATCH", ""))
        # A copy that shows a message is not this page, and this page would show it.
        if not asked or not conf.is_enabled() or self.visit.why_not() or self._had_messages:
            return None
        key = self.key(self.request.COOKIES)
        found = validators.standing(self.name, key)
        if found is None:
            return None
        etag = self._etag(key, found)
        if etag not in asked:
            return None
        metrics.note(validators.FAMILY, "hit", time.perf_counter() - self._began)
        answer = HttpResponseNotModified()
        answer.headers["ETag"] = etag
        answer.headers["Cache-Control"] = KEPT
        patch_vary_headers(answer, ("Cookie", *found.vary))
        return answer

    def take(self, response: Any) -> None:
        """Have the middleware finish this response, unless the view has said itself how it may be kept."""
        if isinstance(response, HttpResponseBase) and not {"ETag", "Cache-Control"} & set(response.headers):
            response.invalidation_page = self  # type: ignore[attr-defined]
            if not getattr(response, "is_rendered", True):
                # Rendered after the view has returned, but still the view's.
                self.visit.guards_view = True
                response.add_post_render_callback(self._rendered)  # type: ignore[attr-defined]

    def _rendered(self, _response: HttpResponseBase) -> None:
        self.visit.guards_view = False

    def finish(self, response: HttpResponseBase) -> None:
        """Set the headers of the finished response, and remember what it was made of if it may be asked for again."""
        patch_vary_headers(response, ("Cookie", *VARIES_BY))
        self.vary = tuple(sorted({name.strip() for name in response.headers["Vary"].split(",")} - {"Cookie"}))
        reason = self._why_not(response)
        frame = self.visit.frame
        if reason or not conf.is_enabled():
            metrics.note(validators.FAMILY, "bypass", time.perf_counter() - self._began)
            response.headers["Cache-Control"] = NOT_KEPT
            return
        key = self.key({**self.request.COOKIES, **{name: each.value for name, each in _cookies(response).items()}})
        made_of = validators.MadeOf(self.vary, frame.epoch, dict(frame.stamps), frame.until)
        response.headers["ETag"] = self._etag(key, made_of)
        response.headers["Cache-Control"] = KEPT
        validators.remember(self.name, key, made_of)
        metrics.note(validators.FAMILY, "miss", time.perf_counter() - self._began)

    def _why_not(self, response: HttpResponseBase) -> str:
        request = self.request
        if response.status_code != 200 or response.streaming:
            return "not a whole page"
        if "*" in self.vary:
            return "it varies by what no header tells"
        if set(_cookies(response)) - {settings.CSRF_COOKIE_NAME}:
            return "it sets a cookie"
        if self._had_messages or getattr(get_messages(request), "added_new", False):
            return "it shows a message, or the next one will"
        if getattr(request, "_csp_nonce", None) or "'nonce-" in response.headers.get("Content-Security-Policy", ""):
            return "it uses a nonce"
        if not self.visit.frame.epoch:
            return "nothing of it was read through the cache"
        if self._date != clock.today():
            return "midnight passed while it was made"
        return self.visit.why_not()

    def _etag(self, key: str, made_of: validators.MadeOf) -> str:
        """A weak one: the mask of a CSRF token, which changes nothing, differs from answer to answer."""
        parts = [
            key,
            _headers(self.request, made_of.vary),
            made_of.epoch,
            made_of.stamps,
            made_of.until,
        ]
        digest = salted_hmac("invalidation.pages.etag", text_of(parts), algorithm="sha256").hexdigest()
        return f'W/"{digest[:40]}"'


def known_user(request: HttpRequest) -> Any:
    """The user of a request if it was looked up already; never looks them up."""
    user = request.__dict__.get("user")
    return getattr(request, "_cached_user", None) if isinstance(user, SimpleLazyObject) else user


def _pk_of(user: Any) -> str:
    return text_of(getattr(user, "pk", None)) if user is not None else ""


def _headers(request: HttpRequest, names: tuple[str, ...]) -> dict[str, str]:
    return {name.lower(): request.headers.get(name, "") for name in names}


def _cookies(response: HttpResponseBase) -> Mapping[str, Any]:
    cookies: Mapping[str, Any] = response.cookies
    return cookies


def _request_among(args: tuple[Any, ...]) -> Any:
    """The request a view was called with: the first argument, or after `self` the second one."""
    for candidate in args[:2]:
        if isinstance(getattr(candidate, "_request", candidate), HttpRequest):
            return candidate
    raise TypeError("cached_page decorates views: a request has to be the first argument, or the one after self")


def _visit_of(request: HttpRequest) -> Visit:
    visit: Visit | None = getattr(request, "invalidation_visit", None)
    if visit is None:
        raise ImproperlyConfigured("cached_page needs invalidation.middleware.VisitMiddleware in MIDDLEWARE")
    return visit
