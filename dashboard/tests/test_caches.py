"""The home page and preferences through the cache."""

from datetime import UTC, date, datetime

import pytest

from dashboard.caches import home_figures, preferences_of
from dashboard.models import UserPreferences
from equipment.models import Equipment, ScheduledMaintenance, WorkOrder
from equipment.tests import recipes
from invalidation.testing import assert_hits, assert_immediately_visible, assert_no_queries, standing_clock
from locations.models import LocationLimit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]

DAY = date(2026, 5, 20)


def test_the_home_page_that_was_asked_for_before_asks_the_database_nothing(viewer, administrator, client_of):
    device = recipes.placed_device.make()
    recipes.maintenance.make(equipment=device)
    LocationLimit.objects.create(user=viewer, location=device.location)
    for user in (viewer, administrator):
        client = client_of(user)
        first = client.get("/").content.decode()

        with assert_no_queries():
            again = client.get("/").content.decode()

        assert (device.name in first, device.name in again) == (True, True)


def test_each_figure_of_the_home_page_is_right_at_once():
    device = recipes.placed_device.make(device_model=recipes.device_model.make())
    recipes.maintenance.make(equipment=device, scheduled_date=DAY)
    recipes.work_order.make(equipment=device)
    asked = {"day": DAY, "days_ahead": 30, "limits": None}

    def after(change):
        return assert_immediately_visible(home_figures, change, **asked)[1]

    assert after(lambda: Equipment.objects.update(data_type="ocm")).ocm == 1
    assert after(lambda: ScheduledMaintenance.objects.update(scheduled_date=date(2026, 5, 1))).overdue == 1
    assert after(lambda: WorkOrder.objects.all().delete()).open_work_orders == 0
    assert after(lambda: Equipment.objects.update(name="Ventilator")).attention[0].equipment == "Ventilator"
    assert after(lambda: ScheduledMaintenance.objects.all().delete()).attention == ()


def test_at_midnight_what_was_due_is_late_though_nobody_writes(viewer, client_of, settings):
    settings.TIME_ZONE = "Pacific/Auckland"
    recipes.maintenance.make(scheduled_date=DAY)
    midnight = datetime(2026, 5, 20, 12, tzinfo=UTC)  # the 21st begins there
    client = client_of(viewer)

    with standing_clock(midnight) as clock:
        clock.advance(seconds=-1)
        before = ["Overdue by" in client.get("/").content.decode() for _time in range(2)]
        clock.advance(seconds=1)
        after = "Overdue by 1 day" in client.get("/").content.decode()

    assert (before, after) == ([False, False], True)


def test_preferences_count_on_the_next_page(viewer, client_of):
    client = client_of(viewer)
    before = client.get("/").content.decode()
    assert preferences_of(user_id=viewer.pk).page_size == 50

    client.post("/accounts/preferences/", {"theme": "dark", "page_size": "20", "dashboard_days": "14"})

    assert ('data-theme="dark"' in before, 'data-theme="dark"' in client.get("/").content.decode()) == (False, True)
    chosen = assert_hits(preferences_of, user_id=viewer.pk)
    assert (chosen.theme, chosen.page_size, chosen.dashboard_days) == ("dark", 20, 14)
    assert (
        assert_immediately_visible(preferences_of, lambda: UserPreferences.objects.all().delete(), user_id=viewer.pk)[
            1
        ].page_size
        == 50
    )
