"""Maintenance plans, their dates in the past and the year to come, and the rounds of rooms."""

import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from dashboard.demo.catalogue import CUSTOM_PLANS, CustomPlan
from dashboard.demo.days import Days
from dashboard.demo.faults import CHECKLIST
from dashboard.demo.fleet import Device
from dashboard.demo.hospital import Hospital
from equipment.models import EquipmentStatus, MaintenanceOutcome, MaintenanceStatus, PlanKind
from locations.models import Location

PLAN_COLUMNS = (
    "id", "equipment_id", "kind", "name", "interval", "interval_unit", "starts_on", "ends_on", "is_floating",
    "tolerance_days", "estimated_minutes", "engineer_name", "checklist", "is_active",
)  # fmt: skip
ROUND_COLUMNS = ("id", "name", "location_id", "scheduled_date", "assigned_to_id")
MAINTENANCE_COLUMNS = (
    "id", "equipment_id", "plan_id", "round_id", "occurrence_date", "scheduled_date", "quarter", "tolerance_days",
    "estimated_minutes", "status", "engineer_name", "completed_on", "completed_by_id", "outcome",
)  # fmt: skip

FIRST_DATE_AFTER_DAYS = 20
ROUNDS_SINCE_DAYS, ROUNDS_UNTIL_DAYS = 365, 92
SMALLEST_ROUND = 2
SAME_AS_ROOM = 0.85
CHECKLIST_TEXT = json.dumps(CHECKLIST)


class Row(NamedTuple):
    """A row for one of the tables, which `table` names: plan, round or maintenance."""

    table: str
    values: tuple[Any, ...]


class Course(NamedTuple):
    """How one date went: `done` is the day of the completion, None while open or when cancelled."""

    status: str
    done: int | None


CANCELLED = Course(MaintenanceStatus.CANCELLED, None)
SCHEDULED = Course(MaintenanceStatus.SCHEDULED, None)


@dataclass(slots=True)
class Completions:
    """What was completed, in columns: a million of them has to fit into memory."""

    maintenance: array = field(default_factory=lambda: array("q"))
    device: array = field(default_factory=lambda: array("l"))
    day: array = field(default_factory=lambda: array("l"))
    minutes: array = field(default_factory=lambda: array("l"))
    engineer: array = field(default_factory=lambda: array("b"))
    outcome: list[str] = field(default_factory=list)
    is_calibration: array = field(default_factory=lambda: array("b"))

    def __len__(self) -> int:
        return len(self.maintenance)


class Engineer(NamedTuple):
    key: int
    name: str


class Planner:
    """Draws the maintenance of a fleet, room by room, and keeps what was completed."""

    def __init__(
        self, rng: Random, days: Days, engineers: list[Engineer], first_equipment: int, first_plan: int,
        first_round: int, first_maintenance: int,
    ) -> None:  # fmt: skip
        self.rng = rng
        self.days = days
        self.engineers = engineers
        self.first_equipment = first_equipment
        self.next_plan = first_plan
        self.next_round = first_round
        self.next_maintenance = first_maintenance
        self.completions = Completions()

    def rows(self, fleet: list[Device], hospital: Hospital) -> Iterator[Row]:
        """Every plan, round and date of the fleet."""
        by_place: dict[int, list[Device]] = defaultdict(list)
        for device in fleet:
            if device.place:
                by_place[device.place.pk].append(device)
        for location in hospital.locations:
            for programme in (PlanKind.PPM, PlanKind.OCM):
                devices = [device for device in by_place.get(location.pk, ()) if device.programme == programme]
                if devices:
                    yield from self._room(location, programme, devices)
            for device in by_place.get(location.pk, ()):
                if device.kind.name in CUSTOM_PLANS:
                    yield from self._custom(device, CUSTOM_PLANS[device.kind.name])

    def _room(self, location: Location, programme: PlanKind, devices: list[Device]) -> Iterator[Row]:
        """The programme of a room: its devices have their dates on the same days."""
        months = 3 if programme == PlanKind.PPM else 12
        tolerance = 7 if programme == PlanKind.PPM else 14
        dates = self._dates(months)
        engineer = int(self.rng.random() * len(self.engineers))
        courses = [self._course(self.days.working_day(day), tolerance) for day in dates]
        rounds: dict[int, int] = {}
        members = {device.number: self._due(device, dates) for device in devices}
        for position, day in enumerate(dates):
            near = self.days.today - ROUNDS_SINCE_DAYS <= day <= self.days.today + ROUNDS_UNTIL_DAYS
            if near and sum(position in due for due in members.values()) >= SMALLEST_ROUND:
                rounds[position] = self.next_round
                name = f"{location.name}, {programme.upper()} {self.days.day(day):%m/%Y}"
                date = self.days.day(self.days.working_day(day))
                yield Row("round", (self.next_round, name, location.pk, date, self.engineers[engineer].key))
                self.next_round += 1
        for device in devices:
            due = members[device.number]
            if not due:
                continue
            plan = self.next_plan
            yield self._plan(device, programme, "", months, "month", dates[due[0]], False, tolerance, engineer,
                             device.kind.minutes)  # fmt: skip
            for position in due:
                scheduled = self.days.working_day(dates[position])
                course, in_round = courses[position], rounds.get(position)
                if self.rng.random() > SAME_AS_ROOM:
                    course, in_round = self._course(scheduled, tolerance), None
                yield self._maintenance(device, plan, in_round, dates[position], scheduled, programme, tolerance,
                                        device.kind.minutes, engineer, course)  # fmt: skip

    def _custom(self, device: Device, custom: CustomPlan) -> Iterator[Row]:
        """A plan of any interval; a floating one has a single open date, which follows from the last completion."""
        engineer = int(self.rng.random() * len(self.engineers))
        last = device.until if device.ended else self.days.horizon
        interval_days = custom.interval if custom.unit == "day" else custom.interval * 30
        starts = device.since + FIRST_DATE_AFTER_DAYS + int(self.rng.random() * interval_days)
        if starts >= last:
            return
        plan = self.next_plan
        yield self._plan(device, PlanKind.CUSTOM, custom.name, custom.interval, custom.unit, starts,
                         custom.is_floating, 14, engineer, custom.minutes)  # fmt: skip
        day, index = starts, 0
        while day < last:
            scheduled = self.days.working_day(day)
            course = self._course(scheduled, 14)
            yield self._maintenance(device, plan, None, day, scheduled, PlanKind.CUSTOM, 14, custom.minutes, engineer,
                                    course, custom.is_calibration)  # fmt: skip
            index += 1
            if not custom.is_floating:
                day = self._later(starts, custom, index)
                continue
            if course.status in {MaintenanceStatus.SCHEDULED, MaintenanceStatus.IN_PROGRESS}:
                return
            day = self._later(course.done if course.done is not None else day, custom, 1)

    def _later(self, day: int, custom: CustomPlan, count: int) -> int:
        if custom.unit == "day":
            return day + custom.interval * count
        return self.days.months_later(day, custom.interval * count)

    def _dates(self, months: int) -> list[int]:
        """The dates of a room, from the first months of the window to the horizon."""
        first = self.days.day(self.days.first + int(self.rng.random() * months * 30))
        start = first.replace(day=min(first.day, 28)).toordinal()
        dates = [start]
        while dates[-1] < self.days.horizon:
            dates.append(self.days.months_later(start, months * len(dates)))
        return dates[:-1]

    def _due(self, device: Device, dates: Iterable[int]) -> list[int]:
        """Which of the dates of its room fall into the device's time."""
        last = device.until if device.ended and device.status != EquipmentStatus.MISSING else self.days.horizon
        return [
            position
            for position, day in enumerate(dates)
            if device.since + FIRST_DATE_AFTER_DAYS <= day and self.days.working_day(day) < last
        ]

    def _course(self, scheduled: int, tolerance: int) -> Course:
        """Most dates are kept, some late, a few never; the recent past is where dates are still open."""
        ago = self.days.today - scheduled
        if ago <= 0:
            return SCHEDULED
        chance = self.rng.random()
        if chance < 0.02:
            return CANCELLED
        if chance < 0.02 + (0.30 if ago < 21 else 0.08 if ago < 100 else 0.006):
            busy = ago < 40 and self.rng.random() < 0.25
            return Course(MaintenanceStatus.IN_PROGRESS if busy else MaintenanceStatus.SCHEDULED, None)
        chance = self.rng.random()
        if chance < 0.62:
            delay = 0
        elif chance < 0.89:
            delay = int(self.rng.random() * (tolerance + 1))
        else:
            delay = tolerance + 1 + int(self.rng.random() * 35)
        done = self.days.working_day(scheduled + delay)
        if done >= self.days.today:
            return SCHEDULED
        return Course(MaintenanceStatus.COMPLETED, done)

    def _outcome(self) -> str:
        chance = self.rng.random()
        if chance < 0.012:
            return MaintenanceOutcome.COULD_NOT_LOCATE
        if chance < 0.025:
            return MaintenanceOutcome.FAILED
        return MaintenanceOutcome.PASSED_AFTER_REPAIR if chance < 0.09 else MaintenanceOutcome.PASSED

    def _plan(
        self, device: Device, kind: str, name: str, interval: int, unit: str, starts: int, is_floating: bool,
        tolerance: int, engineer: int, minutes: int,
    ) -> Row:  # fmt: skip
        is_over = device.ended and device.status != EquipmentStatus.MISSING
        if kind == PlanKind.OCM:
            interval, unit = 1, "year"
        row = Row(
            "plan",
            (
                self.next_plan, self.first_equipment + device.number, kind, name, interval, unit,
                self.days.day(starts), self.days.day(max(device.until, starts)) if is_over else None, is_floating,
                tolerance, minutes, self.engineers[engineer].name, CHECKLIST_TEXT, not is_over,
            ),
        )  # fmt: skip
        self.next_plan += 1
        return row

    def _maintenance(
        self, device: Device, plan: int, in_round: int | None, occurrence: int, scheduled: int, kind: str,
        tolerance: int, minutes: int, engineer: int, course: Course, is_calibration: bool = False,
    ) -> Row:  # fmt: skip
        is_gone = device.ended and (course.done is None or course.done >= device.until)
        if is_gone and device.status != EquipmentStatus.MISSING:
            course = CANCELLED  # it left before its turn came
        outcome = ""
        if course.done is not None:
            outcome = MaintenanceOutcome.COULD_NOT_LOCATE if is_gone else self._outcome()
        occurred = self.days.day(occurrence)
        who = self.engineers[engineer]
        done = self.days.day(course.done) if course.done is not None else None
        key = self.next_maintenance
        self.next_maintenance += 1
        if course.done is not None and outcome != MaintenanceOutcome.COULD_NOT_LOCATE:
            self._keep(key, device, course.done, minutes, engineer, outcome, is_calibration)
        return Row(
            "maintenance",
            (
                key, self.first_equipment + device.number, plan, in_round, occurred, self.days.day(scheduled),
                (occurred.month + 2) // 3 if kind == PlanKind.PPM else None, tolerance, minutes, course.status,
                who.name, done, who.key if done else None, outcome,
            ),
        )  # fmt: skip

    def _keep(
        self, key: int, device: Device, day: int, minutes: int, engineer: int, outcome: str, is_calibration: bool
    ) -> None:
        kept = self.completions
        kept.maintenance.append(key)
        kept.device.append(device.number)
        kept.day.append(day)
        kept.minutes.append(minutes)
        kept.engineer.append(engineer)
        kept.outcome.append(str(outcome))
        kept.is_calibration.append(is_calibration)
