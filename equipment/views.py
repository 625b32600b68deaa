"""Pages of the register, and its files for those who may see them."""

from datetime import date
from pathlib import PurePath
from typing import Any

from dateutil.relativedelta import relativedelta
from django.contrib.auth.decorators import permission_required
from django.core.paginator import EmptyPage, Page, PageNotAnInteger, Paginator
from django.db.models import Q
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from equipment.forms import EquipmentFilterForm
from equipment.models import DataType, Document, Equipment, EquipmentPhoto, MaintenanceStatus, Placement
from equipment.tables import PlaceNames, headings, rows

ROWS_PER_PAGE = 50
NEWEST_SHOWN = 10
OPEN_SHOWN = 8
PLACEMENTS_SHOWN = 20
TRAINING_SHOWN = 20

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
def equipment_list(request: HttpRequest, data_type: str | None = None) -> HttpResponse:
    """All equipment the user may see, or that of one programme; a filter that cannot be read is answered with 400."""
    form = EquipmentFilterForm(request.GET, user=request.user, data_type=data_type)
    context: dict[str, Any] = {
        "section": f"equipment_{data_type}" if data_type else "equipment",
        "title": _("%s equipment") % DataType(data_type).label if data_type else _("Equipment"),
        "form": form,
    }
    if not form.is_valid():
        return render(request, "equipment/list.html", context, status=400)
    page = page_of(request, form.narrow(Equipment.objects.visible_to(request.user)).values_list("pk", flat=True))
    return render(
        request,
        "equipment/list.html",
        {
            **context,
            "page": page,
            "page_range": page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1),
            "rows": rows(list(page.object_list), first_number=page.start_index(), places=PlaceNames(request.user)),
            "headings": headings(form.order),
        },
    )


def page_of(request: HttpRequest, found: Any) -> Page:
    """The page asked for, as long as the user prefers; one beyond the end is the last one, as rows may have gone.

    Raises Http404 for what is no page number.
    """
    preferences = getattr(request, "preferences", None)
    paginator = Paginator(found, preferences.page_size if preferences is not None else ROWS_PER_PAGE)
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
def equipment_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything about one device; one outside the user's limits does not exist for them."""
    device = get_object_or_404(Equipment.objects.visible_to(request.user).for_list().select_related("custodian"), pk=pk)
    now = timezone.now()
    today = timezone.localdate(now)
    places = PlaceNames(request.user)
    context = {
        "section": "equipment",
        "as_of": now,
        "device": device,
        "department": places.of(device.department),
        "location": places.of(device.location),
        "under_warranty": device.is_under_warranty_on(today),
        **_life(device, today),
    }
    if request.user.has_perm("equipment.view_servicecontract"):
        contracts = device.service_contracts.order_by("-starts_on", "pk")
        context["contracts"] = [(contract, contract.is_running_on(today)) for contract in contracts]
    if request.user.has_perm("equipment.view_scheduledmaintenance"):
        context |= _maintenance(device, today)
    if request.user.has_perm("equipment.view_workorder"):
        context["work_orders"] = device.work_orders.select_related("assigned_to")[:NEWEST_SHOWN]
        context["work_order_count"] = device.work_orders.count()
    if request.user.has_perm("equipment.view_placement"):
        history = Placement.objects.visible_to(request.user).filter(equipment=device)
        history = history.select_related("department", "location", "custodian")[:PLACEMENTS_SHOWN]
        context["placements"] = [(row, places.of(row.department), places.of(row.location)) for row in history]
    if request.user.has_perm("equipment.view_equipmentphoto"):
        context["photos"] = device.photos.all()
    if request.user.has_perm("equipment.view_document"):
        context["documents"] = Document.objects.filter(
            Q(equipment=device) | Q(device_model__isnull=False, device_model=device.device_model_id)
        )
    if request.user.has_perm("equipment.view_trainingrecord") and device.device_model:
        training = device.device_model.training_records.select_related("person")[:TRAINING_SHOWN]
        context["training"] = [(record, record.is_valid_on(today)) for record in training]
    return render(request, "equipment/detail.html", context)


def _life(device: Equipment, today: date) -> dict[str, Any]:
    """Until when the device is expected to last and its maker to support it, and whether that is over."""
    model = device.device_model
    ends_on = None
    if model and model.expected_life_months and device.installed_on:
        ends_on = device.installed_on + relativedelta(months=model.expected_life_months)
    return {
        "life_ends_on": ends_on,
        "life_is_over": ends_on is not None and ends_on < today,
        "is_unsupported": bool(model and model.end_of_support_on and model.end_of_support_on <= today),
    }


def _maintenance(device: Equipment, today: date) -> dict[str, Any]:
    """The plans, the open dates (earliest first) and the latest completed ones, with their states of `today`."""
    rows = device.scheduled_maintenance
    coming = list(rows.open().order_by("scheduled_date", "pk")[:OPEN_SHOWN])
    done = rows.filter(status=MaintenanceStatus.COMPLETED).order_by("-completed_on", "-pk")[:NEWEST_SHOWN]
    return {
        "plans": device.maintenance_plans.all(),
        "coming": [(row, row.state_on(today)) for row in coming],
        "done": done,
    }


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
