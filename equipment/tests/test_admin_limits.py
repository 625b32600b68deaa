"""The admin for those who are limited to some locations: the rest does not exist for them."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from equipment.models import (
    DeviceModel,
    Equipment,
    MaintenancePlan,
    Placement,
    ScheduledMaintenance,
    ServiceContract,
    WorkOrder,
)
from equipment.tests.admin_pages import act, address, device_form, fill
from equipment.tests.recipes import NOON
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


def contract_form(contract, *devices):
    return {
        "number": contract.number, "supplier": "Another", "kind": "full_service", "starts_on": "2024-01-01",
        "equipment": [device.pk for device in devices],
    }  # fmt: skip


def test_a_contract_that_covers_devices_outside_too_is_only_read(two_places, editor, client_of):
    inside, outside = two_places
    contract = inside.service_contracts.get()
    contract.equipment.add(outside)
    client = client_of(editor)

    page = client.get(address(ServiceContract, "change", contract.pk))
    changed = client.post(address(ServiceContract, "change", contract.pk), contract_form(contract, inside))
    deleted = client.post(address(ServiceContract, "delete", contract.pk), {"post": "yes"})

    assert (page.status_code, changed.status_code, deleted.status_code) == (200, 403, 403)
    assert inside.serial in page.content.decode()
    assert outside.serial not in page.content.decode()
    assert "… and 1 other" in page.content.decode()
    contract.refresh_from_db()
    assert contract.supplier == "Service house"
    assert set(contract.equipment.all()) == {inside, outside}


def test_a_contract_wholly_inside_is_changed_and_deleted_by_a_limited_editor(two_places, editor, client_of):
    inside, _outside = two_places
    contract = inside.service_contracts.get()
    client = client_of(editor)

    client.post(address(ServiceContract, "change", contract.pk), contract_form(contract, inside))
    contract.refresh_from_db()
    client.post(address(ServiceContract, "delete", contract.pk), {"post": "yes"})

    assert contract.supplier == "Another"
    assert not ServiceContract.objects.filter(pk=contract.pk).exists()


def test_a_limited_administrator_cannot_delete_a_shared_contract_among_many(two_places, administrator, client_of):
    inside, outside = two_places
    LocationLimit.objects.create(user=administrator, location=inside.location.parent)
    contract = inside.service_contracts.get()
    contract.equipment.add(outside)

    act(client_of(administrator), ServiceContract, "delete_selected", [contract], post="yes")

    assert ServiceContract.objects.filter(pk=contract.pk).exists()


def test_what_is_in_the_way_of_a_deletion_is_named_only_inside(two_places, administrator, client_of):
    inside, outside = two_places
    LocationLimit.objects.create(user=administrator, location=inside.location.parent)
    Equipment.objects.filter(pk=outside.pk).update(device_model=inside.device_model)

    page = client_of(administrator).get(address(DeviceModel, "delete", inside.device_model_id)).content.decode()

    assert inside.serial in page
    assert outside.serial not in page
    assert "… and 1 other" in page


def test_what_goes_along_with_a_deletion_is_named_only_inside(two_places, administrator, client_of):
    inside, outside = two_places
    LocationLimit.objects.create(user=administrator, location=inside.location.parent)
    elsewhere = Placement.objects.create(
        equipment=inside, location=outside.location, since=NOON, until=NOON + timedelta(days=1)
    )
    inside.work_orders.all().delete()

    page = client_of(administrator).get(address(Equipment, "delete", inside.pk)).content.decode()

    assert str(inside.location) in page
    assert str(elsewhere.location) not in page
    assert re.search("… and [1-9][0-9]* other", page)


def test_a_person_without_limits_sees_every_name_on_a_delete_page(two_places, administrator, client_of):
    inside, outside = two_places
    Equipment.objects.filter(pk=outside.pk).update(device_model=inside.device_model)

    page = client_of(administrator).get(address(DeviceModel, "delete", inside.device_model_id)).content.decode()

    assert inside.serial in page
    assert outside.serial in page


def test_the_years_offered_are_those_of_rows_inside(two_places, editor, client_of):
    _inside, outside = two_places
    outside.work_orders.update(reported_at=NOON.replace(year=1999))

    page = client_of(editor).get(address(WorkOrder, "changelist")).content.decode()

    assert "year=2024" in page
    assert "year=1999" not in page


def test_an_export_tells_nothing_of_what_lies_outside(two_places, editor, client_of):
    inside, outside = two_places

    answer = client_of(editor).post(reverse("admin:equipment_equipment_export"), {"data_type": "all", "as_": "csv"})

    body = b"".join(answer.streaming_content).decode()
    assert inside.serial in body
    assert outside.serial not in body
