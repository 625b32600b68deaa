"""Keeps programs running until it is asked to stop, and then stops them in order."""

import os
import select
import signal
import time
from dataclasses import dataclass
from types import FrameType

from project.processes.programs import Child, ProgramFailed, how_it_ended

ASK_EVERY_SECONDS = 1.0
SILENCES_BEFORE_KILL = 3
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
# A program that ran this long was well: its next restart is immediate again.
WELL_AFTER_SECONDS = 60.0


class StopRequested(Exception):
    """A signal, or the end of the process that started us, asks for an orderly end."""


def say(text: str) -> None:
    """Print a line at once; a reader that went away (a closed terminal, `| head`) is no reason to fail."""
    try:
        print(text, flush=True)
    except OSError:
        # What stays in the buffer would fail again when Python ends.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def say_now(text: str) -> None:
    """Print a line with the time of day: something happened while the site was running."""
    say(f"{time.strftime('%H:%M:%S')} {text}")


class Signals:
    """Turns signals, and the end of a child, into something that can be waited for.

    Handlers only count: they interrupt nothing half-way. `pause` is where a request to stop is noticed.
    """

    def __init__(self, parent: int | None = None) -> None:
        self.requests = 0
        self.noticed = False
        self.parent = parent
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._count)
        signal.signal(signal.SIGINT, self._count)
        signal.signal(signal.SIGTERM, self._count)
        # Under nohup the terminal may close; that is what nohup is for.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._count)

    def _count(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.requests += 1

    def pause(self, seconds: float) -> None:
        """Wait for `seconds`, less when a signal comes; raises StopRequested at the first request, and only once.

        Once it has been raised, pauses are pauses again: stopping takes some waiting too.
        """
        self._raise_once()
        ready, _, _ = select.select([self._reading], [], [], seconds)
        if ready:
            os.read(self._reading, 4096)
        self._raise_once()

    def settle(self) -> None:
        """Make pauses raise nothing from now on: the end has begun, for whatever reason."""
        self.noticed = True

    def impatient(self) -> bool:
        """Whether someone asked to stop a second time."""
        return self.requests > 1

    def _raise_once(self) -> None:
        orphaned = self.parent is not None and os.getppid() != self.parent
        if (self.requests or orphaned) and not self.noticed:
            self.noticed = True
            raise StopRequested


def has_answered(child: Child) -> bool:
    """Whether the child gave a sign of being well."""
    try:
        return child.program.answers()
    except ProgramFailed:
        return False


@dataclass
class Watch:
    """What the supervisor knows about one child."""

    child: Child
    ready: bool = True
    silences: int = 0
    failures: int = 0
    ask_at: float = 0.0
    start_at: float = 0.0


class Supervisor:
    """Starts what ended, replaces what fell silent, and at the end stops all, the last started first."""

    def __init__(self, signals: Signals) -> None:
        self.signals = signals
        self.watches: list[Watch] = []

    def adopt(self, child: Child) -> None:
        """Watch over a child that has been started and has answered."""
        self.watches.append(Watch(child))

    def run(self) -> None:
        """Watch over all children until StopRequested is raised."""
        while True:
            self.tend()
            self.signals.pause(ASK_EVERY_SECONDS / 4)

    def pause(self, seconds: float) -> None:
        """Wait as `Signals.pause` does, looking after the children meanwhile."""
        self.tend()
        self.signals.pause(seconds)

    def tend(self) -> None:
        """Look after each child once."""
        for watch in self.watches:
            if watch.child.process is None:
                self._start_if_due(watch)
            else:
                self._look_at(watch)

    def stop(self) -> None:
        """Stop every child, the last started first; a second request to stop kills at once."""
        for watch in reversed(self.watches):
            watch.child.stop(hurry=self.signals.impatient)
        self.watches.clear()

    def _start_if_due(self, watch: Watch) -> None:
        if time.monotonic() < watch.start_at:
            return
        try:
            watch.child.start()
        except (ProgramFailed, OSError) as error:
            self._restart_later(watch, f"{watch.child.program.name} does not start: {error}", ran_seconds=0.0)

    def _look_at(self, watch: Watch) -> None:
        child = watch.child
        now = time.monotonic()
        code = child.exit_code()
        if code is not None:
            child.kill()
            self._restart_later(watch, f"{child.program.name} {how_it_ended(code)}", ran_seconds=now - child.started_at)
            return
        if now < watch.ask_at or (watch.ready and not child.program.watched):
            return
        watch.ask_at = now + ASK_EVERY_SECONDS
        if has_answered(child):
            if not watch.ready:
                say_now(f"{child.program.name} is back")
            watch.ready, watch.silences = True, 0
            return
        booting = not watch.ready and now - child.started_at < child.program.boot_seconds
        watch.silences += 0 if booting else 1
        if watch.silences >= SILENCES_BEFORE_KILL:
            child.kill()
            self._restart_later(watch, f"{child.program.name} does not answer", ran_seconds=now - child.started_at)

    def _restart_later(self, watch: Watch, reason: str, *, ran_seconds: float) -> None:
        if ran_seconds > WELL_AFTER_SECONDS:
            watch.failures = 0
        delay = 0.0
        if watch.failures:
            delay = min(FIRST_BACKOFF_SECONDS * 2 ** (watch.failures - 1), LONGEST_BACKOFF_SECONDS)
        watch.failures += 1
        watch.ready, watch.silences = False, 0
        watch.start_at = time.monotonic() + delay
        say_now(f"{reason}; starting it again{f' in {delay:g} s' if delay else ''}")
