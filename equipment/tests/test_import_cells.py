"""What single cells mean, and that writing a text and reading it again gives the same text."""

from datetime import date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from equipment.imports.cells import FORMULA, CellError, escape, looks_like_formula, read_date, read_text

# Everything but control characters, which are refused, and halves of surrogate pairs, which no file can hold.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r"), max_size=20)
NASTY_TEXTS = TEXTS | st.builds(
    str.__add__,
    st.sampled_from(["=", "+", "-", "@", "'", "''", "'\"", '"', "\t", "\r", " ", "n/a", "=1", "_x000D_"]),
    TEXTS,
)


@pytest.mark.once
@given(NASTY_TEXTS)
@example("'s-Hertogenbosch")
@example('\'" x "')
@example("''\" x \"")
@example("N/A")
@example("#REF!")
@example("＝1+1")
def test_an_escaped_text_is_read_as_it_was(text):
    assert read_text(escape(text)) == text


@pytest.mark.once
@given(NASTY_TEXTS)
def test_no_escaped_text_begins_like_a_formula(text):
    assert not escape(text).startswith(("=", "+", "-", "@", "\t=", "\r=", " =", "＝", "＋", "－", "＠"))


@pytest.mark.once
@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=",
        "@SUM(A1)",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "-cmd|'/C calc'!A0",
        "+SUM(1;2)",
        "\t=1+1",
        "\r=1+1",
        " =1+1",
        "＝1+1",
        "+cmd",
        "-1;2",
        '=HYPERLINK("http://example.org")',
    ],
)
def test_a_formula_is_refused(text):
    with pytest.raises(CellError, match="formula injection"):
        read_text(text)


@pytest.mark.once
@pytest.mark.parametrize(
    "text", ["-12A", "+A1", "+49 30 123456", "+49 (0)30 12-34", "-12.5", "-0042", "A=B", "a@b.c", "x+y"]
)
def test_a_number_with_a_sign_is_no_formula(text):
    assert read_text(text) == text
    assert not looks_like_formula(text)


@pytest.mark.once
@pytest.mark.parametrize("text", ["", " ", "\xa0", "-", "--", "–", "N/A", "n/a", "NA", "n.a.", "#N/A", None])
def test_what_stands_for_nothing_is_empty(text):
    assert read_text(text) == ""
    assert read_date(text) is None


@pytest.mark.once
@pytest.mark.parametrize(
    ("cell", "text"),
    [(12345.0, "12345"), (12345, "12345"), (0.5, "0.5"), (1e-7, "0.0000001"), (True, "TRUE"), (0, "0")],
)
def test_a_number_becomes_the_text_a_person_sees(cell, text):
    assert read_text(cell) == text


@pytest.mark.once
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (FORMULA, "formula injection"),
        ("#REF!", "error of the spreadsheet"),
        (datetime(2024, 1, 2), "is a date"),  # noqa: DTZ001 - spreadsheets know no time zones
        (1234567890123456.0, "too long"),
        ("bell\x07", "control characters"),
        ("x" * 40_000, "more than"),
    ],
)
def test_a_cell_without_a_certain_text_is_refused(cell, message):
    with pytest.raises(CellError, match=message):
        read_text(cell)


@pytest.mark.once
@pytest.mark.parametrize(
    "cell",
    [
        "2024-02-01",
        "2024/2/1",
        "2024-02-01 00:00:00",
        "2024-02-01T00:00",
        "01/02/2024",
        "1/2/2024",
        "01.02.2024",
        "01-02-2024",
        " 01/02/2024 ",
        date(2024, 2, 1),
        datetime(2024, 2, 1, 23, 59),  # noqa: DTZ001 - spreadsheets know no time zones
    ],
)
def test_a_date_is_read_day_first_or_year_first(cell):
    assert read_date(cell) == date(2024, 2, 1)


@pytest.mark.once
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("30/02/2024", "not a day of the calendar"),
        ("13/25/2024", "not a day of the calendar"),
        ("2024-13-01", "not a day of the calendar"),
        ("01/02-2024", "not a date"),
        ("01/02/24", "not a date"),
        ("soon", "not a date"),
        (45000, "not a date"),
        ("01/02/0224", "outside 1900 to 2199"),
        ("=TODAY()", "formula injection"),
    ],
)
def test_what_is_no_date_is_refused(cell, message):
    with pytest.raises(CellError, match=message):
        read_date(cell)
