"""The work orders: what happened from each report to the return to service."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from dashboard.demo.agenda import (
    CORRECTIVE,
    INFANT,
    INSPECTION,
    OUTSIDE,
    PREVENTIVE,
    RANDOM,
    WEAR,
    Agenda,
    read_entry,
)
from dashboard.demo.chances import Weighted, spread
from dashboard.demo.days import LAST_MINUTE, Days
from dashboard.demo.faults import (
    BATTERY_PART,
    COMMON_PROBLEMS,
    PARTS,
    PREVENTIVE_WORK,
    PROBLEMS,
    RESOLUTIONS,
)
from dashboard.demo.fleet import Device
from dashboard.demo.maintenance import Completions, Engineer
from equipment.models import EquipmentStatus, FailureCause, WorkOrderKind, WorkOrderPriority, WorkOrderStatus

WORK_ORDER_COLUMNS = (
    "id", "equipment_id", "scheduled_maintenance_id", "kind", "status", "priority", "problem", "resolution", "cause",
    "reported_at", "started_at", "returned_to_service_at", "down_from", "down_until", "reported_by_id",
    "assigned_to_id", "engineer_name", "labour_minutes", "labour_cost", "parts_cost",
)  # fmt: skip
PART_COLUMNS = ("work_order_id", "name", "part_number", "quantity", "unit_cost")

HOURLY_RATE = 72
LONGEST_REPAIR = timedelta(days=40)
CLOSED_AFTER = timedelta(days=21)

CAUSES: dict[int, Weighted[str]] = {
    INFANT: Weighted([(FailureCause.COMPONENT, 5), (FailureCause.SOFTWARE, 3), (FailureCause.UNKNOWN, 1)]),
    RANDOM: Weighted(
        [(FailureCause.COMPONENT, 5), (FailureCause.SOFTWARE, 2), (FailureCause.BATTERY, 2), (FailureCause.UNKNOWN, 1)]
    ),
    WEAR: Weighted([(FailureCause.WEAR, 8), (FailureCause.BATTERY, 2)]),
    OUTSIDE: Weighted(
        [
            (FailureCause.NO_PROBLEM_FOUND, 10),
            (FailureCause.USE_ERROR, 8),
            (FailureCause.ACCESSORY, 7),
            (FailureCause.ENVIRONMENT, 3),
        ]
    ),
}
# Maintenance in which a part was exchanged has no cause.
CAUSES_WITH_PARTS = frozenset({FailureCause.WEAR, FailureCause.COMPONENT, FailureCause.BATTERY, ""})
OPEN_STATUSES = (WorkOrderStatus.REPORTED, WorkOrderStatus.IN_PROGRESS, WorkOrderStatus.WAITING)
PRIORITIES = Weighted([(WorkOrderPriority.NORMAL, 70), (WorkOrderPriority.URGENT, 18), (WorkOrderPriority.LOW, 12)])
RESPONSE_HOURS = {WorkOrderPriority.URGENT: 1.0, WorkOrderPriority.NORMAL: 6.0, WorkOrderPriority.LOW: 30.0}


@dataclass(slots=True)
class Desk:
    """Turns the agenda into work orders and their parts."""

    rng: Random
    days: Days
    fleet: list[Device]
    completions: Completions
    engineers: list[Engineer]
    clinicians: list[int]
    first_equipment: int
    next_key: int
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    down: set[int] = field(default_factory=set)

    def rows(self, agenda: Agenda) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of WORK_ORDER_COLUMNS.

        The parts of the row just given are in `parts`, for whoever reads to take out; `down` collects the keys of
        devices that are down now.
        """
        still_open = self._still_open(agenda)
        for position, entry in enumerate(agenda.entries):
            day, minute, sort, subject = read_entry(entry)
            at = self.days.instant(day, minute)
            if sort == PREVENTIVE:
                yield self._preventive(subject, at)
            elif sort == INSPECTION:
                yield self._inspection(self.fleet[subject], at)
            else:
                device = self.fleet[subject >> 2]
                yield self._corrective(device, subject & 3, at, still_open.get(position))
            self.next_key += 1

    def _still_open(self, agenda: Agenda) -> dict[int, WorkOrderStatus]:
        """The newest calls are not done yet: a few in each open status, each on another device."""
        wanted = min(max(6, len(agenda) // 250), len(agenda) // 20)
        found: dict[int, WorkOrderStatus] = {}
        devices: set[int] = set()
        for position in range(len(agenda) - 1, -1, -1):
            if len(found) >= wanted:
                break
            _day, _minute, sort, subject = read_entry(agenda.entries[position])
            number = subject >> 2
            if sort != CORRECTIVE or number in devices or self.fleet[number].ended:
                continue
            devices.add(number)
            # What was reported longest ago waits for a part, what came in last has not been looked at.
            found[position] = OPEN_STATUSES[min(len(found) * 3 // wanted, 2)]
        return found

    def _corrective(
        self, device: Device, mode: int, reported: datetime, open_status: WorkOrderStatus | None
    ) -> tuple[Any, ...]:
        rng = self.rng
        kind = device.kind
        equipment = self.first_equipment + device.number
        cause = CAUSES[mode].draw(rng)
        own = PROBLEMS[kind.family]
        problems = own[cause] if cause in own else COMMON_PROBLEMS[cause]
        problem = problems[int(rng.random() * len(problems))]
        priority = WorkOrderPriority.URGENT if kind.life_sustaining and rng.random() < 0.5 else PRIORITIES.draw(rng)
        reporter = self.clinicians[int(rng.random() * len(self.clinicians))] if rng.random() < 0.8 else None
        if open_status is None and rng.random() < 0.015:
            return (
                self.next_key, equipment, None, WorkOrderKind.CORRECTIVE, WorkOrderStatus.CANCELLED, priority, problem,
                "", "", reported, None, None, None, None, reporter, None, "", None, None, None,
            )  # fmt: skip
        engineer = self.engineers[int(rng.random() * len(self.engineers))]
        is_outside = mode == OUTSIDE
        waits = not is_outside and rng.random() < 0.12
        minutes = int(spread(rng, 25 if is_outside else 40 + kind.minutes / 2, 0.6, 1440)) + 5
        response = timedelta(minutes=int(spread(rng, RESPONSE_HOURS[priority] * 60, 0.9, 7 * 1440)))
        work = timedelta(minutes=minutes + int(spread(rng, 12 * 1440 if waits else 150, 0.7, 30 * 1440)))
        started = reported + response
        latest = reported + LONGEST_REPAIR
        if device.ended:
            latest = min(latest, self.days.midnight(device.until))
        started = min(started, latest)
        returned = min(started + work, latest)
        is_down = rng.random() < (0.35 if is_outside else 0.8)
        if open_status is None and returned >= self.days.end:
            # Longer than there was time: it is under way. One that nobody has started was reported yesterday.
            open_status = WorkOrderStatus.REPORTED if started >= self.days.end else WorkOrderStatus.IN_PROGRESS
        if open_status is not None:
            return self._open(device, open_status, reported, started, is_down, priority, problem, reporter, engineer)
        resolutions = RESOLUTIONS[cause]
        parts_cost = 0 if is_outside and cause != FailureCause.ACCESSORY else self._fit_parts(kind.family, cause)
        recent = returned > self.days.end - CLOSED_AFTER
        status = WorkOrderStatus.RETURNED if recent and rng.random() < 0.7 else WorkOrderStatus.CLOSED
        known = rng.random() < 0.96
        return (
            self.next_key, equipment, None, WorkOrderKind.CORRECTIVE, status, priority, problem,
            resolutions[int(rng.random() * len(resolutions))], cause, reported, started, returned,
            reported if is_down else None, returned if is_down else None, reporter, engineer.key, engineer.name,
            minutes, f"{minutes * HOURLY_RATE / 60:.2f}" if known else None,
            f"{parts_cost:.2f}" if known or parts_cost else None,
        )  # fmt: skip

    def _open(
        self, device: Device, status: WorkOrderStatus, reported: datetime, started: datetime, is_down: bool,
        priority: str, problem: str, reporter: int | None, engineer: Engineer,
    ) -> tuple[Any, ...]:  # fmt: skip
        equipment = self.first_equipment + device.number
        begun = status != WorkOrderStatus.REPORTED
        if begun:
            started = min(started, self.days.end - timedelta(minutes=5))
        if is_down and device.status == EquipmentStatus.IN_SERVICE:
            self.down.add(equipment)
        return (
            self.next_key, equipment, None, WorkOrderKind.CORRECTIVE, status, priority, problem, "", "", reported,
            max(started, reported) if begun else None, None, reported if is_down else None, None, reporter,
            engineer.key if begun else None, engineer.name if begun else "", None, None, None,
        )  # fmt: skip

    def _preventive(self, index: int, at: datetime) -> tuple[Any, ...]:
        done = self.completions
        device = self.fleet[done.device[index]]
        engineer = self.engineers[done.engineer[index]]
        minutes = max(5, int(spread(self.rng, done.minutes[index], 0.25, done.minutes[index] * 2)))
        # At most until midnight: the day of the completion is the maintenance's.
        returned = at + timedelta(minutes=min(minutes, LAST_MINUTE - 840))
        outcome = done.outcome[index]
        parts_cost = self._fit_parts(device.kind.family, "") if outcome == "passed_after_repair" else 0
        is_down = minutes > 100
        kind = WorkOrderKind.CALIBRATION if done.is_calibration[index] else WorkOrderKind.PREVENTIVE
        return (
            self.next_key, self.first_equipment + device.number, done.maintenance[index], kind, WorkOrderStatus.CLOSED,
            WorkOrderPriority.NORMAL, "", PREVENTIVE_WORK[outcome], "", at, at, returned, at if is_down else None,
            returned if is_down else None, None, engineer.key, engineer.name, minutes,
            f"{minutes * HOURLY_RATE / 60:.2f}", f"{parts_cost:.2f}",
        )  # fmt: skip

    def _inspection(self, device: Device, at: datetime) -> tuple[Any, ...]:
        engineer = self.engineers[int(self.rng.random() * len(self.engineers))]
        minutes = 20 + int(self.rng.random() * 70)
        return (
            self.next_key, self.first_equipment + device.number, None, WorkOrderKind.INSPECTION,
            WorkOrderStatus.CLOSED, WorkOrderPriority.NORMAL, "Incoming inspection",
            "Delivery complete, safety and function tested, put into service", "", at, at,
            at + timedelta(minutes=minutes), None, None, None, engineer.key, engineer.name, minutes,
            f"{minutes * HOURLY_RATE / 60:.2f}", None,
        )  # fmt: skip

    def _fit_parts(self, family: str, cause: str) -> float:
        """Put what is fitted into `parts`; returns its cost."""
        rng = self.rng
        if rng.random() > (0.55 if cause in CAUSES_WITH_PARTS else 0.1):
            return 0.0
        choice = PARTS[family]
        name, price = BATTERY_PART if cause == FailureCause.BATTERY else choice[int(rng.random() * len(choice))]
        unit = round(spread(rng, price, 0.15), 2)
        quantity = 2 if rng.random() < 0.12 else 1
        number = f"{family[:3].upper()}-{sum(map(ord, name)) % 9000 + 1000}"
        self.parts.append((self.next_key, name, number, quantity, f"{unit:.2f}"))
        return unit * quantity
