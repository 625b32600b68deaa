"""Fitting the dates of a row into the maintenance a device has already.

Nothing is deleted and nothing completed or cancelled is touched: an import adds dates, moves open ones, names the
engineer of open ones, and completes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from dateutil.relativedelta import relativedelta
from django.utils.translation import gettext as _

from equipment.imports.rows import RegisterRow, Visit
from equipment.models import (
    DataType,
    Equipment,
    MaintenancePlan,
    MaintenanceStatus,
    PlanKind,
    ScheduledMaintenance,
)
from equipment.models.maintenance import READY_MADE

# An open date this near is the same visit on another day; one farther away belongs to another year.
SAME_VISIT = timedelta(days=182)
ONE_CYCLE = relativedelta(years=1)


@dataclass(slots=True)
class ScheduleChange:
    """What becomes of a device's schedule. Nothing is saved yet; `changed` pairs a row with its values before."""

    plan: MaintenancePlan | None = None
    added: list[ScheduledMaintenance] = field(default_factory=list)
    changed: list[tuple[ScheduledMaintenance, dict[str, Any]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.plan or self.added or self.changed)


def schedule_change(
    row: RegisterRow,
    device: Equipment,
    plan: MaintenancePlan | None,
    existing: list[ScheduledMaintenance],
) -> ScheduleChange:
    """How the row's dates fit into `existing`, the device's maintenance of this programme.

    A device that has no plan gets one with its first date, a new device with its first known day.
    """
    fitting = _Fitting(device, plan, existing)
    if row.completed is not None:
        newly = fitting.complete(row.completed)
        if newly and not row.visits and not fitting.has_open_after(row.completed.day):
            fitting.fit([Visit(row.completed.day + ONE_CYCLE)])
    fitting.fit(row.visits)
    change = fitting.change
    if plan is None and row.plan_starts_on and (device._state.adding or change.added):
        kind = PlanKind.PPM if device.data_type == DataType.PPM else PlanKind.OCM
        interval, unit = READY_MADE[kind]
        change.plan = MaintenancePlan(
            equipment=device, kind=kind, interval=interval, interval_unit=unit, starts_on=row.plan_starts_on
        )
        for maintenance in change.added:
            maintenance.plan = change.plan
    return change


class _Fitting:
    def __init__(self, device: Equipment, plan: MaintenancePlan | None, existing: list[ScheduledMaintenance]) -> None:
        self._device, self._plan = device, plan
        # Where an open and a closed row share a day, the open one is meant.
        self._free = sorted(existing, key=lambda row: not row.is_open)
        self._taken_days = {maintenance.occurrence_date for maintenance in existing}
        self.change = ScheduleChange()

    def fit(self, visits: list[Visit]) -> None:
        """Find or make each visit. Those on their very day come first, so that none takes another's row."""
        missing = []
        for visit in visits:
            found = self._on_day(visit)
            if found is None:
                missing.append(visit)
            elif found.is_open:
                self._fill(found, visit)
        for visit in missing:
            self._move_or_add(visit)

    def complete(self, visit: Visit) -> bool:
        """Record a visit that took place; returns whether it was not yet known."""
        known = self._take(lambda row: row.completed_on == visit.day)
        if known is not None:
            return False
        planned = self._take(lambda row: row.is_open and row.scheduled_date == visit.day) or self._nearest(visit)
        if planned is None:
            self._add(visit)
            return True
        self._set(
            planned,
            status=MaintenanceStatus.COMPLETED,
            completed_on=visit.day,
            engineer_name=visit.engineer_name or planned.engineer_name,
        )
        return True

    def has_open_after(self, day: date) -> bool:
        return any(row.is_open and row.scheduled_date > day for row in self._free)

    def _move_or_add(self, visit: Visit) -> None:
        found = self._take(lambda row: row.occurrence_date == visit.day) or self._nearest(visit)
        if found is None:
            self._add(visit)
        elif found.is_open:
            self._fill(found, visit)

    def _fill(self, row: ScheduledMaintenance, visit: Visit) -> None:
        self._set(
            row,
            scheduled_date=visit.day,
            engineer_name=visit.engineer_name or row.engineer_name,
            quarter=visit.quarter or row.quarter,
        )

    def _on_day(self, visit: Visit) -> ScheduledMaintenance | None:
        return self._take(lambda row: row.scheduled_date == visit.day and row.quarter == visit.quarter) or self._take(
            lambda row: row.scheduled_date == visit.day and row.quarter is None
        )

    def _nearest(self, visit: Visit) -> ScheduledMaintenance | None:
        """The open row that is the same visit, if any."""
        near = [
            row
            for row in self._free
            if row.is_open and row.quarter == visit.quarter and abs(row.scheduled_date - visit.day) <= SAME_VISIT
        ]
        if not near:
            return None
        found = min(near, key=lambda row: abs(row.scheduled_date - visit.day))
        self._free.remove(found)
        return found

    def _take(self, wanted: Callable[[ScheduledMaintenance], bool]) -> ScheduledMaintenance | None:
        found = next((row for row in self._free if wanted(row)), None)
        if found is not None:
            self._free.remove(found)
        return found

    def _add(self, visit: Visit) -> None:
        if visit.day in self._taken_days:
            self.change.errors.append(
                _("%s is the planned day of other maintenance of this device.") % visit.day.isoformat()
            )
            return
        self._taken_days.add(visit.day)
        self.change.added.append(
            ScheduledMaintenance(
                equipment=self._device,
                plan=self._plan,
                occurrence_date=visit.day,
                scheduled_date=visit.day,
                quarter=visit.quarter,
                engineer_name=visit.engineer_name,
                status=MaintenanceStatus.COMPLETED if visit.is_done else MaintenanceStatus.SCHEDULED,
                completed_on=visit.day if visit.is_done else None,
            )
        )

    def _set(self, row: ScheduledMaintenance, **values: Any) -> None:
        before = {name: getattr(row, name) for name, value in values.items() if getattr(row, name) != value}
        if before:
            for name, value in values.items():
                setattr(row, name, value)
            self.change.changed.append((row, before))
