"""Rows of the first sheet of an XLSX file, parsed as it is unpacked.

The parts are read here and not by openpyxl, which builds a tree of each: a row of millions of cells or a list of
millions of texts then fills the memory before anybody can say no. What number formats mean is openpyxl's knowledge.
"""

import posixpath
import re
from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from equipment.imports import limits
from equipment.imports.archives import Archive, opened_archive
from equipment.imports.cells import FORMULA, Cell
from equipment.imports.exceptions import FileRefused
from equipment.imports.sources import Source
from equipment.imports.xml_events import parse, parsing

WORKBOOK = "xl/workbook.xml"
RELATIONS = "xl/_rels/workbook.xml.rels"
ESCAPED_CHARACTER = re.compile(r"_x([0-9A-Fa-f]{4})_")
REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
# Reading rich text: furigana (rPh) stand beside the text and are not part of it.
NOT_TEXT = frozenset({"rPh", "phoneticPr"})


def read_xlsx(source: Source) -> Iterator[tuple[int, list[Cell]]]:
    """Each row that the first sheet holds, with its number there; gaps are left out.

    Raises FileRefused at the first thing that cannot be read.
    """
    with opened_archive(source.stream) as archive:
        workbook = _Workbook(archive)
        texts = _texts(archive, workbook.part("sharedStrings"))
        sheet = _Sheet(texts, _date_styles(archive, workbook.part("styles")), workbook.epoch)
        chunks = archive.chunks(workbook.sheet, limits.ARCHIVE_BYTES)
        for _step in parsing(chunks, sheet.start, sheet.end, sheet.characters):
            yield from sheet.taken()


def unescaped(text: str) -> str:
    """The text with what XML cannot hold put back: `_x000D_` is a carriage return."""
    return ESCAPED_CHARACTER.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


class _Workbook:
    """Where the parts are: `sheet` is the first visible sheet's, `epoch` the day that dates count from."""

    def __init__(self, archive: Archive) -> None:
        self._targets: dict[str, tuple[str, str]] = {}
        self._sheets: list[tuple[str, str]] = []
        self.epoch = WINDOWS_EPOCH
        parse(archive.chunks(WORKBOOK, limits.STRUCTURE_BYTES), self._in_workbook)
        parse(archive.chunks(RELATIONS, limits.STRUCTURE_BYTES), self._in_relations)
        visible = [relation for relation, state in self._sheets if state == "visible"]
        target = self._targets.get(visible[0]) if visible else None
        if target is None or target[0] != "worksheet":
            raise FileRefused(_("The XLSX file holds no sheet with cells."))
        self.sheet = target[1]

    def part(self, kind: str) -> str | None:
        return next((target for found, target in self._targets.values() if found == kind), None)

    def _in_workbook(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            relation = next((value for key, value in attributes.items() if key.endswith(" id")), "")
            self._sheets.append((relation, attributes.get("state", "visible")))
        elif name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            self.epoch = MAC_EPOCH

    def _in_relations(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/xl", attributes.get("Target", ""))).lstrip("/")
            self._targets[attributes.get("Id", "")] = (attributes.get("Type", "").rsplit("/", 1)[-1], target)


class _Sheet:
    """Rows from the events of a sheet's XML."""

    def __init__(self, texts: list[str], date_styles: frozenset[int], epoch: datetime) -> None:
        self._texts, self._date_styles, self._epoch = texts, date_styles, epoch
        self._rows: list[tuple[int, list[Cell]]] = []
        self._row: list[Cell] = []
        self._number = self._count = self._column = self._aside = 0
        self._type = self._style = ""
        self._is_formula = self._listening = False
        self._text: list[str] = []
        self._length = 0

    def taken(self) -> list[tuple[int, list[Cell]]]:
        rows, self._rows = self._rows, []
        return rows

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._start_cell(attributes)
        elif name == "row":
            self._start_row(attributes)
        elif name in {"v", "t"}:
            self._listening = not self._aside
        elif name == "f":
            self._is_formula = True
        elif name in NOT_TEXT:
            self._aside += 1

    def characters(self, data: str) -> None:
        if self._listening:
            self._length += len(data)
            if self._length > limits.LINE_CHARACTERS:
                raise FileRefused(_("Row %d is far too long.") % self._number)
            self._text.append(data)

    def end(self, name: str) -> None:
        if name in {"v", "t"}:
            self._listening = False
        elif name == "c":
            self._row.extend([None] * (self._column - 1 - len(self._row)))
            self._row.append(self._value("".join(self._text)))
        elif name == "row":
            self._rows.append((self._number, self._row))
        elif name in NOT_TEXT:
            self._aside -= 1

    def _start_row(self, attributes: dict[str, str]) -> None:
        number = _whole(attributes.get("r", ""), self._number + 1)
        self._count += 1
        if number <= self._number or max(number, self._count) > limits.SHEET_ROWS:
            raise FileRefused(_("The sheet is damaged: row %d comes at the wrong place.") % number)
        self._number, self._row, self._column, self._length = number, [], 0, 0

    def _start_cell(self, attributes: dict[str, str]) -> None:
        reference = REFERENCE.fullmatch(attributes.get("r", ""))
        column = _column_number(reference[1]) if reference else self._column + 1
        if column > limits.COLUMNS:
            raise FileRefused(
                _("Row %(row)d goes beyond column %(limit)d; no register is that wide.")
                % {"row": self._number, "limit": limits.COLUMNS}
            )
        if column <= self._column:
            raise FileRefused(_("The sheet is damaged: the cells of row %d are out of order.") % self._number)
        self._column = column
        self._type, self._style = attributes.get("t", "n"), attributes.get("s", "")
        self._is_formula, self._text = False, []

    def _value(self, raw: str) -> Cell:
        if self._is_formula:
            return FORMULA
        if self._type == "s":
            index = _whole(raw, -1)
            if not 0 <= index < len(self._texts):
                raise FileRefused(_("The sheet is damaged: row %d refers to a text that is not there.") % self._number)
            return self._texts[index]
        if self._type == "b":
            return raw.strip() == "1"
        if self._type in {"n", "d"}:
            return self._number_or_date(raw.strip())
        return unescaped(raw)

    def _number_or_date(self, raw: str) -> Cell:
        if not raw:
            return None
        try:
            if self._type == "d":
                return datetime.fromisoformat(raw)
            number: int | float = int(raw) if raw.lstrip("-").isdecimal() and len(raw) <= 18 else float(raw)
            if _whole(self._style, -1) in self._date_styles:
                found = from_excel(number, self._epoch)
                return found if isinstance(found, datetime) else raw
            if number != number or number in (float("inf"), float("-inf")):
                raise ValueError
        except (ValueError, OverflowError):
            raise FileRefused(_("The sheet is damaged: row %d holds a number that is none.") % self._number) from None
        return number


class _Texts:
    """The texts that cells refer to by number."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._parts: list[str] = []
        self._aside = 0
        self._listening = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            if len(self.found) >= limits.TEXTS:
                raise FileRefused(_("The XLSX file holds more than %d different texts.") % limits.TEXTS)
            self._parts = []
        elif name in NOT_TEXT:
            self._aside += 1
        elif name == "t":
            self._listening = not self._aside

    def end(self, name: str) -> None:
        if name == "t":
            self._listening = False
        elif name in NOT_TEXT:
            self._aside -= 1
        elif name == "si":
            self.found.append(unescaped("".join(self._parts)))

    def characters(self, data: str) -> None:
        if self._listening:
            self._parts.append(data)


def _texts(archive: Archive, part: str | None) -> list[str]:
    texts = _Texts()
    if part is not None and part in archive:
        parse(archive.chunks(part, limits.TEXTS_BYTES), texts.start, texts.end, texts.characters)
    return texts.found


def _date_styles(archive: Archive, part: str | None) -> frozenset[int]:
    """The cell styles that show a number as a date."""
    own_formats: dict[int, str] = {}
    styles: list[int] = []
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            own_formats[_whole(attributes.get("numFmtId", ""), -1)] = attributes.get("formatCode", "")
        elif name == "xf" and inside and inside[-1] == "cellXfs":
            styles.append(_whole(attributes.get("numFmtId", ""), 0))
        inside.append(name)

    def end(name: str) -> None:
        inside.pop()

    if part is not None and part in archive:
        parse(archive.chunks(part, limits.STRUCTURE_BYTES), start, end)
    formats = [own_formats.get(number) or BUILTIN_FORMATS.get(number, "General") for number in styles]
    return frozenset(index for index, text in enumerate(formats) if is_date_format(text))


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) <= 9 else otherwise


def _column_number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
