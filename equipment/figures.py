"""Counts over the register, and the dates that are late."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, Q

from equipment.models import DataType, Equipment, EquipmentStatus, ScheduledMaintenance
from equipment.querysets import DUE_WITHIN_DAYS, EquipmentQuerySet, ScheduledMaintenanceQuerySet


@dataclass(frozen=True, slots=True)
class EquipmentCounts:
    equipment: int
    in_service: int
    ppm: int
    ocm: int


@dataclass(frozen=True, slots=True)
class MaintenanceCounts:
    """Dates as they stand on one local date; `ahead` counts open ones within a number of days from it."""

    overdue: int
    due: int
    ahead: int
    completed: int


@dataclass(frozen=True, slots=True)
class OverdueDate:
    """An open date before today, with its device. Without a model, both `manufacturer` and `model` are empty."""

    equipment_id: int
    equipment: str
    asset_tag: str
    manufacturer: str
    model: str
    location: str
    scheduled_date: date

    @classmethod
    def of(cls, row: ScheduledMaintenance) -> "OverdueDate":
        """From a date with its device, the device's model and place."""
        device: Equipment = row.equipment
        model = device.device_model
        return cls(
            equipment_id=device.pk,
            equipment=device.name,
            asset_tag=device.asset_tag,
            manufacturer=model.manufacturer.name if model else "",
            model=model.name if model else "",
            location=device.location.name if device.location else "",
            scheduled_date=row.scheduled_date,
        )


def count_equipment(equipment: EquipmentQuerySet) -> EquipmentCounts:
    return EquipmentCounts(
        **equipment.aggregate(
            equipment=Count("pk"),
            in_service=Count("pk", filter=Q(status=EquipmentStatus.IN_SERVICE)),
            ppm=Count("pk", filter=Q(data_type=DataType.PPM)),
            ocm=Count("pk", filter=Q(data_type=DataType.OCM)),
        )
    )


def count_maintenance(
    dates: ScheduledMaintenanceQuerySet, *, day: date, days_ahead: int, completed_since: date
) -> MaintenanceCounts:
    """The counts of `dates` on the local date `day`; both ends of each window are included."""
    counts = (
        dates.open()
        .filter(scheduled_date__lte=day + timedelta(days=max(days_ahead, DUE_WITHIN_DAYS)))
        .aggregate(
            overdue=Count("pk", filter=Q(scheduled_date__lt=day)),
            due=Count("pk", filter=Q(scheduled_date__range=(day, day + timedelta(days=DUE_WITHIN_DAYS)))),
            ahead=Count("pk", filter=Q(scheduled_date__range=(day, day + timedelta(days=days_ahead)))),
        )
    )
    # Only what is completed has a day of completion (a constraint sees to it), and the day alone has an index.
    completed = dates.filter(completed_on__range=(completed_since, day)).count()
    return MaintenanceCounts(**counts, completed=completed)
