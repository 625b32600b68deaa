"""Rules of a Redis that forgets, comes back or is another one; of the memory it has; and of databases restored."""

import pytest
from django.db import connection, connections

from equipment.models import Manufacturer
from invalidation import conf, epoch, origins, reset
from invalidation.store import store
from invalidation.testing import assert_hits, interleave, leave_quarantine
from tests.rules.makers import forget_connections, is_stored, loud_names, maker, name_of, names, rename, tag_of_table

pytestmark = [pytest.mark.django_db(transaction=True)]


# A server that forgets


def test_after_a_flush_nothing_is_stored_until_the_writers_under_way_have_ended(actors, troubled_redis):
    pk = maker()
    writer = actors.thread("writer")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")

    troubled_redis.flush_all()
    assert [names(), loud_names()] == [["old"], ["OLD"]]
    writer.go_on(to="after_commit")
    under_a_forgotten_fence = names(), loud_names()
    writer.go_on()
    saving.result()

    assert under_a_forgotten_fence == (["new"], ["NEW"])


def test_a_quarantine_lasts_until_the_writers_under_way_have_ended(actors, troubled_redis):
    pk = maker()
    writer = actors.thread("writer")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")
    troubled_redis.flush_all()

    quarantined = epoch.ensure()
    epoch.Quarantines().try_to_end(quarantined)

    assert epoch.ensure() == quarantined
    writer.go_on(to="after_commit")
    assert names() == ["new"]
    writer.go_on()
    saving.result()
    leave_quarantine()
    assert_hits(names)


def test_what_a_server_remembers_of_an_earlier_run_is_not_believed(troubled_redis):
    leave_quarantine()
    pk = maker()
    assert_hits(names)
    image = troubled_redis.save_image()
    rename(pk=pk, name="new")

    troubled_redis.restart_from(image)
    forget_connections()

    assert names() == ["new"]


def test_a_fill_carries_the_epoch_of_its_beginning(actors, troubled_redis):
    pk = maker()
    filler = actors.thread("filler")
    filling = filler.run_to("after_compute", names)
    image = troubled_redis.save_image()
    rename(pk=pk, name="new")
    troubled_redis.restart_from(image)
    forget_connections()
    leave_quarantine()

    filler.go_on()

    assert filling.result() == ["old"]
    assert names() == ["new"]


# Memory


def test_an_index_lists_entries_up_to_a_bound(cache_in_use, monkeypatch):
    monkeypatch.setattr(conf, "MOST_ENTRIES_OF_AN_INDEX", 2)
    pks = [maker(f"maker {number}") for number in range(4)]

    for pk in pks:
        name_of(pk=pk)

    assert all(is_stored(name_of, pk=pk) for pk in pks)
    assert store().command("SCARD", store().names.index("family:rules")).value == 2


def test_an_index_is_kept_no_longer_than_its_entries(cache_in_use, settings):
    maker()
    names()

    left = store().command("PTTL", store().names.index(tag_of_table())).value

    assert 0 < left <= settings.CACHE_DEFAULT_TTL * 1000


# Databases that are another one than before


def change_as_a_restore_would(pk):
    connections["default"].execute_unseen(
        f'UPDATE "{Manufacturer._meta.db_table}" SET "name" = %s WHERE "id" = %s', ("restored", pk)
    )


def test_entries_of_another_database_end_when_it_is_connected_to(cache_in_use):
    pk = maker()
    assert_hits(names)
    place = (store().names.prefix, connection.database_name)

    change_as_a_restore_would(pk)
    store().command("SET", store().names.origin(connection.database_name), "the database before")
    origins._known.pop(place)
    connection.close()
    connection.ensure_connection()

    assert names() == ["restored"]


def test_a_reset_after_a_restore_ends_what_is_stored_later_too(cache_in_use):
    pk = maker()

    def restore():
        change_as_a_restore_would(pk)
        reset()

    with interleave("after_compute", restore):
        assert names() == ["old"]

    assert names() == ["restored"]
