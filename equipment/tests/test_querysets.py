"""Reads of the register: states on a day, search, and limits for every kind of row."""

from datetime import date, timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import AnonymousUser

from equipment.models import (
    Document,
    Equipment,
    EquipmentPhoto,
    ImportedRow,
    ImportRun,
    MaintenanceRound,
    MaintenanceState,
    Placement,
    ScheduledMaintenance,
    WorkOrder,
    WorkOrderPart,
)
from equipment.tests import recipes
from equipment.tests.recipes import NOON
from locations.models import LocationLimit
from locations.tests import recipes as locations

pytestmark = pytest.mark.django_db

DAY = date(2024, 5, 6)


@pytest.mark.parametrize("status", ["scheduled", "in_progress", "completed", "cancelled"])
@pytest.mark.parametrize("days", [-30, -1, 0, 1, 7, 8, 90])
def test_lists_of_a_day_and_the_state_of_a_row_on_it_agree(status, days):
    completed = {"completed_on": DAY} if status == "completed" else {}
    row = recipes.maintenance.make(status=status, scheduled_date=DAY + timedelta(days=days), **completed)
    rows = ScheduledMaintenance.objects

    listed = {
        state
        for state, found in (
            (MaintenanceState.OVERDUE, rows.overdue_on(DAY)),
            (MaintenanceState.DUE, rows.due_on(DAY)),
            (MaintenanceState.UPCOMING, rows.upcoming_on(DAY)),
        )
        if row in found
    }

    assert listed == ({row.state_on(DAY)} if row.is_open else set())


def test_open_work_orders_are_those_not_finished():
    statuses = ["reported", "in_progress", "waiting", "returned", "closed", "cancelled"]
    for status in statuses:
        done = {"returned_to_service_at": NOON} if status in {"returned", "closed"} else {}
        recipes.work_order.make(status=status, **done)

    assert {order.status for order in WorkOrder.objects.open()} == {"reported", "in_progress", "waiting"}


def test_a_window_of_reports_holds_its_start_and_not_its_end():
    order = recipes.work_order.make()
    hour = timedelta(hours=1)

    assert order in WorkOrder.objects.reported_between(NOON, NOON + hour)
    assert order not in WorkOrder.objects.reported_between(NOON - hour, NOON)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pump", True),
        ("PUMP infusion", True),
        ("SN-7%", True),
        ("SN-7_", False),
        ("acme", True),
        ("theatre", True),
        ("pump ventilator", False),
        ("'; DROP TABLE", False),
        ("", True),
    ],
)
def test_search_wants_every_word_somewhere(text, found):
    model = recipes.device_model.make(manufacturer=recipes.manufacturer.make(name="Acme"))
    room = locations.room.make(name="Theatre 1")
    device = recipes.device.make(name="Infusion pump", serial="SN-7%", device_model=model, location=room)

    assert (device in Equipment.objects.matching(text)) is found


def test_within_holds_what_is_at_a_place_and_below_it():
    device, elsewhere = recipes.placed_device.make(), recipes.placed_device.make()

    found = Equipment.objects.within(device.location.parent.parent)

    assert device in found
    assert elsewhere not in found


def test_what_was_disposed_of_is_not_in_use():
    recipes.device.make(status="disposed", disposed_on=DAY)
    device = recipes.device.make()

    assert list(Equipment.objects.in_use()) == [device]


def belongings(device):
    """One row of every kind that belongs to the device."""
    order = recipes.work_order.make(equipment=device)
    contract = recipes.contract.make()
    contract.equipment.add(device)
    return [
        device,
        device.placements.get(),
        EquipmentPhoto.objects.create(equipment=device, file="photos/a.png"),
        Document.objects.create(equipment=device, title="Manual", file="documents/a.pdf"),
        contract,
        recipes.plan.make(equipment=device),
        MaintenanceRound.objects.create(name="Round", location=device.location, scheduled_date=DAY),
        recipes.maintenance.make(equipment=device),
        order,
        WorkOrderPart.objects.create(work_order=order, name="Battery"),
    ]


# Tell nothing of one device: the catalogue, and who knows it.
UNLIMITED = {"productclass", "manufacturer", "devicemodel", "trainingrecord"}
# A limited user's own, whatever they are about.
OWN = {"importrun", "importedrow"}


def test_a_limited_user_sees_of_every_kind_what_lies_inside_alone(viewer):
    inside, outside = recipes.placed_device.make(), recipes.placed_device.make()
    LocationLimit.objects.create(user=viewer, location=inside.location.parent)
    pairs = list(zip(belongings(inside), belongings(outside), strict=True))

    for seen, hidden in pairs:
        assert list(type(seen).objects.visible_to(viewer)) == [seen], type(seen)
        assert hidden not in type(hidden).objects.visible_to(viewer)

    kinds = {type(seen)._meta.model_name for seen, _hidden in pairs}
    every = {model._meta.model_name for model in apps.get_app_config("equipment").get_models()}
    assert kinds == every - UNLIMITED - OWN


def test_without_limits_everything_is_visible_and_to_strangers_nothing(viewer):
    rows = belongings(recipes.placed_device.make())

    for row in rows:
        assert row in type(row).objects.visible_to(viewer), type(row)
        assert not type(row).objects.visible_to(AnonymousUser()).exists(), type(row)


def test_a_device_without_a_place_lies_outside_every_limit(viewer):
    LocationLimit.objects.create(user=viewer, location=locations.site.make())
    recipes.device.make()

    assert not Equipment.objects.visible_to(viewer).exists()


def test_a_move_takes_a_device_out_of_sight_and_leaves_no_trace_of_where_it_went(viewer):
    device = recipes.placed_device.make()
    LocationLimit.objects.create(user=viewer, location=device.location)
    device.location = locations.room.make()
    device.save()

    assert not Equipment.objects.visible_to(viewer).exists()
    assert not Placement.objects.visible_to(viewer).exists()


def test_of_a_device_that_came_inside_only_its_time_there_is_seen(viewer):
    device = recipes.placed_device.make()
    room = locations.room.make()
    LocationLimit.objects.create(user=viewer, location=room)
    device.location = room
    device.save()

    assert [row.location for row in Placement.objects.visible_to(viewer)] == [room]


def test_a_moved_subtree_is_seen_by_those_of_its_new_place_at_once(viewer):
    device = recipes.placed_device.make()
    department = device.location.parent
    building = locations.building.make()
    LocationLimit.objects.create(user=viewer, location=building)
    assert not Equipment.objects.visible_to(viewer).exists()

    department.parent = building
    department.save()

    assert list(Equipment.objects.visible_to(viewer)) == [device]


def test_documents_of_a_device_model_are_for_everybody_signed_in(viewer):
    LocationLimit.objects.create(user=viewer, location=locations.site.make())
    manual = Document.objects.create(device_model=recipes.device_model.make(), title="Manual", file="documents/m.pdf")

    assert list(Document.objects.visible_to(viewer)) == [manual]
    assert not Document.objects.visible_to(AnonymousUser()).exists()


def test_a_limited_user_sees_their_own_imports(editor, viewer):
    LocationLimit.objects.create(user=editor, location=locations.site.make())
    own, other = recipes.import_run.make(user=editor), recipes.import_run.make(user=viewer)
    rows = [ImportedRow.objects.create(run=run, row_number=2, action="created") for run in (own, other)]

    assert list(ImportRun.objects.visible_to(editor)) == [own]
    assert list(ImportedRow.objects.visible_to(editor)) == rows[:1]
    assert set(ImportRun.objects.visible_to(viewer)) == {own, other}
    assert not ImportRun.objects.visible_to(AnonymousUser()).exists()
