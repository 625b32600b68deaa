"""The fenced SQLite backend.

The write lock of the file is what proves things here: who is about to commit holds it, and who gets it knows that all
earlier writers have ended. `ATTACH` is not supported: one commit would be two files'.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import NotSupportedError
from django.db.backends.sqlite3 import base

from invalidation import origins
from invalidation.backends.fenced import FencedConnection, GateFacts
from invalidation.registry import registry
from invalidation.sql import SELECT, Statement

SCHEMA_TABLES = {"sqlite_master", "sqlite_schema"}
HOME_TABLE = "invalidation_cachehome"
TEXTS_REMEMBERED = 10_000
LONGEST_TEXT_KEPT = 1000
TAKES_THE_LOCK = {"IMMEDIATE", "EXCLUSIVE"}
WRITING = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


@dataclass(frozen=True, slots=True)
class Tables:
    """What a statement reads and writes, by the database's own word: views, triggers and cascades included.

    `by_trigger` are those of the written tables that a trigger writes, or a cascade.
    """

    read: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    by_trigger: frozenset[str] = frozenset()


NOTHING = Tables()


class _Texts:
    """What each text turned out to read and write: SQLite says so only when it prepares one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str | bytes], Tables] = OrderedDict()

    def of(self, database: str, text: str) -> Tables | None:
        return self._known.get((database, _short(text)))

    def remember(self, database: str, text: str, tables: Tables) -> None:
        key = (database, _short(text))
        with self._lock:
            self._known[key] = tables
            self._known.move_to_end(key)
            while len(self._known) > TEXTS_REMEMBERED:
                self._known.popitem(last=False)


def _short(text: str) -> str | bytes:
    """The text itself, or a digest of one that would take much memory."""
    return text if len(text) <= LONGEST_TEXT_KEPT else blake2b(text.encode()).digest()


texts = _Texts()


@dataclass(slots=True)
class _Recorder:
    """Collects what the authorizer is told while a statement is prepared."""

    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    by_trigger: set[str] = field(default_factory=set)
    was_told: bool = False

    def __call__(self, action: int, first: str | None, second: str | None, database: str | None, by: str | None) -> int:
        self.was_told = True
        if first and action in WRITING:
            self.written.add(first)
            if by:
                self.by_trigger.add(first)
        elif first and action == sqlite3.SQLITE_READ:
            self.read.add(first)
        return sqlite3.SQLITE_OK

    def take(self) -> Tables | None:
        """What was told since the last time; None if nothing was: the statement had been prepared before."""
        if not self.was_told:
            return None
        found = Tables(frozenset(self.read), frozenset(self.written), frozenset(self.by_trigger))
        self.read, self.written, self.by_trigger, self.was_told = set(), set(), set(), False
        return found


class FencedCursor(base.SQLiteCursorWrapper):
    """Knows which tables its statement touches, reads the rows of RETURNING at once, and tells if rows are left."""

    wrapper: DatabaseWrapper
    tables: Tables | None = NOTHING
    is_reading = False
    _held: deque[Any] | None = None

    def execute(self, query: str, params: Any = None) -> Any:
        self._begin()
        try:
            answer = super().execute(query, params)
        finally:
            self._learn(query)
        # Where it is not known what a text does, it is known at least that no SELECT begins otherwise.
        may_write = bool(self.tables.written) if self.tables is not None else not SELECT.match(query)
        if self.description is not None and may_write:
            # Nothing can be committed while rows of RETURNING are unread.
            self._held = deque(super().fetchall())
            self.is_reading = False
        else:
            self.is_reading = self.description is not None
        return answer

    def executemany(self, query: str, param_list: Any) -> Any:
        self._begin()
        try:
            return super().executemany(query, param_list)
        finally:
            self._learn(query)

    def executescript(self, sql_script: str) -> Any:
        """Refused: it commits what is open, and what it does itself, without passing the gate."""
        raise NotSupportedError("executescript() passes by the caches: execute the statements one by one")

    def _begin(self) -> None:
        self._held, self.is_reading = None, False
        self.wrapper.recorder.take()

    def _learn(self, query: str) -> None:
        told = self.wrapper.recorder.take()
        database = self.wrapper.database_name
        if told is not None:
            texts.remember(database, query, told)
        self.tables = told if told is not None else texts.of(database, query)

    def peek(self) -> Any:
        return self._held[0] if self._held else None

    def fetchone(self) -> Any:
        if self._held is not None:
            return self._held.popleft() if self._held else None
        row = super().fetchone()
        if row is None:
            self.is_reading = False
        return row

    def fetchmany(self, size: int | None = None) -> list[Any]:
        size = self.arraysize if size is None else size
        if self._held is not None:
            return [self._held.popleft() for _row in range(min(size, len(self._held)))]
        rows = super().fetchmany(size)
        if len(rows) < size:
            self.is_reading = False
        return rows

    def fetchall(self) -> list[Any]:
        if self._held is not None:
            rows, self._held = list(self._held), deque()
            return rows
        self.is_reading = False
        return super().fetchall()

    def __iter__(self) -> FencedCursor:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def close(self) -> None:
        self.is_reading = False
        super().close()


class DatabaseWrapper(FencedConnection, base.DatabaseWrapper):
    connection: Any
    knows_written_tables = True
    functions_may_write = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.recorder = _Recorder()
        self._cursors: weakref.WeakSet[FencedCursor] = weakref.WeakSet()
        self._name_of: tuple[str, str] = ("", "")
        super().__init__(*args, **kwargs)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        self.recorder = _Recorder()
        connection.set_authorizer(self.recorder)
        with suppress(FileNotFoundError):
            file = Path(self.settings_dict["NAME"]).stat()
            origins.note(self.database_name, f"{file.st_dev}:{file.st_ino}")
        return connection

    def create_cursor(self, name: Any = None) -> Any:
        cursor = self.connection.cursor(factory=FencedCursor)
        cursor.wrapper = self
        self._cursors.add(cursor)
        return cursor

    @property
    def database_name(self) -> str:
        name = str(self.settings_dict["NAME"])
        if self._name_of[0] != name:
            path = name if name.startswith("file:") or name == ":memory:" else str(Path(name).resolve())
            digest = blake2b(path.encode(), digest_size=6).hexdigest()
            self._name_of = (name, quote(f"{Path(path).name.split('?')[0]}-{digest}", safe=""))
        return self._name_of[1]

    def is_in_transaction(self) -> bool:
        return self.connection is not None and self.connection.in_transaction

    def reads_old_state(self) -> bool:
        if self.pending.is_snapshot or self.is_reading_one_state:
            return True
        if any(cursor.is_reading for cursor in self._cursors):
            return True
        # A transaction that began other than with the lock sees the state of its first query.
        return self.is_in_transaction() and not self.pending.holds_lock

    def begin_to_write(self) -> None:
        if not self.is_in_transaction():
            # Python opens one by itself, but not before every statement that writes.
            self.execute_unseen("BEGIN IMMEDIATE", ())
            self.pending.holds_lock = True

    def execute_unseen(self, sql: str, params: tuple[Any, ...]) -> Any:
        cursor = self.connection.cursor()
        try:
            row = cursor.execute(sql.replace("%s", "?"), params).fetchone()
        finally:
            cursor.close()
            self.recorder.take()
        return row

    def peek_row(self, cursor: Any) -> Any:
        return cursor.cursor.peek() if hasattr(cursor, "cursor") else cursor.peek()

    def run_and_tell_tables(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> tuple[Any, frozenset[str]]:
        answer = execute(sql, params, many, context)
        tables = _raw(context).tables
        read = tables.read if tables is not None else frozenset(registry.watched_tables())
        return answer, frozenset(name for name in read if not name.startswith("sqlite_"))

    def note_written_tables(self, statement: Statement, text: str, context: Any) -> None:
        tables = _raw(context).tables
        if tables is None:
            self.pending.touch_everything()
            return
        if tables.written & SCHEMA_TABLES:
            # The structure changed: a table may have been exchanged for another.
            self.pending.touch_everything()
        for name in tables.written:
            if name != statement.table or name in tables.by_trigger:
                self.pending.touch_table(name)

    def ask_at_the_gate(self) -> GateFacts | None:
        if not self.is_in_transaction():
            return None
        return GateFacts(proof="", home=self.remembered_home())

    def remembered_home(self) -> str | None:
        try:
            row = self.execute_unseen(f"SELECT place FROM {HOME_TABLE}", ())  # noqa: S608 - our own table
        except sqlite3.OperationalError:
            # Before the first migration there is no such table, and nobody to disagree with.
            return None
        return None if row is None else str(row[0])

    def is_open(self) -> bool:
        return self.is_in_transaction()

    def is_refusal(self, error: BaseException) -> bool:
        # A COMMIT that failed for good has rolled back by itself, and nothing tells that from one that went through.
        return self.is_in_transaction()


def _raw(context: Any) -> FencedCursor:
    cursor = context["cursor"]
    found: FencedCursor = getattr(cursor, "cursor", cursor)
    return found
