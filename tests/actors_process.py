"""The acting side of tests/actors.py: what runs in an actor's process or thread.

Run as a program it is the nursery: it sets Django up once and then forks an actor at each request, in a few
milliseconds, before any connection to a database or Redis exists and while it has a single thread.

    python -m tests.actors_process --control FD

All messages are tuples whose first part is a word. To the nursery come `("prepare", databases)` once, then
`("fork", module)` followed by a descriptor, `("stopped", pid)` and `("reap", pid)`; each is answered by one message.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from queue import SimpleQueue
from typing import Any

from project.processes import parent_death

Message = tuple[Any, ...]


class Stops:
    """The points at which one actor stops, and the gate it waits at.

    `reach` is called by the actor itself, all else by those who drive it.
    """

    def __init__(self, report: Callable[[Message], None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._passing: dict[str, int] = {}
        self._gate = threading.Semaphore(0)

    def add(self, point: str, passing: int) -> None:
        """Stop once at `point`, after having passed it `passing` times."""
        with self._lock:
            self._passing[point] = passing

    def clear(self) -> None:
        with self._lock:
            self._passing.clear()

    def go_on(self) -> None:
        self._gate.release()

    def reach(self, point: str) -> None:
        with self._lock:
            left = self._passing.get(point)
            if left is None:
                return
            if left:
                self._passing[point] = left - 1
                return
            del self._passing[point]
        self._report(("standing", point))
        self._gate.acquire()


# The stops of the actor that runs in this context; what it hands to other threads of its own stops nowhere.
stops_here: ContextVar[Stops | None] = ContextVar("stops", default=None)


def stop_if_asked(point: str) -> None:
    """The one listener at the points of a process, for all actors in it."""
    stops = stops_here.get()
    if stops is not None:
        stops.reach(point)


def resolve(name: str) -> Any:
    """What "package.module:name.of.attribute" stands for."""
    module, _, path = name.partition(":")
    found = import_module(module)
    for attribute in path.split("."):
        found = getattr(found, attribute)
    return found


def type_names(error: BaseException) -> tuple[str, ...]:
    """The error's class and those it inherits from, each as module.name."""
    return tuple(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)


def perform(number: int, function: Callable[..., Any] | str, kwargs: dict[str, Any]) -> Message:
    """Call and tell how it went: ("result", number, value) or ("error", number, types, text, traceback, error)."""
    try:
        called = resolve(function) if isinstance(function, str) else function
        return ("result", number, called(**kwargs))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the one who asked is told
        return ("error", number, type_names(error), str(error), traceback.format_exc(), error)


def stacks() -> str:
    """Where each thread of this process is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )


class ActorProcess:
    """An actor in a process of its own: calls run in the main thread, a second one reads what comes by the pipe."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.jobs: SimpleQueue[Message] = SimpleQueue()
        self.sending = threading.Lock()
        self.stops = Stops(self.send)

    def send(self, message: Message) -> None:
        with self.sending:
            self.pipe.send(message)

    def run(self) -> None:
        from invalidation import testing

        threading.Thread(target=self.read, name="reader", daemon=True).start()
        stops_here.set(self.stops)
        with testing.listening(stop_if_asked):
            while True:
                word, *parts = self.jobs.get()
                if word == "configure":
                    self.configure(*parts)
                else:
                    self.answer(perform(*parts))

    def read(self) -> None:
        """Hand on what comes; end with the one who drives us, even in the middle of a call."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                message = self.pipe.recv()
                match message:
                    case ("stop", point, passing):
                        self.stops.add(point, passing)
                    case ("go on",):
                        self.stops.go_on()
                    case ("stacks",):
                        self.send(("stacks", stacks()))
                    case _:
                        self.jobs.put(message)
        os._exit(1)

    def configure(self, overrides: dict[str, Any]) -> None:
        from django.test.utils import override_settings

        override_settings(**overrides).enable()
        self.send(("ready",))

    def answer(self, message: Message) -> None:
        if message[0] == "error":
            message = message[:5]
        try:
            self.send(message)
        except Exception as error:  # noqa: BLE001 - what cannot be sent may fail in any way
            text = f"what the call gave cannot be sent to another process: {error}"
            self.send(("error", message[1], type_names(error), text, traceback.format_exc()))


class Nursery:
    """Forks actors, and reaps them: until then the id of a dead one is not given to another process."""

    def __init__(self, control: Connection) -> None:
        self.control = control
        self.children: set[int] = set()

    def prepare(self, databases: dict[str, dict[str, Any]]) -> None:
        """Set Django up on the databases of the test run."""
        import django
        from django.conf import settings

        for alias, changes in databases.items():
            settings.DATABASES[alias].update(changes)
        django.setup()
        from django.test.utils import setup_test_environment
        from django.urls import get_resolver

        import invalidation.testing  # noqa: F401 - imported once here, not by every actor
        import tests.actors  # noqa: F401

        setup_test_environment(debug=False)
        _ = get_resolver().url_patterns

    def run(self) -> None:
        try:
            while True:
                match self.control.recv():
                    case ("prepare", databases):
                        self.prepare(databases)
                        self.control.send(("prepared",))
                    case ("fork", module):
                        self.warm(module)
                        self.control.send(("forked", self.fork(recv_handle(self.control))))
                    case ("stopped", pid):
                        # A stopped child is told once and stays; a dead one is reaped by this call.
                        _, status = os.waitpid(pid, os.WUNTRACED)
                        if not os.WIFSTOPPED(status):
                            self.children.discard(pid)
                        self.control.send(("stopped", os.WIFSTOPPED(status)))
                    case ("reap", pid):
                        self.control.send(("reaped", self.reap(pid)))
        except EOFError:
            pass  # the test run is over, or was killed
        finally:
            for pid in self.children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def warm(self, module: str) -> None:
        """Import what the next actors will call, once for all of them."""
        try:
            import_module(module)
        except Exception:  # noqa: BLE001 - the actor that needs it tells
            traceback.print_exc()

    def reap(self, pid: int) -> int | None:
        """Wait for the end of a child: its exit code, -9 after SIGKILL; None for one that was reaped before."""
        if pid not in self.children:
            return None
        _, status = os.waitpid(pid, 0)
        self.children.discard(pid)
        return os.waitstatus_to_exitcode(status)

    def fork(self, handle: int) -> int:
        if threading.active_count() != 1:
            raise AssertionError(f"setting Django up left threads behind, so nothing can fork:\n{stacks()}")
        nursery = os.getpid()
        pid = os.fork()
        if pid:
            os.close(handle)
            self.children.add(pid)
            return pid
        try:
            self.control.close()
            parent_death.tie_to_parent(nursery, signal.SIGKILL)
            ActorProcess(Connection(handle)).run()
        except BaseException:  # noqa: BLE001 - it must not return into the nursery's loop
            traceback.print_exc()
        os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="the nursery of tests/actors.py")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    parent_death.tie_to_parent(arguments.parent, signal.SIGKILL)
    Nursery(Connection(socket.socket(fileno=arguments.control).detach())).run()


if __name__ == "__main__":
    # Under the name that everybody else imports it by, or there would be two of `stops_here`.
    import_module("tests.actors_process").main()
