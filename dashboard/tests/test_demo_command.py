"""manage.py load_demo: its options, its refusals, and the passwords of the demo users."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import AuditLog, EventType
from dashboard.demo.work import Desk
from dashboard.management.commands import load_demo
from equipment.models import Equipment, WorkOrder

SMALL = ("--equipment", "12", "--work-orders", "80", "--years", "1")
MADE_UP = "made up once"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def surroundings(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.DEMO_PASSWORD = ""
    settings.GENERATED_DEMO_PASSWORD = lambda: MADE_UP


@pytest.fixture
def run() -> Callable[..., str]:
    """Runs the command with options and returns what it says."""

    def command(*options: str, **named: Any) -> str:
        output = io.StringIO()
        call_command("load_demo", *options, stdout=output, stderr=output, **named)
        return output.getvalue()

    return command


def test_it_loads_tells_the_counts_and_how_to_sign_in(run):
    said = run(*SMALL)

    assert Equipment.objects.count() == 12
    assert "12 equipment" in said
    assert "80 work orders" in said
    assert f"admin, editor, viewer, north with the password {MADE_UP}" in said
    assert User.objects.get(username="viewer").check_password(MADE_UP)


def test_the_history_ends_before_the_day_given(run):
    day = timezone.localdate() - timedelta(days=1000)

    run(*SMALL, "--today", day.isoformat())

    newest = WorkOrder.objects.order_by("-reported_at").first()
    assert day - timedelta(days=90) < timezone.localdate(newest.reported_at) < day


def test_a_password_that_is_given_is_taken_and_not_repeated(run, settings):
    settings.DEMO_PASSWORD = "pw"  # short on purpose: whoever sets it decides

    said = run(*SMALL)

    assert User.objects.get(username="admin").check_password("pw")
    assert "pw" not in said.replace("password", "")
    assert MADE_UP not in said


def test_the_option_wins_over_the_setting(run, settings):
    settings.DEMO_PASSWORD = "of the setting"

    run(*SMALL, "--password", "of the option")

    assert User.objects.get(username="admin").check_password("of the option")


def test_the_load_is_recorded_as_the_command_s(run):
    run(*SMALL)

    assert AuditLog.objects.get(event_type=EventType.COMMAND).actor == "command load_demo"


def test_production_is_refused(run, settings):
    settings.PRODUCTION = True

    with pytest.raises(CommandError, match="production"):
        run(*SMALL)

    assert not Equipment.objects.exists()
    assert not User.objects.exists()


def test_a_register_that_is_not_empty_is_refused_by_name(run):
    Equipment.objects.create(name="Pump", serial="1")

    with pytest.raises(CommandError, match=r"not empty \(equipment\)"):
        run(*SMALL)

    assert Equipment.objects.count() == 1


def test_a_second_load_is_refused_and_adds_nothing(run):
    run(*SMALL)

    with pytest.raises(CommandError, match="not empty"):
        run(*SMALL)

    assert Equipment.objects.count() == 12


def test_if_empty_leaves_a_register_in_use_alone_without_a_word(run):
    Equipment.objects.create(name="Pump", serial="1")

    said = run(*SMALL, if_empty=True)

    assert said == ""
    assert Equipment.objects.count() == 1
    assert not User.objects.exists()


def test_if_empty_gives_the_demo_users_a_new_password_that_is_set(run, settings):
    run(*SMALL)
    settings.DEMO_PASSWORD = "another"

    said = run(*SMALL, if_empty=True)

    assert "new password" in said
    assert all(
        user.check_password("another")
        for user in User.objects.filter(username__in=["admin", "editor", "viewer", "north"])
    )
    assert AuditLog.objects.filter(description__startswith="Password of demo user").count() == 4
    assert run(*SMALL, if_empty=True) == ""


def test_if_empty_keeps_the_passwords_where_none_is_set(run):
    run(*SMALL)
    viewer = User.objects.get(username="viewer")
    viewer.set_password("their own")
    viewer.save()

    run(*SMALL, if_empty=True)

    viewer.refresh_from_db()
    assert viewer.check_password("their own")


def test_no_password_is_set_for_an_account_that_the_demo_did_not_make(run, settings):
    User.objects.create_user("admin", password="their own")
    run(*SMALL)
    settings.DEMO_PASSWORD = "another"

    run(*SMALL, if_empty=True)

    assert User.objects.get(username="admin").check_password("their own")
    assert User.objects.get(username="editor").check_password("another")


def test_no_password_is_set_in_a_register_that_the_demo_did_not_fill(run, settings):
    User.objects.create_user("admin", password="their own")
    Equipment.objects.create(name="Pump", serial="1")
    settings.DEMO_PASSWORD = "another"

    run(*SMALL, if_empty=True)

    assert User.objects.get(username="admin").check_password("their own")


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--equipment", "0", "not between"),
        ("--equipment", "many", "not a whole number"),
        ("--work-orders", "-1", "not between"),
        ("--years", "21", "not between"),
        ("--today", "31.01.2026", "not a date"),
        ("--today", "1999-12-31", "before 2000"),
    ],
)
def test_a_bad_value_is_refused_and_named(run, option, value, complaint):
    with pytest.raises(CommandError, match=rf"{option}.*{complaint}"):
        run(f"{option}={value}")

    assert not Equipment.objects.exists()


def test_a_day_in_the_future_is_refused(run):
    tomorrow = timezone.localdate() + timedelta(days=1)

    with pytest.raises(CommandError, match="future"):
        run("--today", tomorrow.isoformat())


def test_ctrl_c_says_that_nothing_was_loaded(run, monkeypatch):
    def interrupt(desk, agenda):
        raise KeyboardInterrupt

    monkeypatch.setattr(Desk, "rows", interrupt)

    with pytest.raises(CommandError, match="nothing was loaded") as caught:
        run(*SMALL)

    assert caught.value.returncode == 130
    assert not Equipment.objects.exists()
    assert not User.objects.exists()


def test_progress_is_told_in_lines_where_there_is_no_terminal(run, monkeypatch):
    monkeypatch.setattr(load_demo, "SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(load_demo, "LOOK_EVERY_ROWS", 40)

    said = run(*SMALL)

    assert "work orders: 40 / 80" in said
    assert "work orders: 80 / 80" in said


def test_verbosity_0_says_nothing(run):
    assert run(*SMALL, verbosity=0) == ""
