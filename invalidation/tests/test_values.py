"""Values: typed, safe, and refused by code of another shape."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from django.utils.functional import lazystr

from invalidation.exceptions import DeclarationError
from invalidation.values import ValueCodec

pytestmark = pytest.mark.once


@dataclass(frozen=True)
class Row:
    number: int
    name: str
    cost: Decimal | None
    seen_at: datetime


@dataclass(frozen=True)
class Page:
    rows: tuple[Row, ...]
    day: date
    count: int


PAGE = Page((Row(1, "pump", Decimal("10.50"), datetime(2026, 1, 2, tzinfo=UTC)),), date(2026, 1, 2), 1)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 7),
        (str, "'ünïcode'\n"),
        (bytes, b"\x00\xff"),
        (int | None, None),
        (Decimal, Decimal("0.10")),
        (UUID, UUID(int=5)),
        (dict[str, int], {"total": 3}),
        (Page, PAGE),
    ],
)
def test_a_value_comes_back_as_it_was(kind, value):
    codec = ValueCodec(kind)

    again = codec.decode(codec.encode(value))

    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    "value", [lazystr("later"), object(), (number for number in range(3)), {"total": lazystr("later")}]
)
def test_a_value_that_is_not_finished_is_refused(value):
    with pytest.raises((TypeError, msgspec.ValidationError)):
        ValueCodec(dict[str, str] if isinstance(value, dict) else str).encode(value)


def test_a_value_of_another_type_than_declared_is_refused():
    with pytest.raises(msgspec.ValidationError):
        ValueCodec(int).encode("seven")


def test_another_shape_has_another_digest():
    @dataclass
    class Row:  # the same name, as a later release would have it
        number: int
        title: str

    shapes = {ValueCodec(kind).shape for kind in (Row, globals()["Row"], int, str, list[int], list[str])}

    assert len(shapes) == 6
    assert ValueCodec(int, version=1).shape != ValueCodec(int, version=2).shape


def test_the_same_shape_has_the_same_digest_each_time():
    assert ValueCodec(Page).shape == ValueCodec(Page).shape


def test_nothing_that_is_read_can_run_code(tmp_path):
    # What Python's own format would take for "open this file for writing".
    trap = f"cbuiltins\nopen\n(V{tmp_path}/ran\nVw\ntR.".encode()

    with pytest.raises(msgspec.DecodeError):
        ValueCodec(dict[str, int]).decode(trap)

    assert not (tmp_path / "ran").exists()


def test_a_type_that_cannot_be_stored_is_refused_when_it_is_declared():
    with pytest.raises(DeclarationError, match="cannot be the value"):
        ValueCodec(type(lambda: None))
