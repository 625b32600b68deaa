"""Pages of the register, and its files for those who may see them."""

from datetime import date
from pathlib import PurePath
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.core.paginator import EmptyPage, Page, PageNotAnInteger, Paginator
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from equipment import caches
from equipment.details import DeviceDetail
from equipment.forms import EquipmentFilterForm
from equipment.models import DataType, Document, Equipment, EquipmentPhoto
from equipment.tables import headings
from invalidation import cached_page, clock
from locations.caches import limits_for, location_list
from locations.models import LocationKind
from locations.querysets import Limits

ROWS_PER_PAGE = 50

CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
}
# A file never gets the rights of the site's pages, whatever is in it. Viewers of PDF bring styles of their own.
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


@require_safe
@permission_required("equipment.view_equipment", raise_exception=True)
@cached_page
def equipment_list(request: HttpRequest, data_type: str | None = None) -> HttpResponse:
    """All equipment the user may see, or that of one programme; a filter that cannot be read is answered with 400."""
    limits = limits_for(request.user)
    departments = location_list(kind=LocationKind.DEPARTMENT, limits=limits)
    form = EquipmentFilterForm(request.GET, departments=departments, data_type=data_type)
    context: dict[str, Any] = {
        "section": f"equipment_{data_type}" if data_type else "equipment",
        "title": _("%s equipment") % DataType(data_type).label if data_type else _("Equipment"),
        "form": form,
    }
    if not form.is_valid():
        return render(request, "equipment/list.html", context, status=400)
    page = page_of(request, caches.equipment_count(**form.chosen, limits=limits))
    rows = caches.equipment_rows(
        **form.chosen, sort=form.order, page=page.number, page_size=page.paginator.per_page, limits=limits
    )
    return render(
        request,
        "equipment/list.html",
        {
            **context,
            "page": page,
            "page_range": page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1),
            "rows": list(enumerate(rows, page.start_index())),
            "headings": headings(form.order),
        },
    )


def page_of(request: HttpRequest, count: int) -> Page:
    """The page asked for of `count` rows, as long as the user prefers; one beyond the end is the last one.

    Raises Http404 for what is no page number.
    """
    preferences = getattr(request, "preferences", None)
    paginator = Paginator(range(count), preferences.page_size if preferences is not None else ROWS_PER_PAGE)
    asked = request.GET.get("page", "1")
    try:
        number = paginator.validate_number(asked)
    except PageNotAnInteger as error:
        raise Http404(_("There is no such page.")) from error
    except EmptyPage as error:
        if int(asked) < 1:
            raise Http404(_("There is no such page.")) from error
        number = paginator.num_pages
    return paginator.page(number)


@require_safe
@permission_required("equipment.view_equipment", raise_exception=True)
@cached_page
def equipment_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything about one device; one outside the user's limits does not exist for them."""
    now = clock.now()
    today = timezone.localdate(now)
    limits = limits_for(request.user)
    try:
        device = caches.device_detail(equipment_id=pk, today=today, limits=limits)
    except Equipment.DoesNotExist as error:
        raise Http404(_("There is no such page.")) from error
    context = {"section": "equipment", "as_of": now, "device": device}
    return render(request, "equipment/detail.html", context | _sections(request, device, today=today, limits=limits))


def _sections(request: HttpRequest, device: DeviceDetail, *, today: date, limits: Limits) -> dict[str, Any]:
    """The sections that the user has the permission for, by their names in the template."""
    pk, may = device.id, request.user.has_perm
    sections: dict[str, Any] = {}
    if may("equipment.view_servicecontract"):
        sections["contracts"] = caches.contracts_of(equipment_id=pk, today=today)
    if may("equipment.view_scheduledmaintenance"):
        sections["maintenance"] = caches.maintenance_of(equipment_id=pk, today=today)
    if may("equipment.view_workorder"):
        sections["work_orders"] = caches.work_orders_of(equipment_id=pk)
    if may("equipment.view_placement"):
        sections["placements"] = caches.placements_of(equipment_id=pk, limits=limits)
    if may("equipment.view_equipmentphoto"):
        sections["photos"] = caches.photos_of(equipment_id=pk)
    if may("equipment.view_document"):
        model = device.model.id if device.model else None
        sections["documents"] = caches.documents_of(equipment_id=pk, device_model_id=model)
    if may("equipment.view_trainingrecord") and device.model:
        sections["training"] = caches.training_on(device_model_id=device.model.id, today=today)
    return sections


@require_safe
@permission_required("equipment.view_equipmentphoto", raise_exception=True)
def photo(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The picture, if its device is within the user's limits."""
    row = get_object_or_404(EquipmentPhoto.objects.visible_to(request.user), pk=pk)
    return stored_file(request, row.file, title=row.caption or f"photo-{row.pk}")


@require_safe
@permission_required("equipment.view_document", raise_exception=True)
def document(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The document, if its device is within the user's limits; those of device models are everybody's."""
    row = get_object_or_404(Document.objects.visible_to(request.user), pk=pk)
    return stored_file(request, row.file, title=row.title)


def stored_file(request: HttpRequest, file: FieldFile, *, title: str) -> HttpResponseBase:
    """The file under a name made of `title`; pictures and PDF are shown, everything else is saved.

    The browser may keep it, but asks each time whether it still may show it. Raises Http404 when the file is gone.
    """
    ending = PurePath(file.name or "").suffix.lower()
    # Stored names are drawn at random and what is stored is never changed: the name stands for the content.
    etag = quote_etag(PurePath(file.name or "").stem)
    answer: HttpResponseBase | None = get_conditional_response(request, etag=etag)
    if answer is None:
        try:
            content = file.open("rb")
        except (OSError, ValueError) as error:
            raise Http404(_("The file is no longer there.")) from error
        answer = FileResponse(
            content,
            as_attachment=ending not in CONTENT_TYPES,
            filename=f"{title}{ending}",
            content_type=CONTENT_TYPES.get(ending, "application/octet-stream"),
        )
    # A "not modified" carries them too: the browser replaces the headers it kept by these.
    for name, value in {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": FILE_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }.items():
        answer.headers[name] = value
    return answer
