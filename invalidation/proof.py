"""Proof that a writer has ended: what a fence waits for instead of a clock.

PostgreSQL tells the state of a transaction by its xid8. On SQLite whoever gets the write lock of the file has proof
that every older writer of it has ended.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from django.db import connections

from invalidation.fences import Token

logger = logging.getLogger("invalidation.proof")

# Readers that prove in a loop would cut the commits of a SQLite file to a sixth.
ATTEMPT_EVERY_SECONDS = 0.05


class EndOfWriters(ABC):
    """The proof that every transaction under way at some instant has ended."""

    @abstractmethod
    def is_over(self) -> bool:
        """Whether it is proven by now; asked again and again, never waits."""


class Prover(ABC):
    """What can be proven about the writers of one database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._lock = threading.Lock()
        self._next_attempt = 0.0

    def ended(self, tokens: Iterable[Token]) -> list[Token]:
        """Those of the tokens whose writers can no longer commit; none if there was an attempt a moment ago."""
        if time.monotonic() < self._next_attempt or not self._lock.acquire(blocking=False):
            return []
        try:
            return self._ended(list(tokens))
        except Exception as error:  # noqa: BLE001 - no proof is an answer: the reader asks the database instead
            logger.warning("no proof could be made: %s", error)
            return []
        finally:
            self._next_attempt = time.monotonic() + ATTEMPT_EVERY_SECONDS
            self._lock.release()

    @abstractmethod
    def _ended(self, tokens: list[Token]) -> list[Token]: ...

    @abstractmethod
    def end_of_writers(self) -> EndOfWriters:
        """Begin to wait for the end of all transactions that are under way now."""


class SqliteProver(Prover):
    """Takes the write lock with no timeout, on a connection of its own, and gives it back at once."""

    def _ended(self, tokens: list[Token]) -> list[Token]:
        return tokens if self.takes_write_lock() else []

    def takes_write_lock(self) -> bool:
        """Whether no writer is inside a transaction of the file."""
        parameters = connections[self.alias].get_connection_params()
        connection = sqlite3.connect(
            parameters["database"], timeout=0, isolation_level=None, uri=bool(parameters.get("uri"))
        )
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True

    def end_of_writers(self) -> EndOfWriters:
        return SqliteEnd(self)


class SqliteEnd(EndOfWriters):
    def __init__(self, prover: SqliteProver) -> None:
        self.prover = prover
        self._over = False

    def is_over(self) -> bool:
        self._over = self._over or self.prover.takes_write_lock()
        return self._over


class PostgresqlProver(Prover):
    """Asks the primary for the state of each transaction, on an autocommit connection of its own."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self._connection: Any = None
        self._asking = threading.Lock()

    def ask(self, sql: str, parameters: tuple[Any, ...] = ()) -> Any:
        """The first row of a query; the connection is made at need and dropped after an error."""
        with self._asking:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                return self._connection.execute(sql, parameters).fetchone()
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Give the connection back; the next question makes another."""
        with self._asking:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> Any:
        import psycopg

        parameters = connections[self.alias].get_connection_params()
        kept = {
            name: value
            for name, value in parameters.items()
            if name not in {"cursor_factory", "context", "prepare_threshold", "pool"}
        }
        # Readers ask here: an answer that does not come soon is no proof, and no reason to wait.
        limits = {"connect_timeout": 2, "tcp_user_timeout": 3000}
        connection = psycopg.connect(**{**limits, **kept}, autocommit=True)
        connection.execute("SET statement_timeout = 2000")
        row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        if row is None or row[0]:
            connection.close()
            raise RuntimeError("the server is a standby, where the state of a transaction means nothing")
        return connection

    def _ended(self, tokens: list[Token]) -> list[Token]:
        return [token for token in tokens if self._has_ended(token.proof)]

    def _has_ended(self, xid: str) -> bool:
        import psycopg

        try:
            status = self.ask("SELECT pg_xact_status(%s::text::xid8)", (xid,))[0]
        except psycopg.errors.InvalidParameterValue:
            # "In the future": the number was lost in a crash, and the transaction with it.
            return True
        return status != "in progress"

    def end_of_writers(self) -> EndOfWriters:
        return PostgresqlEnd(self)


class PostgresqlEnd(EndOfWriters):
    """Over when every transaction older than one of our own, which has committed, has ended."""

    def __init__(self, prover: PostgresqlProver) -> None:
        self.prover = prover
        self._number: int | None = None
        self._over = False

    def is_over(self) -> bool:
        if self._over:
            return True
        try:
            if self._number is None:
                self._number = int(self.prover.ask("SELECT pg_current_xact_id()::text")[0])
            oldest = int(self.prover.ask("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")[0])
        except Exception as error:  # noqa: BLE001 - not proven, whatever the reason
            logger.warning("the end of a quarantine could not be proven: %s", error)
            return False
        self._over = oldest > self._number
        return self._over


_provers: dict[str, Prover] = {}
_making = threading.Lock()


def prover_of(database: str) -> Prover | None:
    """The prover of the database of that name; None for one that this process does not know."""
    found = _provers.get(database)
    if found is not None:
        return found
    with _making:
        for alias in connections:
            name = getattr(connections[alias], "database_name", None)
            if name is not None and name not in _provers:
                kind = SqliteProver if connections[alias].vendor == "sqlite" else PostgresqlProver
                _provers[name] = kind(alias)
        return _provers.get(database)


def begin_for_all_databases() -> list[EndOfWriters]:
    """Begin to wait for the writers of every fenced database of this site."""
    names = [getattr(connections[alias], "database_name", None) for alias in connections]
    provers = [prover_of(name) for name in dict.fromkeys(names) if name is not None]
    return [prover.end_of_writers() for prover in provers if prover is not None]


def close_all() -> None:
    """Give back the connections of the provers: before a fork, or before a database is dropped."""
    for prover in _provers.values():
        if isinstance(prover, PostgresqlProver):
            prover.close()
    _provers.clear()
