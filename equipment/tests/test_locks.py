"""Two writers of one device or one job: neither undoes what the other did, nor judges by what is no longer so."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import transaction

from equipment.imports import import_register
from equipment.models import Equipment, EquipmentStatus, WorkOrder, WorkOrderPart
from equipment.services import cancel_work_orders, dispose_of_equipment, move_equipment, total_parts_cost
from equipment.tests import recipes
from equipment.tests.files import PPM_ROW, ppm_file
from equipment.tests.two_writers import second_while_first_is_uncommitted
from locations.tests import recipes as locations

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2024, 6, 1)


def only(instance):
    return type(instance).objects.filter(pk=instance.pk)


def report_work(device):
    return WorkOrder.objects.create(equipment_id=device.pk, problem="Alarm")


def add_part(order, cost):
    """As the form of a job does: the part, then the sum, in one transaction."""
    with transaction.atomic():
        WorkOrderPart.objects.create(work_order=order, name="Filter", unit_cost=cost)
        total_parts_cost(work_order=WorkOrder.objects.get(pk=order.pk))


def test_a_move_does_not_take_back_the_department_that_another_move_gave():
    device = recipes.device.make()
    department, ward, store = locations.department.make(), locations.room.make(), locations.room.make()

    meeting = second_while_first_is_uncommitted(
        lambda: move_equipment(equipment=only(device), location=ward, department=department),
        lambda: move_equipment(equipment=only(device), location=store),
    )

    device.refresh_from_db()
    assert (meeting.errors, meeting.waited) == ([None, None], True)
    assert (device.location, device.department) == (store, department)
    present = device.placements.get(until__isnull=True)
    assert (present.location, present.department) == (store, department)


def test_of_two_cancellations_of_one_job_the_second_is_refused():
    order = recipes.work_order.make()

    meeting = second_while_first_is_uncommitted(
        lambda: cancel_work_orders(work_orders=only(order), reason="Reported twice"),
        lambda: cancel_work_orders(work_orders=only(order), reason="No fault found"),
    )

    first, second = meeting.results
    order.refresh_from_db()
    assert meeting.errors == [None, None]
    assert (first.done, second.done, [refusal.pk for refusal in second.refused]) == ([order.pk], [], [order.pk])
    assert order.resolution == "Reported twice"


def test_a_device_is_not_disposed_of_while_work_on_it_is_being_reported():
    device = recipes.device.make()

    meeting = second_while_first_is_uncommitted(
        lambda: report_work(device),
        lambda: dispose_of_equipment(equipment=only(device), disposed_on=DAY),
    )

    device.refresh_from_db()
    assert (meeting.errors, meeting.waited) == ([None, None], True)
    assert [refusal.pk for refusal in meeting.results[1].refused] == [device.pk]
    assert device.status == EquipmentStatus.IN_SERVICE


def test_a_device_is_not_disposed_of_while_work_on_it_is_being_reopened():
    order = recipes.work_order.make(status="cancelled")
    order.status = "reported"

    meeting = second_while_first_is_uncommitted(
        order.save,
        lambda: dispose_of_equipment(equipment=only(order.equipment), disposed_on=DAY),
    )

    assert (meeting.errors, meeting.waited) == ([None, None], True)
    assert [refusal.pk for refusal in meeting.results[1].refused] == [order.equipment_id]


def test_work_is_reported_only_after_a_disposal_is_decided():
    device = recipes.device.make()

    meeting = second_while_first_is_uncommitted(
        lambda: dispose_of_equipment(equipment=only(device), disposed_on=DAY),
        lambda: report_work(device),
        pause_before="UPDATE",  # after it has looked for open work
    )

    device.refresh_from_db()
    assert (meeting.errors, meeting.waited) == ([None, None], True)
    assert meeting.results[0].done == [device.pk]
    assert (device.status, device.work_orders.count()) == (EquipmentStatus.DISPOSED, 1)


def test_of_two_parts_added_at_once_both_are_in_the_sum():
    order = recipes.work_order.make()

    meeting = second_while_first_is_uncommitted(
        lambda: add_part(order, Decimal(30)),
        lambda: add_part(order, Decimal(12)),
    )

    order.refresh_from_db()
    assert (meeting.errors, meeting.waited) == ([None, None], True)
    assert order.parts_cost == Decimal(42)


def test_an_import_does_not_take_back_a_move_that_it_did_not_see():
    import_register(source=ppm_file({}), name="register.csv")
    device = Equipment.objects.get(serial=PPM_ROW["SERIAL"])
    room = locations.room.make(parent=device.department)

    meeting = second_while_first_is_uncommitted(
        lambda: move_equipment(equipment=only(device), location=room),
        lambda: import_register(source=ppm_file({"Name": "Defibrillator, new"}), name="register.csv"),
    )

    device.refresh_from_db()
    assert (meeting.errors, meeting.waited) == ([None, None], True)
    assert meeting.results[1].updated == 1
    assert (device.name, device.location) == ("Defibrillator, new", room)


def test_a_move_does_not_take_back_the_department_that_an_import_gave():
    import_register(source=ppm_file({}), name="register.csv")
    device = Equipment.objects.get(serial=PPM_ROW["SERIAL"])
    room = locations.room.make()

    meeting = second_while_first_is_uncommitted(
        lambda: import_register(source=ppm_file({"Department": "Oncology"}), name="register.csv"),
        lambda: move_equipment(equipment=only(device), location=room),
    )

    device.refresh_from_db()
    assert (meeting.errors, meeting.waited) == ([None, None], True)
    assert (device.department.name, device.location) == ("Oncology", room)
