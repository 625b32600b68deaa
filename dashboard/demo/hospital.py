"""The places of the demo: two sites with buildings, departments, rooms, storage and delivery locations."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from dashboard.demo.days import Days
from locations.models import LABEL_ALPHABET, LABEL_LENGTH, Location, LocationKind, ProductionRun

DEVICES_OF_A_ROOM = 7

# Code → name and building at the central site. NORTH lists what the second site has too.
DEPARTMENTS: dict[str, tuple[str, str]] = {
    "ICU": ("Intensive care", "Surgical wing"),
    "EMD": ("Emergency department", "Main building"),
    "OPT": ("Operating theatres", "Surgical wing"),
    "CAR": ("Cardiology", "Main building"),
    "RAD": ("Radiology", "Main building"),
    "NEO": ("Neonatology", "Women and children"),
    "OBS": ("Obstetrics", "Women and children"),
    "MED": ("Medical wards", "Main building"),
    "SUR": ("Surgical wards", "Surgical wing"),
    "LAB": ("Laboratory", "Main building"),
    "DIA": ("Dialysis", "Main building"),
    "END": ("Endoscopy", "Surgical wing"),
    "OUT": ("Outpatients", "Main building"),
    "CSS": ("Sterile services", "Surgical wing"),
    "PHY": ("Physiotherapy", "Main building"),
}
NORTH: dict[str, str] = {
    "EMD": "Clinic building", "MED": "Clinic building", "OUT": "Clinic building", "DIA": "Clinic building",
    "RAD": "Clinic building", "PHY": "Annexe",
}  # fmt: skip
SITES = {"C": "Central Hospital", "N": "North Clinic"}
NORTH_SHARE = 0.4  # of the devices of a department that both sites have

DepartmentKey = tuple[str, str]  # code of the site, code of the department


@dataclass(slots=True)
class Department:
    """A department with its rooms, and the storage location its devices are put into."""

    node: Location
    rooms: list[Location]
    store: Location


@dataclass(slots=True)
class Hospital:
    """Unsaved rows with their keys and paths set; a location never precedes what it lies in."""

    runs: list[ProductionRun]
    locations: list[Location] = field(default_factory=list)
    departments: dict[DepartmentKey, Department] = field(default_factory=dict)
    sites: dict[str, Location] = field(default_factory=dict)
    stores: list[Location] = field(default_factory=list)


class _Builder:
    def __init__(self, rng: Random, hospital: Hospital, first_pk: int) -> None:
        self.rng = rng
        self.hospital = hospital
        self.first_pk = first_pk

    def add(self, kind: str, name: str, parent: Location | None, code: str = "", **facts: object) -> Location:
        """A location below `parent`, with the path that `Location.save` would give it."""
        label = "".join(self.rng.choice(LABEL_ALPHABET) for _step in range(LABEL_LENGTH))
        location = Location(
            pk=self.first_pk + len(self.hospital.locations),
            kind=kind,
            name=name,
            parent=parent,
            code=code,
            label=label,
            path=f"{parent.path if parent else ''}{label}/",
            **facts,
        )
        self.hospital.locations.append(location)
        return location


def draw_department(rng: Random, codes: tuple[str, ...]) -> DepartmentKey:
    """One of the departments `codes`, at one of the sites that have it."""
    code = rng.choice(codes)
    return ("N" if code in NORTH and rng.random() < NORTH_SHARE else "C", code)


def make_hospital(
    rng: Random, days: Days, devices: Mapping[DepartmentKey, int], first_location: int, first_run: int
) -> Hospital:
    """All places, with rooms enough for the number of `devices` of each department."""
    hospital = Hospital(runs=_make_runs(days, first_run))
    builder = _Builder(rng, hospital, first_location)
    for site_code, site_name in SITES.items():
        site = hospital.sites[site_code] = builder.add(LocationKind.SITE, site_name, None, site_code)
        houses: dict[str, Location] = {}
        stores: dict[str, Location] = {}
        for code, (name, central_building) in DEPARTMENTS.items():
            if site_code == "N" and code not in NORTH:
                continue
            building = NORTH[code] if site_code == "N" else central_building
            if building not in houses:
                houses[building] = builder.add(LocationKind.BUILDING, building, site)
                number = len(hospital.stores) + 1
                stores[building] = builder.add(
                    LocationKind.STORAGE, f"Equipment store {number}", houses[building], f"ST-{number}"
                )
                hospital.stores.append(stores[building])
            node = builder.add(LocationKind.DEPARTMENT, name, houses[building], f"{site_code}-{code}")
            count = max(2, math.ceil(devices.get((site_code, code), 0) / DEVICES_OF_A_ROOM))
            rooms = [
                builder.add(LocationKind.ROOM, f"{code} {number:02d}", node, f"{site_code}-{code}-{number:02d}")
                for number in range(1, count + 1)
            ]
            hospital.departments[site_code, code] = Department(node, rooms, stores[building])
        _add_deliveries(builder, site, site_code, hospital)
    return hospital


def set_capacities(hospital: Hospital, occupancy: Mapping[int, int]) -> None:
    """Give every store, and every fourth room, a capacity; nowhere less than the devices that are there.

    `occupancy` counts the devices by the key of the location.
    """
    for store in hospital.stores:
        store.capacity = max(10, math.ceil(occupancy.get(store.pk, 0) * 1.25))
    for department in hospital.departments.values():
        for room in department.rooms[::4]:
            room.capacity = max(DEVICES_OF_A_ROOM + 1, occupancy.get(room.pk, 0))


def _add_deliveries(builder: _Builder, site: Location, site_code: str, hospital: Hospital) -> None:
    for number, (name, run) in enumerate((("Goods in", 0), ("Sterile goods", 1), ("Loan sets", 2)), start=1):
        if site_code == "N" and number == 3:
            continue
        builder.add(
            LocationKind.DELIVERY,
            name,
            site,
            f"{site_code}-DL-{number}",
            production_run=hospital.runs[run],
            capacity=40,
        )
    dialysis = hospital.departments[site_code, "DIA"].node
    builder.add(
        LocationKind.DELIVERY, "Dialysis supplies", dialysis, f"{site_code}-DL-9", production_run=hospital.runs[3]
    )


def _make_runs(days: Days, first_pk: int) -> list[ProductionRun]:
    plans = (("RUN-01", "Weekly ward supply", 400, None), ("RUN-02", "Sterile goods, daily", 700, None),
             ("RUN-03", "Loan sets, spring", 200, 20), ("RUN-04", "Dialysis concentrate", 300, -65))  # fmt: skip
    return [
        ProductionRun(
            pk=first_pk + index,
            code=code,
            name=name,
            starts_on=days.date - timedelta(days=began),
            ends_on=days.date - timedelta(days=ended) if ended is not None else None,
        )
        for index, (code, name, began, ended) in enumerate(plans)
    ]
