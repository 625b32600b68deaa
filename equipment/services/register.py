"""Writes of devices: status, place, disposal, deletion."""

from collections.abc import Collection
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from equipment.models import Equipment, EquipmentStatus, Placement, WorkOrder
from equipment.services.bulk import BulkResult, change_rows, locked_batches
from locations.models import Location


def set_equipment_status(*, equipment: "QuerySet[Equipment]", status: str) -> BulkResult:
    """Give the devices a status other than disposed of, which needs a date (`dispose_of_equipment`).

    A device that was disposed of comes back into the register, its date of disposal emptied. Raises ValidationError
    for a status that cannot be set here.
    """
    if status not in EquipmentStatus.values or status == EquipmentStatus.DISPOSED:
        raise ValidationError(_("This status cannot be set for many devices at once: %s") % status)

    def change(device: Equipment) -> str | None:
        device.status = status
        device.disposed_on = None
        return None

    return change_rows(rows=equipment, change=change, fields=("status", "disposed_on"))


def dispose_of_equipment(*, equipment: "QuerySet[Equipment]", disposed_on: date) -> BulkResult:
    """Mark the devices as disposed of on a day; refuses those with unfinished work and those installed later.

    Raises ValidationError for a day that is yet to come.
    """
    if disposed_on > timezone.localdate():
        raise ValidationError(_("The day of the disposal is yet to come."))

    busy: set[int] = set()

    def find_busy(devices: list[Equipment]) -> None:
        # After locking the devices: saving an open job takes the same lock, so none comes until this is decided.
        orders = WorkOrder.objects.open().filter(equipment__in=devices)
        busy.update(orders.values_list("equipment_id", flat=True))

    def change(device: Equipment) -> str | None:
        if device.is_disposed:
            return None if device.disposed_on == disposed_on else _("It was disposed of on another day already.")
        if device.installed_on and device.installed_on > disposed_on:
            return _("It was installed after that day.")
        if device.pk in busy:
            return _("A work order for it is still open.")
        device.status = EquipmentStatus.DISPOSED
        device.disposed_on = disposed_on
        return None

    return change_rows(rows=equipment, change=change, fields=("status", "disposed_on"), prepare=find_busy)


def move_equipment(
    *, equipment: "QuerySet[Equipment]", location: Location, department: Location | None = None
) -> BulkResult:
    """Put the devices at a location, and in a department if one is given; refuses those that were disposed of.

    The placement history follows.
    """

    def change(device: Equipment) -> str | None:
        if device.is_disposed:
            return _("It was disposed of.")
        device.location = location
        if department is not None:
            device.department = department
        return None

    def place(devices: list[Equipment]) -> None:
        record_placements(equipment=devices, at=timezone.now())

    return change_rows(rows=equipment, change=change, fields=("location", "department"), after=place)


@transaction.atomic
def record_placements(*, equipment: Collection[Equipment], at: datetime) -> None:
    """End the present placement of each device that is elsewhere by now and begin another, in three queries.

    For devices that were stored in bulk: `Equipment.save()` does the same for one.
    """
    present = {
        row.equipment_id: row
        for row in Placement.objects.select_for_update(of=("self",)).filter(equipment__in=equipment, until__isnull=True)
    }
    ended: list[int] = []
    begun: list[Placement] = []
    for device in equipment:
        now = (device.department_id, device.location_id, device.custodian_id)
        row = present.get(device.pk)
        if row is not None:
            if (row.department_id, row.location_id, row.custodian_id) == now:
                continue
            ended.append(row.pk)
        elif not any(now):
            continue
        begun.append(
            Placement(
                equipment=device,
                department_id=now[0],
                location_id=now[1],
                custodian_id=now[2],
                since=max(at, row.since) if row is not None else at,
            )
        )
    Placement.objects.filter(pk__in=ended).update(until=Greatest("since", at))
    Placement.objects.bulk_create(begun)


@transaction.atomic
def delete_equipment(*, equipment: "QuerySet[Equipment]") -> BulkResult:
    """Delete the devices with their plans, dates, photos and documents; refuses those that have work orders.

    Their history is what the figures are made of: such a device is disposed of, not deleted.
    """
    result = BulkResult()
    for batch in locked_batches(equipment):
        counts = dict(
            WorkOrder.objects.filter(equipment__in=batch)
            .order_by()
            .values_list("equipment")
            .annotate(orders=Count("pk"))
        )
        free: list[int] = []
        for device in batch:
            orders = counts.get(device.pk, 0)
            if orders:
                reason = ngettext("%d work order belongs to it.", "%d work orders belong to it.", orders) % orders
                result.refuse(device, reason)
            else:
                free.append(device.pk)
        Equipment.objects.filter(pk__in=free).delete()
        result.done += free
    return result
