"""Reads of the register."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from locations.models import Location
from locations.querysets import within_limits

if TYPE_CHECKING:
    from equipment.models import Equipment, ScheduledMaintenance, WorkOrder

# Open maintenance is "due" from this many days before its date, "upcoming" earlier than that.
DUE_WITHIN_DAYS = 7

OPEN_MAINTENANCE = ("scheduled", "in_progress")
OPEN_WORK_ORDERS = ("reported", "in_progress", "waiting")


class EquipmentQuerySet(models.QuerySet["Equipment"]):
    def visible_to(self, user: Any) -> "EquipmentQuerySet":
        """What the user may know of: everything, or what is in the subtrees they are limited to."""
        return self.filter(within_limits(user, "location__"))

    def for_list(self) -> "EquipmentQuerySet":
        """With everything a list row shows, in one query."""
        return self.select_related("device_model__manufacturer", "department", "location")

    def of_type(self, data_type: str) -> "EquipmentQuerySet":
        return self.filter(data_type=data_type)

    def in_use(self) -> "EquipmentQuerySet":
        """Without what was disposed of."""
        return self.exclude(status="disposed")

    def within(self, location: Location) -> "EquipmentQuerySet":
        """What is at the location or anywhere below it."""
        return self.filter(location__path__startswith=location.path)

    def matching(self, text: str) -> "EquipmentQuerySet":
        """Those in which each word of `text` occurs in the name, serial, tag, model, manufacturer or location."""
        found = self
        for word in text.split()[:8]:
            found = found.filter(
                Q(name__icontains=word)
                | Q(serial__icontains=word)
                | Q(asset_tag__icontains=word)
                | Q(device_model__name__icontains=word)
                | Q(device_model__manufacturer__name__icontains=word)
                | Q(location__name__icontains=word)
                | Q(department__name__icontains=word)
            )
        return found


class ScheduledMaintenanceQuerySet(models.QuerySet["ScheduledMaintenance"]):
    """`day` is always a local date: whoever asks reads the clock, once."""

    def visible_to(self, user: Any) -> "ScheduledMaintenanceQuerySet":
        return self.filter(within_limits(user, "equipment__location__"))

    def open(self) -> "ScheduledMaintenanceQuerySet":
        return self.filter(status__in=OPEN_MAINTENANCE)

    def overdue_on(self, day: date) -> "ScheduledMaintenanceQuerySet":
        """Open with a date before `day`."""
        return self.open().filter(scheduled_date__lt=day)

    def due_on(self, day: date) -> "ScheduledMaintenanceQuerySet":
        """Open with a date from `day` to DUE_WITHIN_DAYS later, both included."""
        return self.open().filter(scheduled_date__range=(day, day + timedelta(days=DUE_WITHIN_DAYS)))

    def upcoming_on(self, day: date) -> "ScheduledMaintenanceQuerySet":
        """Open with a date later than what is due."""
        return self.open().filter(scheduled_date__gt=day + timedelta(days=DUE_WITHIN_DAYS))


class WorkOrderQuerySet(models.QuerySet["WorkOrder"]):
    def visible_to(self, user: Any) -> "WorkOrderQuerySet":
        return self.filter(within_limits(user, "equipment__location__"))

    def open(self) -> "WorkOrderQuerySet":
        return self.filter(status__in=OPEN_WORK_ORDERS)

    def corrective(self) -> "WorkOrderQuerySet":
        return self.filter(kind="corrective")

    def reported_between(self, start: datetime, end: datetime) -> "WorkOrderQuerySet":
        """Reported at or after `start` and before `end`."""
        return self.filter(reported_at__gte=start, reported_at__lt=end)
