"""The web server: gunicorn on a socket that we open, so that the address is ours while workers come and go."""

import errno
import http.client
import os
import signal
import socket
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from project import environment
from project.processes.programs import Program, ProgramFailed

LONGEST_QUEUE = 1024
ANSWER_SECONDS = 0.5


def host_and_port() -> tuple[str, int]:
    """Where to listen, from BIND and PORT; raises ImproperlyConfigured."""
    return environment.text("BIND", "127.0.0.1").strip("[]"), environment.integer("PORT", 8000, 1, 65535)


def workers() -> int:
    """How many processes serve pages: WEB_CONCURRENCY, else by processors; raises ImproperlyConfigured."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return environment.integer("WEB_CONCURRENCY", min(2 * processors + 1, 9), 1, 64)


def address(host: str, port: int) -> str:
    """The address to open in a browser on this machine."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def listener(host: str, port: int) -> socket.socket:
    """A socket listening on `host` and `port`; raises ImproperlyConfigured telling what to change."""
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ImproperlyConfigured(f"BIND={host} is no address: {error.strerror}") from None
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind(name)
        connection.listen(LONGEST_QUEUE)
    except OSError as error:
        connection.close()
        other = port + 1 if port < 65535 else 8000
        reasons = {
            errno.EADDRINUSE: f"port {port} is in use by another program; choose another: make run PORT={other}",
            errno.EACCES: f"port {port} is for privileged users; choose another: make run PORT=8000",
            errno.EADDRNOTAVAIL: f"BIND={host} is no address of this machine",
        }
        raise ImproperlyConfigured(reasons.get(error.errno or 0, f"cannot listen on {host}:{port}: {error}")) from None
    return connection


def public_address() -> str | None:
    """The address visitors of a site in production open, by the first host it answers for; None where any will do."""
    host = next(iter(environment.words("ALLOWED_HOSTS")), "*").lstrip(".")
    return None if host == "*" else f"https://{host}"


def is_healthy(connection: socket.socket) -> bool:
    """Whether the site that is served on the socket answers /health/ within half a second.

    Raises ProgramFailed if it answers, but not with 200: waiting will not help.
    """
    name = connection.getsockname()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name[0], name[0])  # noqa: S104 - compared with, not bound to
    client = http.client.HTTPConnection(host, name[1], timeout=ANSWER_SECONDS)
    try:
        client.request("GET", "/health/")
        status = client.getresponse().status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()
    if status != http.HTTPStatus.OK:
        raise ProgramFailed(f"the site answers /health/ with status {status}")
    return True


def program(connection: socket.socket, *, lock: Path) -> Program:
    """gunicorn with several workers on the listening socket `connection`."""
    return Program(
        name="the web server",
        argv=(
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:project.gunicorn_conf",
            "--bind",
            f"fd://{connection.fileno()}",
            "--workers",
            str(workers()),
            "project.wsgi:application",
        ),
        lock=lock,
        answers=lambda: is_healthy(connection),
        descriptors=(connection.fileno(),),
        stop_signal=signal.SIGTERM,
        stop_seconds=15.0,
        boot_seconds=60.0,
    )
