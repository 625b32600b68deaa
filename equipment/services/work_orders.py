"""Writes of work orders: their way from the report to the return to service, and the cost of their parts."""

from datetime import datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from equipment.models import WorkOrder, WorkOrderStatus
from equipment.services.bulk import BulkResult, change_rows


def start_work(*, work_orders: "QuerySet[WorkOrder]", at: datetime | None = None) -> BulkResult:
    """Begin reported jobs, or go on with waiting ones, which keep their first start. `at` is now unless given."""
    instant = _instant(at)

    def change(order: WorkOrder) -> str | None:
        if order.status not in {WorkOrderStatus.REPORTED, WorkOrderStatus.WAITING}:
            return _is(order)
        if order.started_at is None:
            if instant < order.reported_at:
                return _("It was reported later than that.")
            order.started_at = instant
        order.status = WorkOrderStatus.IN_PROGRESS
        return None

    return change_rows(rows=work_orders, change=change, fields=("status", "started_at"))


def return_to_service(*, work_orders: "QuerySet[WorkOrder]", at: datetime | None = None) -> BulkResult:
    """Return the devices of open jobs to service, which ends their downtime. `at` is now unless given."""
    instant = _instant(at)

    def change(order: WorkOrder) -> str | None:
        if not order.is_open:
            return _is(order)
        earliest = max(time for time in (order.reported_at, order.started_at, order.down_from) if time is not None)
        if instant < earliest:
            return _("It was reported, started or down later than that.")
        order.status = WorkOrderStatus.RETURNED
        order.returned_to_service_at = instant
        _end_downtime(order, instant)
        return None

    fields = ("status", "returned_to_service_at", "down_until")
    return change_rows(rows=work_orders, change=change, fields=fields)


def close_work_orders(*, work_orders: "QuerySet[WorkOrder]") -> BulkResult:
    """Close jobs whose device is back in service."""

    def change(order: WorkOrder) -> str | None:
        if order.status != WorkOrderStatus.RETURNED:
            return _is(order)
        order.status = WorkOrderStatus.CLOSED
        return None

    return change_rows(rows=work_orders, change=change, fields=("status",))


def cancel_work_orders(*, work_orders: "QuerySet[WorkOrder]", reason: str = "") -> BulkResult:
    """Cancel open jobs; a downtime that still runs ends now, and the reason is added to the work done."""
    now = timezone.now()

    def change(order: WorkOrder) -> str | None:
        if not order.is_open:
            return _is(order)
        order.status = WorkOrderStatus.CANCELLED
        _end_downtime(order, now)
        order.resolution = "\n".join(part for part in (order.resolution, reason.strip()) if part)
        return None

    return change_rows(rows=work_orders, change=change, fields=("status", "down_until", "resolution"))


@transaction.atomic
def total_parts_cost(*, work_order: WorkOrder, was_total: bool = False) -> Decimal | None:
    """Set the job's `parts_cost` to the sum of its listed parts and return it.

    A job without parts, or with one whose cost is unknown, keeps what it has: a sum that leaves something out would
    pass for the whole. `was_total` says that what it has was the sum of parts: without any, it is emptied.
    """
    order = WorkOrder.objects.select_for_update().get(pk=work_order.pk)
    parts = list(order.parts.values_list("quantity", "unit_cost"))
    known = [quantity * cost for quantity, cost in parts if cost is not None]
    if parts and len(known) == len(parts):
        order.parts_cost = sum(known, Decimal(0))
        order.save(update_fields=["parts_cost", "updated_at"])
    elif was_total and not parts:
        order.parts_cost = None
        order.save(update_fields=["parts_cost", "updated_at"])
    work_order.parts_cost = order.parts_cost
    return order.parts_cost


def _instant(at: datetime | None) -> datetime:
    now = timezone.now()
    if at is not None and at > now:
        raise ValidationError(_("This time is yet to come."))
    return at or now


def _end_downtime(order: WorkOrder, instant: datetime) -> None:
    if order.down_from is not None and order.down_until is None:
        order.down_until = max(instant, order.down_from)


def _is(order: WorkOrder) -> str:
    return _("It is %s.") % order.get_status_display().lower()
