"""One cell: from what a file holds to a text or a date, and back without letting a spreadsheet compute it.

Text is written so that reading it gives the same text again: `read_text(escape(text)) == text` for every text that
`read_text` can return.
"""

import re
from datetime import date, datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from equipment.imports.limits import CELL_CHARACTERS


class Formula:
    """What a spreadsheet would compute; its value depends on who opens the file, so it is never taken."""

    def __repr__(self) -> str:
        return "FORMULA"


FORMULA = Formula()

Cell = str | int | float | bool | date | datetime | Formula | None

EMPTY_WORDS = frozenset({"", "-", "--", "–", "—", "n/a", "na", "n.a.", "n.a", "#n/a"})
SPREADSHEET_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!"})
# The second four are the full-width twins, which some spreadsheet programs take for the same.
FORMULA_STARTS = "=+-@＝＋－＠"
# What cannot compute anything: a signed number, a telephone number, a part number with a digit in it.
HARMLESS_AFTER_SIGN = re.compile(r"[+-]([\d\s()./-]*\d[\d\s()./-]*|(?=[^+]*\d)[\w .-]+)")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
EXACT_DIGITS = 15

DAY_FIRST = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})")
YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?")
FIRST_YEAR, LAST_YEAR = 1900, 2199


class CellError(ValueError):
    """What is wrong with one cell, as a sentence."""


def read_text(cell: Cell) -> str:
    """The text of a cell without blanks around it; "" for an empty cell, N/A and dashes.

    A leading apostrophe that `escape` put there is taken off. Raises CellError for formulas, spreadsheet errors,
    control characters, dates, and numbers too long to have been kept exactly.
    """
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return _text_of_value(cell)
    if CONTROL_CHARACTERS.search(cell):
        raise CellError(_("%s contains control characters") % shown(cell))
    text = cell.strip()
    if _is_wrapped(text):
        return text[2:-1]
    if text.startswith("'") and needs_escape(text[1:]):
        return text[1:]
    if text.lower() in EMPTY_WORDS:
        return ""
    if looks_like_formula(text):
        raise CellError(_("formula injection: %s would be computed by a spreadsheet program") % shown(text))
    if text in SPREADSHEET_ERRORS:
        raise CellError(_("%s is an error of the spreadsheet") % text)
    if len(text) > CELL_CHARACTERS:
        raise CellError(_("the cell has more than %d characters") % CELL_CHARACTERS)
    return text


def read_date(cell: Cell) -> date | None:
    """The date of a cell: YYYY-MM-DD or, day first, DD/MM/YYYY (also with dots or dashes); None for an empty one.

    Raises CellError for anything else, for days that do not exist and for years outside FIRST_YEAR to LAST_YEAR.
    """
    if isinstance(cell, datetime):
        found = cell.date()
    elif isinstance(cell, date):
        found = cell
    elif isinstance(cell, (int, float)):
        raise CellError(_("%s is not a date") % shown(str(cell)))
    else:
        text = read_text(cell)
        if not text:
            return None
        found = _date_of_text(text)
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise CellError(
            _("the year of %(date)s lies outside %(first)d to %(last)d")
            % {"date": found.isoformat(), "first": FIRST_YEAR, "last": LAST_YEAR}
        )
    return found


def escape(text: str) -> str:
    """The text as it is written to a cell: with an apostrophe before it where it could be taken for something else.

    Blanks around a text, which reading would drop, are kept by quotes behind the apostrophe.
    """
    if text != text.strip():
        return f'\'"{text}"'
    return "'" + text if needs_escape(text) else text


def needs_escape(text: str) -> bool:
    """Whether a spreadsheet program would compute the text, or `read_text` take it for something else."""
    return bool(text) and (
        text[0] in FORMULA_STARTS
        or text != text.strip()
        or text.lower() in EMPTY_WORDS
        or text in SPREADSHEET_ERRORS
        or _is_wrapped(text)
        or (text[0] == "'" and needs_escape(text[1:]))
    )


def _is_wrapped(text: str) -> bool:
    return len(text) > 3 and text.startswith("'\"") and text.endswith('"') and text[2:-1] != text[2:-1].strip()


def looks_like_formula(text: str) -> bool:
    """Whether a spreadsheet program might compute the text.

    A sign alone does not make it one: -12A, +A1 and +49 (30) 1234-5 are numbers of things.
    """
    if not text or text[0] not in FORMULA_STARTS:
        return False
    sign = {"＝": "=", "＋": "+", "－": "-", "＠": "@"}.get(text[0], text[0])
    return not HARMLESS_AFTER_SIGN.fullmatch(sign + text[1:])


def shown(text: str) -> str:
    """The text for a message: short, in quotes, and with nothing in it that a terminal obeys."""
    short = text if len(text) <= 60 else text[:57] + "…"
    return ascii(short) if not short.isprintable() else f"“{short}”"


def _text_of_value(cell: int | float | bool | date | Formula) -> str:
    if isinstance(cell, Formula):
        raise CellError(_("formula injection: the cell holds a formula"))
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, date):
        raise CellError(_("%s is a date, and a text belongs here") % cell.isoformat())
    if isinstance(cell, float) and cell != cell.__trunc__():
        return f"{Decimal(repr(cell)):f}"
    digits = str(int(cell))
    if len(digits.lstrip("-")) > EXACT_DIGITS:
        raise CellError(_("%s is a number too long for a spreadsheet to keep; enter it as text") % digits)
    return digits


def _date_of_text(text: str) -> date:
    try:
        if match := YEAR_FIRST.fullmatch(text):
            return date(int(match[1]), int(match[3]), int(match[4]))
        if match := DAY_FIRST.fullmatch(text):
            return date(int(match[4]), int(match[3]), int(match[1]))
    except ValueError:
        raise CellError(_("%s is not a day of the calendar") % shown(text)) from None
    raise CellError(_("%s is not a date; write it as DD/MM/YYYY or YYYY-MM-DD") % shown(text))
