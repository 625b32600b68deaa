"""Recipes of the register. Times and dates are fixed; what a test is about, it says itself."""

from datetime import UTC, date, datetime
from itertools import count

from model_bakery.recipe import Recipe, foreign_key

from equipment.models import (
    DataType,
    DeviceModel,
    Equipment,
    ImportRun,
    MaintenancePlan,
    Manufacturer,
    PlanKind,
    ScheduledMaintenance,
    ServiceContract,
    WorkOrder,
)
from locations.tests.recipes import room

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
_numbers = count(1)


def numbered(text: str):
    """A callable that gives `text` with another number each time."""
    return lambda: f"{text}{next(_numbers):05d}"


manufacturer = Recipe(Manufacturer, name=numbered("Maker "))
device_model = Recipe(DeviceModel, manufacturer=foreign_key(manufacturer), name=numbered("Model "))
device = Recipe(Equipment, name="Infusion pump", serial=numbered("SN-"), data_type=DataType.PPM, status="in_service")
placed_device = device.extend(location=foreign_key(room))
plan = Recipe(
    MaintenancePlan,
    equipment=foreign_key(device),
    kind=PlanKind.CUSTOM,
    interval=6,
    interval_unit="month",
    starts_on=date(2024, 1, 31),
)
maintenance = Recipe(
    ScheduledMaintenance,
    equipment=foreign_key(device),
    scheduled_date=date(2024, 5, 6),
    occurrence_date=None,  # Baker would draw one; without, it is the scheduled date.
)
work_order = Recipe(WorkOrder, equipment=foreign_key(device), reported_at=NOON)
contract = Recipe(ServiceContract, number=numbered("C-"), supplier="Service house", starts_on=date(2024, 1, 1))
import_run = Recipe(ImportRun, file_name="register.csv", format="ppm", actor="editor")
