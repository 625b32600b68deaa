"""28: Redis does not acknowledge the fence of a write. And `proceed`: the write goes on, and leaves a note."""

import time
from contextlib import suppress
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.utils import OperationalError

from equipment.models import Manufacturer
from invalidation import conf, replaying
from invalidation.conf import Embedded
from invalidation.connections import KnownServerSocketConnection
from invalidation.exceptions import StoreError, WriteInterruptedError, WriteRefusedError
from invalidation.models import OutboxEntry
from invalidation.testing import in_another_thread, interleave, leave_quarantine, points_reached
from tests.staleness.makers import (
    LONGEST_HEALING_SECONDS,
    LOOK_AGAIN_SECONDS,
    assert_heals,
    committed,
    fenced_tags,
    fill,
    has_hit,
    is_usable,
    maker,
    name_of,
    names,
    read,
    read_name,
    rename,
    write_until_accepted,
)
from tests.staleness.troubles import TROUBLES, trouble_at

pytestmark = pytest.mark.django_db(transaction=True)

NEW = ("new", ["new"])
OLD = ("old", ["old"])


# The ways in which a write comes to its COMMIT


def save(*, pk):
    rename(pk=pk, name="new")


def update(*, pk):
    Manufacturer.objects.filter(pk=pk).update(name="new")


def in_a_transaction(*, pk):
    with transaction.atomic():
        rename(pk=pk, name="newer")
        with transaction.atomic():
            rename(pk=pk, name="new")


def by_cursor(*, pk):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE equipment_manufacturer SET name = 'new' WHERE id = %s", [pk])


def by_hand(*, pk):
    """With autocommit off: switching it on commits on SQLite what is open."""
    connection.set_autocommit(False)
    try:
        rename(pk=pk, name="new")
        connection.commit()
    finally:
        connection.set_autocommit(True)


def without_commit(*, pk):
    """With autocommit off, and nobody who commits but the switch itself."""
    if connection.vendor != "sqlite":
        # The others roll back at the switch or refuse it: nothing is committed without being asked for.
        return by_hand(pk=pk)
    connection.set_autocommit(False)
    try:
        rename(pk=pk, name="new")
    finally:
        try:
            connection.set_autocommit(True)
        except BaseException:
            connection.set_autocommit(True)
            raise
    return None


WRITES = {write.__name__: write for write in (save, update, in_a_transaction, by_cursor, by_hand, without_commit)}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("write", WRITES)
def test_28_refused_write_commits_nothing_and_leaves_the_connection_usable(troubled_redis, watched, trouble, write):
    """
    Given both reads of a maker in the cache,
    when Redis fails just before a write raises its fence,
    then the write is refused as a database error, nothing of it is committed, neither at once nor by what the same
    connection does next, and once Redis is well writes are seen again.
    """
    pk = maker()
    fill(pk)

    with trouble_at("before_raise", TROUBLES[trouble], troubled_redis):
        with pytest.raises(WriteRefusedError) as refused:
            WRITES[write](pk=pk)
        assert isinstance(refused.value, OperationalError)
        assert is_usable()
        assert in_another_thread(committed, pk=pk) == "old"
        assert read(pk=pk) == OLD
        # What the connection does next, a transaction included, brings nothing of it back.
        with transaction.atomic():
            assert committed(pk=pk) == "old"
        assert in_another_thread(committed, pk=pk) == "old"

    assert read(pk=pk) == OLD
    write_until_accepted(lambda: WRITES[write](pk=pk))
    assert is_usable()
    assert in_another_thread(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_28_refused_write_of_another_process_is_no_news_to_readers(troubled_redis, watched, reader, trouble):
    """
    Given a reader in another process,
    when a write is refused, and what it asked of Redis perhaps takes effect later,
    then that reader reads the old state during and after the trouble, and in the end from the cache.
    """
    pk = maker()
    fill(pk)

    with trouble_at("before_raise", TROUBLES[trouble], troubled_redis):
        with pytest.raises(WriteRefusedError):
            rename(pk=pk, name="new")
        assert reader.call(read, pk=pk) == OLD

    assert reader.call(read, pk=pk) == OLD
    assert_heals(pk)
    assert fenced_tags() == []


@pytest.mark.parametrize("trouble", TROUBLES)
def test_28_refused_write_a_lift_that_fails_is_no_error(troubled_redis, watched, reader, trouble):
    """
    Given a write that has committed,
    when Redis fails before its fence is lifted, and stays away,
    then the write reports success, its on_commit hooks run, and everybody reads what it wrote.
    """
    pk = maker()
    fill(pk)
    hooks = []

    with trouble_at("after_commit", TROUBLES[trouble], troubled_redis):
        with transaction.atomic():
            rename(pk=pk, name="new")
            transaction.on_commit(lambda: hooks.append(committed(pk=pk)))
        assert hooks == ["new"]
        assert is_usable()
        assert reader.call(read, pk=pk) == NEW
        assert read(pk=pk) == NEW

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


@pytest.mark.parametrize("when", ["while they lie idle", "between question and answer"])
def test_28_refused_write_is_not_needed_where_killed_connections_can_be_replaced(
    troubled_redis, watched, reader, monkeypatch, when
):
    """
    Given a server that kills all connections and welcomes new ones,
    when a write is about to raise its fence, or in the midst of it,
    then it raises it over a new connection before it commits: the fence stands for all to see.
    """
    pk = maker()
    fill(pk)
    seen, killed = [], []
    wait_until = KnownServerSocketConnection.wait_until

    def kill():
        killed.append(troubled_redis.kill_client_connections())

    def kill_and_wait(self, deadline):
        if not killed:
            kill()
        wait_until(self, deadline)

    def look():
        seen.extend(fenced_tags())
        assert reader.call(read, pk=pk) == OLD
        assert not has_hit(name_of, pk=pk)
        assert not has_hit(names)

    if when == "while they lie idle":
        begin = kill
    else:
        begin = partial(monkeypatch.setattr, KnownServerSocketConnection, "wait_until", kill_and_wait)
    with interleave("before_raise", begin), interleave("after_raise", look):
        rename(pk=pk, name="new")

    assert killed[0] > 0
    assert seen == [f"equipment_manufacturer:row:{pk}", "equipment_manufacturer:table"]
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
@pytest.mark.parametrize("point", ["before_raise", "after_raise"])
@pytest.mark.parametrize("write", WRITES)
def test_28_refused_write_whatever_interrupts_it_before_the_commit(watched, cache_in_use, write, point, error):
    """
    Given a write on its way to the COMMIT,
    when any exception comes up before it, one that asks the process to stop included,
    then nothing is committed, the exception is a database error, and no fence is left standing.
    """
    pk = maker()
    fill(pk)

    def fail():
        raise error("in between")

    expected = WriteRefusedError if issubclass(error, Exception) else WriteInterruptedError
    with interleave(point, fail), pytest.raises(expected) as refused:
        WRITES[write](pk=pk)

    assert isinstance(refused.value, OperationalError)
    assert is_usable()
    assert in_another_thread(committed, pk=pk) == "old"
    assert fenced_tags() == []
    WRITES[write](pk=pk)
    assert read(pk=pk) == NEW
    assert in_another_thread(read, pk=pk) == NEW


def test_28_refused_write_at_its_first_statement_while_redis_is_known_to_be_away(troubled_redis, watched):
    """
    Given a Redis that has failed several writes in a row,
    when one writes again,
    then the first statement is refused, before it holds a lock, and reads go on.
    """
    pk = maker()
    fill(pk)
    troubled_redis.kill()
    for _time in range(3):
        with pytest.raises(WriteRefusedError):
            rename(pk=pk, name="new")

    with points_reached() as reached, pytest.raises(WriteRefusedError):
        rename_and_look(pk=pk)
    assert "before_raise" not in reached
    assert is_usable()
    assert read(pk=pk) == OLD

    troubled_redis.restart_empty()
    write_until_accepted(lambda: rename(pk=pk, name="new"))
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_28_refused_write_is_caught_and_another_is_made_in_its_place(troubled_redis, watched):
    """A refused transaction that the caller catches leaves nothing behind in the next one of the connection."""
    pk, other = maker(), Manufacturer.objects.create(name="other").pk
    fill(pk)

    with trouble_at("before_raise", TROUBLES["full"], troubled_redis), pytest.raises(WriteRefusedError):
        in_a_transaction(pk=pk)

    write_until_accepted(lambda: rename(pk=other, name="another"))
    assert (committed(pk=pk), committed(pk=other)) == ("old", "another")
    assert in_another_thread(read, pk=pk) == ("old", ["old", "another"])
    assert_heals(pk)


# The exception: a server of our own that is dead for certain


def test_28_refused_write_is_not_needed_where_our_own_server_is_dead(troubled_redis, watched, reader, settings):
    """
    Given a Redis of the site's own, on its private socket, that is provably dead,
    when one writes,
    then the write commits: the next server begins empty and in quarantine, so nobody reads the old state.
    """
    settings.INVALIDATION_EMBEDDED = Embedded(troubled_redis.path, troubled_redis.folder / "lock")
    pk = maker()
    fill(pk)

    with trouble_at("before_raise", TROUBLES["refused"], troubled_redis):
        rename(pk=pk, name="new")
        assert reader.call(read, pk=pk) == NEW

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_28_refused_write_waits_for_our_own_server_to_be_replaced(troubled_redis, watched, process, settings):
    """
    Given a Redis of the site's own that hangs,
    when one writes, and meanwhile the server is killed and started anew,
    then the write waits for that and commits, and everybody reads it.
    """
    settings.INVALIDATION_EMBEDDED = Embedded(troubled_redis.path, troubled_redis.folder / "lock")
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    saving = writer.run_to("before_raise", rename, pk=pk, name="new")

    troubled_redis.suspend()
    writer.go_on()
    # Longer than a server of somebody else's is waited for.
    assert not saving.ends_within(2 * conf.RAISE_BUDGET_SECONDS)
    troubled_redis.restart_empty()

    saving.result()
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


# The other setting: the write goes on, and leaves a note


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("write", ["save", "in_a_transaction"])
def test_28_proceeding_write_commits_with_a_note_that_is_replayed(troubled_redis, watched, settings, trouble, write):
    """
    Given the setting `proceed`,
    when Redis fails just before a write raises its fence,
    then the write commits and leaves a note of its tags; once that is replayed everybody reads what was written, from
    the cache too, and no note is left.
    """
    settings.INVALIDATION_ON_FAILURE = "proceed"
    pk = maker()
    fill(pk)

    with trouble_at("before_raise", TROUBLES[trouble], troubled_redis, until="after_lift"):
        WRITES[write](pk=pk)
    assert is_usable()
    assert in_another_thread(committed, pk=pk) == "new"
    noted = [tag.partition(":")[2] for note in OutboxEntry.objects.all() for tag in note.tags]
    assert "equipment_manufacturer:table" in noted

    replay_until_told()

    assert in_another_thread(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_28_proceeding_write_of_a_process_that_then_dies_is_replayed_by_another(process, watched, settings):
    """
    Given a process whose Redis does not answer, with the setting `proceed`,
    when it has committed a write and is killed,
    then any other process that reaches Redis replays its note.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer", **away(settings)), process("reader")
    writer.run_to("after_commit", rename, pk=pk, name="new")
    writer.kill()

    assert reader.call(replaying.replay) == 1

    assert read(pk=pk) == NEW
    assert reader.call(read, pk=pk) == NEW
    assert_heals(pk)


def test_28_proceeding_write_while_a_fill_is_under_way(process, watched, settings):
    """
    Given a reader that has read the old name and not stored it yet,
    when a write proceeds without Redis, its note is replayed, and only then the reader stores,
    then nobody reads what it stored.
    """
    pk = maker()
    leave_quarantine()
    writer, filler, reader = process("writer", **away(settings)), process("filler"), process("reader")
    filling = filler.run_to("after_compute", read_name, pk=pk)

    writer.call(rename, pk=pk, name="new")
    assert replaying.replay() == 1
    filler.go_on()

    assert filling.result() == "old"
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_28_proceeding_write_is_noted_exactly_if_it_commits(process, watched, settings):
    """
    Given a process whose Redis does not answer, with the setting `proceed`,
    when it rolls a write back, or is killed between its note and the commit,
    then there is no note, and nothing of the write.
    """
    pk = maker()
    fill(pk)
    writer, doomed = process("writer", **away(settings)), process("doomed", **away(settings))

    with pytest.raises(Exception, match="not this"):
        writer.call(rename_and_fail, pk=pk)
    doomed.run_to("after_raise", rename, pk=pk, name="new")
    doomed.kill()

    assert in_another_thread(committed, pk=pk) == "old"
    assert not OutboxEntry.objects.exists()
    assert read(pk=pk) == OLD


def test_28_proceeding_write_with_redis_leaves_no_note(watched, cache_in_use, settings):
    """While Redis answers the setting `proceed` changes nothing: the write is fenced, and nothing is to be replayed."""
    settings.INVALIDATION_ON_FAILURE = "proceed"
    pk = maker()
    fill(pk)
    fences = []

    with interleave("after_raise", lambda: fences.extend(fenced_tags())):
        rename(pk=pk, name="new")

    assert fences == [f"equipment_manufacturer:row:{pk}", "equipment_manufacturer:table"]
    assert not OutboxEntry.objects.exists()
    assert read(pk=pk) == NEW


@transaction.atomic
def rename_and_look(*, pk):
    try:
        rename(pk=pk, name="new")
    finally:
        # As this very transaction sees it, which Django takes for broken.
        name = connection.execute_unseen("SELECT name FROM equipment_manufacturer WHERE id = %s", (pk,))[0]
        assert name == "old"


def rename_and_fail(*, pk):
    with transaction.atomic():
        rename(pk=pk, name="new")
        raise LookupError("not this")


def away(settings):
    """Settings of a process that goes on without Redis, because it does not reach any."""
    ours = settings.CACHES["default"]
    return {
        "INVALIDATION_ON_FAILURE": "proceed",
        "CACHES": {**settings.CACHES, "default": {**ours, "LOCATION": "unix:///nowhere/redis.sock?db=0"}},
    }


def replay_until_told():
    """Replay as the keeper does, once Redis may be asked again, until no note is left."""
    deadline = time.monotonic() + LONGEST_HEALING_SECONDS
    while OutboxEntry.objects.exists():
        with suppress(StoreError):
            replaying.replay()
        assert time.monotonic() < deadline, "the notes are not replayed"
        time.sleep(LOOK_AGAIN_SECONDS)
