"""The devices: what, where, how old, and what became of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from dashboard.demo.catalogue import DEVICE_TYPES, Catalogue, DeviceType
from dashboard.demo.chances import Weighted, spread
from dashboard.demo.days import DAYS_OF_A_YEAR, Days
from dashboard.demo.hospital import Department, DepartmentKey, Hospital, draw_department
from equipment.models import EquipmentStatus
from locations.models import Location

STATUSES = Weighted(
    [
        (EquipmentStatus.IN_SERVICE, 86.0),
        (EquipmentStatus.DISPOSED, 7.0),
        (EquipmentStatus.IN_STORAGE, 4.0),
        (EquipmentStatus.ON_LOAN, 2.0),
        (EquipmentStatus.MISSING, 1.5),
    ]
)
NEWEST_DAYS = 30
OLDEST_IN_LIVES = 1.3
# 7919 has no common factor with the prime 1,000,003, so that each number below it gets another one.
SERIAL_STEP, SERIAL_SPACE = 7919, 1_000_003


@dataclass(slots=True)
class Device:
    """One device while its history is drawn. Days are ordinals; `until` is when it left use, or today."""

    number: int
    kind: DeviceType
    model: int
    department: DepartmentKey
    programme: str
    status: str
    installed: int
    since: int
    until: int
    frailty: float
    place: Location | None = None
    custodian: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in {EquipmentStatus.DISPOSED, EquipmentStatus.IN_STORAGE, EquipmentStatus.MISSING}


def draw_fleet(rng: Random, days: Days, count: int, catalogue: Catalogue) -> list[Device]:
    """`count` devices; those older than the window were there when it began, the others came during it."""
    kinds = Weighted([(index, kind.share) for index, kind in enumerate(DEVICE_TYPES)])
    fleet = []
    for number in range(count):
        # Every type once, as far as there are devices enough: a small register too has its MRI scanner.
        index = number if number < len(DEVICE_TYPES) <= count // 2 else kinds.draw(rng)
        kind = DEVICE_TYPES[index]
        status = STATUSES.draw(rng)
        installed, until = _draw_time_of_use(rng, days, kind, status)
        fleet.append(
            Device(
                number=number,
                kind=kind,
                model=_draw_model(rng, days, catalogue, index, installed),
                department=draw_department(rng, kind.departments),
                programme=kind.programme,
                status=status,
                installed=installed,
                since=max(installed, days.first),
                until=until,
                frailty=rng.gammavariate(2.5, 0.4),
            )
        )
    return fleet


def place_fleet(rng: Random, fleet: list[Device], hospital: Hospital, custodians: int) -> Counter[int]:
    """Give each device its present place and custodian; returns how many devices each location has, by key."""
    occupancy: Counter[int] = Counter()
    for device in fleet:
        department = hospital.departments[device.department]
        if device.status == EquipmentStatus.IN_STORAGE:
            device.place = department.store
        else:
            device.place = department.rooms[int(rng.random() * len(department.rooms))]
        device.custodian = int(rng.random() * custodians) if rng.random() < 0.55 else None
        occupancy[device.place.pk] += 1
    return occupancy


def equipment_rows(
    rng: Random, days: Days, fleet: list[Device], catalogue: Catalogue, hospital: Hospital, custodians: list[int],
    first_pk: int,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    """Rows in the order of EQUIPMENT_COLUMNS. A few facts are unknown, as in any register."""
    for device in fleet:
        kind = device.kind
        maker = catalogue.models[device.model].manufacturer.name
        installed = days.day(device.installed)
        known = rng.random()
        scrambled = (device.number * SERIAL_STEP + 104_729) % SERIAL_SPACE
        outpatient = device.department[1] in {"OUT", "PHY", "END", "CSS"}
        yield (
            first_pk + device.number,
            kind.name,
            device.programme,
            f"{maker[0]}{kind.code}{installed.year % 100:02d}-{scrambled:07d}",
            f"BME-{device.number + 1:06d}",
            catalogue.models[device.model].pk,
            hospital.departments[device.department].node.pk,
            device.place.pk if device.place else None,
            custodians[device.custodian] if device.custodian is not None else None,
            device.status,
            kind.risk,
            installed if known > 0.02 else None,
            days.day(device.installed + (365 if kind.cost < 5000 else 730)) if known > 0.06 else None,
            days.day(device.installed - rng.randint(7, 70)) if known > 0.04 else None,
            f"{spread(rng, kind.cost, 0.12):.2f}" if rng.random() > 0.08 else None,
            maker if rng.random() < 0.7 else "Cresthaven Medical Supply",
            50 if outpatient else 168,
            days.day(device.until) if device.status == EquipmentStatus.DISPOSED else None,
        )


EQUIPMENT_COLUMNS = (
    "id", "name", "data_type", "serial", "asset_tag", "device_model_id", "department_id", "location_id",
    "custodian_id", "status", "risk_class", "installed_on", "warranty_until", "purchased_on", "purchase_cost",
    "supplier", "required_hours_per_week", "disposed_on",
)  # fmt: skip
PLACEMENT_COLUMNS = ("equipment_id", "department_id", "location_id", "custodian_id", "since", "until")


def placement_rows(
    rng: Random, days: Days, fleet: list[Device], hospital: Hospital, custodians: list[int], first_pk: int
) -> Iterator[tuple[Any, ...]]:
    """Where each device has been since its installation: mobile ones move, some even to another department."""
    keys = list(hospital.departments)
    for device in fleet:
        key = first_pk + device.number
        until = device.until if device.ended else days.today
        moves = _move_days(rng, device, until)
        since = days.instant(device.installed, 9 * 60)
        for moved in moves:
            owner = device.department if rng.random() < 0.7 else keys[int(rng.random() * len(keys))]
            department = hospital.departments[owner]
            end = days.instant(moved, 7 * 60 + int(rng.random() * 600))
            holder = custodians[int(rng.random() * len(custodians))] if rng.random() < 0.3 else None
            yield (key, department.node.pk, _room(rng, department).pk, holder, since, end)
            since = end
        if device.status == EquipmentStatus.IN_STORAGE:
            department = hospital.departments[device.department]
            end = days.instant(device.until, 15 * 60)
            yield (key, department.node.pk, _room(rng, department).pk, None, since, end)
            since = end
        yield (
            key,
            hospital.departments[device.department].node.pk,
            device.place.pk if device.place else None,
            custodians[device.custodian] if device.custodian is not None else None,
            since,
            None,
        )


def _move_days(rng: Random, device: Device, until: int) -> list[int]:
    """The days of the moves, in order, none twice."""
    expected = (0.5 if device.kind.is_mobile else 0.03) * (until - device.since) / DAYS_OF_A_YEAR
    count = min(int(rng.random() * (2 * expected + 1)), 4)
    first, last = device.since + 1, until - 1
    if last < first:
        return []
    return sorted({first + int(rng.random() * (last - first + 1)) for _move in range(count)})


def _room(rng: Random, department: Department) -> Location:
    return department.rooms[int(rng.random() * len(department.rooms))]


def _draw_time_of_use(rng: Random, days: Days, kind: DeviceType, status: str) -> tuple[int, int]:
    """When the device was installed, and when it left use (today if it has not), as days."""
    life = kind.life_years * DAYS_OF_A_YEAR
    if status == EquipmentStatus.DISPOSED:
        # At the end of its life, as a rule, which came some time during the window.
        until = days.first + NEWEST_DAYS + int(rng.random() * (days.today - days.first - NEWEST_DAYS))
        return until - max(int(rng.uniform(0.7, OLDEST_IN_LIVES) * life), NEWEST_DAYS), until
    installed = days.today - max(int(rng.uniform(0.0, OLDEST_IN_LIVES) * life), NEWEST_DAYS)
    if status not in {EquipmentStatus.IN_STORAGE, EquipmentStatus.MISSING}:
        return installed, days.today
    since = max(installed, days.first)
    return installed, since + 1 + int(rng.random() * (days.today - since - 1))


def _draw_model(rng: Random, days: Days, catalogue: Catalogue, index: int, installed: int) -> int:
    """A model that was on the market at that time, or the oldest."""
    positions = catalogue.models_of[index]
    on_sale = [
        position
        for position in positions
        if (published := catalogue.models[position].published_on) and published.toordinal() <= installed
    ]
    return on_sale[int(rng.random() * min(len(on_sale), 2))] if on_sale else positions[-1]
