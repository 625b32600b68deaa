"""Writes of scheduled maintenance: completed, cancelled, put on another day."""

from datetime import date

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from equipment.models import MaintenanceOutcome, MaintenanceStatus, ScheduledMaintenance
from equipment.services.bulk import BulkResult, change_rows


def complete_maintenance(
    *,
    maintenance: "QuerySet[ScheduledMaintenance]",
    completed_on: date,
    outcome: str = "",
    completed_by_id: int | None = None,
    engineer_name: str = "",
) -> BulkResult:
    """Mark open maintenance as completed on a day; an engineer's name replaces the planned one.

    Raises ValidationError for a day that is yet to come or an unknown outcome.
    """
    if completed_on > timezone.localdate():
        raise ValidationError(_("The day of the completion is yet to come."))
    if outcome and outcome not in MaintenanceOutcome.values:
        raise ValidationError(_("Unknown outcome: %s") % outcome)

    def change(row: ScheduledMaintenance) -> str | None:
        if not row.is_open:
            return _not_open(row)
        row.status = MaintenanceStatus.COMPLETED
        row.completed_on = completed_on
        row.completed_by_id = completed_by_id
        row.outcome = outcome
        row.engineer_name = engineer_name or row.engineer_name
        return None

    fields = ("status", "completed_on", "completed_by", "outcome", "engineer_name")
    return change_rows(rows=maintenance, change=change, fields=fields)


def cancel_maintenance(*, maintenance: "QuerySet[ScheduledMaintenance]", reason: str = "") -> BulkResult:
    """Cancel open maintenance; the reason is added to its notes."""

    def change(row: ScheduledMaintenance) -> str | None:
        if not row.is_open:
            return _not_open(row)
        row.status = MaintenanceStatus.CANCELLED
        row.notes = "\n".join(part for part in (row.notes, reason.strip()) if part)
        return None

    return change_rows(rows=maintenance, change=change, fields=("status", "notes"))


def reschedule_maintenance(*, maintenance: "QuerySet[ScheduledMaintenance]", scheduled_date: date) -> BulkResult:
    """Put open maintenance on another day. The date that the plan gave stays what it was."""

    def change(row: ScheduledMaintenance) -> str | None:
        if not row.is_open:
            return _not_open(row)
        row.scheduled_date = scheduled_date
        return None

    return change_rows(rows=maintenance, change=change, fields=("scheduled_date",))


def _not_open(row: ScheduledMaintenance) -> str:
    return _("It is %s.") % row.get_status_display().lower()
