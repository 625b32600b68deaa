"""For tests of your own cached reads: a clock to set, points to interleave at, and what to assert about a read.

The fixtures come with `pytest_plugins = ["invalidation.testing"]` in the outermost conftest.py; everything else is
imported where it is used. A test of what is stored needs real commits: `@pytest.mark.django_db(transaction=True)`.

    @pytest.mark.django_db(transaction=True)
    def test_a_renamed_room_is_renamed_on_the_list():
        room = baker.make(Room, name="Lab")
        assert_immediately_visible(room_list, lambda: rename(room=room, name="Office"), floor=room.floor)

    @pytest.mark.django_db(transaction=True)
    def test_a_change_while_the_list_is_filled_is_not_lost():
        room = baker.make(Room, name="Lab")
        with interleave("after_compute", lambda: in_another_thread(rename, room=room, name="Office")):
            room_list(floor=room.floor)
        assert room_list(floor=room.floor) == room_list.bypass(floor=room.floor)

This is the only module of the engine that imports pytest.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar

import pytest
from django.conf import settings
from django.db import connections
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone

from invalidation import clock, epoch, points
from invalidation.breaker import Breaker
from invalidation.store import store

LONGEST_THREAD_SECONDS = 30.0
# On PostgreSQL it lasts as long as the longest transaction of the server, whoever runs it.
LONGEST_QUARANTINE_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.002

P = ParamSpec("P")
R = TypeVar("R")
Listener = Callable[[str], None]


class ReadThroughCache(Protocol):
    """What a cached read offers, as far as the assertions here need it."""

    def __call__(self, **params: Any) -> Any: ...

    def bypass(self, **params: Any) -> Any: ...


# Points

_listeners: list[Listener] = []


def _tell(name: str) -> None:
    for listener in tuple(_listeners):
        listener(name)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside the block `listener` gets the name of each point that any thread of this process comes to.

    Several may listen at once; `points.set_action` alone knows one.
    """
    _listeners.append(listener)
    points.set_action(_tell)
    try:
        yield
    finally:
        _listeners.remove(listener)
        if not _listeners:
            points.set_action(None)


def known_point(name: str) -> str:
    """`name`, if the engine has a point of that name; raises ValueError listing those it has."""
    if name not in points.NAMES:
        raise ValueError(f"the engine has no point {name!r}; it has {', '.join(points.NAMES)}")
    return name


@contextmanager
def interleave(point: str, action: Callable[[], object], *, passing: int = 0) -> Iterator[None]:
    """Inside the block call `action` once, when this thread comes to `point` after having passed it `passing` times.

    What other threads do at the point goes unnoticed. `action` runs in this thread: under the transaction and the
    fill that are open at the point. For a writer with a connection of its own wrap it in `in_another_thread`. What it
    raises comes out of the engine at that point. Raises AssertionError at the end of a block that never got there.
    """
    known_point(point)
    thread = threading.get_ident()
    left = passing
    done = False

    def act(name: str) -> None:
        nonlocal left, done
        if done or name != point or threading.get_ident() != thread:
            return
        if left:
            left -= 1
            return
        # Before the call: the action may come to the same point itself.
        done = True
        action()

    with listening(act):
        yield
    if not done:
        raise AssertionError(f"nothing in the block came to {point}{f' after {passing} times' if passing else ''}")


@contextmanager
def points_reached() -> Iterator[list[str]]:
    """Gives the list, filled while the block runs, of the points that this thread comes to, in their order."""
    thread = threading.get_ident()
    reached: list[str] = []

    def note(name: str) -> None:
        if threading.get_ident() == thread:
            reached.append(name)

    with listening(note):
        yield reached


def in_another_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `function` returns, or raises, in a thread of its own with its own database connections, closed at the end.

    Raises TimeoutError if it is not done within LONGEST_THREAD_SECONDS.
    """
    results: list[R] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, name="invalidation.testing", daemon=True)
    thread.start()
    thread.join(LONGEST_THREAD_SECONDS)
    if thread.is_alive():
        raise TimeoutError(f"the other thread is not done after {LONGEST_THREAD_SECONDS:.0f} s: does it wait for this?")
    if errors:
        raise errors[0]
    return results[0]


# Assertions


def leave_quarantine() -> None:
    """Wait until entries are stored and used: under a new prefix, every read is a bypass for a moment.

    A test that did not wait would see the right answers of the database, and test nothing. Raises AssertionError if a
    transaction under way, perhaps this thread's own, keeps the cache in quarantine for LONGEST_QUARANTINE_SECONDS.
    """
    # One of our own: that of the process makes its attempts at intervals, whatever the prefix.
    quarantines = epoch.Quarantines()
    deadline = time.monotonic() + LONGEST_QUARANTINE_SECONDS
    while epoch.is_quarantined(present := epoch.ensure()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"the cache is in quarantine after {LONGEST_QUARANTINE_SECONDS:.0f} s: is a transaction open?"
            )
        quarantines.try_to_end(present)
        time.sleep(LOOK_AGAIN_SECONDS)


@pytest.fixture
def cache_in_use(transactional_db: None) -> None:
    """Real commits, and a cache that is not in quarantine. Ask for it after all fixtures that change the cache."""
    leave_quarantine()


@contextmanager
def assert_no_queries() -> Iterator[None]:
    """Raises AssertionError, with the statements, if the block sends any to a database over this thread's connections.

    The beginning and end of a transaction count too.
    """
    with ExitStack() as stack:
        captured = [stack.enter_context(CaptureQueriesContext(connection)) for connection in connections.all()]
        yield
    statements = [query["sql"] for queries in captured for query in queries.captured_queries]
    if statements:
        raise AssertionError(f"{len(statements)} queries where none was expected:\n" + "\n".join(statements))


def assert_hits(read: ReadThroughCache, **params: Any) -> Any:
    """The value of `read(**params)`, once it is certain that it comes from the cache and equals the database's.

    Fills first if need be. Raises AssertionError if the call after that still asks the database, or tells otherwise.
    """
    _outside_transactions()
    leave_quarantine()
    read(**params)
    try:
        with assert_no_queries():
            found = read(**params)
    except AssertionError as error:
        raise AssertionError(f"{_call(read, params)} is not answered from the cache: {error}") from None
    expected = read.bypass(**params)
    if found != expected:
        raise AssertionError(f"{_call(read, params)} hits {found!r}, and the database says {expected!r}")
    return found


def assert_immediately_visible(
    read: ReadThroughCache, change: Callable[[], object], /, **params: Any
) -> tuple[Any, Any]:
    """Asserts that what `change` commits is seen by the very next read, in another thread and in this one.

    The value is in the cache before the change, or nothing would be tested; and the change is one that this read
    shows. Gives the values before and after. Raises AssertionError.
    """
    before = assert_hits(read, **params)
    change()
    _outside_transactions()
    # The other thread first: this one may know what it wrote itself.
    there = in_another_thread(read, **params)
    here = read(**params)
    expected = read.bypass(**params)
    if expected == before:
        raise AssertionError(f"the change makes no difference to {_call(read, params)}: it stays {before!r}")
    for place, found in (("another thread", there), ("this thread", here)):
        if found != expected:
            staleness = "still reads" if found == before else "reads"
            raise AssertionError(
                f"after the change {place} {staleness} {found!r} from {_call(read, params)}; "
                f"the database says {expected!r}"
            )
    return before, expected


def _outside_transactions() -> None:
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            raise AssertionError(
                f"a transaction is open on {connection.alias!r}: nothing in it is committed, so no other thread can "
                "see it; use django_db(transaction=True)"
            )


def _call(read: ReadThroughCache, params: dict[str, Any]) -> str:
    name = getattr(read, "name", None) or getattr(read, "__name__", None) or repr(read)
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in params.items())})"


# Clock


class MovableClock:
    """A clock that stands still until it is moved; calling it gives its instant, aware."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def __call__(self) -> datetime:
        return self._instant

    def move_to(self, instant: datetime) -> None:
        """Show `instant` from now on, which may be earlier. Raises ValueError for a naive one."""
        if timezone.is_naive(instant):
            raise ValueError(f"{instant} has no time zone")
        self._instant = instant

    def advance(self, **duration: float) -> None:
        """Move on by a duration written as for timedelta: `advance(hours=1)`."""
        self._instant += timedelta(**duration)


@contextmanager
def standing_clock(instant: datetime | None = None) -> Iterator[MovableClock]:
    """Inside the block the engine's clock, in all threads, is the one given: at `instant`, or now, until it is moved.

    Raises ValueError for a naive instant.
    """
    movable = MovableClock(timezone.now())
    if instant is not None:
        movable.move_to(instant)
    clock.set_source(movable)
    try:
        yield movable
    finally:
        clock.set_source(None)


@pytest.fixture
def movable_clock() -> Iterator[MovableClock]:
    """The engine's clock, stopped at the instant the test began; `move_to` and `advance` set it."""
    with standing_clock() as movable:
        yield movable


# Keys


@contextmanager
def fresh_keys(alias: str = "default") -> Iterator[str]:
    """Inside the block the cache has a new prefix, which is given: nothing that was stored before is found.

    Failures of Redis before the block do not count in it, nor those in it afterwards.
    """
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    caches = {**settings.CACHES, alias: {**settings.CACHES[alias], "KEY_PREFIX": prefix}}
    breaker = store().breaker
    store().breaker = Breaker()
    try:
        with override_settings(CACHES=caches):
            yield prefix
    finally:
        store().breaker = breaker


@pytest.fixture
def fresh_prefix() -> Iterator[str]:
    """A prefix of this test's own for all keys of the cache."""
    with fresh_keys() as prefix:
        yield prefix


@pytest.fixture
def point_counts() -> Iterator[Counter[str]]:
    """How often each point was reached during the test, in any thread: to see that a test went where it meant to."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def count(name: str) -> None:
        with lock:
            counts[name] += 1

    with listening(count):
        yield counts
