"""Rules of what a reader sees: its own transaction, an older state, a replica, and the time."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection, connections, transaction

from equipment.models import Manufacturer
from invalidation import clock
from invalidation.tags import table
from invalidation.testing import assert_hits, in_another_thread, interleave
from tests.rules.makers import is_stored, maker, names, rename, unregistered

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]

# Early enough for Redis to keep what it is given until then.
EVENING = datetime(2024, 5, 6, 23, tzinfo=UTC)


def test_a_transaction_that_has_written_stores_nothing():
    maker()

    with transaction.atomic():
        Group.objects.create(name="written first")
        assert names() == ["old"]  # what was written may have changed this too, by a trigger

    assert not is_stored(names)


def test_what_an_older_state_shows_is_not_stored():
    pk = maker()
    begin = "BEGIN" if connection.vendor == "sqlite" else "BEGIN ISOLATION LEVEL REPEATABLE READ"

    with connection.cursor() as cursor:
        cursor.execute(begin)
        try:
            Manufacturer.objects.count()  # from here on it sees this state
            in_another_thread(rename, pk=pk, name="new")
            inside = names()
        finally:
            cursor.execute("ROLLBACK")

    assert inside == ["old"]
    assert names() == ["new"]


def test_nothing_is_stored_while_rows_of_a_query_are_left():
    pk = maker()
    maker("other")

    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM equipment_manufacturer")
        cursor.fetchone()
        in_another_thread(rename, pk=pk, name="new")
        names()

    assert names() == ["new", "other"]


def test_what_a_standby_answers_is_not_stored(monkeypatch):
    maker()
    monkeypatch.setattr(connections["default"], "is_standby", True)

    names()

    assert not is_stored(names)


# Time


def next_midnight(_params):
    return datetime.combine(clock.today() + timedelta(days=1), datetime.min.time(), clock.now().tzinfo)


@unregistered("rules:until_midnight", needs=[table(Manufacturer)], until=next_midnight)
def today_and_count() -> tuple[str, int]:
    return clock.today().isoformat(), Manufacturer.objects.count()


@unregistered("rules:of_the_day", needs=[table(Manufacturer)], varies=["day"])
def count_of_the_day() -> tuple[str, int]:
    return clock.today().isoformat(), Manufacturer.objects.count()


@pytest.fixture
def evening(settings, movable_clock):
    """It is an hour before midnight."""
    settings.TIME_ZONE = "UTC"
    movable_clock.move_to(EVENING)
    return movable_clock


def test_an_entry_is_compared_with_the_clock_at_each_use(evening):
    assert assert_hits(today_and_count) == ("2024-05-06", 0)

    evening.advance(hours=1, seconds=0.1)

    assert today_and_count() == ("2024-05-07", 0)


def test_a_fill_that_midnight_overtakes_ends_at_that_midnight(evening):
    with interleave("after_compute", lambda: evening.advance(hours=1, seconds=0.1)):
        assert today_and_count() == ("2024-05-06", 0)

    assert today_and_count() == ("2024-05-07", 0)


def test_what_depends_on_the_day_has_the_day_in_its_key(evening):
    assert assert_hits(count_of_the_day) == ("2024-05-06", 0)

    evening.advance(hours=1, seconds=0.1)

    assert count_of_the_day() == ("2024-05-07", 0)
