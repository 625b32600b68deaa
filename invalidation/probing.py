"""A scratch row of the engine's own: shows on the running site that a committed write is what the next read answers."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connections, router

from invalidation import points
from invalidation.models import Probe
from invalidation.reads import cached_read
from invalidation.registry import registry
from invalidation.tags import scope

LONGEST_THREAD_SECONDS = 60.0

registry.watch(Probe, scopes=["name"])


@cached_read("invalidation:probe", needs=lambda p: [scope(Probe, name=p["name"])], ttl="list")
def probe_values(*, name: str) -> list[int]:
    """The values of the probe's rows of that name."""
    return sorted(Probe.objects.filter(name=name).values_list("value", flat=True))


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a cycle of reads and writes: what was done, how long it took, and whether it came out right.

    `expected` and `found` are the values of the row; `parts` are seconds spent between named points inside it.
    """

    what: str
    seconds: float
    expected: tuple[int, ...] = ()
    found: tuple[int, ...] = ()
    outcome: str = ""
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def is_right(self) -> bool:
        return self.expected == self.found


def _save(name: str) -> tuple[int, ...]:
    Probe.objects.create(name=name, value=1)
    return (1,)


def _update(name: str) -> tuple[int, ...]:
    Probe.objects.filter(name=name).update(value=2)
    return (2,)


def _bulk_create(name: str) -> tuple[int, ...]:
    Probe.objects.bulk_create([Probe(name=name, value=value) for value in (3, 4)])
    return (2, 3, 4)


def _raw_sql(name: str) -> tuple[int, ...]:
    with connections[router.db_for_write(Probe)].cursor() as cursor:
        cursor.execute("UPDATE invalidation_probe SET value = value + 10 WHERE name = %s", [name])
    return (12, 13, 14)


def _delete(name: str) -> tuple[int, ...]:
    Probe.objects.filter(name=name).delete()
    return ()


# In this order: each expects what the one before it has left.
WRITES: tuple[tuple[str, Callable[[str], tuple[int, ...]]], ...] = (
    ("save", _save),
    ("update", _update),
    ("bulk_create", _bulk_create),
    ("raw SQL", _raw_sql),
    ("delete", _delete),
)


@contextmanager
def scratch() -> Iterator[str]:
    """A name that no other probe has; its rows are gone afterwards, whatever happened."""
    name = secrets.token_hex(8)
    try:
        yield name
    finally:
        Probe.objects.filter(name=name).delete()


def visibility() -> Iterator[Step]:
    """Write in every way there is; after each, what this thread and another one read at once."""
    with scratch() as name:
        yield _read("read before the first write", name, ())
        for what, write in WRITES:
            expected = write(name)
            yield _read(f"read after {what}", name, expected)
            yield _in_another_thread(f"read after {what}, elsewhere", name, expected)


def cycle() -> Iterator[Step]:
    """One cycle, step by step: miss, hit, write with its fence, miss again, hit, and the database itself."""
    with scratch() as name:
        _save(name)
        yield _read("first read", name, (1,))
        yield _read("second read", name, (1,))
        yield _timed_write(name)
        yield _read("read after the write", name, (2,))
        yield _in_another_thread("read elsewhere", name, (2,))
        began = time.perf_counter()
        values = tuple(probe_values.bypass(name=name))
        yield Step("the database itself", time.perf_counter() - began, (2,), values, "bypass")


def _read(what: str, name: str, expected: tuple[int, ...]) -> Step:
    """A read through the cache; its outcome is a fill if a computation was reached, else a hit."""
    reached: list[str] = []
    with _at_points(reached.append):
        began = time.perf_counter()
        values = tuple(probe_values(name=name))
        seconds = time.perf_counter() - began
    return Step(what, seconds, expected, values, "computed" if "before_compute" in reached else "hit")


def _in_another_thread(what: str, name: str, expected: tuple[int, ...]) -> Step:
    """The same read over another connection to the database. Raises what the thread raised."""
    found: list[Step] = []
    errors: list[BaseException] = []

    def read() -> None:
        try:
            found.append(_read(what, name, expected))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=read, name="invalidation-probe")
    thread.start()
    thread.join(LONGEST_THREAD_SECONDS)
    if errors:
        raise errors[0]
    if not found:
        raise TimeoutError(f"a read took longer than {LONGEST_THREAD_SECONDS:.0f} s")
    return found[0]


def _timed_write(name: str) -> Step:
    """An update, with the time each part of its commit took."""
    times: list[tuple[str, float]] = []
    with _at_points(lambda point: times.append((point, time.perf_counter()))):
        began = time.perf_counter()
        expected = _update(name)
        seconds = time.perf_counter() - began
    at = dict(times)
    parts = [
        (label, at[end] - at[start])
        for label, start, end in (
            ("raise", "before_raise", "after_raise"),
            ("commit", "after_raise", "after_commit"),
            ("lift", "after_commit", "after_lift"),
        )
        if start in at and end in at
    ]
    return Step("write", seconds, expected, expected, "committed", tuple(parts))


@contextmanager
def _at_points(action: Callable[[str], None]) -> Iterator[None]:
    """Have the engine's points tell what is reached inside the block; for a command, which is alone in its process."""
    points.set_action(action)
    try:
        yield
    finally:
        points.set_action(None)
