"""Cached reads of the register: a change is in each of them at once, whichever way it came."""

from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.management import call_command

from equipment import caches
from equipment.models import (
    DataType,
    DeviceModel,
    Document,
    Equipment,
    EquipmentPhoto,
    Manufacturer,
    ScheduledMaintenance,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
)
from equipment.tests import recipes
from equipment.tests.admin_pages import act
from equipment.tests.files import ppm_file
from invalidation.testing import assert_hits, assert_immediately_visible, assert_no_queries
from locations.models import Location, LocationLimit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]

DAY = date(2026, 5, 20)
EVERYTHING = {"data_type": None, "status": None, "department": None, "text": "", "limits": None}
FIRST_PAGE = {**EVERYTHING, "sort": "name", "page": 1, "page_size": 50}
PAGES = {"sort": "name", "page": 1, "page_size": 50}


def serials(rows):
    return sorted(row.serial for row in rows)


def changed(read, change, **params):
    """What the read tells after the change, and that it told something else before."""
    return assert_immediately_visible(read, change, **params)[1]


def test_a_device_is_listed_as_it_is_whichever_way_it_was_written(editor, client_of, tmp_path):
    device = recipes.device.make(serial="A")
    file = tmp_path / "register.csv"
    file.write_bytes(ppm_file({}).getvalue())

    def save():
        device.serial = "B"
        device.save()

    def bulk_update():
        device.serial = "D"
        Equipment.objects.bulk_update([device], ["serial"])

    def upsert():
        Equipment.objects.bulk_create(
            [Equipment(pk=device.pk, name="Pump", serial="E", data_type="ppm")],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["serial"],
        )

    def bulk_create():
        Equipment.objects.bulk_create([Equipment(name="Pump", serial="F", data_type="ppm")])

    def listed(change):
        return serials(changed(caches.equipment_rows, change, **FIRST_PAGE))

    assert listed(save) == ["B"]
    assert listed(lambda: Equipment.objects.update(serial="C")) == ["C"]
    assert listed(bulk_update) == ["D"]
    assert listed(upsert) == ["E"]
    assert listed(bulk_create) == ["E", "F"]
    assert listed(lambda: Equipment.objects.get(serial="F").delete()) == ["E"]
    assert len(listed(lambda: call_command("import_equipment", str(file), verbosity=0))) == 2


def test_an_action_of_the_admin_is_on_the_next_page(editor, client_of):
    device = recipes.device.make()
    client = client_of(editor)
    before = client.get("/equipment/").content.decode()

    act(client, Equipment, "set_status", [device], confirmed="1", status="missing")

    page = client.get("/equipment/").content.decode()
    assert ("Missing</span>" in before, "Missing</span>" in page) == (False, True)
    assert client.get(f"/equipment/{device.pk}/").content.decode().count("Missing</span>") == 1


def test_a_device_that_changes_its_programme_leaves_one_list_and_enters_the_other():
    device = recipes.device.make(data_type="ppm")
    ppm, ocm = ({**EVERYTHING, "data_type": kind} for kind in ("ppm", "ocm"))
    assert [assert_hits(caches.equipment_count, **each) for each in (ppm, ocm)] == [1, 0]

    Equipment.objects.filter(pk=device.pk).update(data_type=DataType.OCM)

    assert [caches.equipment_count(**each) for each in (ppm, ocm)] == [0, 1]
    assert assert_hits(caches.equipment_rows, **{**FIRST_PAGE, "data_type": "ppm"}) == ()


def test_a_change_of_one_programme_leaves_the_entries_of_the_other():
    device = recipes.device.make(data_type="ppm")
    recipes.device.make(data_type="ocm", serial="O")
    for read, more in ((caches.equipment_count, {}), (caches.equipment_rows, PAGES)):
        assert_hits(read, **{**EVERYTHING, "data_type": "ocm", **more})

    device.name = "Ventilator"
    device.save()

    with assert_no_queries():
        assert caches.equipment_count(**{**EVERYTHING, "data_type": "ocm"}) == 1
        assert serials(caches.equipment_rows(**{**FIRST_PAGE, "data_type": "ocm"})) == ["O"]


def test_names_of_models_makers_and_places_are_right_at_once():
    device = recipes.placed_device.make(device_model=recipes.device_model.make())

    def row(change):
        return changed(caches.equipment_rows, change, **FIRST_PAGE)[0]

    assert row(lambda: Manufacturer.objects.update(name="Borealis")).manufacturer == "Borealis"
    assert row(lambda: Location.objects.filter(pk=device.location_id).update(name="Theatre")).location == "Theatre"


def test_each_filter_and_order_reads_what_it_declares():
    department = recipes.placed_device.make(device_model=recipes.device_model.make()).location.parent
    Equipment.objects.update(department=department)
    limits = [None, (department.pk,), ()]
    texts = ["", "pump"]
    chosen = [{}, {"data_type": "ppm"}, {"status": "in_service"}, {"department": department.pk}]

    counts = {
        assert_hits(caches.equipment_count, **{**EVERYTHING, **each, "text": text, "limits": limit})
        for each in chosen
        for text in texts
        for limit in limits[:2]
    }
    found = [
        len(assert_hits(caches.equipment_rows, **{**FIRST_PAGE, **each, "sort": sort, "text": text, "limits": limit}))
        for each, sort in zip(chosen, ("name", "-manufacturer", "location", "status"), strict=True)
        for text in texts
        for limit in limits
    ]

    assert counts == {1}
    assert found == [1, 1, 0] * 8


def save(device, **values):
    for name, value in values.items():
        setattr(device, name, value)
    device.save()


@pytest.fixture
def pump():
    """A device with a model and a place."""
    return recipes.placed_device.make(device_model=recipes.device_model.make(), purchase_cost="12.50")


def test_the_page_of_a_device_tells_of_the_device_as_it_is(pump, viewer):
    def after(change):
        return changed(caches.device_detail, change, equipment_id=pump.pk, today=DAY, limits=None)

    assert str(after(lambda: Equipment.objects.update(custodian=viewer)).purchase_cost) == "12.50"
    assert after(lambda: User.objects.update(first_name="Ada", last_name="L")).custodian == "Ada L"
    assert after(lambda: User.objects.filter(pk=viewer.pk).delete()).custodian == ""
    assert after(lambda: save(pump, warranty_until=DAY)).is_under_warranty is True
    assert after(lambda: DeviceModel.objects.update(end_of_support_on=DAY)).model.is_unsupported is True


def test_the_page_of_a_device_tells_of_its_maintenance_and_work_as_they_are(pump):
    plan = recipes.plan.make(equipment=pump)

    def maintenance(change):
        return changed(caches.maintenance_of, change, equipment_id=pump.pk, today=DAY)

    def work(change):
        return changed(caches.work_orders_of, change, equipment_id=pump.pk)

    assert len(maintenance(lambda: recipes.maintenance.make(equipment=pump)).coming) == 1
    assert maintenance(plan.delete).plans == ()
    done = maintenance(lambda: ScheduledMaintenance.objects.update(status="completed", completed_on=DAY)).done
    assert done[0].completed_on == DAY
    assert work(lambda: recipes.work_order.make(equipment=pump)).count == 1
    assert work(lambda: WorkOrder.objects.update(problem="Smoke")).newest[0].problem == "Smoke"


def test_the_page_of_a_device_tells_of_contracts_and_placements_as_they_are(pump):
    contract = recipes.contract.make()

    def contracts(change):
        return changed(caches.contracts_of, change, equipment_id=pump.pk, today=DAY)

    assert len(contracts(lambda: contract.equipment.add(pump))) == 1
    assert contracts(lambda: ServiceContract.objects.update(ends_on=date(2025, 1, 1)))[0].is_running is False
    assert contracts(contract.equipment.clear) == ()
    moved = changed(
        caches.placements_of, lambda: save(pump, location=pump.location.parent), equipment_id=pump.pk, limits=None
    )
    assert len(moved) == 2


def test_the_page_of_a_device_tells_of_files_and_training_as_they_are(pump):
    model = pump.device_model_id
    person = User.objects.create_user("trainee", first_name="Ada", last_name="L")

    photos = changed(
        caches.photos_of,
        lambda: EquipmentPhoto.objects.create(equipment=pump, file=ContentFile(b"x", "a.png"), caption="Front"),
        equipment_id=pump.pk,
    )
    papers = changed(
        caches.documents_of,
        lambda: Document.objects.create(device_model_id=model, title="Manual", file=ContentFile(b"x", "a.pdf")),
        equipment_id=pump.pk,
        device_model_id=model,
    )
    trained = changed(
        caches.training_on,
        lambda: TrainingRecord.objects.create(person=person, device_model_id=model, trained_on=DAY),
        device_model_id=model,
        today=DAY,
    )

    assert photos[0].caption == "Front"
    assert (papers[0].title, papers[0].is_of_device) == ("Manual", False)
    assert (trained[0].person, trained[0].is_valid) == ("Ada L", True)


def test_work_on_one_device_leaves_the_page_of_another():
    one, other = recipes.device.make(), recipes.device.make()
    assert_hits(caches.work_orders_of, equipment_id=other.pk)
    assert_hits(caches.maintenance_of, equipment_id=other.pk, today=DAY)

    recipes.work_order.make(equipment=one)
    recipes.maintenance.make(equipment=one)

    with assert_no_queries():
        assert caches.work_orders_of(equipment_id=other.pk).count == 0
        assert caches.maintenance_of(equipment_id=other.pk, today=DAY).coming == ()


def test_a_device_moved_out_of_ones_limits_is_gone_at_once():
    device = recipes.placed_device.make()
    elsewhere = recipes.placed_device.make().location
    seen = {"equipment_id": device.pk, "today": DAY, "limits": (device.location_id,)}
    assert_hits(caches.device_detail, **seen)

    save(device, location=elsewhere)

    with pytest.raises(Equipment.DoesNotExist):
        caches.device_detail(**seen)


def test_counts_are_right_at_once_with_and_without_limits():
    device = recipes.placed_device.make()
    recipes.work_order.make()
    for limits, orders in ((None, 2), ((device.location_id,), 1)):
        maintenance = {"day": DAY, "days_ahead": 30, "completed_since": DAY - timedelta(days=30), "limits": limits}
        order = changed(caches.open_work_orders, lambda: recipes.work_order.make(equipment=device), limits=limits)
        late = changed(
            caches.maintenance_counts, lambda: recipes.maintenance.make(equipment=device), **maintenance
        ).overdue
        listed = assert_hits(caches.overdue_maintenance, day=DAY, most=10, limits=limits)
        assert (order, late, len(listed)) == (orders, late, late)
        WorkOrder.objects.filter(equipment=device).delete()
    before, after = assert_immediately_visible(
        caches.equipment_counts, lambda: Equipment.objects.update(status="missing"), limits=None
    )
    assert (before.in_service, after.in_service) == (2, 0)


@pytest.mark.parametrize("limited", [False, True], ids=["everything", "limited"])
def test_pages_that_were_asked_for_before_ask_the_database_nothing(viewer, client_of, limited):
    device = recipes.placed_device.make(device_model=recipes.device_model.make())
    recipes.work_order.make(equipment=device)
    recipes.maintenance.make(equipment=device)
    if limited:
        LocationLimit.objects.create(user=viewer, location=device.location)
    client = client_of(viewer)
    for page in (
        "/equipment/",
        "/equipment/ppm/",
        "/equipment/?q=pump&sort=-manufacturer",
        "/equipment/?page=7",
        f"/equipment/{device.pk}/",
    ):
        first = client.get(page).content.decode()

        with assert_no_queries():
            again = client.get(page).content.decode()

        assert device.name in first
        assert device.name in again


def test_one_entry_speaks_every_language(viewer, client_of, prefer):
    hidden = recipes.placed_device.make().location
    device = recipes.placed_device.make(department=hidden, status="missing")
    LocationLimit.objects.create(user=viewer, location=device.location)
    client = client_of(viewer)
    english = client.get("/equipment/", headers={"Accept-Language": "en"}).content.decode()

    with assert_no_queries():
        german = client.get("/equipment/", headers={"Accept-Language": "de"}).content.decode()

    assert [("Elsewhere" in page, "Missing" in page, hidden.name in page) for page in (english, german)] == [
        (True, True, False),
        (False, False, False),
    ]
