"""The admin for those who are limited to some locations: the rest does not exist for them."""

import pytest
from django.urls import reverse

from equipment.models import Equipment, MaintenancePlan, ScheduledMaintenance, ServiceContract, WorkOrder
from equipment.tests.admin_pages import act, address, device_form, fill
from locations.models import LocationLimit

pytestmark = pytest.mark.django_db


@pytest.fixture
def two_places(editor):
    """A device inside the editor's limits and one outside, each with everything that belongs to a device."""
    fill(2)
    inside, outside = Equipment.objects.order_by("pk")
    LocationLimit.objects.create(user=editor, location=inside.location.parent)
    return inside, outside


LIMITED = [
    (Equipment, lambda device: device),
    (WorkOrder, lambda device: device.work_orders.get()),
    (ScheduledMaintenance, lambda device: device.scheduled_maintenance.get()),
    (MaintenancePlan, lambda device: device.maintenance_plans.get()),
    (ServiceContract, lambda device: device.service_contracts.get()),
]


@pytest.mark.parametrize(("model", "row_of"), LIMITED, ids=[model._meta.model_name for model, _row in LIMITED])
def test_what_lies_outside_does_not_exist_for_a_limited_editor(model, row_of, two_places, editor, client_of):
    inside, outside = (row_of(device) for device in two_places)
    client = client_of(editor)

    listed = list(client.get(address(model, "changelist")).context["cl"].result_list)

    assert listed == [inside]
    assert client.get(address(model, "change", inside.pk)).status_code == 200
    for page in ("change", "delete", "history"):
        assert client.get(address(model, page, outside.pk)).status_code == 302, page
        assert client.post(address(model, page, outside.pk), {"post": "yes"}).status_code in {302, 405}
    assert model.objects.filter(pk=outside.pk).exists()


def test_actions_do_not_reach_outside(two_places, editor, client_of):
    _inside, outside = two_places

    act(client_of(editor), Equipment, "set_status", [outside], confirmed="1", status="missing")

    outside.refresh_from_db()
    assert outside.status == "in_service"


def test_pick_lists_offer_only_what_lies_inside(two_places, editor, client_of):
    inside, outside = two_places
    client = client_of(editor)

    def offered(model, field):
        query = {"app_label": "equipment", "model_name": model, "field_name": field, "term": ""}
        answer = client.get(reverse("admin:autocomplete"), query)
        return {int(row["id"]) for row in answer.json()["results"]}

    assert offered("workorder", "equipment") == {inside.pk}
    assert inside.location_id in offered("equipment", "location")
    assert outside.location_id not in offered("equipment", "location")


def test_a_device_cannot_be_put_outside_or_nowhere_by_a_limited_editor(two_places, editor, client_of):
    _inside, outside = two_places
    client = client_of(editor)

    for place in (outside.location_id, ""):
        answer = client.post(address(Equipment, "add"), device_form(location=place))
        assert "location" in answer.context["adminform"].form.errors, place

    assert Equipment.objects.count() == 2


def test_a_value_outside_is_neither_shown_nor_lost(two_places, editor, client_of):
    inside, outside = two_places
    Equipment.objects.filter(pk=inside.pk).update(department=outside.department)
    client = client_of(editor)
    page = client.get(address(Equipment, "change", inside.pk))
    prefixes = {wrapped.formset.prefix for wrapped in page.context["inline_admin_formsets"]}
    management = {f"{prefix}-{field}": 0 for prefix in prefixes for field in ("TOTAL_FORMS", "INITIAL_FORMS")}
    data = device_form(serial=inside.serial, name="Renamed", location=inside.location_id, **management)

    answer = client.post(address(Equipment, "change", inside.pk), data)

    assert outside.department.name not in page.content.decode()
    assert answer.status_code == 302, answer.context["errors"]
    inside.refresh_from_db()
    assert (inside.name, inside.department) == ("Renamed", outside.department)


def test_a_contract_keeps_devices_that_the_editor_does_not_see(two_places, editor, client_of):
    inside, outside = two_places
    contract = inside.service_contracts.get()
    contract.equipment.add(outside)
    data = {
        "number": contract.number, "supplier": "Another", "kind": "full_service", "starts_on": "2024-01-01",
        "equipment": [inside.pk],
    }  # fmt: skip

    client_of(editor).post(reverse("admin:equipment_servicecontract_change", args=[contract.pk]), data)

    contract.refresh_from_db()
    assert contract.supplier == "Another"
    assert set(contract.equipment.all()) == {inside, outside}


def test_an_export_tells_nothing_of_what_lies_outside(two_places, editor, client_of):
    inside, outside = two_places

    answer = client_of(editor).post(reverse("admin:equipment_equipment_export"), {"data_type": "all", "as_": "csv"})

    body = b"".join(answer.streaming_content).decode()
    assert inside.serial in body
    assert outside.serial not in body
