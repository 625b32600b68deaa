"""Reads of the register."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from locations.models import Location
from locations.querysets import limit_paths, within_limits

if TYPE_CHECKING:
    from equipment.models import (
        Document,
        Equipment,
        ImportedRow,
        ImportRun,
        MaintenanceRound,
        Placement,
        ScheduledMaintenance,
        ServiceContract,
        WorkOrder,
        WorkOrderPart,
    )

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


class WorkOrderPartQuerySet(models.QuerySet["WorkOrderPart"]):
    def visible_to(self, user: Any) -> "WorkOrderPartQuerySet":
        return self.filter(within_limits(user, "work_order__equipment__location__"))


class OfOneDeviceQuerySet(models.QuerySet[Any]):
    """Rows that are about one device and nothing else."""

    def visible_to(self, user: Any) -> "OfOneDeviceQuerySet":
        return self.filter(within_limits(user, "equipment__location__"))


class PlacementQuerySet(models.QuerySet["Placement"]):
    def visible_to(self, user: Any) -> "PlacementQuerySet":
        """Of devices inside the user's limits, the times they spent there."""
        return self.filter(within_limits(user, "equipment__location__") & within_limits(user, "location__"))


class DocumentQuerySet(models.QuerySet["Document"]):
    def visible_to(self, user: Any) -> "DocumentQuerySet":
        """Documents of the devices a user may see, and those of device models, which lie nowhere."""
        if limit_paths(user) is None:
            return self
        if not user.is_authenticated:
            return self.none()
        return self.filter(Q(device_model__isnull=False) | within_limits(user, "equipment__location__"))


class ServiceContractQuerySet(models.QuerySet["ServiceContract"]):
    def visible_to(self, user: Any) -> "ServiceContractQuerySet":
        """Contracts that cover a device the user may see."""
        if limit_paths(user) is None:
            return self
        covers = self.model.equipment.through.objects.filter(
            within_limits(user, "equipment__location__"), servicecontract_id=OuterRef("pk")
        )
        return self.filter(Exists(covers))

    def wholly_visible_to(self, user: Any) -> "ServiceContractQuerySet":
        """Those that cover no device which the user may not see."""
        if limit_paths(user) is None:
            return self
        covers = self.model.equipment.through.objects.filter(servicecontract_id=OuterRef("pk"))
        return self.filter(~Exists(covers.exclude(within_limits(user, "equipment__location__"))))


class MaintenanceRoundQuerySet(models.QuerySet["MaintenanceRound"]):
    def visible_to(self, user: Any) -> "MaintenanceRoundQuerySet":
        return self.filter(within_limits(user, "location__"))


class ImportRunQuerySet(models.QuerySet["ImportRun"]):
    def visible_to(self, user: Any) -> "ImportRunQuerySet":
        """A limited user's own imports: another's may tell of devices outside."""
        return self if limit_paths(user) is None else self.filter(_own(user))


class ImportedRowQuerySet(models.QuerySet["ImportedRow"]):
    def visible_to(self, user: Any) -> "ImportedRowQuerySet":
        return self if limit_paths(user) is None else self.filter(_own(user, "run__"))


def _own(user: Any, prefix: str = "") -> Q:
    return Q(**{f"{prefix}user": user}) if user.is_authenticated else Q(pk__in=[])
