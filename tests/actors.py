"""Other readers and writers for a test: processes and threads that are told what to call, where to stop, when to die.

    def test_a_reader_does_not_believe_an_entry_under_a_fence(actors):
        writer, reader = actors.process("writer"), actors.thread("reader")
        saving = writer.run_to("after_raise", rename, pk=1, name="new")   # the fence is up, nothing is committed

        assert reader.call(name_of, pk=1) == "old"

        writer.go_on()
        saving.result()
        assert reader.call(name_of, pk=1) == "new"

A function is given itself, if it stands at the top of a module, or as "package.module:name". Processes get parameters
and give results by copy; threads share them. Whatever is waited for comes within LONGEST_WAIT_SECONDS or raises.
The fixture `actors` brings a database with real commits.
"""

import itertools
import multiprocessing.connection
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self

import pytest
from django.conf import UserSettingsHolder, settings
from django.db import connections

from invalidation.testing import known_point, leave_quarantine, listening
from project.places import BASE_DIR
from tests.actors_process import Message, Stops, perform, resolve, stacks, stop_if_asked, stops_here

LONGEST_WAIT_SECONDS = 30.0
# What Django needs to reach the databases of this test run; the rest a process finds out as this one did.
OF_A_DATABASE = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")


class CallFailed(Exception):
    """What an actor called raised an exception; its text and traceback are the message."""

    def __init__(self, actor: str, types: tuple[str, ...], text: str, traceback: str) -> None:
        super().__init__(f"{actor}: {types[0]}: {text}\n{traceback}")
        self.types = types
        self.text = text

    @property
    def type_name(self) -> str:
        """The class, as module.name."""
        return self.types[0]

    def is_a(self, kind: type[BaseException]) -> bool:
        """Whether the exception was one of `kind`, or of a class that inherits from it."""
        return f"{kind.__module__}.{kind.__qualname__}" in self.types


class ActorDied(Exception):
    """The actor's process ended before it answered."""


class ActorSilent(Exception):
    """What was waited for did not come in time; the message tells where the actor is."""


class Call:
    """A call that an actor was told to make."""

    def __init__(self, actor: "Actor", text: str) -> None:
        self._actor = actor
        self._text = text
        self.outcome: Message | None = None

    def __repr__(self) -> str:
        return self._text

    def result(self) -> Any:
        """Wait for what the call returns; raises CallFailed, ActorDied or ActorSilent."""
        error = self.error()
        if error is not None:
            raise error
        assert self.outcome is not None
        return self.outcome[2]

    def error(self) -> CallFailed | None:
        """Wait for the call; what it raised, or None if it returned. Raises ActorDied or ActorSilent."""
        if not self.ends_within(LONGEST_WAIT_SECONDS):
            raise ActorSilent(f"{self} has not ended {self._actor.whereabouts()}")
        assert self.outcome is not None
        if self.outcome[0] == "result":
            return None
        failed = CallFailed(self._actor.name, *self.outcome[2:5])
        failed.__cause__ = self.outcome[5] if len(self.outcome) > 5 else None
        return failed

    def ends_within(self, seconds: float) -> bool:
        """Whether the call ends in that time: to see that somebody waits. Raises ActorDied."""
        return self._actor.listen(lambda: self.outcome is not None, seconds)


class Actor:
    """Somebody else who reads and writes; makes one call at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.standing: str | None = None
        self._numbers = itertools.count(1)
        self._calls: dict[int, Call] = {}

    def call(self, function: Callable[..., Any] | str, **kwargs: Any) -> Any:
        """What the function returns there; raises CallFailed for what it raises."""
        return self.begin(function, **kwargs).result()

    def begin(self, function: Callable[..., Any] | str, **kwargs: Any) -> Call:
        """Have the function called, and do not wait for it. Raises RuntimeError while an earlier call runs."""
        for running in self._calls.values():
            if not running.ends_within(0):
                raise RuntimeError(f"{self.name} is still busy with {running}")
        number = next(self._numbers)
        sent = self._sendable(function)
        text = f"{self.name}: {function if isinstance(function, str) else getattr(function, '__name__', function)}"
        call = Call(self, text)
        self._send(("call", number, sent, kwargs))
        self._calls = {number: call}
        return call

    def run_to(self, point: str, function: Callable[..., Any] | str, *, passing: int = 0, **kwargs: Any) -> Call:
        """Have the function called and wait until the actor stands at the point in the midst of it."""
        self.stop_at(point, passing=passing)
        call = self.begin(function, **kwargs)
        self.wait_at(point)
        return call

    def stop_at(self, point: str, *, passing: int = 0) -> None:
        """Have the actor stop once at the point of the engine, after having passed it `passing` times."""
        self._send(("stop", known_point(point), passing))

    def wait_at(self, point: str) -> None:
        """Wait until the actor stands at the point; raises AssertionError when its call ends, or it stops elsewhere."""

        def arrived() -> bool:
            return self.standing is not None or all(call.outcome is not None for call in self._calls.values())

        if not self.listen(arrived, LONGEST_WAIT_SECONDS):
            raise ActorSilent(f"{self.name} has not come to {point} {self.whereabouts()}")
        if self.standing is None:
            for call in self._calls.values():
                call.result()
            raise AssertionError(f"{self.name} ended without coming to {point}")
        if self.standing != point:
            raise AssertionError(f"{self.name} stands at {self.standing}, not at {point}")

    def go_on(self, *, to: str | None = None) -> None:
        """Let the actor go on from where it stands, and with `to` wait until it stands there."""
        if self.standing is None:
            raise RuntimeError(f"{self.name} stands at no point")
        if to is not None:
            self.stop_at(to)
        self.standing = None
        self._send(("go on",))
        if to is not None:
            self.wait_at(to)

    def listen(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Take in what the actor says until the condition holds; whether it does after `seconds` at the latest."""
        deadline = time.monotonic() + seconds
        while not condition():
            message = self._receive(max(0.0, deadline - time.monotonic()))
            if message is None:
                return condition()
            self._take_in(message)
        return True

    def whereabouts(self) -> str:
        """For messages: where the actor is now."""
        where = f" and stands at {self.standing}" if self.standing else ""
        return f"after {LONGEST_WAIT_SECONDS:.0f} s{where}; it is here:\n{self._stacks()}"

    def _take_in(self, message: Message) -> None:
        if message[0] == "standing":
            self.standing = message[1]
        elif message[0] in {"result", "error"} and message[1] in self._calls:
            self._calls[message[1]].outcome = message

    def _sendable(self, function: Callable[..., Any] | str) -> Callable[..., Any] | str:
        return function

    def _send(self, message: Message) -> None:
        raise NotImplementedError

    def _receive(self, seconds: float) -> Message | None:
        """The next message, None if none comes in time; raises ActorDied when none will ever come."""
        raise NotImplementedError

    def _stacks(self) -> str:
        raise NotImplementedError

    def end(self) -> None:
        """End the actor, whatever it is doing; a second time does nothing."""
        raise NotImplementedError


class ThreadActor(Actor):
    """A thread of this process with database connections of its own: quick to begin, but it shares all else."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._jobs: SimpleQueue[Message | None] = SimpleQueue()
        self._stops = Stops(self._messages.put)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        stops_here.set(self._stops)
        try:
            while (job := self._jobs.get()) is not None:
                self._messages.put(perform(*job))
        finally:
            connections.close_all()

    def _send(self, message: Message) -> None:
        match message:
            case ("call", *job):
                self._jobs.put(tuple(job))
            case ("stop", point, passing):
                self._stops.add(point, passing)
            case ("go on",):
                self._stops.go_on()

    def _receive(self, seconds: float) -> Message | None:
        try:
            return self._messages.get(timeout=seconds) if seconds else self._messages.get_nowait()
        except Empty:
            return None

    def _stacks(self) -> str:
        return stacks()

    def end(self) -> None:
        """Let the thread finish what it is doing, without stopping again; raises ActorSilent if it does not."""
        self._stops.clear()
        # It may stand at a point, or have come to one just before its stops were cleared.
        self._stops.go_on()
        self._jobs.put(None)
        self._thread.join(LONGEST_WAIT_SECONDS)
        if self._thread.is_alive():
            raise ActorSilent(f"{self.name} does not end {self.whereabouts()}")


class ProcessActor(Actor):
    """A process with Django, database and Redis connections of its own."""

    def __init__(self, name: str, nursery: "Nursery", module: str, overrides: Mapping[str, Any]) -> None:
        super().__init__(name)
        self._nursery = nursery
        self.pid, self._pipe = nursery.fork(module)
        self._ready = False
        self._told_stacks: list[str] = []
        self._end: int | None = None
        self._over = False
        self._send(("configure", dict(overrides)))
        if not self.listen(lambda: self._ready, LONGEST_WAIT_SECONDS):
            raise ActorSilent(f"{name} does not begin {self.whereabouts()}")

    def kill(self) -> int:
        """`kill -9`, wherever it is, and return once it is gone: its exit code, -9."""
        if not self._over:
            os.kill(self.pid, signal.SIGKILL)
        return self._reap()

    def suspend(self) -> None:
        """SIGSTOP; returns once the process stands still, wherever it is. Raises ActorDied."""
        os.kill(self.pid, signal.SIGSTOP)
        if not self._nursery.has_stopped(self.pid):
            raise ActorDied(f"{self.name} has ended")

    def resume(self) -> None:
        """SIGCONT: goes on as if nothing had happened."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        self.kill()
        self._pipe.close()

    def _reap(self) -> int:
        if not self._over:
            self._end = self._nursery.reap(self.pid)
            self._over = True
        return self._end if self._end is not None else -signal.SIGKILL

    def _sendable(self, function: Callable[..., Any] | str) -> str:
        if isinstance(function, str):
            return function
        name = f"{function.__module__}:{function.__qualname__}"
        try:
            found = resolve(name)
        except AttributeError:
            found = None
        if found is not function:
            raise ValueError(f"{name} is not at the top of its module, where another process could find it")
        return name

    def _send(self, message: Message) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            raise self._died() from None

    def _receive(self, seconds: float) -> Message | None:
        try:
            return self._pipe.recv() if self._pipe.poll(seconds) else None
        except (EOFError, OSError):
            raise self._died() from None

    def _take_in(self, message: Message) -> None:
        if message[0] == "ready":
            self._ready = True
        elif message[0] == "stacks":
            self._told_stacks.append(message[1])
        super()._take_in(message)

    def _died(self) -> ActorDied:
        return ActorDied(f"{self.name} ended with {self._reap()}; {self._nursery.last_words()}")

    def _stacks(self) -> str:
        self._told_stacks.clear()
        self._send(("stacks",))
        told = self.listen(lambda: bool(self._told_stacks), 2)
        return self._told_stacks[0] if told else "it does not say: it is suspended, or holds the interpreter"


class Nursery:
    """The process that forks actors; it has set Django up once, and begins when the first actor is wanted."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._control: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the process on the databases that this one uses now. The main thread must do it: it dies with it."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.actors_process", "--control", str(theirs.fileno())]
        with theirs, self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=BASE_DIR,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "project.settings"},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._control = Connection(ours.detach())
        databases = {
            alias: {part: connections[alias].settings_dict[part] for part in OF_A_DATABASE} for alias in connections
        }
        self._ask(("prepare", databases))
        return self

    def fork(self, module: str) -> tuple[int, Connection]:
        """A new process that has imported the module, and the pipe that leads to it."""
        if self._process is None:
            self.start()
        ours, theirs = socket.socketpair()
        assert self._process is not None
        assert self._control is not None
        with theirs:
            self._control.send(("fork", module))
            send_handle(self._control, theirs.fileno(), self._process.pid)
            pid: int = self._answer()[1]
        return pid, Connection(ours.detach())

    def has_stopped(self, pid: int) -> bool:
        """Wait until the process is stopped by a signal, or dead, and tell whether it is the former."""
        return bool(self._ask(("stopped", pid))[1])

    def reap(self, pid: int) -> int | None:
        """Wait for the end of a process: its exit code, if it was not asked before."""
        code: int | None = self._ask(("reap", pid))[1]
        return code

    def last_words(self) -> str:
        """What the processes wrote last."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return "its last words: " + "\n".join(lines[-20:]) if lines else "it wrote nothing"

    def stop(self) -> None:
        if self._process is not None and self._control is not None:
            self._control.close()
            try:
                self._process.wait(LONGEST_WAIT_SECONDS)
            finally:
                self._process.kill()
                self._process.wait()

    def _ask(self, message: Message) -> Message:
        assert self._control is not None
        self._control.send(message)
        return self._answer()

    def _answer(self) -> Message:
        assert self._control is not None
        try:
            if not multiprocessing.connection.wait([self._control], LONGEST_WAIT_SECONDS):
                raise ActorSilent(f"the nursery does not answer; {self.last_words()}")
            answer: Message = self._control.recv()
        except EOFError:
            raise ActorDied(f"the nursery ended; {self.last_words()}") from None
        return answer


def overridden_settings() -> dict[str, Any]:
    """The settings that differ from the files and the environment now, by fixtures and `override_settings`."""
    found: dict[str, Any] = {}
    holder = vars(settings)["_wrapped"]
    while isinstance(holder, UserSettingsHolder):
        found = {name: value for name, value in vars(holder).items() if name.isupper()} | found
        holder = holder.default_settings
    return found


class Cast:
    """The actors of one test, made at need and ended with it; `module` is where most of what they call stands."""

    def __init__(self, nursery: Nursery, module: str) -> None:
        self._nursery = nursery
        self._module = module
        self._actors: list[Actor] = []

    def process(self, name: str = "process", **overrides: Any) -> ProcessActor:
        """A new process on this test's database, with the settings that hold here now and `overrides`.

        So its Redis and the prefix of its keys are this test's too. Settings changed later do not reach it.
        """
        actor = ProcessActor(name, self._nursery, self._module, overridden_settings() | overrides)
        self._actors.append(actor)
        return actor

    def thread(self, name: str = "thread") -> ThreadActor:
        """A new thread of this process."""
        actor = ThreadActor(name)
        self._actors.append(actor)
        return actor

    def end(self) -> None:
        """End all; one that does not end keeps none of the others alive."""
        errors = []
        for actor in self._actors:
            try:
                actor.end()
            except (ActorSilent, ActorDied) as error:
                errors.append(error)
        if errors:
            raise errors[0]


@pytest.fixture(scope="session")
def nursery(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Begins with the first process that is wanted, ends before the test database goes."""
    nursery = Nursery(tmp_path_factory.mktemp("actors") / "log")
    yield nursery
    nursery.stop()


@pytest.fixture
def actors(
    nursery: Nursery, transactional_db: None, cache_prefix: str, request: pytest.FixtureRequest
) -> Iterator[Cast]:
    """Makes the actors of this test: `actors.process("writer")`, `actors.thread("reader")`.

    The cache is in use, not in quarantine, and with `troubled_redis` it is that server's.
    """
    if "troubled_redis" in request.fixturenames:
        request.getfixturevalue("troubled_redis")
    leave_quarantine()
    cast = Cast(nursery, request.module.__name__)
    with listening(stop_if_asked):
        try:
            yield cast
        finally:
            cast.end()
