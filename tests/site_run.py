"""A run of the real site for tests: started as `make run` does, on a port and in a folder of its own."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from project.places import BASE_DIR

PATIENCE_SECONDS = 90
# What decides how a site runs; a test that wants one of these says so.
NOT_INHERITED = re.compile(
    r"^(PLUMBLINE_|DATABASE_|REDIS_|CACHE_|DB_|WEB_|EMAIL_|SECURE_|PYTEST_|DEMO_|BEHIND_|CSRF_)|"
    r"^(PORT|BIND|DEBUG|SECRET_KEY|ALLOWED_HOSTS|LOG_LEVEL|TIME_ZONE|LANGUAGE_CODE|PYTHONPATH|DJANGO_SETTINGS_MODULE)$"
)


def eventually(condition: Callable[[], object]) -> bool:
    """True as soon as the condition is; False when it is not within PATIENCE_SECONDS."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def free_port() -> int:
    """A port of the loopback interface nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_alive(process: psutil.Process) -> bool:
    """Whether the process still runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class SiteRun:
    """One run of the site. Everything it starts carries a mark in its environment, so that nothing escapes notice."""

    def __init__(self, var: Path, *, port: int | None = None, **environment: str) -> None:
        self.var = var
        self.port = port or free_port()
        self.mark = uuid.uuid4().hex
        self.environment = {name: value for name, value in os.environ.items() if not NOT_INHERITED.search(name)}
        self.environment |= {
            "PLUMBLINE_VAR": str(var),
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            "PLUMBLINE_TEST_MARK": self.mark,
            **environment,
        }
        self.output = tempfile.NamedTemporaryFile(prefix="plumbline-run-", suffix=".log")  # noqa: SIM115 - see stop()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wrapper: tuple[str, ...] = (), arguments: tuple[str, ...] = ()) -> "SiteRun":
        """Start the supervisor, through `wrapper` if given, as the leader of a process group."""
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-m", "project.processes", *arguments],
            cwd=BASE_DIR,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output.fileno(),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def said(self) -> str:
        """Everything printed so far."""
        return Path(self.output.name).read_text()

    def until_ready(self) -> "SiteRun":
        """Wait until the run says that the site is ready; fails with what it said otherwise."""
        self.until_said("Plumbline is ready")
        return self

    def until_said(self, text: str, times: int = 1) -> None:
        """Wait until `text` was printed so many times."""
        assert self.process is not None
        ended = False

        def happened() -> bool:
            nonlocal ended
            # The order matters: what was said before the end must count.
            ended = self.process is not None and self.process.poll() is not None
            return self.said().count(text) >= times or ended

        eventually(happened)
        assert self.said().count(text) >= times, f"never said {text!r}, but:\n{self.said()}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor alone."""
        os.kill(self.pid, number)

    def exit_code(self) -> int:
        """Wait for the end of the supervisor."""
        assert self.process is not None
        return self.process.wait(PATIENCE_SECONDS)

    def health(self) -> int | None:
        """The status of /health/; None if nobody answers."""
        return self.status("/health/")

    def status(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> int | None:
        """The status of the answer, None if nobody answers; `headers` have underscores for dashes."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            client.request(method, path, body, {"Host": "localhost", **named})
            return client.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            client.close()

    def processes(self, containing: str = "") -> list[psutil.Process]:
        """What runs of this run, oldest first, narrowed to command lines that contain a text."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                # Cheap first: the environment of every process of the machine takes long.
                line = " ".join(process.cmdline())
                if containing in line and process.environ().get("PLUMBLINE_TEST_MARK") == self.mark:
                    found.append(process)
        return sorted(found, key=lambda process: (process.create_time(), process.pid))

    def redis(self) -> psutil.Process | None:
        """The process of the embedded Redis, if there is one."""
        return next(iter(self.processes("redis.sock")), None)

    def web_servers(self) -> list[psutil.Process]:
        """The web server's processes: the master first, then its workers."""
        found = self.processes("gunicorn_conf")
        known = {process.pid for process in found}
        return sorted(found, key=lambda process: process.ppid() in known)

    def nothing_is_left(self) -> bool:
        """Whether every process of this run ends before patience does."""
        return eventually(lambda: not self.processes())

    def stop(self) -> None:
        """End everything, however the test left it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        self.output.close()
