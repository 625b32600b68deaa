"""The only module that talks to Redis: commands and scripts over connections whose server is known.

Every failure is a StoreError, whatever it was: whether a command took effect is then unknown. Nothing is retried here;
who may ask twice decides that.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha1
from pathlib import Path
from typing import Any

from django.core.cache import caches
from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from invalidation.breaker import Breaker
from invalidation.connections import waiting_until
from invalidation.exceptions import StoreError, StoreUnavailableError
from invalidation.keys import Keyspace

PROBE_SECONDS = 0.1
LUA = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, and the run of it that said so."""

    value: Any
    run_id: str


@cache
def script(name: str) -> tuple[str, str]:
    """The text of a script and the digest Redis knows it by."""
    text = (LUA / f"{name}.lua").read_text()
    return text, sha1(text.encode(), usedforsecurity=False).hexdigest()


def new_token() -> str:
    """A random text that never comes twice: stamps, fences and leases are told apart by it (96 bits)."""
    return secrets.token_urlsafe(12)


class Store:
    """The engine's side of `CACHES["default"]`."""

    def __init__(self, alias: str = "default") -> None:
        self.alias = alias
        self.breaker = Breaker()
        self._names = Keyspace("")

    @property
    def client(self) -> Redis:
        """django-redis's client for writing: the primary, in a replicated set-up."""
        return caches[self.alias].client.get_client(write=True)  # type: ignore[attr-defined]

    @property
    def names(self) -> Keyspace:
        """The names of the engine's keys, under the prefix of the cache."""
        prefix: str = caches[self.alias].key_prefix
        if prefix != self._names.prefix:
            self._names = Keyspace(prefix)
        return self._names

    def command(self, *words: Any) -> Answer:
        """One command, one round trip."""
        return self._ask([words])[0]

    def pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Answer]:
        """Several commands in one round trip, not atomic; raises if any of them fails."""
        return self._ask(commands) if commands else []

    def run(
        self,
        name: str,
        keys: Sequence[str],
        arguments: Sequence[Any] = (),
        *,
        deadline: float | None = None,
        asks_breaker: bool = True,
    ) -> Answer:
        """A script by its name in `lua/`; loads it again if the server has forgotten it.

        The answer is awaited until `deadline` at most (of time.monotonic).
        """
        text, digest = script(name)
        ask = partial(self._ask, deadline=deadline, asks_breaker=asks_breaker)
        try:
            return ask([("EVALSHA", digest, len(keys), *keys, *arguments)])[0]
        except StoreError as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        return ask([("EVAL", text, len(keys), *keys, *arguments)])[0]

    def probe(self) -> None:
        """Ask for a sign of life, whatever the breaker says; closes it. Raises StoreError."""
        self._ask([("PING",)], deadline=time.monotonic() + PROBE_SECONDS, asks_breaker=False)

    def _ask(
        self, commands: Sequence[Sequence[Any]], *, deadline: float | None = None, asks_breaker: bool = True
    ) -> list[Answer]:
        if asks_breaker and not self.breaker.allows():
            raise StoreUnavailableError("Redis failed a moment ago and is not asked for now")
        pool = self.client.connection_pool
        connection: Any = None
        began = time.monotonic()
        try:
            with waiting_until(deadline):
                connection = pool.get_connection()
            if deadline is not None:
                connection.wait_until(deadline)
            connection.send_packed_command(connection.pack_commands(commands))
            values, errors = _read(connection, len(commands))
            run_id: str = connection.run_id
            if errors:
                raise errors[0]
        except (RedisError, OSError) as error:
            if not isinstance(error, NoScriptError):
                # Those that lie idle were made before whatever happened: a second attempt is to find a fresh one.
                if connection is not None:
                    connection.disconnect()
                pool.disconnect(inuse_connections=False)
            if isinstance(error, ResponseError):
                # An error reply is an answer: the server is there, whatever it refuses.
                self.breaker.note_success()
            else:
                self.breaker.note_failure(time.monotonic() - began)
            raise StoreError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            # Interrupted between question and answer: the next user would read this answer as theirs.
            if connection is not None:
                connection.disconnect()
            raise
        finally:
            if connection is not None:
                if deadline is not None:
                    connection.wait_as_usual()
                pool.release(connection)
        self.breaker.note_success()
        return [Answer(value, run_id) for value in values]


_store = Store()


def store() -> Store:
    """The store of this process."""
    return _store


def _read(connection: Any, count: int) -> tuple[list[Any], list[RedisError]]:
    """The answers to `count` commands, and the errors among them; raises if the connection itself fails.

    An error of one command is an answer too: those of the next commands still come, and must not be left unread.
    """
    values: list[Any] = []
    errors: list[RedisError] = []
    for _command in range(count):
        try:
            values.append(connection.read_response())
        except ResponseError as error:
            errors.append(error)
    return values, errors
