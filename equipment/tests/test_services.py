"""Writes of the register that span rows: what is done, what is refused and why, and what is recorded."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from audit.actors import Actor, acting_as
from audit.models import AuditLog
from equipment import services
from equipment.models import Equipment, ScheduledMaintenance, WorkOrder, WorkOrderPart
from equipment.services import bulk
from equipment.tests import recipes
from equipment.tests.recipes import NOON
from locations.tests import recipes as locations

pytestmark = pytest.mark.django_db

DAY = date(2024, 5, 6)


def chosen(*rows):
    return type(rows[0]).objects.filter(pk__in=[row.pk for row in rows])


def reasons(result):
    return {refusal.pk: refusal.reason for refusal in result.refused}


# Devices


def test_a_status_is_set_and_recorded_as_the_users_own_act(editor):
    device, already = recipes.device.make(), recipes.device.make(status="missing")

    with acting_as(Actor.from_user(editor)):
        result = services.set_equipment_status(equipment=chosen(device, already), status="missing")

    device.refresh_from_db()
    event = AuditLog.objects.about(device).first()
    assert (device.status, result.done, result.unchanged) == ("missing", [device.pk], [already.pk])
    assert (event.actor, event.before, event.after) == ("editor", {"status": "in_service"}, {"status": "missing"})
    assert not AuditLog.objects.about(already).filter(event_type="updated").exists()


@pytest.mark.parametrize("status", ["disposed", "lost", ""])
def test_a_status_that_needs_more_or_does_not_exist_is_refused(status):
    device = recipes.device.make()

    with pytest.raises(ValidationError):
        services.set_equipment_status(equipment=chosen(device), status=status)


def test_a_device_that_was_disposed_of_comes_back_without_the_date():
    device = recipes.device.make(status="disposed", disposed_on=DAY)

    services.set_equipment_status(equipment=chosen(device), status="in_storage")

    device.refresh_from_db()
    assert (device.status, device.disposed_on) == ("in_storage", None)


def test_a_change_moves_the_time_of_the_last_change():
    device = recipes.device.make()
    before = device.updated_at

    services.set_equipment_status(equipment=chosen(device), status="missing")

    device.refresh_from_db()
    assert device.updated_at > before


def test_disposal_says_of_each_device_why_not():
    free = recipes.device.make()
    later = recipes.device.make(installed_on=DAY + timedelta(days=1))
    gone = recipes.device.make(status="disposed", disposed_on=DAY - timedelta(days=9))
    busy = recipes.work_order.make().equipment

    result = services.dispose_of_equipment(equipment=chosen(free, later, gone, busy), disposed_on=DAY)

    free.refresh_from_db()
    busy.refresh_from_db()
    assert (free.status, free.disposed_on, result.done) == ("disposed", DAY, [free.pk])
    assert set(reasons(result)) == {later.pk, gone.pk, busy.pk}
    assert "installed" in reasons(result)[later.pk]
    assert "work order" in reasons(result)[busy.pk]
    assert busy.status == "in_service"


def test_nothing_is_disposed_of_in_the_future():
    device = recipes.device.make()

    with pytest.raises(ValidationError):
        services.dispose_of_equipment(equipment=chosen(device), disposed_on=timezone.localdate() + timedelta(days=1))


def test_a_move_makes_the_placement_history_right():
    placed, nowhere = recipes.placed_device.make(), recipes.device.make()
    there = recipes.placed_device.make()
    old, room = placed.location, there.location

    result = services.move_equipment(equipment=chosen(placed, nowhere, there), location=room)

    assert set(result.done) == {placed.pk, nowhere.pk}
    assert result.unchanged == [there.pk]
    now, before = placed.placements.all()
    assert (before.location, before.until, now.location, now.until) == (old, now.since, room, None)
    assert nowhere.placements.get().location == room
    assert there.placements.count() == 1


def test_a_bulk_move_leaves_the_same_history_as_moving_one():
    one, many = recipes.placed_device.make(), recipes.placed_device.make()
    room = locations.room.make()

    one.location = room
    one.save()
    services.move_equipment(equipment=chosen(many), location=room)

    def history(device):
        return [(row.location_id == room.pk, row.until is None) for row in device.placements.all()]

    assert history(one) == history(many)


def test_a_move_takes_a_department_along_only_if_one_is_given():
    department = locations.department.make()
    device = recipes.placed_device.make(department=department)
    other = locations.department.make()

    services.move_equipment(equipment=chosen(device), location=locations.room.make())
    device.refresh_from_db()
    assert device.department == department

    services.move_equipment(equipment=chosen(device), location=device.location, department=other)
    device.refresh_from_db()
    assert device.department == other


def test_what_was_disposed_of_is_not_moved():
    device = recipes.placed_device.make(status="disposed", disposed_on=DAY)

    result = services.move_equipment(equipment=chosen(device), location=locations.room.make())

    assert list(reasons(result)) == [device.pk]
    assert device.placements.count() == 1


def test_deleting_refuses_devices_with_work_orders_and_says_how_many():
    free, used = recipes.device.make(), recipes.device.make()
    recipes.plan.make(equipment=free)
    recipes.work_order.make(equipment=used)
    recipes.work_order.make(equipment=used)

    result = services.delete_equipment(equipment=chosen(free, used))

    assert list(Equipment.objects.all()) == [used]
    assert result.done == [free.pk]
    assert reasons(result) == {used.pk: "2 work orders belong to it."}
    assert AuditLog.objects.filter(event_type="deleted", object_type="equipment.equipment").count() == 1


def test_a_thousand_devices_take_no_more_queries_than_two_batches(django_assert_max_num_queries, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH_ROWS", 20)
    room = locations.room.make()
    Equipment.objects.bulk_create(recipes.device.prepare(_quantity=40))

    with django_assert_max_num_queries(22):
        result = services.move_equipment(equipment=Equipment.objects.all(), location=room)

    assert len(result.done) == 40


def test_too_large_a_selection_is_refused_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(bulk, "LARGEST_SELECTION", 2)
    devices = [recipes.device.make() for _number in range(3)]

    with pytest.raises(services.SelectionTooLarge):
        services.set_equipment_status(equipment=chosen(*devices), status="missing")

    assert not Equipment.objects.filter(status="missing").exists()


# Maintenance


def test_completing_names_who_did_it_and_what_came_out(editor):
    row = recipes.maintenance.make(engineer_name="B. Reyes")

    services.complete_maintenance(
        maintenance=chosen(row), completed_on=DAY, outcome="passed", completed_by_id=editor.pk
    )

    row.refresh_from_db()
    assert (row.status, row.completed_on, row.outcome, row.completed_by) == ("completed", DAY, "passed", editor)
    assert row.engineer_name == "B. Reyes"


def test_an_engineer_who_is_named_replaces_the_planned_one():
    row = recipes.maintenance.make(engineer_name="B. Reyes")

    services.complete_maintenance(maintenance=chosen(row), completed_on=DAY, engineer_name="C. Roth")

    row.refresh_from_db()
    assert row.engineer_name == "C. Roth"


@pytest.mark.parametrize(
    "write",
    [
        lambda rows: services.complete_maintenance(maintenance=rows, completed_on=DAY),
        lambda rows: services.cancel_maintenance(maintenance=rows),
        lambda rows: services.reschedule_maintenance(maintenance=rows, scheduled_date=DAY),
    ],
)
@pytest.mark.parametrize("finished", [{"status": "completed", "completed_on": DAY}, {"status": "cancelled"}])
def test_finished_maintenance_is_left_as_it_is(write, finished):
    row = recipes.maintenance.make(**finished)
    before = ScheduledMaintenance.objects.values().get()

    result = write(chosen(row))

    assert list(reasons(result)) == [row.pk]
    assert ScheduledMaintenance.objects.values().get() == before


@pytest.mark.parametrize(
    "values", [{"completed_on": DAY + timedelta(days=40_000)}, {"completed_on": DAY, "outcome": "fine"}]
)
def test_a_completion_that_cannot_be_is_refused(values):
    row = recipes.maintenance.make()

    with pytest.raises(ValidationError):
        services.complete_maintenance(maintenance=chosen(row), **values)


def test_cancelling_keeps_the_reason_beside_earlier_notes():
    row = recipes.maintenance.make(notes="Battery ordered.")

    services.cancel_maintenance(maintenance=chosen(row), reason=" Device on loan. ")

    row.refresh_from_db()
    assert (row.status, row.notes) == ("cancelled", "Battery ordered.\nDevice on loan.")


def test_rescheduling_moves_the_appointment_and_not_the_occurrence():
    row = recipes.maintenance.make(scheduled_date=DAY)

    services.reschedule_maintenance(maintenance=chosen(row), scheduled_date=DAY + timedelta(days=7))

    row.refresh_from_db()
    assert (row.scheduled_date, row.occurrence_date) == (DAY + timedelta(days=7), DAY)


# Work orders


def test_a_job_goes_from_report_to_closure():
    order = recipes.work_order.make(down_from=NOON)

    services.start_work(work_orders=chosen(order), at=NOON + timedelta(hours=1))
    services.return_to_service(work_orders=chosen(order), at=NOON + timedelta(hours=3))
    services.close_work_orders(work_orders=chosen(order))

    order.refresh_from_db()
    assert order.status == "closed"
    assert order.started_at == NOON + timedelta(hours=1)
    assert order.turnaround == timedelta(hours=3)
    assert order.downtime_until(NOON + timedelta(days=9)) == timedelta(hours=3)


def test_work_that_waited_goes_on_with_its_first_start():
    order = recipes.work_order.make(status="waiting", started_at=NOON)

    services.start_work(work_orders=chosen(order))

    order.refresh_from_db()
    assert (order.status, order.started_at) == ("in_progress", NOON)


TRANSITIONS = {
    "start": (lambda rows: services.start_work(work_orders=rows), {"reported", "waiting"}),
    "return": (lambda rows: services.return_to_service(work_orders=rows), {"reported", "in_progress", "waiting"}),
    "close": (lambda rows: services.close_work_orders(work_orders=rows), {"returned"}),
    "cancel": (lambda rows: services.cancel_work_orders(work_orders=rows), {"reported", "in_progress", "waiting"}),
}


@pytest.mark.parametrize("status", ["reported", "in_progress", "waiting", "returned", "closed", "cancelled"])
@pytest.mark.parametrize("name", TRANSITIONS)
def test_a_transition_starts_only_where_it_may(name, status):
    write, allowed = TRANSITIONS[name]
    times = {"returned_to_service_at": NOON} if status in {"returned", "closed"} else {}
    order = recipes.work_order.make(status=status, **times)

    result = write(chosen(order))

    order.refresh_from_db()
    assert (result.done == [order.pk]) is (status in allowed)
    assert (order.status == status) is (status not in allowed)


@pytest.mark.parametrize(
    "times",
    [{"reported_at": NOON}, {"reported_at": NOON, "started_at": NOON + timedelta(hours=2)}, {"down_from": NOON}],
)
def test_a_device_is_not_returned_before_it_was_reported_started_or_down(times):
    order = recipes.work_order.make(**{"reported_at": NOON - timedelta(days=1), **times})
    latest = max(value for value in times.values())

    result = services.return_to_service(work_orders=chosen(order), at=latest - timedelta(seconds=1))

    assert list(reasons(result)) == [order.pk]


@pytest.mark.parametrize("write", [services.start_work, services.return_to_service])
def test_no_transition_lies_in_the_future(write):
    order = recipes.work_order.make()

    with pytest.raises(ValidationError):
        write(work_orders=chosen(order), at=timezone.now() + timedelta(minutes=1))


def test_cancelling_ends_a_downtime_that_still_runs():
    order = recipes.work_order.make(down_from=NOON)

    services.cancel_work_orders(work_orders=chosen(order), reason="Reported twice")

    order.refresh_from_db()
    assert isinstance(order.down_until, datetime)
    assert order.resolution == "Reported twice"


def test_of_many_jobs_each_gets_its_own_answer():
    reported, closed = recipes.work_order.make(), recipes.work_order.make(status="closed", returned_to_service_at=NOON)

    result = services.start_work(work_orders=chosen(reported, closed))

    assert result.done == [reported.pk]
    assert reasons(result) == {closed.pk: "It is closed."}
    assert AuditLog.objects.filter(object_type="equipment.workorder", event_type="updated").count() == 1


def test_parts_add_up_to_the_cost_of_parts():
    order = recipes.work_order.make(parts_cost=Decimal(1))
    WorkOrderPart.objects.create(work_order=order, name="Battery", quantity=2, unit_cost=Decimal("40.25"))
    WorkOrderPart.objects.create(work_order=order, name="Screw", quantity=4, unit_cost=Decimal("0.05"))

    assert services.total_parts_cost(work_order=order) == Decimal("80.70")
    assert WorkOrder.objects.get().parts_cost == Decimal("80.70")


@pytest.mark.parametrize("unit_costs", [[], [Decimal(4), None]])
def test_a_sum_that_would_leave_something_out_is_not_made(unit_costs):
    order = recipes.work_order.make(parts_cost=Decimal(99))
    for cost in unit_costs:
        WorkOrderPart.objects.create(work_order=order, name="Part", unit_cost=cost)

    assert services.total_parts_cost(work_order=order) == Decimal(99)
