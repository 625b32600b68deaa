"""Actions on many rows in the admin: who may, what they ask, what they do and what they say."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from audit.models import AuditLog
from equipment.models import Equipment, ScheduledMaintenance, WorkOrder
from equipment.tests import recipes
from equipment.tests.admin_pages import act, address, fill, messages_of
from equipment.tests.recipes import NOON
from locations.models import LocationLimit
from locations.tests import recipes as locations

pytestmark = pytest.mark.django_db


def test_a_viewer_has_no_business_in_the_admin(viewer, client_of):
    answer = client_of(viewer).get(address(Equipment, "changelist"))

    assert answer.status_code in {302, 403}


def test_an_editor_changes_many_but_does_not_delete_many(editor, administrator, client_of):
    page = client_of(editor).get(address(Equipment, "changelist"))
    offered = {name for name, _label in page.context["cl"].model_admin.get_action_choices(page.wsgi_request)}

    assert {"set_status", "move", "dispose_of", "export_selected"} <= offered
    assert "delete_selected" not in offered
    page = client_of(administrator).get(address(Equipment, "changelist"))
    assert "delete_selected" in dict(page.context["cl"].model_admin.get_action_choices(page.wsgi_request))


def test_an_editor_cannot_delete_many_by_hand_made_requests_either(editor, client_of):
    fill(1)
    client = client_of(editor)

    for model in (Equipment, WorkOrder, ScheduledMaintenance):
        act(client, model, "delete_selected", model.objects.all(), confirmed="1", post="yes")
        assert model.objects.count() == 1, model


def test_an_action_asks_first_and_changes_nothing(editor, client_of):
    device = recipes.device.make()

    answer = act(client_of(editor), Equipment, "set_status", [device])

    assert device.name in answer.content.decode()
    assert "Set status" in answer.content.decode()
    device.refresh_from_db()
    assert device.status == "in_service"


def test_an_action_is_done_in_the_users_own_name(editor, client_of):
    devices = [recipes.device.make(), recipes.device.make()]

    answer = act(client_of(editor), Equipment, "set_status", devices, confirmed="1", status="missing")

    assert messages_of(answer) == ["2 were changed."]
    assert set(Equipment.objects.values_list("status", flat=True)) == {"missing"}
    assert AuditLog.objects.filter(user=editor, object_type="equipment.equipment", event_type="updated").count() == 2


def test_an_action_with_a_wrong_answer_asks_again(editor, client_of):
    device = recipes.device.make()

    answer = act(client_of(editor), Equipment, "set_status", [device], confirmed="1", status="disposed")

    assert answer.context["form"].errors
    device.refresh_from_db()
    assert device.status == "in_service"


def test_an_action_reaches_across_pages_under_the_filters_of_the_list(editor, client_of):
    Equipment.objects.bulk_create(recipes.device.prepare(_quantity=60, data_type="ppm"))
    Equipment.objects.bulk_create(recipes.device.prepare(_quantity=3, data_type="ocm"))
    first = Equipment.objects.filter(data_type="ppm").first()

    answer = act(
        client_of(editor),
        Equipment,
        "set_status",
        [first],
        filters="?data_type__exact=ppm",
        select_across="1",
        confirmed="1",
        status="missing",
    )

    assert messages_of(answer) == ["60 were changed."]
    assert Equipment.objects.filter(status="missing", data_type="ppm").count() == 60


def test_a_move_needs_a_place_the_user_may_see(editor, client_of):
    device = recipes.placed_device.make()
    inside, outside = locations.room.make(parent=device.location.parent), locations.room.make()
    LocationLimit.objects.create(user=editor, location=device.location.parent)
    client = client_of(editor)

    refused = act(client, Equipment, "move", [device], confirmed="1", location=outside.pk)
    moved = act(client, Equipment, "move", [device], confirmed="1", location=inside.pk)

    assert "location" in refused.context["form"].errors
    assert messages_of(moved) == ["1 was changed."]
    device.refresh_from_db()
    assert device.location == inside


def test_a_disposal_in_the_future_asks_again(editor, client_of):
    device = recipes.device.make()
    tomorrow = timezone.localdate() + timedelta(days=1)

    answer = act(client_of(editor), Equipment, "dispose_of", [device], confirmed="1", disposed_on=tomorrow)

    assert "yet to come" in answer.content.decode()


def test_deleting_many_says_which_stay_and_why(administrator, client_of):
    free, used = recipes.device.make(), recipes.device.make()
    recipes.work_order.make(equipment=used)

    answer = act(client_of(administrator), Equipment, "delete_selected", [free, used], confirmed="1")

    assert list(Equipment.objects.all()) == [used]
    assert messages_of(answer) == ["1 was changed.", f"{used}: 1 work order belongs to it."]


def test_deleting_one_device_in_use_names_what_uses_it(administrator, client_of):
    order = recipes.work_order.make()

    page = client_of(administrator).get(address(Equipment, "delete", order.equipment.pk))

    assert order.number in page.content.decode()
    client_of(administrator).post(address(Equipment, "delete", order.equipment.pk), {"post": "yes"})
    assert Equipment.objects.exists()


MAINTENANCE_ACTIONS = [
    ("complete", {"completed_on": "2024-05-07", "outcome": "passed"}, {"status": "completed", "outcome": "passed"}),
    ("reschedule", {"scheduled_date": "2024-06-01"}, {"scheduled_date": date(2024, 6, 1)}),
    ("cancel", {"reason": "On loan"}, {"status": "cancelled", "notes": "On loan"}),
]


@pytest.mark.parametrize(("action", "data", "stored"), MAINTENANCE_ACTIONS)
def test_actions_on_scheduled_maintenance(action, data, stored, editor, client_of):
    row = recipes.maintenance.make()

    act(client_of(editor), ScheduledMaintenance, action, [row], confirmed="1", **data)

    assert ScheduledMaintenance.objects.filter(pk=row.pk, **stored).exists()


ORDER_ACTIONS = [
    ("start", "reported", {}, {"status": "in_progress"}),
    ("return_to_service", "in_progress", {}, {"status": "returned"}),
    ("close", "returned", {"returned_to_service_at": NOON}, {"status": "closed"}),
    ("cancel", "reported", {}, {"status": "cancelled"}),
]


@pytest.mark.parametrize(("action", "status", "times", "stored"), ORDER_ACTIONS)
def test_actions_on_work_orders(action, status, times, stored, editor, client_of):
    order = recipes.work_order.make(status=status, **times)

    act(client_of(editor), WorkOrder, action, [order], confirmed="1")

    assert WorkOrder.objects.filter(pk=order.pk, **stored).exists()
