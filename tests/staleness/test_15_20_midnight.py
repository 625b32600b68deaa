"""16: nobody writes, the date changes, and with it what is overdue."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

import pytest
from django.utils import timezone

from dashboard.caches import home_figures
from equipment.models import ScheduledMaintenance
from equipment.tests.recipes import device, maintenance
from invalidation import clock, table
from invalidation.testing import assert_hits, assert_no_queries, interleave, standing_clock
from tests.staleness import reads3
from tests.staleness.reads import unregistered
from tests.staleness.reads3 import Browser, is_stored

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2026, 5, 20)
MIDNIGHT = datetime(2026, 5, 20, 12, tzinfo=UTC)  # the 21st begins in Auckland
NOON = MIDNIGHT - timedelta(hours=12)
JUST_BEFORE = MIDNIGHT - timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def site(monkeypatch, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    yield from reads3.declared(monkeypatch, settings)


@pytest.fixture
def late_tomorrow():
    """A date of maintenance that is due on DAY, and overdue on the day after it."""
    return maintenance.make(equipment=device.make(name="Ventilator"), scheduled_date=DAY)


def end_of_today(_params=None):
    return timezone.make_aware(
        datetime.combine(clock.today() + timedelta(days=1), time()), timezone.get_default_timezone()
    )


@dataclass(frozen=True)
class Overdue:
    day: date
    count: int


def _count_overdue():
    today = clock.today()
    return Overdue(today, ScheduledMaintenance.objects.overdue_on(today).count())


@unregistered("staleness:overdue_until", needs=[table(ScheduledMaintenance)], until=end_of_today)
def overdue_until_midnight() -> Overdue:
    """Of today, which is no part of its key."""
    return _count_overdue()


@unregistered("staleness:overdue_kept", needs=[table(ScheduledMaintenance)], until=end_of_today, local=True)
def overdue_kept_until_midnight() -> Overdue:
    return _count_overdue()


@unregistered("staleness:overdue_by_day", needs=[table(ScheduledMaintenance)], varies=["day"])
def overdue_by_day() -> Overdue:
    return _count_overdue()


@unregistered("staleness:overdue_inside", needs=[])
def overdue_inside() -> Overdue:
    """Knows nothing of time: it goes with what it is made of."""
    return overdue_until_midnight()


@unregistered("staleness:overdue_whole", needs=[table(ScheduledMaintenance)], snapshot=True)
def overdue_in_one_state() -> Overdue:
    return overdue_until_midnight()


READS_OF_TODAY = [
    overdue_until_midnight,
    overdue_kept_until_midnight,
    overdue_by_day,
    overdue_inside,
    overdue_in_one_state,
]


def call(*, name: str) -> Overdue:
    return next(read for read in READS_OF_TODAY if read.name == name)()


def overdue_on(text: str) -> int:
    """The figure of the home page."""
    found = re.search(r'id="figure-overdue"[^>]*>([\d,]+)<', text)
    assert found, text[:500]
    return int(found[1])


# The site


def test_16_midnight_changes_the_home_page_and_the_browsers_copy_of_it(actors, viewer, client_of, late_tomorrow):
    """
    Given the home page in the cache and in a browser, an hour and a moment before midnight,
    when the date changes where the site is, and nobody writes,
    then the figure and the list are those of the new day, in this process and in another.
    """
    reader = actors.process("reader")
    client = client_of(viewer)
    here, there = Browser(client), Browser(client, partial(reader.call, reads3.visit))
    before = []

    with standing_clock(MIDNIGHT - timedelta(hours=1)) as now:
        for instant in (now(), JUST_BEFORE):
            now.move_to(instant)
            reader.call(reads3.stop_clock_at, instant=instant)
            before += [browser.keep("/").text for browser in (here, there)]
        now.move_to(MIDNIGHT)
        reader.call(reads3.stop_clock_at, instant=MIDNIGHT)
        after = [browser.get("/") for browser in (there, here)]
        kept = [browser.keep("/") for browser in (there, here)]

    assert [overdue_on(text) for text in before] == [0] * 4
    assert [(answer.status, overdue_on(answer.text)) for answer in after] == [(200, 1)] * 2
    assert all("Overdue by 1 day" in answer.text for answer in (*after, *kept))


def test_16_midnight_changes_the_page_of_a_device(viewer, client_of, cache_in_use, late_tomorrow):
    browser = Browser(client_of(viewer))
    address = f"/equipment/{late_tomorrow.equipment_id}/"

    with standing_clock(JUST_BEFORE) as now:
        before = browser.keep(address)
        now.move_to(MIDNIGHT)
        after = browser.get(address)

    assert ("verdue" in before.text, "verdue" in after.text) == (False, True)
    assert after.status == 200


def test_16_midnight_during_a_page_leaves_no_copy_that_is_confirmed(viewer, client_of, cache_in_use, late_tomorrow):
    """
    Given a home page that is begun on one day and finished on the next,
    when it is asked for again,
    then the browser was given nothing to keep, and what it gets is of the new day.
    """
    browser = Browser(client_of(viewer))

    with standing_clock(JUST_BEFORE) as now:
        browser.get("/accounts/preferences/")
        with interleave("after_compute", lambda: now.move_to(MIDNIGHT)):
            across = browser.get("/")
        after = browser.get("/")

    assert (across.status, across.etag, across.kept) == (200, "", "private, no-store")
    assert (after.status, overdue_on(after.text)) == (200, 1)


def test_16_midnight_in_one_process_and_not_yet_in_another_whose_clock_is_late(
    actors, viewer, client_of, late_tomorrow
):
    """
    Given two processes whose clocks differ by three minutes, and midnight in between,
    when they answer in turns from one cache,
    then each tells what is true on its own date, and neither spoils the other's.
    """
    early, late = actors.process("early"), actors.process("late")
    early.call(reads3.stop_clock_at, instant=MIDNIGHT + timedelta(minutes=2))
    late.call(reads3.stop_clock_at, instant=MIDNIGHT - timedelta(minutes=1))
    client = client_of(viewer)
    cookies = Browser(client).cookies

    pages = [each.call(reads3.visit, address="/", cookies=cookies) for each in (early, late) * 2]
    counts = {
        read.name: [each.call(call, name=read.name).count for each in (early, late) * 2] for read in READS_OF_TODAY
    }

    assert [overdue_on(page.text) for page in pages] == [1, 0] * 2
    assert counts == {read.name: [1, 0] * 2 for read in READS_OF_TODAY}


def test_16_midnight_figures_of_both_days_stand_side_by_side(cache_in_use, late_tomorrow):
    asked = {"days_ahead": 30, "limits": None}

    today, tomorrow = (assert_hits(home_figures, day=day, **asked) for day in (DAY, DAY + timedelta(days=1)))

    assert (today.overdue, tomorrow.overdue) == (0, 1)
    with assert_no_queries():
        assert home_figures(day=DAY, **asked) == today


# `until` and the date in the key


@pytest.mark.parametrize("read", READS_OF_TODAY, ids=lambda read: read.operation)
def test_16_midnight_ends_an_entry_that_redis_still_has(actors, cache_in_use, late_tomorrow, read):
    """
    Given an entry filled at noon, in Redis for half a day to come,
    when our clock says midnight a moment later,
    then it is not used in any process, though it is there.
    """
    reader = actors.process("reader")
    with standing_clock(NOON) as now:
        reader.call(reads3.stop_clock_at, instant=NOON)
        read()
        with assert_no_queries():
            before = read()
        assert reader.call(call, name=read.name) == before
        key = read.key()
        now.move_to(MIDNIGHT - timedelta(microseconds=1))
        with assert_no_queries():
            last = read()
        now.move_to(MIDNIGHT)
        reader.call(reads3.stop_clock_at, instant=MIDNIGHT)
        assert reads3.store().command("EXISTS", key).value == 1
        after = reader.call(call, name=read.name), read()

    assert before == last == Overdue(DAY, 0)
    assert after == (Overdue(DAY + timedelta(days=1), 1),) * 2


@pytest.mark.parametrize("read", READS_OF_TODAY, ids=lambda read: read.operation)
@pytest.mark.parametrize("point", ["before_compute", "after_compute"])
def test_16_midnight_during_a_fill_gives_the_entry_the_end_of_the_day_it_was_filled_on(
    cache_in_use, late_tomorrow, read, point
):
    """
    Given a fill that reads the clock before midnight,
    when midnight passes before it is stored,
    then what is stored is not taken for the new day's, neither at once nor all day long.
    """
    with standing_clock(JUST_BEFORE) as now:
        with interleave(point, lambda: now.move_to(MIDNIGHT + timedelta(milliseconds=1))):
            across = read()
        after = read()
        now.advance(hours=20)
        later = read()

    assert across == Overdue(DAY, 0)
    assert after == later == Overdue(DAY + timedelta(days=1), 1)


def test_16_midnight_a_clock_read_once_gives_key_and_value_of_one_date(cache_in_use, late_tomorrow):
    """
    Given a clock that strikes midnight between any two looks at it,
    when a read whose key has the date is made, then one whose clock is late, and one whose clock is right,
    then no entry under one date has the value of the other.
    """
    ticks = iter([JUST_BEFORE])
    clock.set_source(lambda: next(ticks, MIDNIGHT))
    try:
        overdue_by_day()
    finally:
        clock.set_source(None)

    with standing_clock(JUST_BEFORE) as now:
        late = overdue_by_day()
        now.move_to(MIDNIGHT)
        punctual = overdue_by_day()

    assert (late, punctual) == (Overdue(DAY, 0), Overdue(DAY + timedelta(days=1), 1))


def test_16_midnight_ends_what_is_stored_in_redis_too(cache_in_use, late_tomorrow):
    """The time an entry is kept is cut to its `until`: it does not lie about for a day after it."""
    with standing_clock(NOON):
        overdue_until_midnight()
        assert is_stored(overdue_until_midnight)
        kept_milliseconds = reads3.store().command("PTTL", overdue_until_midnight.key()).value

    assert 0 < kept_milliseconds <= 12 * 3600 * 1000
