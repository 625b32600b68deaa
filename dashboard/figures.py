"""The counts of the home page."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Count, Q

from equipment.models import DataType, Equipment, EquipmentStatus, ScheduledMaintenance, WorkOrder
from equipment.querysets import DUE_WITHIN_DAYS

MONTHS_OF_A_QUARTER = 3


@dataclass(frozen=True, slots=True)
class HomeFigures:
    """Counts of what one user may see, on one local date. `ahead` counts open dates in the next `days_ahead` days."""

    equipment: int
    in_service: int
    ppm: int
    ocm: int
    overdue: int
    due: int
    ahead: int
    days_ahead: int
    completed_this_quarter: int
    open_work_orders: int


def quarter_start(day: date) -> date:
    """The first day of the calendar quarter that `day` lies in."""
    return date(day.year, day.month - (day.month - 1) % MONTHS_OF_A_QUARTER, 1)


def home_figures(*, user: Any, day: date, days_ahead: int) -> HomeFigures:
    """The counts for `user` on the local date `day`; both ends of each window are included."""
    devices = Equipment.objects.visible_to(user).aggregate(
        equipment=Count("pk"),
        in_service=Count("pk", filter=Q(status=EquipmentStatus.IN_SERVICE)),
        ppm=Count("pk", filter=Q(data_type=DataType.PPM)),
        ocm=Count("pk", filter=Q(data_type=DataType.OCM)),
    )
    maintenance = ScheduledMaintenance.objects.visible_to(user)
    dates = (
        maintenance.open()
        .filter(scheduled_date__lte=day + timedelta(days=max(days_ahead, DUE_WITHIN_DAYS)))
        .aggregate(
            overdue=Count("pk", filter=Q(scheduled_date__lt=day)),
            due=Count("pk", filter=Q(scheduled_date__range=(day, day + timedelta(days=DUE_WITHIN_DAYS)))),
            ahead=Count("pk", filter=Q(scheduled_date__range=(day, day + timedelta(days=days_ahead)))),
        )
    )
    # Only what is completed has a day of completion (a constraint sees to it), and the day alone has an index.
    completed = maintenance.filter(completed_on__range=(quarter_start(day), day)).count()
    return HomeFigures(
        **devices,
        **dates,
        days_ahead=days_ahead,
        completed_this_quarter=completed,
        open_work_orders=WorkOrder.objects.visible_to(user).open().count(),
    )
