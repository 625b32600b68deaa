"""The register's admin: every page opens, lists stay cheap, searches and forms do what they should."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from equipment.models import (
    Document,
    Equipment,
    EquipmentPhoto,
    ScheduledMaintenance,
    WorkOrder,
)
from equipment.tests import recipes
from equipment.tests.admin_pages import address, device_form, fill
from equipment.tests.test_uploads import picture
from locations.models import Location
from locations.tests import recipes as locations

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("model", "pinned"),
    [(Equipment, 7), (WorkOrder, 7), (ScheduledMaintenance, 7)],
    ids=["equipment", "orders", "dates"],
)
def test_the_big_lists_take_a_pinned_number_of_queries(model, pinned, superuser, client_of, django_assert_num_queries):
    client = client_of(superuser)
    fill(3)
    client.get(address(model, "changelist"))

    with django_assert_num_queries(pinned):
        client.get(address(model, "changelist"))


def test_the_page_of_a_device_shows_what_belongs_to_it_in_a_bounded_number_of_queries(superuser, client_of):
    client = client_of(superuser)
    device = recipes.placed_device.make()

    def queries():
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address(Equipment, "change", device.pk))
        assert answer.status_code == 200
        return len(captured), answer.content.decode()

    for _number in range(3):
        recipes.work_order.make(equipment=device)
        recipes.maintenance.make(equipment=device)
    queries()
    few, _page = queries()
    for _number in range(5):
        recipes.work_order.make(equipment=device)
        recipes.maintenance.make(equipment=device)
    many, page = queries()

    assert many == few
    assert WorkOrder.objects.filter(equipment=device).first().number in page
    assert device.location.name in page


@pytest.mark.parametrize("text", ["pump", "SN-", "nothing of the kind"])
def test_search_finds_orders_and_dates_by_their_device(text, superuser, client_of):
    client = client_of(superuser)
    fill(2)

    for model in (WorkOrder, ScheduledMaintenance):
        answer = client.get(address(model, "changelist"), {"q": text})
        assert answer.context["cl"].result_count == (0 if text.startswith("nothing") else 2)


def test_a_work_order_is_found_by_its_number(superuser, client_of):
    recipes.work_order.make()
    order = recipes.work_order.make()

    answer = client_of(superuser).get(address(WorkOrder, "changelist"), {"q": order.number.lower()})

    assert list(answer.context["cl"].result_list) == [order]


@pytest.mark.parametrize("query", ["state=sometimes", "year=abc", "year=0x1", "e=1", "site=9%27", "o=99.-99", "p=x"])
def test_a_filter_that_makes_no_sense_is_no_server_error(query, superuser, client_of):
    client = client_of(superuser)
    fill(1)

    for model in (WorkOrder, ScheduledMaintenance, Equipment):
        assert client.get(address(model, "changelist") + f"?{query}", follow=True).status_code == 200


def test_overdue_devices_are_filtered_by_today(superuser, client_of):
    today = timezone.localdate()
    late, soon, done = (recipes.device.make() for _number in range(3))
    recipes.maintenance.make(equipment=late, scheduled_date=today - timedelta(days=1))
    recipes.maintenance.make(equipment=soon, scheduled_date=today)
    recipes.maintenance.make(
        equipment=done, scheduled_date=today - timedelta(days=9), status="completed", completed_on=today
    )
    client = client_of(superuser)

    def listed(value):
        return list(client.get(address(Equipment, "changelist"), {"maintenance": value}).context["cl"].result_list)

    assert (listed("overdue"), listed("due")) == ([late], [soon])


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def test_a_device_is_added_with_a_photo_a_document_and_who_uploaded_them(editor, client_of):
    room = locations.room.make()
    data = device_form(
        location=room.pk,
        **{
            "photos-TOTAL_FORMS": 1,
            "photos-0-file": SimpleUploadedFile("front.png", picture()),
            "documents-TOTAL_FORMS": 1,
            "documents-0-title": "Manual",
            "documents-0-kind": "manual",
            "documents-0-file": SimpleUploadedFile("manual.pdf", b"%PDF-1.7\n"),
        },
    )

    answer = client_of(editor).post(address(Equipment, "add"), data)

    assert answer.status_code == 302, answer.context["errors"]
    device = Equipment.objects.get()
    assert device.placements.get().location == room
    assert EquipmentPhoto.objects.get().uploaded_by == editor
    assert Document.objects.get().uploaded_by == editor
    page = client_of(editor).get(address(Equipment, "change", device.pk)).content.decode()
    assert reverse("photo", args=[EquipmentPhoto.objects.get().pk]) in page
    assert reverse("document", args=[Document.objects.get().pk]) in page


def test_a_wrong_upload_is_refused_and_what_was_typed_is_kept(editor, client_of):
    data = device_form(
        **{"photos-TOTAL_FORMS": 1, "photos-0-file": SimpleUploadedFile("front.png", b"<script>alert(1)</script>")}
    )

    answer = client_of(editor).post(address(Equipment, "add"), data)

    assert answer.status_code == 200
    assert "Infusion pump" in answer.content.decode()
    assert not Equipment.objects.exists()


def test_a_serial_number_of_any_characters_is_stored_and_shown_as_text(editor, client_of):
    serial = "<b>SN/7 \"'; ü%"

    client_of(editor).post(address(Equipment, "add"), device_form(serial=serial))

    device = Equipment.objects.get()
    assert device.serial == serial
    page = client_of(editor).get(address(Equipment, "changelist")).content.decode()
    assert "<b>SN/7" not in page
    assert "&lt;b&gt;SN/7" in page


def test_parts_of_a_job_add_up_when_it_is_saved(editor, client_of):
    device = recipes.device.make()
    data = {
        "equipment": device.pk, "kind": "corrective", "status": "reported", "priority": "normal",
        "reported_at_0": "2024-05-06", "reported_at_1": "12:00:00",
        "parts-TOTAL_FORMS": 1, "parts-INITIAL_FORMS": 0,
        "parts-0-name": "Battery", "parts-0-quantity": 2, "parts-0-unit_cost": "12.50",
    }  # fmt: skip

    answer = client_of(editor).post(address(WorkOrder, "add"), data)

    assert answer.status_code == 302, answer.context["errors"]
    assert str(WorkOrder.objects.get().parts_cost) == "25.00"


def job_form(order, *parts, **values):
    """The form of a job as a browser sends it; `parts` are stored ones (part, unit cost or None to delete)."""
    data = {
        "equipment": order.equipment_id, "kind": "corrective", "status": "reported", "priority": "normal",
        "reported_at_0": "2024-05-06", "reported_at_1": "12:00:00",
        "parts-TOTAL_FORMS": len(parts), "parts-INITIAL_FORMS": len(parts), **values,
    }  # fmt: skip
    for number, (part, cost) in enumerate(parts):
        data |= {f"parts-{number}-id": part.pk, f"parts-{number}-name": part.name, f"parts-{number}-quantity": 1}
        data |= {f"parts-{number}-DELETE": "on"} if cost is None else {f"parts-{number}-unit_cost": cost}
    return data


@pytest.fixture
def priced_job():
    """A job with one part of 40, and that part."""
    order = recipes.work_order.make(parts_cost=40)
    return order, order.parts.create(name="Filter", unit_cost=40)


@pytest.mark.parametrize(
    ("cost", "stored"), [("40", "40.00"), ("15", "15.00"), (None, None)], ids=["kept", "changed", "deleted"]
)
def test_the_cost_of_parts_is_their_sum_whatever_is_typed(cost, stored, priced_job, editor, client_of):
    order, part = priced_job

    answer = client_of(editor).post(
        address(WorkOrder, "change", order.pk), job_form(order, (part, cost), parts_cost="999")
    )

    assert answer.status_code == 302, answer.context["errors"]
    order.refresh_from_db()
    assert (None if order.parts_cost is None else str(order.parts_cost)) == stored


def test_the_cost_of_parts_can_be_typed_only_while_it_is_no_sum(priced_job, editor, client_of):
    order, _part = priced_job
    client = client_of(editor)

    def fields():
        return client.get(address(WorkOrder, "change", order.pk)).context["adminform"].form.fields

    assert "parts_cost" not in fields()
    order.parts.create(name="Of unknown cost")
    assert "parts_cost" in fields()
    order.parts.all().delete()
    assert "parts_cost" in fields()


def test_a_typed_cost_stays_when_a_part_of_unknown_cost_is_deleted(editor, client_of):
    order = recipes.work_order.make(parts_cost=40)
    part = order.parts.create(name="Filter")

    client_of(editor).post(address(WorkOrder, "change", order.pk), job_form(order, (part, None), parts_cost="70"))

    order.refresh_from_db()
    assert str(order.parts_cost) == "70.00"
    assert not order.parts.exists()


def test_an_editor_deletes_a_device_with_all_that_belongs_to_it(editor, client_of):
    device = recipes.placed_device.make()
    recipes.maintenance.make(equipment=device, plan=recipes.plan.make(equipment=device))

    answer = client_of(editor).post(address(Equipment, "delete", device.pk), {"post": "yes"})

    assert answer.status_code == 302
    assert not Equipment.objects.exists()


def test_the_list_shows_how_full_a_store_is(administrator, client_of):
    store = locations.storage.make(capacity=3)
    recipes.placed_device.make(location=store)

    page = client_of(administrator).get(address(Location, "changelist"), {"kind__exact": "storage"})

    assert "1 / 3" in page.content.decode()


def test_a_location_in_use_is_not_deleted_and_the_page_says_by_what(administrator, client_of):
    device = recipes.placed_device.make()
    where = address(Location, "delete", device.location_id)
    client = client_of(administrator)

    page = client.get(where).content.decode()
    assert "protected related objects" in page
    assert str(device) in page
    client.post(where, {"post": "yes"})
    assert Location.objects.filter(pk=device.location_id).exists()
