"""Makers of devices for the tests of rules: cached reads of them, what changes them, and what is stored of them."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connection
from django.test.utils import CaptureQueriesContext

from equipment.models import Equipment, Manufacturer
from invalidation import fences, keys
from invalidation.breaker import Breaker
from invalidation.fences import Fence
from invalidation.reads import CachedRead
from invalidation.store import store
from invalidation.tags import row, scope, table, table_tag

LONGEST_WAIT_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.002

T = TypeVar("T")


def unregistered(name: str, **options: Any) -> Callable[[Callable[..., T]], CachedRead[T]]:
    """Declare a cached read that the registry does not hear of: it is for tests alone."""
    return lambda function: CachedRead(function, name, **options)


@unregistered("rules:name", needs=lambda params: [row(Manufacturer, params["pk"])])
def name_of(*, pk: int) -> str:
    return Manufacturer.objects.values_list("name", flat=True).get(pk=pk)


@unregistered("rules:names", needs=[table(Manufacturer)])
def names() -> list[str]:
    return list(Manufacturer.objects.order_by("pk").values_list("name", flat=True))


@unregistered("rules:loud_names", needs=[table(Manufacturer)])
def loud_names() -> list[str]:
    """Another entry that depends on the same table."""
    return [name.upper() for name in Manufacturer.objects.order_by("pk").values_list("name", flat=True)]


@unregistered("rules:count", needs=lambda params: [scope(Equipment, data_type=params["data_type"])])
def count_of(*, data_type: str) -> int:
    return Equipment.objects.filter(data_type=data_type).count()


def maker(name: str = "old") -> int:
    """The key of a new maker."""
    return Manufacturer.objects.create(name=name).pk


def rename(*, pk: int, name: str) -> None:
    Manufacturer.objects.filter(pk=pk).update(name=name)


def committed(*, pk: int) -> str:
    """The name as the database has it."""
    return Manufacturer.objects.values_list("name", flat=True).get(pk=pk)


def is_stored(read: CachedRead[Any], **params: Any) -> bool:
    """Whether Redis holds an entry of the read, whatever it is worth."""
    return bool(store().command("EXISTS", read.key(**params)).value)


def is_hit(read: CachedRead[Any], **params: Any) -> bool:
    """Read once: whether the cache answered, with no question to the database."""
    with CaptureQueriesContext(connection) as queries:
        read(**params)
    return not queries.captured_queries


def has_waiter(read: CachedRead[Any], **params: Any) -> bool:
    """Whether somebody waits, or a moment ago waited, for another's computation of the read."""
    return bool(store().command("EXISTS", keys.wanted_key(read.key(**params))).value)


def wait_for_waiter(read: CachedRead[Any], **params: Any) -> None:
    """Return once somebody waits for another's computation of the read; raises AssertionError if nobody comes."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not has_waiter(read, **params):
        assert time.monotonic() < deadline, f"nobody waits for {read.name}"
        time.sleep(LOOK_AGAIN_SECONDS)


def key_of_table() -> str:
    """The key of the tag of the table of makers."""
    return store().names.tag(tag_of_table())


def tag_of_table() -> str:
    return table_tag(connection.database_name, Manufacturer._meta.db_table)  # type: ignore[attr-defined]


def fence_on_table() -> Fence:
    """A fence on the table of makers, as of a writer beside whom others may commit; not raised yet."""
    return fences.prepare(
        kind=connection.vendor,
        database=connection.database_name,  # type: ignore[attr-defined]
        proof="1",
        tags=[tag_of_table()],
        cause="a test",
        sole_writer=False,
    )


def forget_connections() -> None:
    """Close this process's connections to a Redis that was restarted, and what is believed about it."""
    store().client.connection_pool.disconnect()
    store().breaker = Breaker()
