"""What the rows of a register do: devices, where they are, their maintenance."""

import re
import threading
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.actors import Actor, acting_as
from audit.models import AuditLog, EventType
from equipment.imports import FileRefused, ImportConflict, RowsRejected, import_register, limits, preview, registers
from equipment.imports.columns import OCM_COLUMNS, PPM_COLUMNS
from equipment.models import (
    DeviceModel,
    Equipment,
    ImportedRow,
    ImportRun,
    MaintenancePlan,
    Manufacturer,
    Placement,
    ScheduledMaintenance,
)
from equipment.tests.files import PPM_ROW, many_devices, ocm_file, ppm_file, xlsx_file
from locations.models import Location, LocationKind, LocationLimit

pytestmark = pytest.mark.django_db


def load(file, **how):
    return import_register(source=file, name="register.csv", **how)


def schedule():
    rows = ScheduledMaintenance.objects.order_by("scheduled_date", "pk")
    return [(row.scheduled_date.isoformat(), row.status, row.engineer_name) for row in rows]


def errors(report):
    return [str(error) for error in report.errors]


def place(name, kind, parent=None):
    return Location.objects.create(name=name, kind=kind, parent=parent)


def everything():
    models = (Equipment, Placement, MaintenancePlan, ScheduledMaintenance, Location, Manufacturer, DeviceModel)
    return {model: list(model.objects.order_by("pk").values()) for model in (*models, AuditLog)}


def test_a_ppm_row_makes_the_device_with_its_quarters():
    report = load(ppm_file({}))

    device = Equipment.objects.get()
    assert (report.created, report.rejected) == (1, 0)
    assert (device.data_type, device.serial, device.asset_tag, device.name) == (
        "ppm",
        "PPM-1",
        "LOG-1",
        "Defibrillator",
    )
    assert (device.installed_on, device.warranty_until) == (date(2020, 1, 15), date(2022, 1, 14))
    assert (device.device_model.manufacturer.name, device.device_model.name) == ("Philips", "HeartStart")
    assert device.department == device.location == Location.objects.get(kind="department", name="Cardiology")
    plan = device.maintenance_plans.get()
    assert (plan.kind, plan.interval, plan.interval_unit, plan.starts_on) == ("ppm", 3, "month", date(2024, 1, 10))
    assert list(device.scheduled_maintenance.values_list("quarter", "scheduled_date")) == [
        (1, date(2024, 1, 10)),
        (2, date(2024, 4, 10)),
        (3, date(2024, 7, 10)),
        (4, date(2024, 10, 10)),
    ]
    assert device.placements.get().department == device.department


def test_a_past_quarter_with_an_engineer_is_not_completed():
    load(ppm_file({"PPM_Q_I_date": "10/01/2015", "PPM_Q_I_engineer": "Sami"}))

    assert schedule()[0] == ("2015-01-10", "scheduled", "Sami")


def test_dates_that_the_file_does_not_give_are_not_invented():
    empty = {name: "" for name in PPM_ROW if "_Q_" in name}

    load(ppm_file(empty))

    assert schedule() == []
    assert MaintenancePlan.objects.get().starts_on == date(2020, 1, 15)


def test_an_engineer_without_a_date_is_told_as_a_warning():
    report = load(ppm_file({"PPM_Q_I_date": "N/A"}))

    assert report.created == 1
    assert "PPM_Q_I_engineer: “Sami” is not stored" in report.warnings[0].text


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"Status": "Completed"}, [("2024-02-01", "completed", "Lina"), ("2025-02-01", "scheduled", "")]),
        (
            {"Status": "MAINTAINED", "Next_Maintenance": "01/08/2024"},
            [("2024-02-01", "completed", "Lina"), ("2024-08-01", "scheduled", "")],
        ),
        ({"Next_Maintenance": "01/02/2025"}, [("2025-02-01", "scheduled", "Lina")]),
        ({"Status": "Overdue"}, [("2024-02-01", "scheduled", "Lina")]),
        ({}, [("2024-02-01", "scheduled", "Lina")]),
        ({"Service_Date": ""}, []),
    ],
)
def test_an_ocm_row_means_what_its_status_and_next_date_say(cells, expected):
    load(ocm_file(cells))

    assert schedule() == expected
    assert MaintenancePlan.objects.get().kind == "ocm"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"SERIAL": ""}, "SERIAL: missing"),
        ({"SERIAL": "N/A"}, "SERIAL: missing"),
        ({"Name": " "}, "Name: missing"),
        ({"Installation_Date": "31/02/2020"}, "Installation_Date: “31/02/2020” is not a day of the calendar"),
        ({"PPM_Q_II_date": "soon"}, "PPM_Q_II_date: “soon” is not a date"),
        ({"Name": "x" * 201}, "Name: .* has 201 characters; at most 200"),
        ({"Name": "=1+1"}, "Name: formula injection"),
        ({"Department": "@SUM(A1)"}, "Department: formula injection"),
        ({"PPM_Q_II_date": "10/01/2024"}, "2024-01-10 is the planned day of other maintenance"),
    ],
)
def test_a_wrong_row_is_rejected_with_its_number_and_the_others_are_stored(cells, message):
    report = load(ppm_file({"SERIAL": "good", "LOG_Number": ""}, cells))

    (error,) = report.errors
    assert error.number == 3
    assert re.search(message, error.text, re.IGNORECASE)
    assert (report.created, report.rejected) == (1, 1)
    assert Equipment.objects.get().serial == "good"
    kept = report.run.rows.get(action="rejected")
    assert (kept.row_number, kept.errors) == (3, [error.text])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"Status": "Perhaps"}, "Status: “perhaps” is not a known status"),
        ({"Status": "done", "Service_Date": ""}, "Service_Date is empty"),
        ({"Status": "done", "Service_Date": "01/01/2199"}, "still to come"),
        ({"Status": "done", "Next_Maintenance": "2024-02-01"}, "not after Service_Date"),
        ({"Next_Maintenance": "2023-02-01"}, "before Service_Date"),
    ],
)
def test_an_ocm_row_that_contradicts_itself_is_rejected(cells, message):
    report = load(ocm_file(cells))

    assert [message in error.text for error in report.errors] == [True]
    assert not Equipment.objects.exists()


def test_a_serial_or_tag_that_is_twice_in_the_file_is_refused_the_second_time():
    report = load(ppm_file({}, {"LOG_Number": "x"}, {"SERIAL": "other"}))

    assert errors(report) == [
        "3: Serial: “PPM-1” is in row 2 already.",
        "4: LOG_Number: “LOG-1” is in row 2 already.",
    ]
    assert report.created == 1


def test_the_tag_of_another_device_is_refused():
    load(ocm_file({"Log_Number": "LOG-1"}))

    report = load(ppm_file({}))

    assert errors(report) == ["2: LOG_Number: “LOG-1” is another device's (serial number “OCM-1”)."]


@pytest.mark.parametrize("batch", [1, 500])
def test_a_tag_freed_by_the_same_file_is_not_free_yet_wherever_a_batch_ends(monkeypatch, batch):
    monkeypatch.setattr(limits, "BATCH_ROWS", batch)
    load(ppm_file({"SERIAL": "a", "LOG_Number": "1"}, {"SERIAL": "b", "LOG_Number": "2"}))
    handed_on = [{"SERIAL": "a", "LOG_Number": "3"}, {"SERIAL": "b", "LOG_Number": "1"}]

    expected = preview(source=ppm_file(*handed_on))
    report = load(ppm_file(*handed_on))

    assert errors(expected) == errors(report) == ["3: LOG_Number: “1” is another device's (serial number “a”)."]


def test_the_same_serial_may_be_in_both_programmes():
    load(ppm_file({"SERIAL": "X"}))
    load(ocm_file({"Serial": "X"}))

    assert set(Equipment.objects.values_list("data_type", "serial")) == {("ppm", "X"), ("ocm", "X")}


def test_serials_hold_any_character_and_keep_their_zeros():
    serials = ["00/12", "ÄÖ 3", "-12A", "+A1", 'quo"te', "a,b;c", "line\nbreak", "日本"]

    load(ppm_file(*[{"SERIAL": serial, "LOG_Number": ""} for serial in serials]))

    assert set(Equipment.objects.values_list("serial", flat=True)) == set(serials)


def test_xlsx_numbers_and_dates_are_read_as_a_person_sees_them():
    row = PPM_ROW | {"SERIAL": 12345.0, "LOG_Number": 7, "Installation_Date": datetime(2020, 1, 15, 12)}  # noqa: DTZ001 - spreadsheets know no time zones

    load(xlsx_file(PPM_COLUMNS, [row]))

    device = Equipment.objects.get()
    assert (device.serial, device.asset_tag, device.installed_on) == ("12345", "7", date(2020, 1, 15))


def test_an_xlsx_formula_is_an_error_of_its_row():
    report = load(xlsx_file(PPM_COLUMNS, [PPM_ROW | {"Name": "=1+1"}]))

    assert errors(report) == ["2: Name: formula injection: the cell holds a formula."]


def test_importing_again_changes_nothing():
    load(ppm_file({}, {"SERIAL": "2", "LOG_Number": ""}))
    load(ocm_file({"Status": "done"}))
    before = everything()

    again = load(ppm_file({}, {"SERIAL": "2", "LOG_Number": ""}))
    ocm_again = load(ocm_file({"Status": "done"}))

    after = everything()
    summaries = after[AuditLog][len(before[AuditLog]) :]
    after[AuditLog] = before[AuditLog]
    assert (again.unchanged, ocm_again.unchanged) == (2, 1)
    assert after == before
    assert [row["event_type"] for row in summaries] == [EventType.IMPORTED] * 2
    assert not ImportedRow.objects.filter(run__in=[again.run, ocm_again.run]).exists()


def test_what_a_preview_says_is_what_the_import_does_and_a_preview_writes_nothing():
    load(ppm_file({}, {"SERIAL": "2", "LOG_Number": ""}))
    rows = [{}, {"SERIAL": "2", "LOG_Number": "", "Name": "Monitor"}, {"SERIAL": "3", "LOG_Number": ""}, {"Name": ""}]
    before = everything()

    expected = preview(source=ppm_file(*rows))
    after = everything()
    done = load(ppm_file(*rows))

    assert before == after
    assert expected.run is None
    assert (expected.counts, expected.rows, expected.errors) == (done.counts, done.rows, done.errors)
    assert expected.rows[1].changes == (("name", "Defibrillator", "Monitor"),)
    assert (done.created, done.updated, done.unchanged, done.rejected) == (1, 1, 1, 1)


def test_an_empty_cell_leaves_what_is_stored():
    load(ppm_file({}))

    report = load(
        ppm_file({"LOG_Number": "", "Warranty_End": "N/A", "MODEL": "", "MANUFACTURER": "", "Department": "-"})
    )

    assert report.unchanged == 1
    assert Equipment.objects.get().warranty_until == date(2022, 1, 14)


def test_all_or_nothing_stores_nothing_when_one_row_is_wrong_and_reports_them_all():
    before = everything()
    rows = [{}, {"SERIAL": "", "LOG_Number": ""}, {"SERIAL": "3", "LOG_Number": "3", "Name": ""}]

    with pytest.raises(RowsRejected, match="2 of 3 rows") as rejected:
        load(ppm_file(*rows), all_or_nothing=True)

    assert [error.number for error in rejected.value.report.errors] == [3, 4]
    assert everything() == before
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize("bad", [b"\xff\xfe bad", b'"never closed', b"a\0b"])
def test_a_file_that_breaks_off_in_the_middle_changes_nothing(bad):
    file = ppm_file(*many_devices(1200))
    file.seek(0, 2)
    file.write(bad)

    with pytest.raises(FileRefused):
        load(file)

    assert not Equipment.objects.exists()
    assert not ImportRun.objects.exists()


def test_a_register_without_rows_is_refused():
    with pytest.raises(FileRefused, match="no rows"):
        load(ppm_file())


def test_names_are_found_whatever_their_letter_case():
    load(ppm_file({}))

    load(
        ppm_file(
            {
                "SERIAL": "2",
                "LOG_Number": "",
                "Department": "CARDIOLOGY",
                "MANUFACTURER": "PHILIPS",
                "MODEL": "heartSTART",
            }
        )
    )

    assert Location.objects.filter(kind="department").count() == 1
    assert (Manufacturer.objects.count(), DeviceModel.objects.count()) == (1, 1)


def test_of_several_articles_of_a_model_none_is_guessed():
    maker = Manufacturer.objects.create(name="Philips")
    for identifier in ("1", "2"):
        DeviceModel.objects.create(manufacturer=maker, name="HeartStart", device_identifier=identifier)

    report = load(ppm_file({}, {"SERIAL": "2", "LOG_Number": ""}))

    assert report.new_device_models == ["Philips HeartStart"]
    assert set(Equipment.objects.values_list("device_model__device_identifier", flat=True)) == {""}


def test_the_only_article_of_a_model_is_taken_and_a_known_one_is_kept():
    maker = Manufacturer.objects.create(name="Philips")
    article = DeviceModel.objects.create(manufacturer=maker, name="HeartStart", device_identifier="1")
    load(ppm_file({}))
    DeviceModel.objects.create(manufacturer=maker, name="HeartStart", device_identifier="2")

    report = load(ppm_file({}))

    assert report.unchanged == 1
    assert Equipment.objects.get().device_model == article


def test_a_maker_without_a_model_is_kept_under_an_unknown_one():
    report = load(ppm_file({"MODEL": ""}))

    assert str(Equipment.objects.get().device_model) == "Philips Unknown"
    assert load(ppm_file({"MODEL": ""})).unchanged == report.created == 1


def test_a_new_department_moves_the_device_and_a_room_inside_the_old_one_is_kept():
    load(ppm_file({}))
    device = Equipment.objects.get()
    room = place("Room 1", LocationKind.ROOM, device.department)
    device.location = room
    device.save()

    same = load(ppm_file({"Name": "Renamed"}))
    device.refresh_from_db()
    where = device.location
    load(ppm_file({"Department": "Surgery"}))

    device.refresh_from_db()
    assert same.updated == 1
    assert where == room
    assert device.location == device.department == Location.objects.get(name="Surgery")
    places = list(device.placements.order_by("since", "pk").values_list("location__name", "until"))
    assert [name for name, _until in places] == ["Cardiology", "Room 1", "Surgery"]
    assert [until is None for _name, until in places] == [False, False, True]


def test_a_device_that_is_in_its_new_department_already_stays_in_its_room():
    load(ppm_file({}, {"SERIAL": "2", "LOG_Number": "", "Department": "Surgery"}))
    room = place("Theatre 1", LocationKind.ROOM, Location.objects.get(name="Surgery"))
    device = Equipment.objects.get(serial="PPM-1")
    device.location = room
    device.save()

    load(ppm_file({"Department": "Surgery"}))

    device.refresh_from_db()
    assert (device.department.name, device.location) == ("Surgery", room)


def test_maintenance_completed_on_another_day_than_the_file_knows_is_not_touched():
    load(ppm_file({}))
    ScheduledMaintenance.objects.filter(quarter=1).update(
        scheduled_date=date(2024, 1, 25), status="completed", completed_on=date(2024, 1, 25)
    )

    report = load(ppm_file({}))

    assert report.unchanged == 1
    assert schedule()[0] == ("2024-01-25", "completed", "Sami")


def test_a_quarter_on_another_day_moves_the_open_date_and_one_of_the_next_year_is_added():
    load(ppm_file({}))

    load(ppm_file({"PPM_Q_I_date": "20/01/2024", "PPM_Q_II_date": "10/04/2025"}))

    assert [day for day, _status, _name in schedule()] == [
        "2024-01-20",
        "2024-04-10",
        "2024-07-10",
        "2024-10-10",
        "2025-04-10",
    ]
    assert ScheduledMaintenance.objects.get(quarter=1).occurrence_date == date(2024, 1, 10)


def test_completed_and_cancelled_maintenance_is_never_touched():
    load(ppm_file({}))
    ScheduledMaintenance.objects.filter(quarter=1).update(status="completed", completed_on=date(2024, 1, 12))
    ScheduledMaintenance.objects.filter(quarter=2).update(status="cancelled")

    report = load(ppm_file({"PPM_Q_I_engineer": "Somebody else", "PPM_Q_II_engineer": "Nobody"}))

    assert report.unchanged == 1
    assert schedule()[:2] == [("2024-01-10", "completed", "Sami"), ("2024-04-10", "cancelled", "")]


def test_next_years_file_completes_what_this_years_file_scheduled():
    load(ocm_file({"Status": "done", "Next_Maintenance": "2025-02-01"}))

    report = load(ocm_file({"Status": "done", "Service_Date": "2025-02-03", "Next_Maintenance": "2026-02-03"}))

    assert report.updated == 1
    assert schedule() == [
        ("2024-02-01", "completed", "Lina"),
        ("2025-02-01", "completed", "Lina"),
        ("2026-02-03", "scheduled", ""),
    ]
    assert ScheduledMaintenance.objects.get(scheduled_date="2025-02-01").completed_on == date(2025, 2, 3)


def test_the_maintenance_of_a_disposed_device_is_left_as_it_is():
    load(ppm_file({}))
    Equipment.objects.update(status="disposed", disposed_on=date(2024, 6, 1))

    report = load(ppm_file({"PPM_Q_I_date": "20/01/2024"}, {"SERIAL": "2", "LOG_Number": ""}))
    wrong = load(ppm_file({"Installation_Date": "01/07/2024"}))

    assert "disposed of" in report.warnings[0].text
    assert report.unchanged == 1
    assert ["disposed of before that day" in error for error in errors(wrong)] == [True]


def test_each_device_is_in_the_audit_with_before_and_after_by_who_imported(editor):
    load(ppm_file({}))

    with acting_as(Actor.from_user(editor)):
        report = load(ppm_file({"Name": "Monitor", "PPM_Q_I_engineer": "Lina"}))

    device = Equipment.objects.get()
    record = AuditLog.objects.about(device).filter(event_type="updated").get()
    summary = AuditLog.objects.filter(event_type=EventType.IMPORTED).first()
    assert (record.actor, record.user) == (editor.username, editor)
    assert (record.before["name"], record.after["name"]) == ("Defibrillator", "Monitor")
    assert record.before["maintenance"][0]["engineer_name"] == "Sami"
    assert record.after["maintenance"][0]["engineer_name"] == "Lina"
    assert AuditLog.objects.about(device).filter(event_type="created", after__serial="PPM-1").count() == 1
    assert summary.description == "Imported register.csv: 0 created, 1 updated, 0 unchanged, 0 rejected"
    assert (report.run.user, report.run.actor) == (editor, editor.username)


def test_what_an_import_makes_beside_devices_is_in_the_audit():
    load(ppm_file({}))

    kinds = AuditLog.objects.filter(event_type="created").values_list("object_type", flat=True)
    assert sorted(kind for kind in kinds if not kind.startswith("auth.")) == [
        "equipment.devicemodel",
        "equipment.equipment",
        "equipment.manufacturer",
        "locations.location",
        "locations.location",
    ]


def test_the_time_of_change_is_kept():
    load(ppm_file({}))
    Equipment.objects.update(updated_at=timezone.now() - timedelta(days=9))

    load(ppm_file({"Name": "Monitor"}))

    assert timezone.now() - Equipment.objects.get().updated_at < timedelta(days=1)


def test_queries_depend_on_batches_and_not_on_rows(monkeypatch):
    monkeypatch.setattr(limits, "BATCH_ROWS", 40)
    for name in ("writing", "undo"):
        monkeypatch.setattr(f"equipment.imports.{name}.BATCH_ROWS", 40)
    load(
        ppm_file(
            *[
                {
                    "SERIAL": f"warm {number}",
                    "LOG_Number": "",
                    "Department": f"Department {number}",
                    "MODEL": f"Model {number}",
                }
                for number in range(50)
            ]
        )
    )

    def queries(rows):
        with CaptureQueriesContext(connection) as captured:
            report = load(ppm_file(*rows))
        assert report.created + report.updated == len(rows)
        return len(captured)

    few, many, thrice = queries(many_devices(4)), queries(many_devices(40)[4:]), queries(many_devices(160)[40:])
    changed = queries(many_devices(40, Name="Monitor", PPM_Q_I_engineer="Lina", Department="Department 7"))

    models = queries(
        [
            row | {"SERIAL": f"m {n}", "LOG_Number": "", "MODEL": f"New {n}", "MANUFACTURER": f"Maker {n}"}
            for n, row in enumerate(many_devices(40))
        ]
    )

    assert models - many <= 20
    assert abs(many - few) <= 12  # SQLite takes at most 999 values a query
    assert thrice < 3.2 * many
    assert changed < 60


def test_a_limited_user_imports_within_their_places_only(editor):
    load(ppm_file({"Department": "Cardiology"}, {"SERIAL": "s", "LOG_Number": "", "Department": "Surgery"}))
    LocationLimit.objects.create(user=editor, location=Location.objects.get(name="Cardiology"))
    rows = [
        {"Name": "Mine"},
        {"SERIAL": "s", "LOG_Number": "", "Department": "", "Name": "Not mine"},
        {"SERIAL": "a", "LOG_Number": "", "Department": "Surgery"},
        {"SERIAL": "b", "LOG_Number": "", "Department": "New"},
        {"SERIAL": "c", "LOG_Number": "", "Department": ""},
        {"SERIAL": "d", "LOG_Number": "new"},
    ]

    report = load(ppm_file(*rows), user=editor)

    assert (report.created, report.updated) == (1, 1)
    assert [error.number for error in report.errors] == [3, 4, 5, 6]
    assert set(Equipment.objects.values_list("name", flat=True)) == {"Mine", "Defibrillator"}


def test_progress_is_told_in_bytes_up_to_the_end():
    told = []

    load(ppm_file(*many_devices(1500)), progress=lambda done, total: told.append((done, total)))

    assert told[-1][0] == told[-1][1] > 0
    assert [done for done, _total in told] == sorted(done for done, _total in told)
    assert len(told) == 4


def test_a_clash_with_another_writer_changes_nothing_and_says_so(monkeypatch):
    def planned_before_somebody_else_wrote(self, serials):
        return {}

    load(ppm_file({}))
    monkeypatch.setattr(registers.Planner, "_stored", planned_before_somebody_else_wrote)
    before = everything()

    with pytest.raises(ImportConflict, match="Try again"):
        load(ppm_file({"SERIAL": "new", "LOG_Number": ""}, {"LOG_Number": ""}))

    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_one_file_at_once_wait_for_each_other():
    start = threading.Barrier(2)
    counts, failures = [], []

    def work():
        try:
            start.wait(timeout=20)
            report = load(ppm_file(*many_devices(30)))
            counts.append((report.created, report.unchanged))
        except Exception as error:  # noqa: BLE001 - the test tells it
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert failures == []
    assert sorted(counts) == [(0, 30), (30, 0)]
    assert Equipment.objects.count() == 30


def test_every_column_of_the_formats_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs/import.md").read_text()

    assert [column for column in (*PPM_COLUMNS, *OCM_COLUMNS) if f"`{column}`" not in text] == []
