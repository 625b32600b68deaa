"""Loads the demo in one transaction: afterwards the database holds all of it or is as it was."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.db import models, transaction

from audit.models import AuditLog, EventType
from audit.services import record
from audit.statements import recorded_by_caller
from dashboard.demo import fleet as devices
from dashboard.demo import maintenance, papers, people, work
from dashboard.demo.agenda import Agenda
from dashboard.demo.catalogue import Catalogue, make_catalogue, product_classes
from dashboard.demo.chances import stream
from dashboard.demo.days import Days
from dashboard.demo.fleet import Device, draw_fleet, place_fleet
from dashboard.demo.hospital import Hospital, make_hospital, set_capacities
from dashboard.demo.maintenance import Completions, Engineer, Planner
from dashboard.demo.writing import Table, first_free_key, gather_statistics, keep_others_out, move_sequences
from equipment.models import (
    DeviceModel,
    Document,
    Equipment,
    EquipmentPhoto,
    EquipmentStatus,
    MaintenancePlan,
    MaintenanceRound,
    Manufacturer,
    Placement,
    ProductClass,
    ScheduledMaintenance,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
    WorkOrderPart,
)
from locations.models import Location, ProductionRun

COMMAND = "load_demo"
UPDATE_ROWS = 500
# A register with any of these has data of its own.
OWN_DATA = (Equipment, Location, ProductionRun, DeviceModel, Manufacturer, ServiceContract)

# Given rows, what they are and how many are expected (None if unknown), hands the rows on and tells how far it is.
Follow = Callable[[Iterable[Any], str, int | None], Iterable[Any]]


class DemoRefused(Exception):
    """The database holds something already; the message says what."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to load. `years` is the length of the history, before another year of planned maintenance."""

    equipment: int = 600
    work_orders: int = 6000
    years: int = 5
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows of each model were written, by its plural name."""

    counts: dict[str, int] = field(default_factory=dict)


def unfollowed(rows: Iterable[Any], what: str, expected: int | None) -> Iterable[Any]:
    return rows


def what_is_there() -> str:
    """In words, what keeps the demo out of this database; empty if nothing does.

    Accounts named like the demo's own do not, nor do product classes.
    """
    for model in OWN_DATA:
        if model._base_manager.exists():
            return str(model._meta.verbose_name_plural)
    stranger = User.objects.exclude(username__in=people.user_names()).order_by("pk").first()
    return f"the user {stranger.get_username()}" if stranger else ""


def is_loaded() -> bool:
    """Whether this database was filled by the demo once."""
    return _own_account_keys() is not None


def load(*, sizes: Sizes, today: date, password: str, follow: Follow = unfollowed) -> Summary:
    """Fill an empty register; raises DemoRefused where it is not empty. Everything is stored, or nothing.

    `today` is the local date the history ends before. New accounts that sign in get `password`. One audit row records
    the whole. Memory grows with the number of devices and work orders, by about half a kilobyte each.
    """
    files = papers.Files([], [])
    try:
        with transaction.atomic():
            keep_others_out(Equipment)
            if found := what_is_there():
                raise DemoRefused(found)
            summary = _Load(sizes, Days(today, sizes.years), follow, files).run(password)
    except BaseException:
        files.discard()
        raise
    gather_statistics()
    return summary


def set_passwords(*, password: str) -> list[str]:
    """Give the accounts that the demo made `password`; returns the names of those that had another one."""
    changed = []
    with transaction.atomic():
        keys = _own_account_keys() or []
        found = User.objects.select_for_update().filter(pk__in=keys, username__in=people.SIGN_INS).order_by("pk")
        for user in found:
            if user.check_password(password):
                continue
            user.set_password(password)
            user.save(update_fields=["password"])
            record(event_type=EventType.UPDATED, description=f"Password of demo user {user} set", instance=user)
            changed.append(user.get_username())
    return changed


def _own_account_keys() -> list[int] | None:
    rows = AuditLog.objects.filter(event_type=EventType.COMMAND, after__command=COMMAND).order_by("-pk")
    row = rows.values_list("after", flat=True).first()
    return row["accounts"] if row else None


class _Load:
    def __init__(self, sizes: Sizes, days: Days, follow: Follow, files: papers.Files) -> None:
        self.sizes = sizes
        self.days = days
        self.follow = follow
        self.files = files
        self.written: dict[type[models.Model], int] = {}
        self.first = {
            model: first_free_key(model)
            for model in (
                ProductionRun, Location, Manufacturer, DeviceModel, Equipment, MaintenancePlan, MaintenanceRound,
                ScheduledMaintenance, WorkOrder,
            )
        }  # fmt: skip

    @recorded_by_caller()
    def run(self, password: str) -> Summary:
        there = set(User.objects.values_list("pk", flat=True))
        staff = people.make_people(password)
        custodians = [user.pk for user in staff.clinicians]
        engineers = [Engineer(user.pk, user.get_full_name()) for user in staff.engineers]
        catalogue = make_catalogue(
            self._chance("catalogue"), self.days, self.first[Manufacturer], self.first[DeviceModel]
        )
        fleet = draw_fleet(self._chance("fleet"), self.days, self.sizes.equipment, catalogue)
        hospital = self._places(fleet, len(custodians))
        self._catalogue(catalogue)
        self._equipment(fleet, catalogue, hospital, custodians)
        completions = self._maintenance(fleet, hospital, engineers)
        self._work(fleet, completions, engineers, custodians)
        self._papers(fleet, catalogue, staff)
        move_sequences(self.written)
        return self._record(there)

    def _chance(self, purpose: str) -> random.Random:
        return stream(self.sizes.seed, purpose)

    def _places(self, fleet: list[Device], custodians: int) -> Hospital:
        counts: dict[tuple[str, str], int] = {}
        for device in fleet:
            counts[device.department] = counts.get(device.department, 0) + 1
        hospital = make_hospital(
            self._chance("hospital"), self.days, counts, self.first[Location], self.first[ProductionRun]
        )
        set_capacities(hospital, place_fleet(self._chance("places"), fleet, hospital, custodians))
        self._create(ProductionRun, hospital.runs)
        self._create(Location, hospital.locations)
        people.limit_people(hospital.sites["N"])
        return hospital

    def _catalogue(self, catalogue: Catalogue) -> None:
        ProductClass.objects.bulk_create(product_classes(), ignore_conflicts=True)
        classes = dict(ProductClass.objects.values_list("code", "pk"))
        self._create(Manufacturer, catalogue.manufacturers)
        self._create(DeviceModel, catalogue.models)
        through = DeviceModel.product_classes.through
        through._base_manager.bulk_create(
            through(devicemodel_id=model.pk, productclass_id=classes[code])
            for model, code in zip(catalogue.models, catalogue.codes(), strict=True)
        )

    def _equipment(self, fleet: list[Device], catalogue: Catalogue, hospital: Hospital, custodians: list[int]) -> None:
        first = self.first[Equipment]
        rows = devices.equipment_rows(
            self._chance("equipment"), self.days, fleet, catalogue, hospital, custodians, first
        )
        self._write(Equipment, devices.EQUIPMENT_COLUMNS, rows, len(fleet))
        moves = devices.placement_rows(self._chance("moves"), self.days, fleet, hospital, custodians, first)
        self._write(Placement, devices.PLACEMENT_COLUMNS, moves, None)

    def _maintenance(self, fleet: list[Device], hospital: Hospital, engineers: list[Engineer]) -> Completions:
        tables = {
            "plan": self._table(MaintenancePlan, maintenance.PLAN_COLUMNS),
            "round": self._table(MaintenanceRound, maintenance.ROUND_COLUMNS),
            "maintenance": self._table(ScheduledMaintenance, maintenance.MAINTENANCE_COLUMNS),
        }
        planner = Planner(
            self._chance("maintenance"), self.days, engineers, self.first[Equipment], self.first[MaintenancePlan],
            self.first[MaintenanceRound], self.first[ScheduledMaintenance],
        )  # fmt: skip
        for row in self.follow(planner.rows(fleet, hospital), self._name(ScheduledMaintenance), None):
            tables[row.table].add(row.values)
        for table in tables.values():
            table.flush()
            self.written[table.model] = table.count
        return planner.completions

    def _work(
        self, fleet: list[Device], completions: Completions, engineers: list[Engineer], clinicians: list[int]
    ) -> None:
        agenda = Agenda(self._chance("agenda"), self.days, fleet, completions, self.sizes.work_orders)
        desk = work.Desk(
            self._chance("work"), self.days, fleet, completions, engineers, clinicians, self.first[Equipment],
            self.first[WorkOrder],
        )  # fmt: skip
        parts = self._table(WorkOrderPart, work.PART_COLUMNS)

        def rows() -> Iterator[tuple[Any, ...]]:
            for row in desk.rows(agenda):
                yield row
                for part in desk.parts:
                    parts.add(part)
                desk.parts.clear()

        self._write(WorkOrder, work.WORK_ORDER_COLUMNS, rows(), len(agenda))
        parts.flush()
        self.written[WorkOrderPart] = parts.count
        down = sorted(desk.down)
        for start in range(0, len(down), UPDATE_ROWS):
            Equipment.objects.filter(pk__in=down[start : start + UPDATE_ROWS]).update(
                status=EquipmentStatus.OUT_OF_SERVICE
            )

    def _papers(self, fleet: list[Device], catalogue: Catalogue, staff: people.People) -> None:
        first = self.first[Equipment]
        contracts, links = papers.make_contracts(self._chance("contracts"), self.days, fleet, catalogue, first)
        self._create(ServiceContract, contracts)
        through = ServiceContract.equipment.through
        covered = self._table(through, ("servicecontract_id", "equipment_id"))
        for position, equipment in links:
            covered.add((contracts[position].pk, equipment))
        covered.flush()
        self._create(TrainingRecord, papers.make_training(self._chance("training"), self.days, staff, catalogue))
        papers.make_files(self.files, fleet, catalogue, first, staff.engineers[0])
        self._create(EquipmentPhoto, self.files.photos)
        self._create(Document, self.files.documents)

    def _record(self, there: set[int]) -> Summary:
        accounts = User.objects.exclude(pk__in=there).filter(username__in=people.SIGN_INS)
        counts = {self._name(model): count for model, count in self.written.items()}
        facts = {
            "command": COMMAND,
            "accounts": list(accounts.order_by("pk").values_list("pk", flat=True)),
            "seed": self.sizes.seed,
            "today": self.days.date,
            "years": self.sizes.years,
            "counts": {model._meta.label_lower: count for model, count in self.written.items()},
        }
        record(
            event_type=EventType.COMMAND,
            description=f"Demo data loaded: {self.sizes.equipment} devices, {self.sizes.work_orders} work orders",
            after=facts,
        )
        return Summary(counts)

    def _create(self, model: type[models.Model], rows: list[Any]) -> None:
        model._base_manager.bulk_create(rows, batch_size=500)
        self.written[model] = len(rows)

    def _table(self, model: type[models.Model], columns: Iterable[str]) -> Table:
        return Table(model, columns, self.days.end)

    def _write(
        self, model: type[models.Model], columns: Iterable[str], rows: Iterable[tuple[Any, ...]], expected: int | None
    ) -> None:
        table = self._table(model, columns)
        for row in self.follow(rows, self._name(model), expected):
            table.add(row)
        table.flush()
        self.written[model] = table.count

    def _name(self, model: type[models.Model]) -> str:
        return str(model._meta.verbose_name_plural)
