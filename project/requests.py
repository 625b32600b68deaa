"""What is decided about a request before any page sees it: the sign of life, whose it is, how much may be sent."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.contrib.admin import site
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import Resolver404, resolve
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from equipment.imports.limits import FILE_BYTES, MEGABYTE

GetResponse = Callable[[HttpRequest], HttpResponse]

HEALTH_PATH = "/health/"
# Every page whose form holds a file.
UPLOAD_PAGES = frozenset(
    {
        "admin:equipment_equipment_add",
        "admin:equipment_equipment_change",
        "admin:equipment_equipment_import",
        "admin:equipment_devicemodel_add",
        "admin:equipment_devicemodel_change",
    }
)


class HealthMiddleware:
    """Answers /health/: the process serves pages. Asks neither the database nor the session.

    Must come first: a probe asks by the machine's address, which is not among ALLOWED_HOSTS, and without TLS.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info != HEALTH_PATH:
            return self.get_response(request)
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseNotAllowed(["GET", "HEAD"])
        response = HttpResponse("ok", content_type="text/plain; charset=utf-8")
        add_never_cache_headers(response)
        return response


class ClientAddressMiddleware:
    """Makes REMOTE_ADDR the client's where a proxy of ours stands between (BEHIND_TLS_PROXY).

    The proxy appends whom it saw to X-Forwarded-For, so the last entry is its word; those before it are the client's
    own and could say anything. Without a proxy, or where the last entry is no address, REMOTE_ADDR stays.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.BEHIND_TLS_PROXY:
            seen = _address(request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip())
            if seen is not None:
                request.META["REMOTE_ADDR"] = seen
        return self.get_response(request)


def _address(text: str) -> str | None:
    """The address in its one spelling; None for anything else, an address with a zone included."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    return str(address)


class RequestSizeMiddleware:
    """Refuses a request by the length it announces, before any of its body is read or stored.

    DATA_UPLOAD_MAX_MEMORY_SIZE holds for everybody on every page. On the pages that take files, those who may enter
    the administration may send the largest file we take besides. Must come after AuthenticationMiddleware, and before
    anything that reads a form.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        announced = request.META.get("CONTENT_LENGTH") or "0"
        if "HTTP_TRANSFER_ENCODING" in request.META or not (announced.isascii() and announced.isdigit()):
            return _refusal(411, _("The request does not tell how long it is."))
        # More digits than any length has: int() of thousands of them is work, or an error.
        size = int(announced) if len(announced) < 20 else 10**20
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if size > limit and _takes_files(request):
            limit += max(FILE_BYTES, settings.UPLOAD_MAX_BYTES)
        if size > limit:
            return _refusal(
                413,
                _("This is more than the page takes from you: at most %(limit)d MB in all are accepted.")
                % {"limit": limit // MEGABYTE},
            )
        return self.get_response(request)


def _takes_files(request: HttpRequest) -> bool:
    try:
        page = resolve(request.path_info).view_name
    except Resolver404:
        return False
    return page in UPLOAD_PAGES and site.has_permission(request)


def _refusal(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
