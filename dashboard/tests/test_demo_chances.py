"""The draws behind the demo: their distributions are those they claim."""

import math
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from dashboard.demo.chances import Weighted, allot, power_law_time, spread, stream
from dashboard.demo.days import LAST_MINUTE, Days

pytestmark = pytest.mark.once


@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_power_law_times_have_the_shape_they_were_drawn_with(shape):
    rng = stream(7, "shape")

    times = [power_law_time(rng, 0.0, 10.0, shape) for _draw in range(20_000)]

    # The maximum-likelihood estimate of the shape for events observed from 0 to a fixed end (Crow, 1974).
    estimate = len(times) / sum(math.log(10.0 / time) for time in times)
    assert estimate == pytest.approx(shape, rel=0.03)


def test_power_law_times_lie_between_start_and_end():
    rng = stream(7, "between")

    times = [power_law_time(rng, 0.4, 1.1, 2.6) for _draw in range(5000)]

    assert 0.4 <= min(times) < 0.45
    assert 1.09 < max(times) <= 1.1


def test_allotted_events_add_up_and_follow_the_weights():
    counts = Counter(allot(stream(7, "allot"), 30_000, [1.0, 0.0, 2.0]))

    assert counts.total() == 30_000
    assert counts[1] == 0
    assert counts[2] / counts[0] == pytest.approx(2.0, rel=0.05)


def test_allotting_nothing_needs_no_weights():
    assert allot(stream(7, "none"), 0, []) == []


def test_weighted_draws_follow_the_weights():
    weighted = Weighted([("often", 3.0), ("never", 0.0), ("seldom", 1.0)])
    rng = stream(7, "weighted")

    counts = Counter(weighted.draw(rng) for _draw in range(20_000))

    assert counts["never"] == 0
    assert counts["often"] / counts["seldom"] == pytest.approx(3.0, rel=0.08)


def test_spread_draws_lie_around_the_median_and_below_the_most():
    rng = stream(7, "spread")

    draws = sorted(spread(rng, 100.0, 0.8, most=300.0) for _draw in range(10_001))

    assert draws[5000] == pytest.approx(100.0, rel=0.05)
    assert draws[-1] == 300.0


def test_streams_of_one_seed_differ_by_purpose_and_repeat():
    first, again, other = (stream(7, purpose).random() for purpose in ("a", "a", "b"))

    assert first == again
    assert first != other


def test_weekends_give_way_to_monday():
    days = Days(date(2026, 6, 1), 1)

    moved = [days.day(days.working_day(date(2026, 5, day).toordinal())) for day in (28, 29, 30, 31)]

    assert moved == [date(2026, 5, 28), date(2026, 5, 29), date(2026, 6, 1), date(2026, 6, 1)]


def test_instants_of_a_day_stay_within_it_when_the_clock_goes_forward(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    days = Days(date(2026, 3, 30), 1)
    sunday = date(2026, 3, 29).toordinal()

    first, last = days.instant(sunday, 0), days.instant(sunday, LAST_MINUTE)

    assert first.replace(tzinfo=UTC) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert last < days.end == datetime(2026, 3, 29, 22)  # noqa: DTZ001 - naive in UTC, as documented
    assert days.end - first == timedelta(hours=23)
