"""Every constraint of the register, met in the database: what it forbids is refused, what lies just inside passes."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from equipment.models import (
    DataType,
    Document,
    ImportedRow,
    Placement,
    ProductClass,
    TrainingRecord,
    WorkOrderPart,
)
from equipment.tests import recipes
from equipment.tests.recipes import NOON
from locations.tests import recipes as locations
from tests.constraints import assert_accepted, assert_refused, constraints_of

pytestmark = pytest.mark.django_db

CONSTRAINTS = constraints_of("equipment")
DAY = date(2024, 5, 6)
LATER = NOON + timedelta(hours=1)
EARLIER = NOON - timedelta(hours=1)


def rewrite(row, **values):
    """Change a stored row as the database sees it, past `save()` and `clean()`."""
    return lambda: type(row)._base_manager.filter(pk=row.pk).update(**values)


def twin(row, **values):
    """Insert a second row like this one."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return lambda: type(row)._base_manager.bulk_create([type(row)(**{**fields, "id": None, **values})])


def product_class():
    return ProductClass.objects.create(code="FRN", name="Pump, infusion")


def part():
    return WorkOrderPart.objects.create(work_order=recipes.work_order.make(), name="Battery")


def document():
    return Document.objects.create(equipment=recipes.device.make(), title="Manual", file="documents/a.pdf")


def imported_row():
    return ImportedRow.objects.create(run=recipes.import_run.make(), row_number=2, action="created")


def training(**values):
    person = User.objects.create(username="anna")
    model = recipes.device_model.make()
    return TrainingRecord.objects.create(person=person, device_model=model, trained_on=DAY, **values)


def placement():
    return Placement.objects.create(equipment=recipes.device.make(), location=locations.room.make(), since=NOON)


def returned_order():
    return recipes.work_order.make(status="returned", started_at=NOON, returned_to_service_at=LATER)


BROKEN = {
    "product_class_device_class_known": lambda: rewrite(product_class(), device_class="9"),
    "manufacturer_name_given": lambda: rewrite(recipes.manufacturer.make(), name=""),
    "manufacturer_name_unique": lambda: twin(recipes.manufacturer.make(name="Acme"), name="ACME"),
    "device_model_name_given": lambda: rewrite(recipes.device_model.make(), name=""),
    "device_model_device_class_known": lambda: rewrite(recipes.device_model.make(), device_class="9"),
    "device_model_mri_safety_known": lambda: rewrite(recipes.device_model.make(), mri_safety="perhaps"),
    "device_model_life_positive": lambda: rewrite(recipes.device_model.make(), expected_life_months=0),
    "device_model_identifier_unique": lambda: twin(recipes.device_model.make(device_identifier="04012345678901")),
    "device_model_unique_by_hand": lambda: twin(recipes.device_model.make(name="P-100"), name="p-100"),
    "equipment_serial_unique_in_programme": lambda: twin(recipes.device.make()),
    "equipment_asset_tag_unique": lambda: twin(recipes.device.make(asset_tag="LOG-1"), serial="another"),
    "equipment_name_given": lambda: rewrite(recipes.device.make(), name=""),
    "equipment_serial_given": lambda: rewrite(recipes.device.make(), serial=""),
    "equipment_data_type_known": lambda: rewrite(recipes.device.make(), data_type="pcm"),
    "equipment_status_known": lambda: rewrite(recipes.device.make(), status="lost"),
    "equipment_risk_class_known": lambda: rewrite(recipes.device.make(), risk_class="extreme"),
    "equipment_disposed_has_date": lambda: rewrite(recipes.device.make(), status="disposed"),
    "equipment_disposed_after_installed": lambda: rewrite(
        recipes.device.make(installed_on=DAY), status="disposed", disposed_on=DAY - timedelta(days=1)
    ),
    "equipment_cost_not_negative": lambda: rewrite(recipes.device.make(), purchase_cost=Decimal("-0.01")),
    "equipment_required_hours_in_week": lambda: rewrite(recipes.device.make(), required_hours_per_week=169),
    "placement_one_present_per_device": lambda: twin(placement()),
    "placement_ends_after_start": lambda: rewrite(placement(), until=EARLIER),
    "document_kind_known": lambda: rewrite(document(), kind="novel"),
    "document_of_device_or_model": lambda: rewrite(document(), device_model=recipes.device_model.make()),
    "contract_number_given": lambda: rewrite(recipes.contract.make(), number=""),
    "contract_kind_known": lambda: rewrite(recipes.contract.make(), kind="handshake"),
    "contract_ends_after_start": lambda: rewrite(recipes.contract.make(), ends_on=date(2023, 12, 31)),
    "contract_cost_not_negative": lambda: rewrite(recipes.contract.make(), annual_cost=-1),
    "plan_kind_known": lambda: rewrite(recipes.plan.make(), kind="pcm"),
    "plan_unit_known": lambda: rewrite(recipes.plan.make(), interval_unit="decade"),
    "plan_interval_positive": lambda: rewrite(recipes.plan.make(), interval=0),
    "plan_interval_within_ten_years": lambda: rewrite(recipes.plan.make(), interval=121),
    "plan_ends_after_start": lambda: rewrite(recipes.plan.make(), ends_on=date(2024, 1, 30)),
    "plan_ready_made_interval": lambda: rewrite(recipes.plan.make(), kind="ppm"),
    "plan_ready_made_once_per_device": lambda: twin(recipes.plan.make(kind="ocm", interval=1, interval_unit="year")),
    "maintenance_status_known": lambda: rewrite(recipes.maintenance.make(), status="overdue"),
    "maintenance_completed_has_date": lambda: rewrite(recipes.maintenance.make(), status="completed"),
    "maintenance_outcome_of_completed": lambda: rewrite(recipes.maintenance.make(), outcome="passed"),
    "maintenance_quarter_known": lambda: rewrite(recipes.maintenance.make(), quarter=5),
    "maintenance_once_per_occurrence": lambda: twin(recipes.maintenance.make(plan=recipes.plan.make())),
    "work_order_kind_known": lambda: rewrite(recipes.work_order.make(), kind="magic"),
    "work_order_status_known": lambda: rewrite(recipes.work_order.make(), status="lost"),
    "work_order_priority_known": lambda: rewrite(recipes.work_order.make(), priority="whenever"),
    "work_order_cause_known": lambda: rewrite(recipes.work_order.make(), cause="gremlins"),
    "work_order_started_after_report": lambda: rewrite(recipes.work_order.make(), started_at=EARLIER),
    "work_order_returned_after_start": lambda: rewrite(returned_order(), returned_to_service_at=EARLIER),
    "work_order_finished_has_return": lambda: rewrite(recipes.work_order.make(), status="closed"),
    "work_order_downtime_in_order": lambda: rewrite(recipes.work_order.make(), down_from=NOON, down_until=EARLIER),
    "work_order_finished_is_up": lambda: rewrite(returned_order(), down_from=NOON),
    "work_order_costs_not_negative": lambda: rewrite(recipes.work_order.make(), parts_cost=-1),
    "part_quantity_positive": lambda: rewrite(part(), quantity=0),
    "part_cost_not_negative": lambda: rewrite(part(), unit_cost=-1),
    "training_once_a_day": lambda: twin(training()),
    "training_expires_later": lambda: rewrite(training(), expires_on=DAY),
    "import_format_known": lambda: rewrite(recipes.import_run.make(), format="xml"),
    "imported_row_action_known": lambda: rewrite(imported_row(), action="guessed"),
    "imported_row_once": lambda: twin(imported_row()),
}

# The same constraints from other sides: what is written, and which of them refuses it.
ALSO_BROKEN = [
    ("equipment_disposed_has_date", lambda: rewrite(recipes.device.make(), disposed_on=DAY)),
    ("equipment_required_hours_in_week", lambda: rewrite(recipes.device.make(), required_hours_per_week=0)),
    ("document_of_device_or_model", lambda: rewrite(document(), equipment=None)),
    ("maintenance_completed_has_date", lambda: rewrite(recipes.maintenance.make(), completed_on=DAY)),
    (
        "maintenance_outcome_of_completed",
        lambda: rewrite(recipes.maintenance.make(), status="completed", completed_on=DAY, outcome="fine"),
    ),
    ("maintenance_quarter_known", lambda: rewrite(recipes.maintenance.make(), quarter=0)),
    ("work_order_finished_has_return", lambda: rewrite(recipes.work_order.make(), returned_to_service_at=LATER)),
    (
        "work_order_finished_has_return",
        lambda: rewrite(recipes.work_order.make(), status="cancelled", returned_to_service_at=LATER),
    ),
    (
        "work_order_returned_after_start",
        lambda: rewrite(recipes.work_order.make(), status="returned", returned_to_service_at=EARLIER),
    ),
    ("work_order_downtime_in_order", lambda: rewrite(recipes.work_order.make(), down_until=LATER)),
    ("work_order_finished_is_up", lambda: rewrite(recipes.work_order.make(down_from=NOON), status="cancelled")),
    ("work_order_costs_not_negative", lambda: rewrite(recipes.work_order.make(), labour_cost=-1)),
]

ACCEPTED = {
    "one serial number in two programmes": lambda: twin(recipes.device.make(), data_type=DataType.OCM),
    "many devices without an asset tag": lambda: twin(recipes.device.make(), serial="another"),
    "one model name of two manufacturers": lambda: twin(
        recipes.device_model.make(), manufacturer_id=recipes.manufacturer.make().pk
    ),
    "one model name with two catalogue numbers": lambda: twin(recipes.device_model.make(), catalog_number="2"),
    "disposal on the day of installation": lambda: rewrite(
        recipes.device.make(installed_on=DAY), status="disposed", disposed_on=DAY
    ),
    "two custom plans for a device": lambda: twin(recipes.plan.make()),
    "two dates without a plan on one day": lambda: twin(recipes.maintenance.make()),
    "a return at the moment of the start": lambda: rewrite(returned_order(), returned_to_service_at=NOON),
    "a downtime that still runs": lambda: rewrite(recipes.work_order.make(), down_from=EARLIER),
    "a past placement beside the present one": lambda: twin(placement(), until=LATER),
}


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_the_database_refuses_what_a_constraint_forbids(name):
    assert_refused(CONSTRAINTS[name], BROKEN[name]())


@pytest.mark.parametrize(("name", "write"), ALSO_BROKEN)
def test_the_database_refuses_it_from_the_other_side_too(name, write):
    assert_refused(CONSTRAINTS[name], write())


@pytest.mark.parametrize("write", ACCEPTED.values(), ids=ACCEPTED)
def test_the_database_accepts_what_lies_just_inside(write):
    assert_accepted(write())
