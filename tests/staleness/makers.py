"""Makers of devices read through the cache and written, in this process and in others: for the tests of outages.

What another process is to call stands at the top of this module; it has to watch the models first, as those of the
fixture `process` do.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from equipment.models import Manufacturer
from invalidation import clock, epoch, keeper
from invalidation.exceptions import StoreError, WriteRefusedError
from invalidation.reads import CachedRead
from invalidation.tags import row, table
from invalidation.testing import assert_hits

LONGEST_HEALING_SECONDS = 25.0
LOOK_AGAIN_SECONDS = 0.005

real_time, real_time_ns = time.time, time.time_ns


def _name_of(*, pk: int) -> str:
    return Manufacturer.objects.values_list("name", flat=True).get(pk=pk)


def _names() -> list[str]:
    return list(Manufacturer.objects.order_by("pk").values_list("name", flat=True))


name_of = CachedRead(_name_of, "maker:name", needs=lambda params: [row(Manufacturer, params["pk"])])
names = CachedRead(_names, "maker:names", needs=[table(Manufacturer)])


def maker() -> int:
    """The key of a new maker named "old"."""
    return Manufacturer.objects.create(name="old").pk


# What is called, here or in another process


def read(*, pk: int) -> tuple[str, list[str]]:
    """The maker by both of its reads: by its row, and in the list of all."""
    return name_of(pk=pk), names()


def read_name(*, pk: int) -> str:
    return name_of(pk=pk)


def committed(*, pk: int) -> str:
    """The name as the database has it."""
    return Manufacturer.objects.values_list("name", flat=True).get(pk=pk)


def rename(*, pk: int, name: str) -> None:
    maker = Manufacturer.objects.get(pk=pk)
    maker.name = name
    maker.save()


def statements_of_read(*, pk: int) -> int:
    """How many statements a read of the name sends to the database: none for a hit."""
    with CaptureQueriesContext(connection) as queries:
        name_of(pk=pk)
    return len(queries)


def set_clock(*, seconds: float) -> None:
    """All clocks of this process are wrong by so much from now on: the engine's, and the standard library's."""
    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 1e9)
    clock.set_source(lambda: timezone.now() + timedelta(seconds=seconds))


# What is asserted


def fill(pk: int) -> None:
    """Both reads are answered from the cache now."""
    assert_hits(name_of, pk=pk)
    assert_hits(names)


def has_hit(read: CachedRead, **params: Any) -> bool:
    """Read once: whether the cache answered. What is read has to be what the database says, hit or not."""
    with CaptureQueriesContext(connection) as queries:
        found = read(**params)
    expected = read.bypass(**params)
    assert found == expected, f"{read.name} reads {found!r}, and the database says {expected!r}"
    return not queries.captured_queries


def assert_heals(pk: int) -> None:
    """The cache comes into use again with nobody's help, and every answer on the way is the database's."""
    deadline = time.monotonic() + LONGEST_HEALING_SECONDS
    left: list[tuple[CachedRead, dict[str, Any]]] = [(name_of, {"pk": pk}), (names, {})]
    while left := [(each, params) for each, params in left if not has_hit(each, **params)]:
        assert time.monotonic() < deadline, f"after {LONGEST_HEALING_SECONDS:.0f} s still no hit: {told()}"
        time.sleep(LOOK_AGAIN_SECONDS)


def told() -> str:
    """For messages: the epoch and the fences that stand."""
    try:
        return f"epoch {epoch.ensure()!r}, fences {keeper.standing()}"
    except StoreError as error:
        return f"Redis does not answer: {error}"


def fenced_tags() -> list[str]:
    """The parts behind the database's name of the tags that bear a fence now."""
    return sorted(tag.partition(":")[2] for tag in keeper.standing())


def write_until_accepted(write: Callable[[], object]) -> None:
    """Write, and while that is refused, once more: after an outage it is noticed with a delay that it is over."""
    deadline = time.monotonic() + LONGEST_HEALING_SECONDS
    while True:
        try:
            write()
        except WriteRefusedError:
            assert time.monotonic() < deadline, "writes are still refused"
            time.sleep(LOOK_AGAIN_SECONDS)
        else:
            return


def is_usable() -> bool:
    """Whether this thread's database connection is outside of all transactions, and commits what it is given."""
    return (
        not connection.in_atomic_block
        and not connection.needs_rollback
        and connection.get_autocommit()
        and not connection.is_in_transaction()  # type: ignore[attr-defined]
        and connection.is_usable()
    )
