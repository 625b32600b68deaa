"""Parameters as they are written on a command line."""

from datetime import date
from decimal import Decimal

import pytest

from invalidation import parameters
from invalidation.exceptions import DeclarationError
from invalidation.reads import CachedRead

pytestmark = pytest.mark.once


def answer(
    *,
    text: str,
    page: int = 1,
    limits: tuple[int, ...] | None = None,
    on: date | None = None,
    price: Decimal = Decimal(0),
    whole: bool = False,
) -> int:
    return 0


READ = CachedRead(answer, "test:answer", needs=())


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=5", "5"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ("page=7", 7),
        ("limits=[1, 2]", (1, 2)),
        ("limits=null", None),
        ("on=2030-01-31", date(2030, 1, 31)),
        ("on=null", None),
        ("price=1.50", Decimal("1.5")),
        ("whole=true", True),
    ],
)
def test_a_parameter_has_the_type_that_the_read_declares(word, value):
    words = [word] if word.startswith("text=") else ["text=x", word]

    found = parameters.of(READ, words)

    name = word.partition("=")[0]
    assert (found[name], type(found[name])) == (value, type(value))


@pytest.mark.parametrize("word", ["page=x", "limits=[1", "on=tomorrow"])
def test_a_parameter_of_another_type_is_an_error_that_names_it(word):
    with pytest.raises(DeclarationError, match=word.partition("=")[0]):
        parameters.of(READ, ["text=x", word])
