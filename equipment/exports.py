"""The register as a file: CSV as a stream, XLSX row by row.

`export_equipment(queryset=…, data_type="ppm", as_="csv")` gives an `Export`: its `chunks` go into a streaming response
or a file. Exporting a PPM or OCM register and importing the file again changes nothing.
"""

import csv
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Prefetch
from django.utils import timezone
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from audit.models import EventType
from audit.services import record
from equipment.imports.cells import escape
from equipment.imports.columns import OCM_COLUMNS, PPM_COLUMNS
from equipment.imports.planning import schedule_of
from equipment.models import DataType, Equipment, MaintenanceStatus, ScheduledMaintenance
from equipment.querysets import EquipmentQuerySet

BATCH_ROWS = 500
CHUNK_BYTES = 64 * 1024
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
ALL = "all"
GENERAL_COLUMNS = (
    "NO",
    "Programme",
    "Department",
    "Location",
    "Name",
    "Model",
    "Serial",
    "Manufacturer",
    "Log_Number",
    "Status",
    "Risk_Class",
    "Installation_Date",
    "Warranty_End",
    "Purchase_Date",
    "Purchase_Cost",
    "Supplier",
    "Disposal_Date",
)
# What XML cannot hold or would change, and what looks like the way such a character is written.
NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]|_x(?=[0-9A-Fa-f]{4}_)")
# Spreadsheet programs count the days before this one differently.
FIRST_SHEET_DAY = date(1900, 3, 1)

Value = str | int | Decimal | date | None


@dataclass(frozen=True, slots=True)
class Export:
    """A file to be handed out: `chunks` is read once."""

    file_name: str
    content_type: str
    row_count: int
    chunks: Iterator[bytes]


def export_equipment(*, queryset: EquipmentQuerySet, data_type: str, as_: str) -> Export:
    """The devices of `queryset` that belong to the programme `data_type` (ppm, ocm, none, or all of them).

    PPM and OCM have the columns of their register formats, none and all a general set. `as_` is csv or xlsx. The
    export is recorded in the audit at once, the rows are read while the chunks are taken. Raises ValueError for an
    unknown programme or kind of file.
    """
    if data_type not in {*DataType.values, ALL} or as_ not in CONTENT_TYPES:
        raise ValueError(f"cannot export {data_type!r} as {as_!r}")
    if data_type != ALL:
        queryset = queryset.of_type(data_type)
    count = queryset.count()
    record(
        event_type=EventType.EXPORTED,
        description=f"Exported {count} pieces of equipment ({data_type}) as {as_}",
        after={"data_type": data_type, "format": as_, "rows": count},
    )
    columns, rows = _table(queryset, data_type)
    chunks = _csv_chunks(columns, rows) if as_ == "csv" else _xlsx_chunks(columns, rows)
    file_name = f"equipment-{data_type}-{timezone.localdate():%Y-%m-%d}.{as_}"
    return Export(file_name, CONTENT_TYPES[as_], count, chunks)


def _table(queryset: EquipmentQuerySet, data_type: str) -> tuple[tuple[str, ...], Iterator[list[Value]]]:
    columns: tuple[str, ...]
    write: Callable[[Equipment, date], list[Value]]
    queryset = queryset.for_list().order_by("name", "serial", "pk")
    if data_type in {DataType.PPM, DataType.OCM}:
        columns, write = (PPM_COLUMNS, _ppm_cells) if data_type == DataType.PPM else (OCM_COLUMNS, _ocm_cells)
        open_or_done = schedule_of(data_type).exclude(status=MaintenanceStatus.CANCELLED)
        queryset = queryset.prefetch_related(
            Prefetch("scheduled_maintenance", queryset=open_or_done, to_attr="exported_maintenance")
        )
    else:
        columns, write = GENERAL_COLUMNS, _general_cells
    today = timezone.localdate()
    devices = queryset.iterator(chunk_size=BATCH_ROWS)
    return columns, ([number, *write(device, today)] for number, device in enumerate(devices, start=1))


def _identity(device: Equipment) -> list[Value]:
    """The columns from Department to Warranty_End, which both register formats begin with."""
    model = device.device_model
    return [
        device.department.name if device.department else "",
        device.name,
        model.name if model else "",
        device.serial,
        model.manufacturer.name if model else "",
        device.asset_tag,
        device.installed_on,
        device.warranty_until,
    ]


def _ppm_cells(device: Equipment, today: date) -> list[Value]:
    """Of each quarter its next open date, or where none is open the last one that was done."""
    schedule: list[ScheduledMaintenance] = device.exported_maintenance  # type: ignore[attr-defined]
    cells = _identity(device)
    for quarter in (1, 2, 3, 4):
        rows = [row for row in schedule if row.quarter == quarter]
        shown = next((row for row in rows if row.is_open), rows[-1] if rows else None)
        cells += [shown.scheduled_date, shown.engineer_name] if shown else [None, ""]
    return cells


def _ocm_cells(device: Equipment, today: date) -> list[Value]:
    """The last completion with the first open date after it; without any completion the first open date."""
    schedule: list[ScheduledMaintenance] = device.exported_maintenance  # type: ignore[attr-defined]
    waiting = [row for row in schedule if row.is_open]
    done = [row for row in schedule if row.completed_on is not None]
    if done:
        last = max(done, key=lambda row: (row.completed_on, row.pk))
        day = last.completed_on
        following = next((row.scheduled_date for row in waiting if day is not None and row.scheduled_date > day), None)
        return [*_identity(device), day, last.engineer_name, following, "Completed"]
    if waiting:
        first = waiting[0]
        state = str(first.state_on(today).value).capitalize()
        return [*_identity(device), first.scheduled_date, first.engineer_name, None, state]
    return [*_identity(device), None, "", None, ""]


def _general_cells(device: Equipment, today: date) -> list[Value]:
    department, name, model, serial, manufacturer, asset_tag, installed_on, warranty_until = _identity(device)
    return [
        device.data_type,
        department,
        device.location.name if device.location else "",
        name,
        model,
        serial,
        manufacturer,
        asset_tag,
        device.status,
        device.risk_class,
        installed_on,
        warranty_until,
        device.purchased_on,
        device.purchase_cost,
        device.supplier,
        device.disposed_on,
    ]


class _Echo:
    """What csv writes to: hands each line back."""

    def write(self, line: str) -> str:
        return line


def _csv_chunks(columns: tuple[str, ...], rows: Iterable[list[Value]]) -> Iterator[bytes]:
    # Without the mark at the beginning, spreadsheet programs take UTF-8 for something else.
    pending = "\ufeff" + ",".join(columns) + "\r\n"
    writer = csv.writer(_Echo())
    for row in rows:
        pending += writer.writerow([_csv_text(value) for value in row])
        if len(pending) >= CHUNK_BYTES:
            yield pending.encode()
            pending = ""
    yield pending.encode()


def _csv_text(value: Value) -> str:
    if isinstance(value, str):
        return escape(value)
    return "" if value is None else value.isoformat() if isinstance(value, date) else str(value)


def _xlsx_chunks(columns: tuple[str, ...], rows: Iterable[list[Value]]) -> Iterator[bytes]:
    book = Workbook(write_only=True)
    sheet: Any = book.create_sheet("Equipment")
    sheet.freeze_panes = "A2"
    header = [WriteOnlyCell(sheet, value=column) for column in columns]
    for cell in header:
        cell.font = Font(bold=True)
    sheet.append(header)
    for row in rows:
        sheet.append([_xlsx_cell(sheet, value) for value in row])
    with tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        book.save(file)
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _xlsx_cell(sheet: Any, value: Value) -> Any:
    if isinstance(value, date):
        if value < FIRST_SHEET_DAY:
            return value.isoformat()
        cell = WriteOnlyCell(sheet, value=datetime.combine(value, time.min))
        cell.number_format = "yyyy-mm-dd"
        return cell
    if not isinstance(value, str):
        return value
    # The apostrophe as in CSV: as a text the cell is safe, but a sheet is easily saved as CSV.
    text = NOT_XML.sub(lambda match: _escaped_character(match[0]), escape(value))
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"
    return cell


def _escaped_character(text: str) -> str:
    return f"_x{ord(text):04X}_" if len(text) == 1 else "_x005F_x"
