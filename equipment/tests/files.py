"""Register files for tests: rows by column name, written as CSV or XLSX."""

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from openpyxl import Workbook

from equipment.imports.columns import OCM_COLUMNS, PPM_COLUMNS

PPM_ROW = {
    "NO": "1",
    "Department": "Cardiology",
    "Name": "Defibrillator",
    "MODEL": "HeartStart",
    "SERIAL": "PPM-1",
    "MANUFACTURER": "Philips",
    "LOG_Number": "LOG-1",
    "Installation_Date": "15/01/2020",
    "Warranty_End": "14/01/2022",
    "PPM_Q_I_date": "10/01/2024",
    "PPM_Q_I_engineer": "Sami",
    "PPM_Q_II_date": "10/04/2024",
    "PPM_Q_III_date": "10/07/2024",
    "PPM_Q_IV_date": "10/10/2024",
}
OCM_ROW = {
    "NO": "1",
    "Department": "Laboratory",
    "Name": "Centrifuge",
    "Model": "5810",
    "Serial": "OCM-1",
    "Manufacturer": "Eppendorf",
    "Log_Number": "LOG-2",
    "Installation_Date": "2019-06-01",
    "Warranty_End": "N/A",
    "Service_Date": "2024-02-01",
    "Engineer": "Lina",
}


def ppm_file(*rows: Mapping[str, Any], **how: Any) -> io.BytesIO:
    """A PPM register; each row is PPM_ROW with what is given."""
    return csv_file(PPM_COLUMNS, [{**PPM_ROW, **row} for row in rows], **how)


def ocm_file(*rows: Mapping[str, Any], **how: Any) -> io.BytesIO:
    """An OCM register; each row is OCM_ROW with what is given."""
    return csv_file(OCM_COLUMNS, [{**OCM_ROW, **row} for row in rows], **how)


def csv_file(
    columns: Iterable[str], rows: Iterable[Mapping[str, Any]], *, delimiter: str = ",", encoding: str = "utf-8"
) -> io.BytesIO:
    columns = list(columns)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return io.BytesIO(text.getvalue().encode(encoding))


def xlsx_file(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> io.BytesIO:
    """A workbook as openpyxl writes it: a text that begins with = becomes a formula."""
    columns = list(columns)
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append(columns)
    for row in rows:
        sheet.append([row.get(column) for column in columns])
    file = io.BytesIO()
    book.save(file)
    file.seek(0)
    return file


def many_devices(count: int, **values: Any) -> list[dict[str, Any]]:
    """PPM rows of so many devices, in twenty departments and of fifty models."""
    return [
        PPM_ROW
        | {
            "SERIAL": f"S/{number:06d}",
            "LOG_Number": f"L{number:06d}",
            "Department": f"Department {number % 20}",
            "MODEL": f"Model {number % 50}",
        }
        | values
        for number in range(count)
    ]


def with_part(file: io.BytesIO, part: str, content: bytes) -> io.BytesIO:
    """The same XLSX file with one part replaced or added."""
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
        new.writestr(part, content)
    changed.seek(0)
    return changed


def hand_made_workbook(sheet: bytes, texts: bytes = b"<sst/>", workbook: bytes = b"") -> io.BytesIO:
    """The few parts a workbook needs, with shared texts as Excel writes them (openpyxl puts texts into the cells)."""
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "xl/workbook.xml",
            b'<workbook xmlns:r="%s">%s<sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>'
            % (relations.encode(), workbook),
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships><Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="r2" Type="{relations}/sharedStrings" Target="sharedStrings.xml"/>'
            f'<Relationship Id="r3" Type="{relations}/styles" Target="/xl/styles.xml"/></Relationships>',
        )
        archive.writestr("xl/worksheets/sheet1.xml", b"<worksheet><sheetData>" + sheet + b"</sheetData></worksheet>")
        archive.writestr("xl/sharedStrings.xml", texts)
        archive.writestr(
            "xl/styles.xml",
            b'<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd/mm/yyyy"/></numFmts><cellStyleXfs>'
            b'<xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>',
        )
    file.seek(0)
    return file
