"""One program the site consists of, and the process that runs it."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from project.places import BASE_DIR
from project.processes import parent_death

Pause = Callable[[float], None]

# What an earlier run left behind dies on its own within moments, so it is given that long before it is killed.
ORPHAN_PATIENCE_SECONDS = 2.0
ORPHAN_LIMIT_SECONDS = 10.0
LOOK_AGAIN_SECONDS = 0.02


class ProgramFailed(Exception):
    """A program that did not start, or ended or fell silent before it was ready."""


def nothing() -> None:
    """Do nothing: what a program does before its start unless it says otherwise."""


@dataclass(frozen=True)
class Program:
    """What to run and how to tell that it works.

    `lock` is a file of its own: it is held by the program and everything it forks, and tells the next run whether
    something of an earlier one is still alive. `environment` comes on top of our own. `answers` asks the running
    program for a sign of life and returns within about a second, or raises ProgramFailed for one that will never be
    well; with `watched` it is asked again and again, and
    silence means that the program is killed and started anew.
    """

    name: str
    argv: tuple[str, ...]
    lock: Path
    answers: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    before_start: Callable[[], None] = nothing
    output: Path | None = None
    watched: bool = False
    stop_signal: int = signal.SIGTERM
    stop_seconds: float = 10.0
    boot_seconds: float = 60.0


class Child:
    """The process of a program; it never outlives the process that made it.

    `pause` waits: it may return early, and may raise to end whatever is being waited for.
    """

    def __init__(self, program: Program, *, pause: Pause = time.sleep, tie_by_kernel: bool | None = None) -> None:
        self.program = program
        self.pause = pause
        self.tie_by_kernel = parent_death.KERNEL_CAN_TIE if tie_by_kernel is None else tie_by_kernel
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self._lifeline: int | None = None

    def start(self) -> None:
        """Start the process; does not wait until it is ready. Raises ProgramFailed if an earlier one cannot be ended.

        Call it from the main thread: the kernel ties the process to the thread that starts it.
        """
        lock = claim(self.program, pause=self.pause)
        lifelines: tuple[int, ...] = ()
        arguments = [sys.executable, "-I", "-S", parent_death.__file__, "--parent", str(os.getpid())]
        arguments += ["--lock", str(lock)]
        try:
            self.program.before_start()
            if not self.tie_by_kernel:
                reading, self._lifeline = os.pipe()
                lifelines = (reading,)
                arguments += ["--lifeline", str(reading)]
            with contextlib.ExitStack() as stack:
                output = stack.enter_context(self.program.output.open("ab")) if self.program.output else None
                self.process = subprocess.Popen(  # noqa: S603 - the commands are our own table of programs
                    [*arguments, "--", *self.program.argv],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=BASE_DIR,
                    env={**os.environ, **self.program.environment},
                    pass_fds=(lock, *lifelines, *self.program.descriptors),
                    start_new_session=True,  # Ctrl-C on the terminal reaches us alone, and we stop it in order
                )
            self.started_at = time.monotonic()
        finally:
            os.close(lock)
            for descriptor in lifelines:
                os.close(descriptor)

    def wait_until_ready(self, *, pause: Pause | None = None) -> None:
        """Return when the program answers; raises ProgramFailed if it ends or is silent for its `boot_seconds`."""
        pause = pause or self.pause
        deadline = time.monotonic() + self.program.boot_seconds
        while not self.program.answers():
            code = self.exit_code()
            if code is not None:
                raise ProgramFailed(f"{self.program.name} {how_it_ended(code)}")
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{self.program.name} did not answer within {self.program.boot_seconds:.0f} s")
            pause(LOOK_AGAIN_SECONDS)

    def exit_code(self) -> int | None:
        """How the process ended, as subprocess tells it; None while it runs."""
        return self.process.poll() if self.process else None

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """End the process and all it started: asked first, killed after `stop_seconds` or as soon as `hurry()`."""
        if self.process is None:
            return
        deadline = time.monotonic() + self.program.stop_seconds
        if self.process.poll() is None:
            self.process.send_signal(self.program.stop_signal)
            # A process that was stopped (SIGSTOP) takes no signal before it goes on.
            self.process.send_signal(signal.SIGCONT)
        while self.process.poll() is None and time.monotonic() < deadline and not hurry():
            self.pause(LOOK_AGAIN_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill what is left of the process and of everything it started; returns when all of it is gone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        end_leftovers(self.program, pause=self.pause, patience_seconds=0)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        self.process = None


def claim(program: Program, *, pause: Pause, patience_seconds: float = ORPHAN_PATIENCE_SECONDS) -> int:
    """The descriptor of the program's lock file, locked, once no process of the program is left.

    One that is left has `patience_seconds` to end and is then killed. Raises ProgramFailed if even that is no use.
    """
    descriptor = os.open(program.lock, os.O_RDWR | os.O_CREAT, 0o600)
    began = time.monotonic()
    killed = False
    try:
        while not is_free(descriptor):
            waited = time.monotonic() - began
            if waited > ORPHAN_LIMIT_SECONDS:
                raise ProgramFailed(f"an earlier {program.name} does not end (see {program.lock})")
            if waited >= patience_seconds and not killed:
                killed = kill_holder(descriptor)
            pause(LOOK_AGAIN_SECONDS)
        os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_free(lock: int) -> bool:
    """Take the lock if nobody has it; whether it is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def end_leftovers(
    program: Program, *, pause: Pause = time.sleep, patience_seconds: float = ORPHAN_PATIENCE_SECONDS
) -> None:
    """Return when no process of the program is left, as `claim` does, without keeping the lock."""
    os.close(claim(program, pause=pause, patience_seconds=patience_seconds))


def kill_holder(lock: int) -> bool:
    """Kill the process group noted in a lock file that is held; False if it names none yet.

    Safe although process ids are used again: as long as the lock is held a member of that group is alive, and the
    kernel gives no process the id of a living group.
    """
    note = os.pread(lock, 32, 0).strip()
    if not note.isdigit():
        return False
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(int(note), signal.SIGKILL)
    return True


def how_it_ended(code: int) -> str:
    """An exit code of subprocess in words."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
