"""Exports: what is in them, that they are harmless, and that importing them again changes nothing."""

import csv
import io
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from audit.models import AuditLog, EventType
from equipment.exports import GENERAL_COLUMNS, export_equipment
from equipment.imports import import_register
from equipment.imports.columns import OCM_COLUMNS, PPM_COLUMNS
from equipment.models import DeviceModel, Equipment, MaintenancePlan, Manufacturer, ScheduledMaintenance
from equipment.tests.files import many_devices, ocm_file, ppm_file
from equipment.tests.test_import_cells import NASTY_TEXTS
from locations.models import Location, LocationKind

pytestmark = pytest.mark.django_db

DAYS = st.none() | st.dates(date(1900, 1, 1), date(2199, 12, 31))


def exported(data_type, as_="csv", queryset=None):
    export = export_equipment(queryset=queryset or Equipment.objects.all(), data_type=data_type, as_=as_)
    return io.BytesIO(b"".join(export.chunks))


def table(data_type, queryset=None):
    return list(csv.DictReader(io.StringIO(exported(data_type, queryset=queryset).getvalue().decode("utf-8-sig"))))


def texts(longest):
    return NASTY_TEXTS.map(lambda text: text[:longest]).filter(lambda text: bool(text))


@pytest.mark.parametrize("as_", ["csv", "xlsx"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_importing_an_export_changes_nothing(db, as_, data):
    Equipment.objects.all().delete()
    maker, _new = Manufacturer.objects.get_or_create(name=data.draw(texts(200)))
    model, _new = DeviceModel.objects.get_or_create(manufacturer=maker, name=data.draw(texts(200)))
    site, _new = Location.objects.get_or_create(name="Site", kind=LocationKind.SITE)
    name = data.draw(texts(200))
    department = Location.objects.filter(kind="department", parent=site, name__iexact=name).first()
    department = department or Location.objects.create(name=name, kind=LocationKind.DEPARTMENT, parent=site)
    for data_type in ("ppm", "ocm"):
        device = Equipment.objects.create(
            data_type=data_type,
            serial=data.draw(texts(100)),
            name=data.draw(texts(200)),
            asset_tag=data_type + data.draw(NASTY_TEXTS)[:40],
            device_model=data.draw(st.sampled_from([model, None])),
            department=data.draw(st.sampled_from([department, None])),
            installed_on=data.draw(DAYS),
            warranty_until=data.draw(DAYS),
        )
        plan = MaintenancePlan.objects.create(
            equipment=device,
            kind=data_type,
            interval=3 if data_type == "ppm" else 1,
            interval_unit="month" if data_type == "ppm" else "year",
            starts_on=date(2024, 1, 1),
        )
        for number in range(data.draw(st.integers(0, 6))):
            day = date(2024, 1, 1) + timedelta(days=data.draw(st.integers(-400, 400)))
            status = data.draw(st.sampled_from(["scheduled", "in_progress", "completed", "cancelled"]))
            ScheduledMaintenance.objects.create(
                equipment=device,
                plan=plan,
                occurrence_date=date(2024, 1, 1) + timedelta(days=number),
                scheduled_date=day,
                quarter=data.draw(st.sampled_from([1, 2, 3, 4, None])) if data_type == "ppm" else None,
                engineer_name=data.draw(NASTY_TEXTS)[:200],
                status=status,
                completed_on=day if status == "completed" else None,
            )

    for data_type in ("ppm", "ocm"):
        report = import_register(source=exported(data_type, as_), name=f"again.{as_}")

        assert [str(error) for error in report.errors] == []
        assert (report.rows[0].changes, report.unchanged) == ((), 1)


def test_a_ppm_export_has_the_columns_of_the_format_and_the_next_open_dates():
    import_register(source=ppm_file({}))
    ScheduledMaintenance.objects.filter(quarter__in=[1, 2]).update(status="completed", completed_on=date(2024, 5, 1))
    first = ScheduledMaintenance.objects.get(quarter=1)
    ScheduledMaintenance.objects.create(
        equipment=first.equipment, plan=first.plan, quarter=1, scheduled_date=date(2025, 1, 10), engineer_name="Lina"
    )

    (row,) = table("ppm")

    assert tuple(row) == PPM_COLUMNS
    assert (row["NO"], row["SERIAL"], row["LOG_Number"]) == ("1", "PPM-1", "LOG-1")
    assert (row["PPM_Q_I_date"], row["PPM_Q_I_engineer"]) == ("2025-01-10", "Lina")
    assert (row["PPM_Q_II_date"], row["PPM_Q_III_date"]) == ("2024-04-10", "2024-07-10")


@pytest.mark.parametrize(("days", "state"), [(-1, "Overdue"), (0, "Due"), (7, "Due"), (8, "Upcoming")])
def test_an_ocm_export_derives_the_status_on_the_day(days, state):
    day = timezone.localdate() + timedelta(days=days)
    import_register(source=ocm_file({"Service_Date": day.isoformat()}))

    (row,) = table("ocm")

    assert tuple(row) == OCM_COLUMNS
    assert (row["Service_Date"], row["Engineer"], row["Next_Maintenance"], row["Status"]) == (
        day.isoformat(),
        "Lina",
        "",
        state,
    )


def test_an_ocm_export_tells_the_last_completion_and_the_next_date():
    import_register(source=ocm_file({"Status": "done"}))

    (row,) = table("ocm")

    assert (row["Service_Date"], row["Next_Maintenance"], row["Status"]) == ("2024-02-01", "2025-02-01", "Completed")


def test_rows_are_numbered_from_one_and_belong_to_the_programme():
    import_register(source=ppm_file(*many_devices(3)))
    import_register(source=ocm_file({}))

    assert [row["NO"] for row in table("ppm")] == ["1", "2", "3"]
    assert [row["Serial"] for row in table("ocm")] == ["OCM-1"]
    assert table("none") == []
    assert [row["Programme"] for row in table("all")] == ["ocm", "ppm", "ppm", "ppm"]
    assert tuple(table("all")[0]) == GENERAL_COLUMNS


def test_a_selection_is_exported():
    import_register(source=ppm_file(*many_devices(3)))

    assert [row["SERIAL"] for row in table("ppm", Equipment.objects.filter(serial="S/000001"))] == ["S/000001"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r="])
def test_no_exported_cell_can_be_computed(start):
    Equipment.objects.create(data_type="none", serial=f"{start}1+1", name=f"{start}cmd|' /C calc'!A0")

    text = exported("all").getvalue().decode("utf-8-sig")
    sheet = load_workbook(exported("all", "xlsx")).active
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row if cell.value is not None]

    assert all(
        not value.startswith(("=", "+", "-", "@", "\t", "\r")) for row in csv.reader(io.StringIO(text)) for value in row
    )
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    assert not any(str(cell.value).startswith(("=", "+", "-", "@")) for cell in cells)


def test_an_xlsx_export_has_real_dates_and_numbers():
    Equipment.objects.create(
        serial="1", name="a", installed_on=date(2024, 2, 1), warranty_until=date(1899, 1, 1), purchase_cost="12.50"
    )

    sheet = load_workbook(exported("all", "xlsx")).active
    row = dict(zip(GENERAL_COLUMNS, [cell.value for cell in sheet[2]], strict=True))

    assert row["Installation_Date"].date() == date(2024, 2, 1)
    assert row["Warranty_End"] == "1899-01-01"
    assert row["Purchase_Cost"] == 12.5
    assert row["Serial"] == "1"


def test_queries_do_not_grow_with_rows():
    def queries(data_type):
        with CaptureQueriesContext(connection) as captured:
            exported(data_type)
        return len(captured)

    import_register(source=ppm_file(*many_devices(3)))
    few = queries("ppm"), queries("all")
    import_register(source=ppm_file(*many_devices(400)))

    assert (queries("ppm"), queries("all")) == few
    assert max(few) <= 5


def test_an_export_is_in_the_audit():
    import_register(source=ppm_file({}))

    exported("ppm", "xlsx")

    record = AuditLog.objects.get(event_type=EventType.EXPORTED)
    assert record.after == {"data_type": "ppm", "format": "xlsx", "rows": 1}


@pytest.mark.parametrize(("data_type", "as_"), [("everything", "csv"), ("ppm", "pdf")])
def test_an_unknown_programme_or_kind_of_file_is_an_error(data_type, as_):
    with pytest.raises(ValueError, match="cannot export"):
        export_equipment(queryset=Equipment.objects.all(), data_type=data_type, as_=as_)
