"""What dates, times and checklists can be: judged by the models' own rules, as every form does."""

from datetime import date, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from equipment.models import IntervalUnit
from equipment.tests import recipes

pytestmark = pytest.mark.django_db


def wrong_fields(row):
    try:
        row.full_clean()
    except ValidationError as error:
        return set(error.message_dict)
    return set()


def test_a_completion_or_disposal_of_tomorrow_is_refused_and_one_of_today_is_not():
    today = timezone.localdate()
    tomorrow = today + timedelta(days=1)

    def wrong(day):
        completed = recipes.maintenance.prepare(equipment=recipes.device.make(), occurrence_date=day)
        completed.status, completed.completed_on = "completed", day
        disposed = recipes.device.prepare(status="disposed", disposed_on=day)
        return wrong_fields(completed), wrong_fields(disposed)

    assert wrong(tomorrow) == ({"completed_on"}, {"disposed_on"})
    assert wrong(today) == (set(), set())


@pytest.mark.parametrize("field", ["reported_at", "started_at", "returned_to_service_at", "down_from", "down_until"])
def test_a_time_ahead_is_refused_but_for_clocks_that_differ(field):
    now = timezone.now()
    order = recipes.work_order.make(
        status="returned", reported_at=now, started_at=now, returned_to_service_at=now, down_from=now, down_until=now
    )

    setattr(order, field, now + timedelta(hours=1))
    assert field in wrong_fields(order)
    setattr(order, field, now + timedelta(minutes=2))
    assert field not in wrong_fields(order)


@pytest.mark.parametrize(
    ("unit", "longest"),
    [(IntervalUnit.DAY, 3650), (IntervalUnit.WEEK, 520), (IntervalUnit.MONTH, 120), (IntervalUnit.YEAR, 10)],
)
def test_an_interval_is_ten_years_at_most(unit, longest):
    plan = recipes.plan.make(interval=longest, interval_unit=unit)
    assert wrong_fields(plan) == set()

    plan.interval += 1

    assert wrong_fields(plan) == {"__all__"}


def test_the_next_dates_of_the_latest_plan_of_the_longest_interval_are_in_the_calendar():
    ahead = timezone.localdate().replace(day=1)
    plan = recipes.plan.make(starts_on=ahead.replace(year=ahead.year + 10), interval=10, interval_unit="year")

    assert wrong_fields(plan) == set()
    assert plan.occurrence(100).year == ahead.year + 1010


@pytest.mark.parametrize("day", [date(9999, 12, 31), date(2300, 1, 1)])
def test_a_plan_that_begins_in_another_century_is_refused(day):
    assert wrong_fields(recipes.plan.make(starts_on=day)) == {"starts_on"}


@pytest.mark.parametrize("steps", ["Alarm", {"1": "Alarm"}, [1], [["Alarm"]], ["Alarm", "  "], ["", "Alarm"], 7])
def test_a_checklist_that_is_no_list_of_texts_is_refused(steps):
    assert wrong_fields(recipes.plan.make(checklist=steps)) == {"checklist"}


@pytest.mark.parametrize(
    ("steps", "stored"), [(["Alarm", "Battery"], ["Alarm", "Battery"]), ([], []), ({}, []), ("", [])]
)
def test_a_checklist_of_texts_or_of_none_is_accepted(steps, stored):
    plan = recipes.plan.make(checklist=steps)

    assert wrong_fields(plan) == set()
    assert plan.checklist == stored
