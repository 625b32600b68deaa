"""Connections to Redis that know which server they lead to, and a pool that never retries on its own.

A fence or an entry may be believed only if it is known which run of the server it came from. Each connection asks for
`run_id` and role before its first command and keeps the answer for its life.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

# Until when (of time.monotonic) a connection that is being made may wait for the server's first answers.
_deadline: ContextVar[float | None] = ContextVar("invalidation_redis_deadline", default=None)


@contextmanager
def waiting_until(deadline: float | None) -> Iterator[None]:
    """Connections made inside the block wait for the server until `deadline` at most; None for as long as usual."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class _KnownServer:
    """Learns `run_id` and role at connect; a server that is no master, or cannot be asked, is not connected to.

    The hook is `on_connect_check_health`, which redis-py calls in place of `on_connect`. Only a RedisError makes
    redis-py drop the connection: any other exception would leave it in the pool unchecked.
    """

    run_id: str = ""

    def on_connect_check_health(self, check_health: bool = True) -> None:
        self.run_id = ""
        try:
            deadline = _deadline.get()
            if deadline is not None:
                self.wait_until(deadline)
            super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
            self.run_id = self._ask_run_id()
            self.wait_as_usual()
        except RedisError:
            self.disconnect()
            raise
        except BaseException as error:
            self.disconnect()
            if not isinstance(error, Exception):
                raise
            raise RedisConnectionError(f"the server could not be identified: {error}") from error

    def disconnect(self, *args: Any, **kwargs: Any) -> None:
        self.run_id = ""
        super().disconnect(*args, **kwargs)  # type: ignore[misc]

    def wait_until(self, deadline: float) -> None:
        """Wait for answers until `deadline` (of time.monotonic) and no longer; raises a timeout if it has passed."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise RedisTimeoutError("the time for an answer was over before the question was sent")
        self._sock.settimeout(left)  # type: ignore[attr-defined]

    def wait_as_usual(self) -> None:
        """Take the limit of `wait_until` back."""
        if self._sock is not None:  # type: ignore[attr-defined]
            self._sock.settimeout(self.socket_timeout)  # type: ignore[attr-defined]

    def _ask_run_id(self) -> str:
        self.send_command("INFO", "server", check_health=False)  # type: ignore[attr-defined]
        server = _info(self.read_response())  # type: ignore[attr-defined]
        self.send_command("ROLE", check_health=False)  # type: ignore[attr-defined]
        role = self.read_response()[0]  # type: ignore[attr-defined]
        if (role.decode() if isinstance(role, bytes) else role) != "master":
            raise RedisConnectionError("the server is a replica, and entries are never read from one")
        run_id = server.get("run_id", "")
        if not run_id:
            raise RedisConnectionError("the server does not tell its run_id")
        return run_id


def _info(answer: Any) -> dict[str, str]:
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))


class KnownServerConnection(_KnownServer, Connection):
    pass


class KnownServerSSLConnection(_KnownServer, SSLConnection):
    pass


class KnownServerSocketConnection(_KnownServer, UnixDomainSocketConnection):
    pass


KNOWN = {
    Connection: KnownServerConnection,
    SSLConnection: KnownServerSSLConnection,
    UnixDomainSocketConnection: KnownServerSocketConnection,
}


class EnginePool(ConnectionPool):
    """The pool of `CACHES["default"]`: connections that know their server, and no retries.

    A retry inside the pool would reconnect to the old host and hide the failure from the engine, which has to know.
    """

    def __init__(self, connection_class: type = Connection, **kwargs: Any) -> None:
        kwargs["retry"] = Retry(NoBackoff(), 0)
        kwargs["retry_on_error"] = []
        super().__init__(connection_class=KNOWN.get(connection_class, connection_class), **kwargs)
