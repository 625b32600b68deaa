"""13 and 14: a worker that went through an outage of the database, and clocks that are wrong, differ or jump."""

import ast
import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, close_old_connections, connection, transaction
from django.utils import timezone

from equipment.models import Manufacturer
from invalidation import clock, keeper
from invalidation.reads import CachedRead
from invalidation.store import store
from invalidation.tags import table
from invalidation.testing import assert_hits, interleave
from tests.staleness.makers import (
    assert_heals,
    committed,
    fenced_tags,
    fill,
    has_hit,
    maker,
    name_of,
    names,
    read,
    read_name,
    rename,
    set_clock,
    statements_of_read,
    write_until_accepted,
)

pytestmark = pytest.mark.django_db(transaction=True)

NEW = ("new", ["new"])
OLD = ("old", ["old"])
TEN_YEARS = 10 * 365 * 24 * 3600.0
THREE_MINUTES = 180.0


# 13 Poisoned worker


def locked(*, pk):
    """Somebody else holds the lock, and the worker does not wait for it."""
    impatient, patient = {
        "sqlite": ("PRAGMA busy_timeout = 1", "PRAGMA busy_timeout = 20000"),
        "postgresql": ("SET lock_timeout = '1ms'", "RESET lock_timeout"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(impatient)
    try:
        with transaction.atomic():
            rename(pk=pk, name="never")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(patient)


def unreachable(*, pk):
    """The database cannot be connected to: `atomic()` fails as it is entered."""
    where = "NAME" if connection.vendor == "sqlite" else "HOST"
    before = connection.settings_dict[where]
    connection.close()
    connection.settings_dict[where] = "/nowhere/at/all"
    try:
        with transaction.atomic():
            rename(pk=pk, name="never")
    finally:
        connection.settings_dict[where] = before
        close_old_connections()


def lost_in_the_midst(*, pk):
    """The database gives up after the first write of a transaction: a full disk, or a session that is ended."""
    try:
        with transaction.atomic():
            rename(pk=pk, name="never")
            with connection.cursor() as cursor:
                if connection.vendor == "sqlite":
                    cursor.execute("PRAGMA max_page_count = 1")
                    cursor.execute("INSERT INTO equipment_manufacturer (name) VALUES (%s)", ["x" * 10_000_000])
                else:
                    cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    finally:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA max_page_count = 1073741823")
        close_old_connections()


@transaction.atomic
def given_up(*, pk):
    """The transaction is rolled back over a connection that is kept."""
    rename(pk=pk, name="never")
    raise OperationalError("the rest of it cannot be done")


def rename_twice(*, pk):
    with transaction.atomic():
        rename(pk=pk, name="newer")
        rename(pk=pk, name="never")


def rename_patiently(*, pk, name):
    write_until_accepted(lambda: rename(pk=pk, name=name))


@pytest.mark.parametrize("outage", [locked, unreachable, lost_in_the_midst])
@pytest.mark.parametrize("times", [1, 3])
def test_13_poisoned_worker_fences_as_before_after_an_outage_of_the_database(process, watched, outage, times):
    """
    Given a worker whose transactions fail in an outage of the database,
    when it later saves,
    then its fence stands before it commits, everybody sees the write, and it hits and fills like any other.
    """
    pk = maker()
    fill(pk)
    worker, reader = process("worker"), process("reader")
    for _time in range(times):
        with transaction.atomic() if outage is locked else nullcontext():
            if outage is locked:
                Manufacturer.objects.select_for_update().get(pk=pk)
            error = worker.begin(outage, pk=pk).error()
        assert error is not None
        assert error.is_a(OperationalError)
        assert worker.call(read, pk=pk) == OLD
    assert committed(pk=pk) == "old"

    saving = worker.run_to("after_raise", rename, pk=pk, name="new")
    assert fenced_tags() == [f"equipment_manufacturer:row:{pk}", "equipment_manufacturer:table"]
    worker.go_on()
    saving.result()

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert worker.call(read, pk=pk) == NEW
    assert_heals(pk)
    assert worker.call(statements_of_read, pk=pk) == 0


def test_13_poisoned_worker_fences_as_before_after_an_outage_of_redis(troubled_redis, process, watched):
    """Where Redis was away, the worker's transactions are refused, and the next ones are seen like any other."""
    pk = maker()
    fill(pk)
    worker, reader = process("worker"), process("reader")
    troubled_redis.kill()
    for _time in range(4):
        error = worker.begin(rename_twice, pk=pk).error()
        assert error is not None
        assert error.is_a(OperationalError)
    assert committed(pk=pk) == "old"

    troubled_redis.restart_empty()
    worker.call(rename_patiently, pk=pk, name="new")

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    worker.call(rename, pk=pk, name="old")
    assert reader.call(read, pk=pk) == OLD
    assert read(pk=pk) == OLD
    assert_heals(pk)


@pytest.mark.parametrize("outage", [lost_in_the_midst, given_up])
def test_13_poisoned_worker_forgets_what_a_failed_transaction_has_touched(process, watched, outage):
    """Given a transaction that ended in the midst, the worker's next one, of something else, does not fence for it."""
    pk = maker()
    fill(pk)
    worker = process("worker")
    assert worker.begin(outage, pk=pk).error() is not None

    saving = worker.run_to("after_raise", add_a_maker)
    fences = fenced_tags()
    worker.go_on()
    saving.result()

    assert f"equipment_manufacturer:row:{pk}" not in fences
    assert "equipment_manufacturer:table" in fences


def add_a_maker():
    Manufacturer.objects.create(name="another")


# 14 Clocks


def _day_and_names() -> tuple[str, list[str]]:
    return clock.today().isoformat(), list(Manufacturer.objects.order_by("pk").values_list("name", flat=True))


def _end_of_day(params):
    return (clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


day_and_names = CachedRead(_day_and_names, "maker:of_the_day", needs=[table(Manufacturer)], until=_end_of_day)


def read_of_the_day():
    return day_and_names()


def read_both_of_the_day():
    """Through the cache, and computed with this process's own clock."""
    return day_and_names(), day_and_names.bypass()


@pytest.fixture
def utc(settings):
    """Days that end when those of `_end_of_day` do."""
    settings.TIME_ZONE = "UTC"


@pytest.fixture
def at_noon(utc, movable_clock):
    movable_clock.move_to(movable_clock().replace(hour=12, minute=0, second=0, microsecond=0))
    return movable_clock


@pytest.mark.parametrize("jump", [TEN_YEARS, -TEN_YEARS, THREE_MINUTES, -THREE_MINUTES])
def test_14_clocks_jump_while_a_fence_stands(process, watched, movable_clock, monkeypatch, jump):
    """
    Given a writer whose fence stands,
    when the system's clock jumps for readers and keeper alike,
    then the fence stands all the same, without a TTL, and after the commit everybody reads what was written.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")
    fences = fenced_tags()

    movable_clock.advance(seconds=jump)
    real_time = time.time
    monkeypatch.setattr(time, "time", lambda: real_time() + jump)
    reader.call(set_clock, seconds=jump)

    for _look in range(10):
        assert reader.call(read, pk=pk) == OLD
        assert not has_hit(name_of, pk=pk)
        keeper.resolve_standing(at_once=True)
    assert fenced_tags() == fences
    for tag in keeper.standing():
        assert store().command("PTTL", store().names.tag(tag)).value == -1
    writer.go_on()
    saving.result()
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)
    assert reader.call(statements_of_read, pk=pk) == 0


@pytest.mark.parametrize("jump", [TEN_YEARS, -TEN_YEARS])
def test_14_clocks_jump_between_the_query_of_a_fill_and_its_storing(process, watched, jump):
    """
    Given a reader that has read the old name,
    when its clock jumps, the name is changed, and only then the reader stores,
    then nobody reads what it stored.
    """
    pk = maker()
    filler, reader = process("filler"), process("reader")
    filler.call(set_clock, seconds=jump)
    filling = filler.run_to("after_compute", read_name, pk=pk)

    rename(pk=pk, name="new")
    filler.go_on()

    assert filling.result() == "old"
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


@pytest.mark.parametrize(("of_writer", "of_reader"), [(THREE_MINUTES, -THREE_MINUTES), (-THREE_MINUTES, THREE_MINUTES)])
def test_14_clocks_of_servers_differ(process, watched, of_writer, of_reader):
    """
    Given servers whose clocks differ by three minutes from ours, the one before and the other behind,
    when each writes and each fills in turn,
    then all read what was committed last, and hit each other's entries.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    writer.call(set_clock, seconds=of_writer)
    reader.call(set_clock, seconds=of_reader)

    for number, (one, other) in enumerate([(writer, reader), (reader, writer), (writer, reader)]):
        assert (one.call(statements_of_read, pk=pk), other.call(statements_of_read, pk=pk)) == (0, 0)
        one.call(rename, pk=pk, name=f"name {number}")
        expected = (f"name {number}", [f"name {number}"])
        assert other.call(read, pk=pk) == expected
        assert one.call(read, pk=pk) == expected
        assert read(pk=pk) == expected
        assert has_hit(name_of, pk=pk)
        assert has_hit(names)


@pytest.mark.parametrize("jump", [timedelta(days=1), timedelta(days=3650), timedelta(days=-1), timedelta(days=-3650)])
def test_14_clocks_jump_and_what_is_of_the_day_is_of_the_new_day(process, watched, at_noon, jump):
    """
    Given an entry that is right until midnight,
    when the clock jumps to another day, a later or an earlier one, which is then the right one,
    then the entry of the wrong day is not used.
    """
    maker()
    before = assert_hits(day_and_names)

    at_noon.move_to(at_noon() + jump)

    assert day_and_names() == day_and_names.bypass() != before
    assert_hits(day_and_names)
    at_noon.move_to(at_noon() - jump)
    assert day_and_names() == before


def test_14_clocks_jump_over_midnight_while_a_value_is_computed(process, watched, utc, movable_clock):
    """
    Given a fill that begins a second before midnight,
    when its queries last until after midnight,
    then what it stores is of the old day, and the new day does not read it.
    """
    maker()
    movable_clock.move_to(movable_clock().replace(hour=23, minute=59, second=59, microsecond=0))
    assert_hits(names)

    with interleave("after_compute", lambda: movable_clock.advance(seconds=2)):
        found = day_and_names()

    assert day_and_names() == day_and_names.bypass() != found
    assert_hits(day_and_names)


@pytest.mark.parametrize("seconds", [THREE_MINUTES, -THREE_MINUTES])
def test_14_clocks_of_servers_differ_around_midnight(process, watched, utc, movable_clock, seconds):
    """
    Given a minute before midnight here, and a server whose clock is three minutes before or behind ours,
    when that one fills an entry of its day and both read, here before and after midnight,
    then each reads what it would compute itself.
    """
    maker()
    movable_clock.move_to(movable_clock().replace(hour=23, minute=59, second=0, microsecond=0))
    assert_hits(names)
    other = process("other")

    for minutes in (0, 2, 2):
        movable_clock.advance(minutes=minutes)
        other.call(set_clock, seconds=(movable_clock() - timezone.now()).total_seconds() + seconds)
        found, computed = other.call(read_both_of_the_day)
        assert found == computed
        assert day_and_names() == day_and_names.bypass()


# Where the engine tells people when something happened, or names a folder after the day. Nothing is decided by it.
TOLD_ONLY = {"clock.py", "outbox.py", "metrics.py", "counters.py", "testing.py"}


def test_14_clocks_of_the_wall_are_asked_by_one_module_alone():
    """No module of the engine asks the system for the time of day, but those that only tell it to people."""
    asking = set()
    for path in (Path(django_settings.BASE_DIR) / "invalidation").glob("[!t]*/**/*.py"):
        asking |= _wall_clocks(path)
    for path in (Path(django_settings.BASE_DIR) / "invalidation").glob("*.py"):
        asking |= _wall_clocks(path)

    assert asking <= TOLD_ONLY
    assert "clock.py" in asking


def _wall_clocks(path):
    """The file's name, if it asks for the time of day by the standard library or by Django."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            asked = f"{node.value.id}.{node.attr}"
            if asked in {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "timezone.now", "date.today"}:
                return {path.name}
    return set()
