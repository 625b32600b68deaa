"""Undoing an import: everything back, or a reason for each row that cannot be put back."""

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AuditLog, EventType
from equipment.imports import UndoRefused, import_register, undo_import
from equipment.models import (
    DeviceModel,
    Equipment,
    ImportedRow,
    MaintenancePlan,
    Manufacturer,
    Placement,
    ScheduledMaintenance,
    WorkOrder,
)
from equipment.tests.files import many_devices, ocm_file, ppm_file
from locations.models import Location, LocationLimit

pytestmark = pytest.mark.django_db

KEPT = (Equipment, MaintenancePlan, ScheduledMaintenance, Location, Manufacturer, DeviceModel)


def load(file):
    return import_register(source=file, name="register.csv").run


def everything():
    return {
        model: [
            {name: value for name, value in row.items() if name != "updated_at"}
            for row in model.objects.order_by("pk").values()
        ]
        for model in KEPT
    }


def reasons(error):
    return [str(message) for message in error.value.report.kept]


def test_undoing_a_first_import_leaves_nothing_of_it():
    run = load(ppm_file(*many_devices(30)))

    report = undo_import(run=run)

    assert (report.deleted, report.restored, report.kept, report.left_behind) == (30, 0, [], [])
    assert not any(everything().values())
    assert not Placement.objects.exists()
    run.refresh_from_db()
    assert run.undone_at is not None
    assert run.rows.count() == 30


def test_undoing_a_change_puts_every_value_back():
    load(ppm_file({}, {"SERIAL": "2", "LOG_Number": ""}))
    before = everything()
    run = load(
        ppm_file(
            {
                "Name": "Monitor",
                "LOG_Number": "new",
                "Department": "Surgery",
                "MODEL": "Other",
                "MANUFACTURER": "Maker",
                "Installation_Date": "01/02/2020",
                "PPM_Q_I_date": "20/01/2024",
                "PPM_Q_II_engineer": "Lina",
                "PPM_Q_IV_date": "10/10/2025",
            },
            {"SERIAL": "3", "LOG_Number": ""},
        )
    )

    report = undo_import(run=run)

    after = everything()
    after[Location] = [row for row in after[Location] if row["name"] != "Surgery"]
    assert after == before
    assert (report.deleted, report.restored) == (1, 1)
    # It is in the history of the device, which undoing does not rewrite.
    assert report.left_behind == ["Surgery"]
    places = Equipment.objects.get(serial="PPM-1").placements.order_by("pk").values_list("location__name", "until")
    assert [(name, until is None) for name, until in places] == [
        ("Cardiology", False),
        ("Surgery", False),
        ("Cardiology", True),
    ]


def test_undoing_a_completion_opens_it_again():
    load(ocm_file({}))
    before = everything()
    run = load(ocm_file({"Status": "done", "Service_Date": "2024-02-03", "Next_Maintenance": "2025-02-03"}))

    undo_import(run=run)

    assert everything() == before


def test_an_import_can_be_made_again_after_it_was_undone():
    run = load(ppm_file({}))
    undo_import(run=run)

    assert load(ppm_file({})).created_count == 1


def change_name(device):
    Equipment.objects.filter(pk=device.pk).update(name="Changed by hand")


def report_a_fault(device):
    WorkOrder.objects.create(equipment=device)


def move_and_move_back(device):
    home = device.location
    for place in (None, home):
        device.location = place
        device.save()


def complete_maintenance(device):
    device.scheduled_maintenance.filter(quarter=1).update(status="completed", completed_on=date(2024, 1, 10))


def plan_more(device):
    plan = device.maintenance_plans.get()
    ScheduledMaintenance.objects.create(equipment=device, plan=plan, scheduled_date=date(2025, 1, 10))


def delete_a_date(device):
    device.scheduled_maintenance.filter(quarter=2).delete()


def add_a_document(device):
    device.documents.create(title="Manual", file="documents/x.pdf")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (change_name, "Changed since: name"),
        (report_a_fault, "In use since: work order"),
        (move_and_move_back, "In use since: placement"),
        (complete_maintenance, "Changed since: status, completed on"),
        (plan_more, "In use since: scheduled maintenance"),
        (delete_a_date, "maintenance has been deleted"),
        (add_a_document, "In use since: document"),
    ],
)
def test_a_device_that_something_happened_to_is_not_taken_away(happens, reason):
    run = load(ppm_file({}, {"SERIAL": "2", "LOG_Number": ""}))
    happens(Equipment.objects.get(serial="PPM-1"))
    before = everything()

    with pytest.raises(UndoRefused, match="Nothing was undone: 1 rows") as refused:
        undo_import(run=run)

    (told,) = reasons(refused)
    assert told.startswith("2: ")
    assert reason in told
    assert everything() == before
    run.refresh_from_db()
    assert run.undone_at is None


def test_the_other_rows_are_undone_by_choice():
    run = load(ppm_file({}, {"SERIAL": "2", "LOG_Number": "", "MODEL": "Alone"}))
    change_name(Equipment.objects.get(serial="PPM-1"))

    report = undo_import(run=run, skip_changed=True)

    assert (report.deleted, [message.number for message in report.kept]) == (1, [2])
    assert Equipment.objects.get().name == "Changed by hand"
    assert set(report.left_behind) == {"Philips HeartStart", "Philips", "Cardiology", "Unsorted"}
    assert not DeviceModel.objects.filter(name="Alone").exists()


def test_a_value_changed_since_by_a_later_import_is_not_put_back():
    load(ppm_file({}))
    first = load(ppm_file({"Name": "Monitor"}))
    second = load(ppm_file({"Name": "Monitor 2"}))

    with pytest.raises(UndoRefused):
        undo_import(run=first)
    undo_import(run=second)
    undo_import(run=first)

    assert Equipment.objects.get().name == "Defibrillator"


def test_a_device_deleted_since_is_no_hindrance_and_one_that_was_only_changed_is():
    run = load(ppm_file({}, {"SERIAL": "2", "LOG_Number": ""}))
    changed = load(ppm_file({"Name": "Monitor"}))
    Equipment.objects.get(serial="PPM-1").delete()

    with pytest.raises(UndoRefused) as refused:
        undo_import(run=changed)
    report = undo_import(run=run)

    assert reasons(refused) == ["2: The device has been deleted."]
    assert report.deleted == 1
    assert not any(everything().values())


def test_an_import_is_undone_once():
    run = load(ppm_file({}))
    undo_import(run=run)

    with pytest.raises(UndoRefused, match="undone already"):
        undo_import(run=run)


def test_undoing_is_in_the_audit():
    load(ppm_file({}))
    run = load(ppm_file({"Name": "Monitor"}, {"SERIAL": "2", "LOG_Number": ""}))
    device, gone = Equipment.objects.get(serial="PPM-1"), Equipment.objects.get(serial="2")

    undo_import(run=run)

    restored = AuditLog.objects.about(device).first()
    deleted = AuditLog.objects.filter(object_type="equipment.equipment", object_id=str(gone.pk)).first()
    summary = AuditLog.objects.filter(event_type=EventType.IMPORT_UNDONE).get()
    assert (restored.before, restored.after) == ({"name": "Monitor"}, {"name": "Defibrillator"})
    assert (deleted.event_type, deleted.before["serial"]) == (EventType.DELETED, "2")
    assert summary.description == "Import of register.csv undone: 1 deleted, 1 restored, 0 kept"


def test_a_limited_user_does_not_undo_what_lies_outside_their_places(editor):
    run = load(ppm_file({}, {"SERIAL": "2", "LOG_Number": "", "Department": "Surgery"}))
    LocationLimit.objects.create(user=editor, location=Location.objects.get(name="Cardiology"))

    with pytest.raises(UndoRefused) as refused:
        undo_import(run=run, user=editor)

    assert reasons(refused) == ["3: The device is not within the places you may work on."]
    assert Equipment.objects.count() == 2


def test_queries_of_an_undo_depend_on_batches_and_not_on_rows(monkeypatch):
    monkeypatch.setattr("equipment.imports.undo.BATCH_ROWS", 40)

    def queries(count):
        run = load(ppm_file(*many_devices(count)))
        with CaptureQueriesContext(connection) as captured:
            assert undo_import(run=run).deleted == count
        return len(captured)

    few, many, thrice = queries(20), queries(40), queries(120)

    assert many - few <= 30  # SQLite takes at most 999 values a query
    assert thrice < 3.2 * many
    assert many < 130


def test_rows_of_the_run_outlive_the_devices():
    run = load(ppm_file({}))

    undo_import(run=run)

    row = ImportedRow.objects.get()
    assert (row.serial, row.equipment) == ("PPM-1", None)
