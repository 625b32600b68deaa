"""The register: what rows answer about themselves."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError

from equipment.models import (
    Equipment,
    FailureCause,
    MaintenanceState,
    TrainingRecord,
    WorkOrder,
)
from equipment.tests import recipes
from equipment.tests.recipes import NOON
from locations.tests import recipes as locations

pytestmark = pytest.mark.django_db

DAY = date(2024, 5, 6)
LATER = NOON + timedelta(hours=1)


# Devices and where they have been


def test_a_new_device_has_a_placement_from_the_start():
    device = recipes.placed_device.make()

    placement = device.placements.get()

    assert (placement.location, placement.until) == (device.location, None)


def test_a_device_that_is_nowhere_has_no_placement():
    device = recipes.device.make()

    assert not device.placements.exists()


def test_moving_a_device_ends_a_placement_and_begins_the_next_without_a_gap():
    device = recipes.placed_device.make()
    old, new = device.location, locations.room.make()

    device.location = new
    device.save()

    now, before = device.placements.all()
    assert (before.location, now.location) == (old, new)
    assert before.until == now.since
    assert now.until is None


@pytest.mark.parametrize("field", ["department", "location", "custodian"])
def test_each_of_the_three_makes_a_placement(field, viewer):
    device = recipes.placed_device.make()
    value = viewer if field == "custodian" else locations.department.make()

    setattr(device, field, value)
    device.save(update_fields=[field])

    assert device.placements.count() == 2
    assert getattr(device.placements.first(), field) == value


def test_other_changes_make_no_placement():
    device = recipes.placed_device.make()

    device.name = "Renamed"
    device.save()
    device.save(update_fields=["name"])

    assert device.placements.count() == 1


def test_a_device_taken_from_its_place_has_a_placement_that_says_so():
    device = recipes.placed_device.make()

    device.location = None
    device.save()

    assert device.placements.first().location is None
    assert device.placements.count() == 2


def test_a_device_with_work_orders_cannot_be_deleted():
    order = recipes.work_order.make()

    with pytest.raises(ProtectedError):
        order.equipment.delete()


def test_a_place_with_a_device_or_a_history_cannot_be_deleted():
    device = recipes.placed_device.make()
    former = device.location
    device.location = locations.room.make()
    device.save()

    for place in (former, device.location):
        with pytest.raises(ProtectedError):
            place.delete()


def test_blanks_around_serial_and_tag_are_taken_off():
    device = recipes.device.prepare(serial="  SN 7 ", asset_tag=" LOG-7 ")

    device.clean()

    assert (device.serial, device.asset_tag) == ("SN 7", "LOG-7")


@pytest.mark.parametrize(("day", "covered"), [(DAY, True), (DAY + timedelta(days=1), False)])
def test_a_warranty_runs_to_its_last_day(day, covered):
    assert Equipment(warranty_until=DAY).is_under_warranty_on(day) is covered


def test_a_device_without_a_warranty_is_not_under_one():
    assert Equipment().is_under_warranty_on(DAY) is False


# Maintenance


@pytest.mark.parametrize(
    ("days", "state"),
    [
        (-400, MaintenanceState.OVERDUE),
        (-1, MaintenanceState.OVERDUE),
        (0, MaintenanceState.DUE),
        (7, MaintenanceState.DUE),
        (8, MaintenanceState.UPCOMING),
        (400, MaintenanceState.UPCOMING),
    ],
)
@pytest.mark.parametrize("status", ["scheduled", "in_progress"])
def test_the_state_of_open_maintenance_follows_from_date_and_day(status, days, state):
    row = recipes.maintenance.prepare(status=status, scheduled_date=DAY + timedelta(days=days))

    assert row.state_on(DAY) == state


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_finished_maintenance_stays_what_it_is_on_every_day(status):
    row = recipes.maintenance.prepare(status=status, scheduled_date=DAY)

    assert {row.state_on(DAY + timedelta(days=days)).value for days in (-30, 0, 30)} == {status}


def test_a_past_date_with_an_engineers_name_is_overdue_and_not_completed():
    row = recipes.maintenance.prepare(scheduled_date=DAY - timedelta(days=30), engineer_name="B. Reyes")

    assert row.state_on(DAY) == MaintenanceState.OVERDUE


@pytest.mark.parametrize(
    ("late", "tolerance", "on_time"), [(0, 0, True), (1, 0, False), (5, 5, True), (6, 5, False), (-3, 0, True)]
)
def test_on_time_is_by_the_date_plus_tolerance(late, tolerance, on_time):
    row = recipes.maintenance.prepare(
        status="completed", scheduled_date=DAY, completed_on=DAY + timedelta(days=late), tolerance_days=tolerance
    )

    assert row.was_on_time is on_time


def test_a_device_that_could_not_be_located_was_not_maintained_on_time():
    row = recipes.maintenance.prepare(
        status="completed", scheduled_date=DAY, completed_on=DAY, outcome="could_not_locate"
    )

    assert row.was_on_time is False


def test_open_maintenance_is_neither_on_time_nor_late():
    assert recipes.maintenance.prepare().was_on_time is None


def test_the_date_that_the_plan_gave_is_kept_when_the_appointment_moves():
    row = recipes.maintenance.make(scheduled_date=DAY)

    row.scheduled_date = DAY + timedelta(days=9)
    row.save()
    row.refresh_from_db()

    assert row.occurrence_date == DAY


def test_a_ready_made_plan_brings_its_interval():
    plan = recipes.plan.prepare(kind="ppm", equipment=recipes.device.make())

    plan.clean()

    assert (plan.interval, plan.interval_unit) == (3, "month")


def test_months_are_counted_from_the_first_date_so_that_short_ones_do_not_shift_the_rest():
    plan = recipes.plan.prepare(starts_on=date(2024, 1, 31), interval=1, interval_unit="month")

    assert [plan.occurrence(index) for index in range(4)] == [
        date(2024, 1, 31),
        date(2024, 2, 29),
        date(2024, 3, 31),
        date(2024, 4, 30),
    ]


@pytest.mark.parametrize(
    ("interval", "unit", "second"),
    [
        (10, "day", date(2024, 3, 10)),
        (2, "week", date(2024, 3, 14)),
        (18, "month", date(2025, 8, 29)),
        (1, "year", date(2025, 2, 28)),
    ],
)
def test_an_interval_is_of_any_unit(interval, unit, second):
    plan = recipes.plan.prepare(starts_on=date(2024, 2, 29), interval=interval, interval_unit=unit)

    assert plan.occurrence(1) == second


def test_a_date_and_its_plan_are_about_one_device():
    row = recipes.maintenance.make(plan=None)
    row.plan = recipes.plan.make()

    with pytest.raises(ValidationError) as refusal:
        row.full_clean()

    assert "plan" in refusal.value.message_dict


# Work orders


def test_a_job_and_the_maintenance_it_carries_out_are_about_one_device():
    order = recipes.work_order.make()
    order.scheduled_maintenance = recipes.maintenance.make()

    with pytest.raises(ValidationError) as refusal:
        order.full_clean()

    assert "scheduled_maintenance" in refusal.value.message_dict


def test_a_number_has_six_digits_or_more():
    assert WorkOrder(pk=7).number == "WO-000007"
    assert WorkOrder(pk=12_345_678).number == "WO-12345678"
    assert WorkOrder().number == "WO-new"


@pytest.mark.parametrize(
    ("kind", "cause", "failure"),
    [
        ("corrective", FailureCause.WEAR, True),
        ("corrective", FailureCause.UNKNOWN, True),
        ("corrective", FailureCause.USE_ERROR, False),
        ("corrective", FailureCause.NO_PROBLEM_FOUND, False),
        ("corrective", FailureCause.ACCESSORY, False),
        ("corrective", "", False),
        ("preventive", FailureCause.WEAR, False),
    ],
)
def test_a_failure_is_corrective_and_of_the_device_itself(kind, cause, failure):
    assert WorkOrder(kind=kind, cause=cause).is_device_failure is failure


@pytest.mark.parametrize(
    ("labour", "parts", "total"),
    [
        (None, None, None),
        (Decimal("10.50"), None, Decimal("10.50")),
        (None, Decimal(3), Decimal(3)),
        (Decimal(1), Decimal(2), Decimal(3)),
        (Decimal(0), None, Decimal(0)),
    ],
)
def test_an_unknown_cost_is_not_zero(labour, parts, total):
    assert WorkOrder(labour_cost=labour, parts_cost=parts).total_cost == total


@pytest.mark.parametrize(
    ("down_from", "down_until", "hours"),
    [
        (None, None, 0),
        (NOON, None, 10),
        (NOON, NOON + timedelta(hours=4), 4),
        (NOON, NOON + timedelta(hours=40), 10),
        (NOON + timedelta(hours=20), None, 0),
    ],
)
def test_downtime_is_clipped_at_the_instant_and_runs_on_to_it(down_from, down_until, hours):
    order = WorkOrder(down_from=down_from, down_until=down_until)

    assert order.downtime_until(NOON + timedelta(hours=10)) == timedelta(hours=hours)


def test_the_turnaround_ends_with_the_return():
    assert WorkOrder(reported_at=NOON).turnaround is None
    assert WorkOrder(reported_at=NOON, returned_to_service_at=LATER).turnaround == timedelta(hours=1)


# Contracts and training


def test_a_contract_covers_its_first_and_its_last_day():
    contract = recipes.contract.prepare(starts_on=DAY, ends_on=DAY + timedelta(days=1))

    running = [contract.is_running_on(DAY + timedelta(days=days)) for days in (-1, 0, 1, 2)]

    assert running == [False, True, True, False]


def test_a_contract_without_an_end_runs_on():
    assert recipes.contract.prepare(starts_on=DAY, ends_on=None).is_running_on(date(2099, 1, 1))


def test_a_training_counts_until_the_day_before_it_expires():
    record = TrainingRecord(trained_on=DAY, expires_on=DAY + timedelta(days=2))

    valid = [record.is_valid_on(DAY + timedelta(days=days)) for days in (-1, 0, 1, 2)]

    assert valid == [False, True, True, False]


def test_the_recipes_make_valid_rows():
    for recipe in (recipes.device, recipes.placed_device, recipes.plan, recipes.maintenance, recipes.work_order):
        row = recipe.make()
        row.full_clean()
        assert str(row)
