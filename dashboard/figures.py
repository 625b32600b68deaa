"""What the home page shows."""

from dataclasses import dataclass
from datetime import date

from equipment.figures import OverdueDate

MONTHS_OF_A_QUARTER = 3


@dataclass(frozen=True, slots=True)
class HomeFigures:
    """Counts of what one user may see, on one local date. `ahead` counts open dates in the next `days_ahead` days;
    `attention` holds what is late longest."""

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
    attention: tuple[OverdueDate, ...]


def quarter_start(day: date) -> date:
    """The first day of the calendar quarter that `day` lies in."""
    return date(day.year, day.month - (day.month - 1) % MONTHS_OF_A_QUARTER, 1)
