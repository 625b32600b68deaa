"""11 and 12: the news of a write gets lost, or Redis forgets what it was told, or remembers what was before."""

import pytest
from django.db import transaction

from equipment.models import Manufacturer
from invalidation import epoch, keeper
from invalidation.store import store
from invalidation.testing import interleave, leave_quarantine
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
    statements_of_read,
)
from tests.staleness.troubles import TROUBLES, trouble_at

pytestmark = pytest.mark.django_db(transaction=True)

NEW = ("new", ["new"])
OLD = ("old", ["old"])
# Where a writer dies, and whether it has committed by then.
DEATHS = [("before_raise", OLD), ("after_raise", OLD), ("after_commit", NEW), ("after_lift", NEW)]


# 11 Lost flush


@pytest.mark.parametrize("trouble", TROUBLES)
def test_11_lost_flush_redis_is_away_for_exactly_the_lift(troubled_redis, reader, watched, caplog, trouble):
    """
    Given both reads of a maker in the cache,
    when Redis fails just after the commit and is well again just after the lift that was to end them,
    then the write reports no failure, everybody reads what was committed, and the cache comes into use by itself.
    """
    pk = maker()
    fill(pk)

    with trouble_at("after_commit", TROUBLES[trouble], troubled_redis, until="after_lift"):
        rename(pk=pk, name="new")

    # What became a replica has lost its keys: there is nothing to lift on it.
    assert ("a fence could not be lifted" in caplog.text) == (trouble != "read-only")
    assert committed(pk=pk) == "new"
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


@pytest.mark.parametrize(("point", "expected"), DEATHS)
def test_11_lost_flush_a_writer_killed_at_any_step_leaves_nothing_stale(process, watched, point, expected):
    """
    Given both reads in the cache,
    when the writer's process is killed at a step around its COMMIT,
    then every read is what the database has, at once and for ever, and the cache comes into use by itself.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")

    writer.run_to(point, rename, pk=pk, name="new")
    writer.kill()

    assert reader.call(read, pk=pk) == expected
    assert read(pk=pk) == expected
    assert committed(pk=pk) == expected[0]
    assert_heals(pk)
    assert reader.call(read, pk=pk) == expected


@pytest.mark.parametrize(("point", "expected"), DEATHS)
def test_11_lost_flush_readers_before_and_after_the_death_agree_with_the_database(process, watched, point, expected):
    """
    Given a writer that stands at a step around its COMMIT,
    when one reads, the writer is killed, and one reads again,
    then what was filled under its fence is never taken for the new state.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")

    writer.run_to(point, rename, pk=pk, name="new")
    assert reader.call(read, pk=pk) == expected
    writer.kill()

    assert reader.call(read, pk=pk) == expected
    assert read(pk=pk) == expected
    assert_heals(pk)


def test_11_lost_flush_a_fence_that_nobody_reads_is_taken_away_by_the_keeper(process, watched):
    """
    Given a writer killed between its commit and its lift, and nobody who reads what it wrote,
    when the keeper looks around as often as it takes,
    then no fence stands any more, and what was filled before the write is not read.
    """
    pk = maker()
    fill(pk)
    writer = process("writer")
    writer.run_to("after_commit", rename, pk=pk, name="new")
    writer.kill()
    assert fenced_tags() != []

    looking = keeper.Keeper()
    for _look in range(1000):
        looking.look_around()
        if not fenced_tags():
            break

    assert fenced_tags() == []
    assert read(pk=pk) == NEW


def test_11_lost_flush_the_fence_of_a_living_writer_is_not_taken_away(process, watched):
    """
    Given a writer that stands between its fence and its commit, for far longer than anybody's patience,
    when readers and the keeper try to prove its end,
    then the fence stands, everybody reads the old state, and after the commit the new one.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")
    fences = fenced_tags()
    assert fences != []

    for _look in range(30):
        assert reader.call(read, pk=pk) == OLD
        assert not has_hit(name_of, pk=pk)
        keeper.resolve_standing(at_once=True)

    assert fenced_tags() == fences
    writer.go_on()
    saving.result()
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW


# 12 The cache forgets or remembers too much


def forget_by_eviction(server):
    assert server.evict_volatile_keys() > 0


def forget_by_flush(server):
    server.flush_all()


def forget_by_death(server):
    server.restart_empty()


FORGETTING = {"eviction": forget_by_eviction, "flush": forget_by_flush, "death": forget_by_death}


@pytest.mark.parametrize("way", FORGETTING)
def test_12_forgets_and_a_fill_is_under_way(troubled_redis, process, watched, way):
    """
    Given a reader that has read the old name and not stored it yet,
    when Redis forgets its stamps, the name is changed, Redis forgets once more, and only then the reader stores,
    then nobody reads what it stored.
    """
    pk = maker()
    fill(pk)
    rename(pk=pk, name="older")
    rename(pk=pk, name="old")
    filler, reader = process("filler"), process("reader")
    filling = filler.run_to("after_compute", read_name, pk=pk)

    FORGETTING[way](troubled_redis)
    leave_quarantine()
    rename(pk=pk, name="new")
    if way == "eviction":
        forget_by_eviction(troubled_redis)
    filler.go_on()

    assert filling.result() == "old"
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


@pytest.mark.parametrize("way", FORGETTING)
@pytest.mark.parametrize(("point", "expected"), DEATHS)
def test_12_forgets_while_a_writer_is_under_way(troubled_redis, process, watched, way, point, expected):
    """
    Given both reads in the cache and a writer at a step around its COMMIT,
    when Redis forgets, readers read and fill as far as they may, and the writer goes on,
    then everybody reads what is committed, before and after.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    saving = writer.run_to(point, rename, pk=pk, name="new")

    FORGETTING[way](troubled_redis)
    for _read in range(5):
        assert reader.call(read, pk=pk) == expected
        assert read(pk=pk) == expected
    writer.go_on()

    # A connection that broke with the server may cost the write its fence: then it is refused, and so is the name.
    error = saving.error()
    now = OLD if error is not None else NEW
    assert error is None or point == "before_raise"
    assert reader.call(read, pk=pk) == now
    assert read(pk=pk) == now
    assert_heals(pk)


def test_12a_forgets_by_eviction_no_fence_and_no_epoch(troubled_redis, process, watched):
    """
    Given a writer whose fence stands,
    when memory runs out until every key with a TTL is evicted,
    then fence and epoch are still there, and readers neither hit nor store.
    """
    pk = maker()
    fill(pk)
    writer = process("writer")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")
    before, fences = epoch.ensure(), fenced_tags()
    assert any(tag.endswith(f"row:{pk}") for tag in fences)

    forget_by_eviction(troubled_redis)

    assert (epoch.ensure(), fenced_tags()) == (before, fences)
    for _read in range(3):
        assert not has_hit(name_of, pk=pk)
        assert not has_hit(names)
    writer.go_on()
    saving.result()
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_12b_remembers_an_older_image_with_entries_that_were_true_then(troubled_redis, process, watched):
    """
    Given an image of Redis with the old name and its stamps in it,
    when the name is changed and the server dies and comes back with the image,
    then nobody reads the old name, and the cache comes into use by itself.
    """
    pk = maker()
    fill(pk)
    image = troubled_redis.save_image()
    reader = process("reader")
    rename(pk=pk, name="new")
    fill(pk)

    troubled_redis.restart_from(image)

    assert troubled_redis.ask("EXISTS", name_of.key(pk=pk)) == 1
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


@pytest.mark.parametrize(("point", "expected"), DEATHS)
def test_12b_remembers_an_older_image_while_a_writer_is_under_way(troubled_redis, process, watched, point, expected):
    """
    Given a writer at a step around its COMMIT,
    when the server comes back with an image from before it raised its fence,
    then nothing is read from the cache before the writer has ended, and nothing old afterwards.
    """
    pk = maker()
    fill(pk)
    image = troubled_redis.save_image()
    writer, reader = process("writer"), process("reader")
    saving = writer.run_to(point, rename, pk=pk, name="new")

    troubled_redis.restart_from(image)

    for _read in range(5):
        assert reader.call(read, pk=pk) == expected
        assert read(pk=pk) == expected
    if point in {"before_raise", "after_raise"}:
        assert epoch.is_quarantined(epoch.ensure())
        assert reader.call(statements_of_read, pk=pk) > 0
    writer.go_on()
    error = saving.error()
    assert error is None or point == "before_raise"
    now = OLD if error is not None else NEW
    assert reader.call(read, pk=pk) == now
    assert read(pk=pk) == now
    assert_heals(pk)


def test_12b_remembers_an_older_image_with_the_fence_of_a_writer_that_has_ended(troubled_redis, process, watched):
    """
    Given an image taken while a writer's fence stood,
    when the writer has long committed and the server comes back with the image,
    then the fence of yesterday goes by itself, and everybody reads what is committed.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")
    image = troubled_redis.save_image()
    writer.go_on()
    saving.result()

    troubled_redis.restart_from(image)

    assert fenced_tags() != []
    assert reader.call(read, pk=pk) == NEW
    assert_heals(pk)
    assert reader.call(read, pk=pk) == NEW


def test_12c_forgets_by_flush_under_a_writer_and_is_not_used_before_it_ended(troubled_redis, process, watched):
    """
    Given a writer whose fence stands,
    when all keys are flushed, the server and its connections going on as before,
    then the cache is in quarantine, however often one tries to end that, until the writer has ended.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")

    troubled_redis.flush_all()

    quarantines = epoch.Quarantines()
    for _attempt in range(20):
        assert reader.call(read, pk=pk) == OLD
        quarantines._next_attempt = 0
        quarantines.try_to_end(epoch.ensure())
        assert epoch.is_quarantined(epoch.ensure())
        assert reader.call(statements_of_read, pk=pk) > 0
    writer.go_on()
    saving.result()
    assert reader.call(read, pk=pk) == NEW
    assert_heals(pk)


def test_12c_forgets_by_flush_between_the_lookup_and_the_stamps_of_a_fill(troubled_redis, process, watched):
    """
    Given a reader that has looked and found nothing, and a writer whose fence stands,
    when all keys are flushed, so that the reader finds tags without a fence, and the writer dies behind its commit,
    then what the reader has filled before the commit is not read after it.
    """
    pk = maker()
    writer, filler, reader = process("writer"), process("filler"), process("reader")
    filling = filler.run_to("after_lookup", read_name, pk=pk)
    writer.run_to("after_raise", rename, pk=pk, name="new")

    troubled_redis.flush_all()
    filler.go_on()
    assert filling.result() == "old"
    # Without its lift, which is a second line here.
    writer.go_on(to="after_commit")
    writer.kill()

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_12_forgets_between_fence_and_commit_of_this_very_thread(troubled_redis, reader, watched):
    """
    Given a transaction of two writes whose fence stands,
    when all keys are flushed just before it commits and another process reads and would fill,
    then after the commit nobody reads the old state.
    """
    pk = maker()
    fill(pk)

    def flush_and_read():
        troubled_redis.flush_all()
        assert reader.call(read, pk=pk) == OLD
        assert reader.call(read, pk=pk) == OLD

    with interleave("after_raise", flush_and_read), transaction.atomic():
        rename(pk=pk, name="newer")
        rename(pk=pk, name="new")

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_12_forgets_every_script(troubled_redis, reader, watched):
    """When the server has forgotten every script, a write is fenced and seen all the same."""
    pk = maker()
    fill(pk)

    with interleave("before_raise", troubled_redis.flush_scripts):
        Manufacturer.objects.filter(pk=pk).update(name="new")
    troubled_redis.flush_scripts()

    assert reader.call(read, pk=pk) == NEW
    assert store().command("EXISTS", store().names.epoch).value == 1
    assert_heals(pk)
