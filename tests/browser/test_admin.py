"""The admin in a browser under the strict Content-Security-Policy: widgets work and nothing is complained about."""

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from equipment.models import Equipment, ImportRun
from equipment.tests import recipes
from locations.tests import recipes as locations
from tests.browser.people import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

REGISTER = (
    "NO,Department,Name,Model,Serial,Manufacturer,Log_Number,Installation_Date,Warranty_End,Service_Date,Engineer\n"
    "1,Cardiology,Infusion pump,P-100,A1,Acme,LOG-1,01/02/2024,01/02/2026,01/02/2025,B. Reyes\n"
)


def test_a_pick_list_a_date_and_a_filter_work_without_a_complaint(open_page, editor):
    store = locations.storage.make(name="Equipment store")
    device = recipes.placed_device.make(name="Infusion pump")
    page = open_page()
    sign_in(page, editor.username)

    page.goto(reverse("admin:equipment_equipment_changelist"))
    page.get_by_role("link", name="In service", exact=True).click()
    page.get_by_role("link", name="Infusion pump").click()
    page.locator(".field-location .select2-selection").click()
    page.locator(".select2-search__field").last.fill("store")
    page.get_by_role("option", name="Equipment store").click()
    page.locator(".field-warranty_until .datetimeshortcuts a").first.click()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".messagelist .success")).to_be_visible()
    device.refresh_from_db()
    assert (device.location, device.warranty_until) == (store, timezone.localdate())


def test_many_are_moved_after_a_page_that_asks(open_page, editor):
    store = locations.storage.make(name="Equipment store")
    devices = [recipes.placed_device.make() for _number in range(3)]
    page = open_page()
    sign_in(page, editor.username)

    page.goto(reverse("admin:equipment_equipment_changelist"))
    page.locator("#action-toggle").check()
    page.get_by_label("Action:").select_option("move")
    page.get_by_role("button", name="Go").click()
    page.locator(".select2-selection").first.click()
    page.locator(".select2-search__field").last.fill("store")
    page.get_by_role("option", name="Equipment store").click()
    page.get_by_role("button", name="Move to a location").click()

    expect(page.get_by_text("3 were changed.")).to_be_visible()
    assert Equipment.objects.filter(location=store).count() == len(devices)


def test_a_register_is_uploaded_looked_at_imported_and_undone(open_page, editor, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    page = open_page()
    sign_in(page, editor.username)

    page.goto(reverse("admin:equipment_equipment_import"))
    page.locator("input[type=file]").set_input_files(
        {"name": "ocm.csv", "mimeType": "text/csv", "buffer": REGISTER.encode()}
    )
    page.get_by_role("button", name="Look at what it would do").click()
    expect(page.get_by_role("heading", name="Departments to be created")).to_be_visible()
    assert not Equipment.objects.exists()
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("1 created, 0 updated, 0 unchanged, 0 rejected.")).to_be_visible()
    page.get_by_role("link", name="Undo this import").click()
    page.get_by_role("button", name="Undo this import").click()

    expect(page.get_by_text("Undone: 1 deleted")).to_be_visible()
    assert not Equipment.objects.exists()
    assert ImportRun.objects.get().undone_at is not None


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_no_page_of_the_admin_overflows_a_phone(open_page, editor, color_scheme):
    device = recipes.placed_device.make()
    page = open_page(viewport={"width": 360, "height": 740}, color_scheme=color_scheme)
    sign_in(page, editor.username)

    for address in (
        reverse("admin:index"),
        reverse("admin:equipment_equipment_changelist"),
        reverse("admin:equipment_equipment_import"),
        reverse("admin:equipment_equipment_export"),
        reverse("admin:equipment_workorder_add") + f"?equipment={device.pk}",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
