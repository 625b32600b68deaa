"""Keys: every value with its type, no two different ones alike."""

from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invalidation.exceptions import UnkeyableValueError
from invalidation.keys import LONGEST_READABLE, params_text, text_of

pytestmark = pytest.mark.once

PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.dates() | st.uuids()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("a:", "b"), ("a", ":b")),
        (1, "1"),
        (1, True),
        (0, False),
        (None, "None"),
        (None, "null"),
        ("", None),
        (1, 1.0),
        (1, Decimal(1)),
        (Decimal("1.0"), Decimal("1.00")),
        ("a", b"a"),
        (["a", "b"], ["a,b"]),
        (["a'", "b"], ["a", "'b"]),
        ([["a"], "b"], ["a", ["b"]]),
        ({"a": "1&b=2"}, {"a": "1", "b": "2"}),
        ({"a": [1, 2]}, {"a": 1}),
        (date(2026, 1, 1), "2026-01-01"),
        (date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),  # noqa: DTZ001 - a naive one is meant
        (time(1, 2), "01:02:00"),
        (timedelta(days=1), timedelta(seconds=1)),
        (UUID(int=1), "1"),
        ({1, 2}, [1, 2]),
        ("x", "X"),
        ("é", "e"),
    ],
)
def test_what_differs_has_another_text(left, right):
    assert text_of(left) != text_of(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"b": 2, "a": 1}, OrderedDict(a=1, b=2)),
        ({3, 1, 2}, {2, 3, 1}),
        ([1, 2], (1, 2)),
        (
            datetime(2026, 1, 1, 12, tzinfo=UTC),
            datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        ),
    ],
)
def test_what_is_the_same_has_one_text(left, right):
    assert text_of(left) == text_of(right)


def same(left, right):
    """Equal in value and in type, all the way down: 1, 1.0 and True are equal to Python."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return left == right


@given(VALUES, VALUES)
def test_texts_are_equal_exactly_when_values_are(left, right):
    assert (text_of(left) == text_of(right)) == same(left, right)


@given(st.dictionaries(st.text(), PLAIN, max_size=6))
def test_the_order_of_parameters_does_not_matter(params):
    backwards = dict(reversed(list(params.items())))

    assert params_text(params) == params_text(backwards)


@given(st.text())
def test_a_text_cannot_break_out_of_its_place_in_a_key(text):
    written = text_of(text)[1:-1]

    assert not set(written) & set(":'&=,[]{}<>#\r\n*?")


def test_long_parameters_end_in_a_digest_of_the_whole():
    first, second = ("x" * 500 + end for end in "ab")

    keys = {params_text({"q": text}) for text in (first, second)}

    assert len(keys) == 2
    assert all(len(key) <= LONGEST_READABLE for key in keys)


class Thing:
    pass


@pytest.mark.parametrize("value", [Thing(), Thing, len, [Thing()], {"a": Thing()}])
def test_an_object_is_refused(value):
    with pytest.raises(UnkeyableValueError, match="primary key"):
        text_of(value)
