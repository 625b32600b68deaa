"""What users of the engine test with: each assertion passes where it should, and fails where it should."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection, connections, transaction
from django.utils import timezone

from invalidation import clock, epoch, points
from invalidation.breaker import Breaker
from invalidation.store import store
from invalidation.testing import (
    assert_hits,
    assert_immediately_visible,
    assert_no_queries,
    fresh_keys,
    in_another_thread,
    interleave,
    leave_quarantine,
    listening,
    points_reached,
    standing_clock,
)

INSTANT = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


class NamesOfGroups:
    """A cached read as far as the assertions look at one, whose faults are chosen."""

    name = "group:names"

    def __init__(self, *, stores=True, notices=True, notices_in_other_threads=True):
        self.stores = stores
        self.notices = notices
        self.notices_in_other_threads = notices_in_other_threads
        self.home = threading.get_ident()
        self.entry = None

    def forget(self):
        self.entry = None

    def bypass(self, *, start):
        return sorted(Group.objects.filter(name__startswith=start).values_list("name", flat=True))

    def __call__(self, *, start):
        at_home = threading.get_ident() == self.home
        if self.entry is None or not self.stores:
            self.entry = self.last = self.bypass(start=start)
        return self.entry if at_home or self.notices_in_other_threads else self.first

    def add(self, name):
        def change():
            self.first = self.entry
            Group.objects.create(name=name)
            if self.notices:
                self.forget()

        return change


# Points


def test_an_action_is_interleaved_once_at_its_point():
    seen = []

    with interleave("after_lookup", lambda: seen.append("action")):
        for name in ("before_lookup", "after_lookup", "after_lookup"):
            seen.append(name)
            points.reach(name)

    assert seen == ["before_lookup", "after_lookup", "action", "after_lookup"]


def test_an_action_may_come_to_its_own_point():
    seen = []

    def action():
        seen.append("action")
        points.reach("after_lookup")

    with interleave("after_lookup", action):
        points.reach("after_lookup")

    assert seen == ["action"]


def test_an_action_can_wait_for_a_later_time():
    seen = []

    with interleave("after_lookup", lambda: seen.append("action"), passing=1):
        points.reach("after_lookup")
        seen.append("passed")
        points.reach("after_lookup")

    assert seen == ["passed", "action"]


def test_blocks_within_each_other_each_have_their_point():
    seen = []

    with interleave("before_raise", lambda: seen.append(1)), interleave("after_raise", lambda: seen.append(2)):
        points.reach("before_raise")
        points.reach("after_raise")

    assert seen == [1, 2]


def test_what_another_thread_comes_to_is_not_this_threads():
    seen = []

    with interleave("after_lookup", lambda: seen.append("action")), points_reached() as reached:
        in_another_thread(points.reach, "after_lookup")
        assert seen == reached == []
        points.reach("after_lookup")

    assert seen == ["action"]
    assert reached == ["after_lookup"]


def test_what_the_action_raises_comes_out_of_the_engine():
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), interleave("after_lookup", fail):
        points.reach("after_lookup")


def test_a_block_that_does_not_come_to_its_point_fails():
    with pytest.raises(AssertionError, match="came to after_lookup"), interleave("after_lookup", lambda: None):
        points.reach("before_lookup")


def test_a_block_that_fails_otherwise_fails_as_it_did():
    with pytest.raises(ZeroDivisionError), interleave("after_lookup", lambda: None):
        _ = 1 / 0


def test_a_point_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no point 'after_look'"), interleave("after_look", lambda: None):
        pass


def test_after_the_last_block_nobody_listens():
    with listening(lambda name: None):
        assert points._action is not None

    assert points._action is None


def test_points_are_counted_in_all_threads(point_counts):
    points.reach("after_lookup")
    in_another_thread(points.reach, "after_lookup")

    assert point_counts == {"after_lookup": 2}


# Threads


@pytest.mark.django_db(transaction=True)
def test_another_thread_has_its_own_connection_and_gives_what_it_finds():
    def look():
        return connection.in_atomic_block, Group.objects.filter(name="uncommitted").exists()

    with transaction.atomic():
        assert in_another_thread(look) == (False, False)


@pytest.mark.django_db(transaction=True)
def test_another_threads_connection_is_closed_with_it():
    def use():
        Group.objects.count()
        return connections["default"], connections["default"].connection is not None

    used, was_open = in_another_thread(use)

    assert was_open
    assert used.connection is None


def test_another_threads_error_is_raised_here():
    def fail():
        raise LookupError("there")

    with pytest.raises(LookupError, match="there"):
        in_another_thread(fail)


def test_a_thread_that_waits_for_this_one_is_told(monkeypatch):
    monkeypatch.setattr("invalidation.testing.LONGEST_THREAD_SECONDS", 0.05)
    gate = threading.Event()

    with pytest.raises(TimeoutError, match="does it wait"):
        in_another_thread(gate.wait)

    gate.set()


# Assertions


@pytest.mark.django_db
def test_queries_where_none_is_expected_are_shown():
    with pytest.raises(AssertionError, match=r"(?s)1 queries.*auth_group"), assert_no_queries():
        Group.objects.count()

    with assert_no_queries():
        Group.objects.none().count()


@pytest.mark.django_db(transaction=True)
def test_a_read_that_is_answered_from_the_cache_hits():
    Group.objects.create(name="x1")

    assert assert_hits(NamesOfGroups(), start="x") == ["x1"]


@pytest.mark.django_db(transaction=True)
def test_a_read_that_is_never_stored_does_not_hit():
    with pytest.raises(AssertionError, match=r"group:names\(start='x'\) is not answered from the cache"):
        assert_hits(NamesOfGroups(stores=False), start="x")


@pytest.mark.django_db(transaction=True)
def test_a_hit_that_the_database_contradicts_fails():
    names = NamesOfGroups(notices=False)
    names(start="x")
    names.add("x1")()

    with pytest.raises(AssertionError, match=r"hits \[\], and the database says \['x1'\]"):
        assert_hits(names, start="x")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_seen_at_once_is_immediately_visible():
    names = NamesOfGroups()

    assert assert_immediately_visible(names, names.add("x1"), start="x") == ([], ["x1"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("faults", "place"),
    [({"notices": False}, "another thread"), ({"notices_in_other_threads": False}, "another thread")],
)
def test_a_change_that_is_not_seen_is_told_with_the_place(faults, place):
    names = NamesOfGroups(**faults)

    with pytest.raises(AssertionError, match=rf"{place} still reads \[\] from .*the database says \['x1'\]"):
        assert_immediately_visible(names, names.add("x1"), start="x")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_only_this_thread_does_not_see_is_told_too():
    class OnlyElsewhere(NamesOfGroups):
        def __call__(self, *, start):
            found = super().__call__(start=start)
            return self.first if hasattr(self, "first") and threading.get_ident() == self.home else found

    names = OnlyElsewhere()

    with pytest.raises(AssertionError, match=r"this thread still reads \[\]"):
        assert_immediately_visible(names, names.add("x1"), start="x")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_the_read_does_not_show_tests_nothing():
    names = NamesOfGroups()

    with pytest.raises(AssertionError, match=r"makes no difference .*stays \[\]"):
        assert_immediately_visible(names, names.add("y1"), start="x")


@pytest.mark.django_db
def test_within_a_transaction_nothing_can_be_asserted():
    with pytest.raises(AssertionError, match="use django_db\\(transaction=True\\)"):
        assert_hits(NamesOfGroups(), start="x")


# Clock


def test_the_clock_stands_until_it_is_moved(movable_clock):
    first = clock.now()
    assert clock.now() == first

    movable_clock.advance(hours=1, minutes=30)
    assert clock.now() - first == timedelta(hours=1, minutes=30)

    movable_clock.move_to(INSTANT)
    assert clock.now() == INSTANT
    assert in_another_thread(clock.now) == INSTANT


def test_a_fill_keeps_its_instant_when_the_clock_is_moved(movable_clock):
    movable_clock.move_to(INSTANT)

    with clock.frozen(clock.now()):
        movable_clock.advance(minutes=2)
        assert clock.today() == INSTANT.date()

    assert clock.today() == INSTANT.date() + timedelta(days=1)


def test_after_the_block_the_clock_is_the_systems():
    with standing_clock(INSTANT):
        assert clock.now() == INSTANT

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_an_instant_without_a_time_zone_is_refused(movable_clock):
    with pytest.raises(ValueError, match="no time zone"):
        movable_clock.move_to(datetime(2026, 3, 1))  # noqa: DTZ001 - a naive one is meant


# The cache


@pytest.mark.django_db(transaction=True)
def test_under_new_keys_the_cache_is_in_quarantine_until_it_is_in_use(fresh_prefix):
    assert epoch.is_quarantined(epoch.ensure())

    leave_quarantine()

    assert not epoch.is_quarantined(epoch.ensure())


def test_the_fixture_brings_a_cache_in_use(cache_in_use):
    assert not epoch.is_quarantined(epoch.ensure())
    assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
def test_a_quarantine_that_does_not_end_is_told(fresh_prefix, monkeypatch):
    monkeypatch.setattr("invalidation.testing.LONGEST_QUARANTINE_SECONDS", 0.2)

    with transaction.atomic():
        # On either database this has begun to write, and may commit with no fence that the new server knows of.
        Group.objects.create(name="open")
        with pytest.raises(AssertionError, match="is a transaction open"):
            in_another_thread(leave_quarantine)


def test_failures_of_redis_stay_with_the_keys_they_came_from():
    store().breaker.note_failure(1)
    store().breaker.note_failure(1)
    assert store().breaker.is_open

    with fresh_keys():
        assert not store().breaker.is_open
        cache.get("name")

    assert store().breaker.is_open
    store().breaker = Breaker()


# Keys


def test_nothing_stored_before_is_found_under_fresh_keys():
    cache.set("name", "value")
    before = settings.CACHES["default"]["KEY_PREFIX"]

    with fresh_keys() as prefix:
        assert settings.CACHES["default"]["KEY_PREFIX"] == prefix != before
        assert cache.get("name") is None

    assert cache.get("name") == "value"


def test_the_fixture_gives_the_prefix_that_holds(fresh_prefix):
    assert settings.CACHES["default"]["KEY_PREFIX"] == fresh_prefix
    cache.set("name", "value")
    assert cache.make_key("name").startswith(fresh_prefix)


def test_the_systems_clock_is_the_one_of_now_whatever_stood_in_for_it(monkeypatch):
    noon = datetime(2026, 5, 20, 12, tzinfo=UTC)
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: noon)
        clock.set_source(None)
        assert clock.now() == noon

    assert clock.now() != noon
