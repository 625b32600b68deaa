"""Files that are no register: each gets one clear error, quickly, and in little memory."""

import io
import os
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
import zlib
from datetime import datetime

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook

from equipment.imports import FileRefused, limits
from equipment.imports.columns import PPM_COLUMNS
from equipment.imports.sources import opened
from equipment.imports.tables import Table
from equipment.tests.files import OCM_ROW, PPM_ROW, hand_made_workbook, ppm_file, with_part, xlsx_file

SHEET = "xl/worksheets/sheet1.xml"
BEGIN_SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
END_SHEET = b"</sheetData></worksheet>"

pytestmark = pytest.mark.once


def lines(source, name=""):
    with opened(source, name) as file:
        return list(Table(file).lines())


def refusal(source, name=""):
    with pytest.raises(FileRefused) as refused:
        lines(source, name)
    return str(refused.value)


def workbook():
    return xlsx_file(PPM_COLUMNS, [PPM_ROW])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiter_and_byte_order_mark_are_found_out(delimiter, encoding):
    (line,) = lines(ppm_file({"Name": "Überwachung; a, b"}, delimiter=delimiter, encoding=encoding))

    assert line.number == 2
    assert line.cells["name"] == "Überwachung; a, b"


def test_rows_are_numbered_as_a_spreadsheet_numbers_them():
    file = io.BytesIO(b'sep=;\r\n\r\nName;Serial\r\n"two\r\nlines";1\r\n\r\n;\r\nlast;2')

    assert [(line.number, line.cells["name"]) for line in lines(file)] == [(4, "two\r\nlines"), (7, "last")]


def test_lines_may_end_as_on_an_old_mac():
    assert [line.cells["serial"] for line in lines(io.BytesIO(b"Name,Serial\rone,1\rtwo,2\r"))] == ["1", "2"]


def test_xlsx_cells_keep_their_kind_and_place():
    book = Workbook()
    sheet = book.active
    sheet.append(["Name", "Serial", "Day"])
    sheet["A4"], sheet["B4"], sheet["C4"] = "two\nlines", 12345.0, "=1+1"

    file = io.BytesIO()
    book.save(file)
    (line,) = lines(file)

    assert line.number == 4
    assert line.cells["name"] == "two\nlines"
    assert line.cells["serial"] == 12345
    assert repr(line.cells["day"]) == "FORMULA"


def test_a_hidden_first_sheet_is_not_read():
    book = Workbook()
    book.active.append(["Hidden"])
    book.active.sheet_state = "hidden"
    book.create_sheet("Shown").append(["Shown"])
    file = io.BytesIO()
    book.save(file)

    with opened(file) as source:
        assert Table(source).titles == ["Shown"]


def test_an_uploaded_file_stays_open():
    upload = SimpleUploadedFile("ppm.csv", ppm_file({}).getvalue())

    lines(upload)

    assert upload.size
    assert upload.read() == b"" or not upload.closed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "no row at all"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
        (b"%PDF-1.7\n\x00\x01\x02", "binary"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"old Excel file \(.xls\) or one with a password"),
        ("Name,Serial\nä,1\n".encode("utf-16"), "UTF-16"),
        ("Name,Serial\nok,1\nBären,2\n".encode("latin-1"), "position 18, in line 3"),
        (b"Name,Serial\nx," + b"\xc3", "position 14, in line 2"),
        (b"Name,Serial\n" + b"x,1\n" * 3000 + b"a\x00b,2\n", "Line 3002 holds a NUL byte"),
        (b'Name,Serial\n"never closed,1\nx,2\n', "quotes do not match: from row 2"),
        (b'Name,Serial\n"a"b,1\n', "Row 2 is not valid CSV"),
        (b"Name,Name \n1,2\n", "Columns appear twice"),
        (b"=1+1,Serial\n1,2\n", "header of column 1 is unusable: formula injection"),
        (b"PK\x03\x04 and nothing more", "XLSX file is damaged"),
        (b"," * 300 + b"x\n", "more than 256 columns"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(content, message):
    with pytest.raises(FileRefused, match=message):
        lines(io.BytesIO(content))


def test_the_end_of_a_chunk_does_not_hide_where_the_wrong_byte_is():
    row = "ä" * 499 + ",1\n"
    good = ("Name,Serial\n" + row * 1000).encode()

    assert f"position {len(good)}, in line 1002" in refusal(io.BytesIO(good + b"\xff,2\n"))


def test_a_name_is_not_believed():
    assert "not an XLSX file" in refusal(ppm_file({}), "register.xlsx")
    assert lines(workbook(), "register.csv")


def test_what_is_no_file_is_refused(tmp_path):
    assert "There is no file" in refusal(tmp_path / "missing.csv")
    assert "not a file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refusal(tmp_path / "pipe")


def test_a_file_of_200_megabytes_is_refused_by_its_size(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)

    begin = time.perf_counter()

    assert "200 MB; at most 50 MB" in refusal(path)
    assert time.perf_counter() - begin < 1


def test_endless_lines_and_fields_are_refused_unread():
    assert "Line 2 has more than" in refusal(io.BytesIO(b"Name,Serial\n" + b"x" * 40_000_000))
    assert "far too long" in refusal(io.BytesIO(b'Name,Serial\n"' + b"x\n" * 20_000_000))


def test_more_rows_than_a_register_has_are_refused(monkeypatch):
    monkeypatch.setattr(limits, "ROWS", 3)

    assert "more than 3 rows" in refusal(ppm_file({}, {}, {}, {}))


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        (SHEET, BEGIN_SHEET + b"<row>", "damaged"),
        (SHEET, BEGIN_SHEET + b"<row><c/></row>" * 5 + b"</x>", "damaged"),
        (SHEET, BEGIN_SHEET + b"<row>" + b"<c/>" * 300 + b"</row>" + END_SHEET, "beyond column 256"),
        (SHEET, BEGIN_SHEET + b'<row><c r="XFD1"/></row>' + END_SHEET, "beyond column 256"),
        (SHEET, BEGIN_SHEET + b'<row><c r="B1"/><c r="A1"/></row>' + END_SHEET, "out of order"),
        (SHEET, BEGIN_SHEET + b'<row r="5"/><row r="5"/>' + END_SHEET, "wrong place"),
        (SHEET, BEGIN_SHEET + b'<row r="1048577"/>' + END_SHEET, "wrong place"),
        (SHEET, BEGIN_SHEET + b'<row><c t="s"><v>99</v></c></row>' + END_SHEET, "not there"),
        (SHEET, BEGIN_SHEET + b"<row><c><v>1e999</v></c></row>" + END_SHEET, "number that is none"),
        (SHEET, b'<!DOCTYPE x [<!ENTITY a "b">]>' + BEGIN_SHEET + END_SHEET, "document type"),
        (SHEET, BEGIN_SHEET + b"<!--" + b"x" * 3_000_000 + b"-->" + END_SHEET, "never ends"),
        ("xl/workbook.xml", b"<workbook/>", "no sheet"),
        ("xl/styles.xml", b" " * 5_000_000, "unpacks to more"),
    ],
)
def test_a_workbook_made_to_do_harm_is_refused(part, content, message):
    assert message in refusal(with_part(workbook(), part, content))


def test_a_list_of_endlessly_many_texts_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "TEXTS", 1000)
    texts = b"<sst>" + b"<si><t>a</t></si>" * 1001 + b"</sst>"

    assert "different texts" in refusal(hand_made_workbook(b"", texts))


def test_shared_texts_and_dates_are_read_as_excel_writes_them():
    texts = (
        b"<sst><si><t>Name</t></si><si><t>Day</t></si>"
        b'<si><r><t xml:space="preserve">Infusion </t></r><r><t>pump</t></r><rPh sb="0" eb="1"><t>aside</t></rPh></si>'
        b"<si><t>one_x000D_two_x005F_x000D_</t></si></sst>"
    )
    sheet = (
        b'<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        b'<row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2" s="1"><v>45323</v></c></row>'
        b'<row r="3"><c r="A3" t="s"><v>3</v></c><c r="B3" s="0"><v>45323</v></c></row>'
        b'<row r="4"><c r="A4" t="str"><f>B2</f><v>x</v></c><c r="B4" t="e"><v>#REF!</v></c></row>'
    )

    first, second, third = lines(hand_made_workbook(sheet, texts))
    (_first, *_rest) = lines(hand_made_workbook(sheet, texts, b'<workbookPr date1904="1"/>'))

    assert first.cells == {"name": "Infusion pump", "day": datetime(2024, 2, 1)}  # noqa: DTZ001 - spreadsheets know no time zones
    assert second.cells == {"name": "one\rtwo_x000D_", "day": 45323}
    assert repr(third.cells["name"]) == "FORMULA"
    assert third.cells["day"] == "#REF!"
    assert _first.cells["day"] == datetime(2028, 2, 2)  # noqa: DTZ001 - spreadsheets know no time zones


def test_a_workbook_with_a_password_or_too_many_parts_is_refused():
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(1100):
            archive.writestr(f"{number}.xml", "")
    encrypted = bytearray(workbook().getvalue())
    entry = encrypted.find(b"PK\x01\x02")
    encrypted[entry + 8] |= 1

    assert "1100 parts" in refusal(many)
    assert "password" in refusal(io.BytesIO(bytes(encrypted)))


def test_a_directory_of_a_million_parts_is_refused_unread():
    directory = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 14, 0, 0)[:46] * 100_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFE, 0xFFFE, len(directory), 4, 0)

    assert "more parts than any spreadsheet" in refusal(io.BytesIO(b"PK\x03\x04" + directory + end))


def sheet_of_gigabytes(directory_tells_it: bool) -> bytes:
    """A workbook of a few megabytes whose sheet unpacks to two gigabytes, which its directory may deny."""
    file = io.BytesIO()
    with zipfile.ZipFile(workbook()) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for name in old.namelist():
            if name != SHEET:
                new.writestr(name, old.read(name))
        with new.open(SHEET, "w") as sheet:
            sheet.write(BEGIN_SHEET)
            filler = b"<row><c><v>1</v></c></row>" * 40_000
            for _chunk in range(2 * 2**30 // len(filler) if directory_tells_it else 400):
                sheet.write(filler)
    data = bytearray(file.getvalue())
    if not directory_tells_it:
        entry = data.rfind(SHEET.encode()) - 46
        data[entry + 24 : entry + 28] = struct.pack("<L", 1000)
        data[entry + 16 : entry + 20] = struct.pack("<L", zlib.crc32(b""))
    return bytes(data)


@pytest.mark.parametrize("directory_tells_it", [True, False])
def test_a_workbook_that_unpacks_to_gigabytes_is_refused_in_two_seconds_and_200_megabytes(tmp_path, directory_tells_it):
    path = tmp_path / "bomb.xlsx"
    path.write_bytes(sheet_of_gigabytes(directory_tells_it))
    program = """
        import re, sys, time
        from pathlib import Path
        from equipment.imports.exceptions import FileRefused
        from equipment.imports.sources import opened
        from equipment.imports.tables import Table
        begin = time.process_time()
        try:
            with opened(Path(sys.argv[1])) as file:
                list(Table(file).lines())
        except FileRefused:
            # Not ru_maxrss: it begins with what the process had that started this one.
            memory = Path("/proc/self/status")
            peak = re.search(r"VmHWM:\\s+(\\d+) kB", memory.read_text())[1] if memory.exists() else 0
            print("refused", time.process_time() - begin, int(peak) // 1024)
    """
    program = "import django; from django.conf import settings; django.setup()\n" + textwrap.dedent(program)

    answer = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "project.settings"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert answer[0] == "refused"
    assert float(answer[1]) < 2
    assert int(answer[2]) < 200


def test_both_kinds_of_register_have_their_columns_named_when_they_are_missing():
    from equipment.imports.columns import layout_of

    with pytest.raises(FileRefused, match=r"neither a PPM nor an OCM.*Found: “Colour”, “Size”"):
        layout_of(["Colour", "Size"])
    with pytest.raises(FileRefused, match=r"PPM register are missing: PPM_Q_IV_engineer\. Found"):
        layout_of(list(PPM_COLUMNS)[:-1])
    with pytest.raises(FileRefused, match=r"OCM register are missing: Engineer\. Found"):
        layout_of([column for column in OCM_ROW if column != "Engineer"])
    with pytest.raises(FileRefused, match="import them as two files"):
        layout_of([*PPM_COLUMNS, "Service_Date"])


@pytest.mark.parametrize(
    "change", [str.upper, str.lower, lambda title: title.replace("_", " "), lambda title: f" {title} "]
)
def test_a_header_is_known_in_any_letter_case_and_spacing(change):
    from equipment.imports.columns import layout_of

    layout = layout_of([change(column) for column in PPM_COLUMNS] + ["Colour"])

    assert layout.format == "ppm"
    assert layout.ignored == ("Colour",)
