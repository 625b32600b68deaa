"""The home page, the pages of the signed-in user, and the sign of life."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.figures import quarter_start
from dashboard.models import UserPreferences
from dashboard.templatetags.pages import icon
from equipment.models import Equipment, ScheduledMaintenance, WorkOrder
from invalidation import clock
from locations.models import Location, LocationLimit

ClientOf = Callable[[User], Client]
NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)
TODAY = NOON.date()


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # Sessions are as long as they are from now on, whenever that is.
    monkeypatch.setattr(timezone, "now", lambda: NOON)
    clock.set_source(lambda: NOON)
    yield
    clock.set_source(None)


def figures(client: Client) -> dict[str, int]:
    """The numbers on the home page, by their ids."""
    answer = client.get("/")
    assert answer.status_code == 200
    found = re.findall(r'id="figure-([a-z-]+)" aria-labelledby="[a-z-]+">([\d,]+)<', answer.content.decode())
    return {key: int(value.replace(",", "")) for key, value in found}


def device(serial: str, location: Location | None = None, **fields: Any) -> Equipment:
    return Equipment.objects.create(name="Pump", serial=serial, location=location, **fields)


def planned(pump: Equipment, days: int, **fields: Any) -> ScheduledMaintenance:
    return ScheduledMaintenance.objects.create(equipment=pump, scheduled_date=TODAY + timedelta(days=days), **fields)


def test_the_home_page_counts_each_window_with_both_its_ends(viewer: User, client_of: ClientOf, at_noon: None) -> None:
    pump = device("1", data_type="ppm")
    device("2", data_type="ocm")
    device("3")
    for days in (-30, -1, 0, 7, 8, 30, 31):
        planned(pump, days)
    planned(pump, -5, status="in_progress")
    planned(pump, -5, status="cancelled")
    for day in (date(2026, 3, 31), date(2026, 4, 1), TODAY):
        planned(pump, -60, status="completed", completed_on=day)
    WorkOrder.objects.create(equipment=pump, reported_at=NOON)
    WorkOrder.objects.create(equipment=pump, reported_at=NOON, status="cancelled")

    counted = figures(client_of(viewer))

    assert counted == {
        "equipment": 3,
        "ppm": 1,
        "ocm": 1,
        "open-work-orders": 1,
        "overdue": 3,
        "due": 2,
        "ahead": 4,
        "completed": 2,
    }


def test_the_numbers_are_those_of_the_lists_behind_them(viewer: User, client_of: ClientOf) -> None:
    for number in range(5):
        device(str(number), data_type="ppm" if number % 2 else "ocm")
    device("gone", data_type="ppm", status="disposed", disposed_on=TODAY)
    client = client_of(viewer)

    counted = figures(client)

    for key, address in (("equipment", "/equipment/"), ("ppm", "/equipment/ppm/"), ("ocm", "/equipment/ocm/")):
        assert client.get(address).content.decode().count('data-label="NO"') == counted[key]


def test_the_numbers_are_only_of_what_one_may_see(viewer: User, client_of: ClientOf, at_noon: None) -> None:
    north, south = (Location.objects.create(name=name, kind="site") for name in ("North", "South"))
    LocationLimit.objects.create(user=viewer, location=north)
    for number, place in enumerate((north, south, None)):
        pump = device(str(number), place, data_type="ppm")
        planned(pump, -1)
        planned(pump, -1, status="completed", completed_on=TODAY)
        WorkOrder.objects.create(equipment=pump, reported_at=NOON)
    client = client_of(viewer)

    counted = figures(client)

    assert {counted[key] for key in ("equipment", "ppm", "overdue", "completed", "open-work-orders")} == {1}
    assert client.get("/").content.decode().count("Overdue by") == 1


def test_needs_attention_begins_with_what_is_late_longest(viewer: User, client_of: ClientOf, at_noon: None) -> None:
    pump = device("1")
    for days in range(1, 13):
        planned(pump, -days)

    html = client_of(viewer).get("/").content.decode()

    assert re.findall(r"Overdue by (\d+) days", html) == [str(days) for days in range(12, 2, -1)]


def test_the_home_page_says_as_of_when_and_looks_ahead_as_far_as_chosen(
    viewer: User, client_of: ClientOf, at_noon: None
) -> None:
    UserPreferences.objects.create(user=viewer, dashboard_days=90)
    planned(device("1"), 90)

    answer = client_of(viewer).get("/")

    assert "2026-05-20 12:00:00 UTC" in answer.content.decode()
    assert "open, today to 90 days ahead" in answer.content.decode()
    assert figures(client_of(viewer))["ahead"] == 1


def test_the_home_page_asks_as_many_queries_for_much_as_for_little(
    viewer: User, client_of: ClientOf, django_assert_num_queries: Any
) -> None:
    for number in range(12):
        planned(device(str(number)), -400 - number)
    client = client_of(viewer)

    # Nothing is stored in a transaction that wrote: session, user, preferences; permissions of user and groups; limits;
    # devices, dates, completed, work orders; what needs attention
    with django_assert_num_queries(11):
        client.get("/")


@pytest.mark.parametrize(
    ("day", "first"),
    [
        (date(2026, 1, 1), date(2026, 1, 1)),
        (date(2026, 3, 31), date(2026, 1, 1)),
        (date(2026, 12, 31), date(2026, 10, 1)),
    ],
)
@pytest.mark.once
def test_a_quarter_begins_with_its_first_month(day: date, first: date) -> None:
    assert quarter_start(day) == first


def test_a_theme_that_was_chosen_is_set_before_any_script_runs(viewer: User, client_of: ClientOf) -> None:
    preferences = UserPreferences.objects.create(user=viewer, theme="dark")
    client = client_of(viewer)

    chosen = client.get("/").content.decode()
    preferences.theme = "system"
    preferences.save()
    left_open = client.get("/").content.decode()

    assert 'data-theme="dark" data-bs-theme="dark"' in chosen
    assert 'data-theme="system">' in left_open


def test_preferences_are_saved_for_oneself_alone(viewer: User, editor: User, client_of: ClientOf) -> None:
    chosen = {"theme": "dark", "language": "de", "page_size": "20", "dashboard_days": "14", "receives_reminders": "on"}

    answer = client_of(viewer).post("/accounts/preferences/", {**chosen, "user": str(editor.pk)})

    stored = UserPreferences.objects.get()
    assert answer.status_code == 302
    assert (stored.user, stored.theme, stored.page_size, stored.language) == (viewer, "dark", 20, "de")


def test_preferences_out_of_bounds_are_refused_and_change_nothing(viewer: User, client_of: ClientOf) -> None:
    UserPreferences.objects.create(user=viewer, page_size=50)

    answer = client_of(viewer).post(
        "/accounts/preferences/", {"theme": "neon", "page_size": "5000", "dashboard_days": "0"}
    )

    assert answer.status_code == 400
    assert UserPreferences.objects.get().page_size == 50


def test_the_language_that_was_chosen_is_spoken(viewer: User, client_of: ClientOf) -> None:
    UserPreferences.objects.create(user=viewer, language="de")

    html = client_of(viewer).get("/", headers={"Accept-Language": "en"}).content.decode()

    assert '<html lang="de"' in html
    assert "Abmelden" in html


def test_the_next_visitor_does_not_inherit_the_language(viewer: User, editor: User, client_of: ClientOf) -> None:
    UserPreferences.objects.create(user=viewer, language="de")
    client_of(viewer).get("/")

    html = client_of(editor).get("/").content.decode()

    assert '<html lang="en"' in html


@pytest.mark.parametrize("method", ["get", "head"])
def test_the_sign_of_life_asks_no_database_whoever_asks(
    viewer: User, client_of: ClientOf, django_assert_num_queries: Any, method: str
) -> None:
    client = client_of(viewer)

    with django_assert_num_queries(0):
        answer = getattr(client, method)("/health/")

    assert (answer.status_code, answer.content) == (200, b"ok" if method == "get" else b"")
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers


def test_the_sign_of_life_answers_without_tls(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True

    answers = [client.get(address).status_code for address in ("/health/", "/accounts/sign-in/")]

    assert answers == [200, 301]


@pytest.mark.parametrize("address", ["/", "/equipment/", "/accounts/preferences/", "/accounts/password/", "/nowhere/"])
def test_no_page_is_left_in_the_browser(viewer: User, client_of: ClientOf, address: str) -> None:
    assert "no-store" in client_of(viewer).get(address).headers["Cache-Control"]


def test_pages_that_do_not_exist_say_so_without_the_database(
    viewer: User, client_of: ClientOf, django_assert_num_queries: Any
) -> None:
    client = client_of(viewer)

    with django_assert_num_queries(0):
        answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert "This page does not exist" in answer.content.decode()


def test_a_fault_of_ours_is_answered_with_a_page_and_no_details(
    viewer: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_arguments: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("dashboard.views.home_figures", fail)
    client = client_of(viewer)
    client.raise_request_exception = False

    answer = client.get("/")

    assert answer.status_code == 500
    assert "Something went wrong here" in answer.content.decode()
    assert "secret detail" not in answer.content.decode()


def test_a_form_without_its_token_is_refused_with_a_page(db: None) -> None:
    answer = Client(enforce_csrf_checks=True).post("/accounts/sign-in/", {"username": "a", "password": "b"})

    assert answer.status_code == 403
    assert "This form is no longer valid" in answer.content.decode()


def test_a_host_that_is_not_ours_gets_the_page_for_bad_requests(client: Client) -> None:
    answer = client.get("/accounts/sign-in/", headers={"Host": "elsewhere.example"})

    assert answer.status_code == 400
    assert "This request could not be understood" in answer.content.decode()


def test_who_may_not_use_the_admin_is_told_so_and_not_asked_again(viewer: User, client_of: ClientOf) -> None:
    answer = client_of(viewer).get("/admin/", follow=True)

    assert answer.status_code == 403


def test_the_admin_asks_to_sign_in_on_our_page(client: Client) -> None:
    answer = client.get("/admin/equipment/", follow=True)

    assert answer.redirect_chain[-1] == ("/accounts/sign-in/?next=/admin/equipment/", 302)


def test_the_admins_sign_in_page_leads_nowhere_else(editor: User, client_of: ClientOf) -> None:
    answer = client_of(editor).get("/admin/login/?next=https://elsewhere.example/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("name", ["nothing", "../logo", "stethoscope/../key"])
@pytest.mark.once
def test_an_icon_that_is_not_vendored_is_an_error(name: str) -> None:
    with pytest.raises(LookupError, match="there is no icon"):
        icon(name)
