"""The fenced PostgreSQL backend.

A transaction's number proves things here: it is taken before the fence is raised, and the server tells for ever after
whether that transaction has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.db.backends.postgresql import base
from psycopg import IsolationLevel, ProgrammingError
from psycopg.pq import TransactionStatus

from invalidation import conf, guard, origins
from invalidation.backends.fenced import FencedConnection, GateFacts
from invalidation.kept import Kept
from invalidation.registry import registry

# Class 08 is a lost connection, 57 an operator's intervention: whether COMMIT went through is not known.
OUTCOME_UNKNOWN = ("08", "57")
GATE = """
SELECT pg_current_xact_id_if_assigned()::text,
       (SELECT array_agg(ARRAY[name, changed::text]) FROM (
            SELECT name, pg_stat_get_xact_tuples_inserted(to_regclass(quote_ident(name)))
                       + pg_stat_get_xact_tuples_updated(to_regclass(quote_ident(name)))
                       + pg_stat_get_xact_tuples_deleted(to_regclass(quote_ident(name))) AS changed
            FROM unnest(%s::text[]) AS name) AS counted WHERE changed > 0),
       {home},
       EXISTS (SELECT FROM pg_trigger WHERE tgdeferrable AND NOT tgisinternal),
       pg_stat_force_next_flush()
"""
# A table that was emptied or rebuilt has no changed rows to count, but is locked against everybody.
LOCKED = """
SELECT EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
               AND mode IN ('AccessExclusiveLock', 'ExclusiveLock'))
"""
HOME = "(SELECT max(place) FROM invalidation_cachehome)"
ORIGIN = """
SELECT system_identifier || ':' || CASE WHEN pg_is_in_recovery() THEN 'standby'
                                        ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
       pg_is_in_recovery(), current_setting('default_transaction_isolation')
FROM pg_control_system()
"""
SCANS = "SELECT relname::text, seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables"

# What a text turned out to read, views and functions included; asked once per text where the guard is strict.
tables_of_texts: Kept[frozenset[str]] = Kept(10_000)
_with_home: set[str] = set()


class Announcing:
    """What passes by Django's wrappers says itself that it may write: COPY, callproc() and stream()."""

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        self._announce("COPY")
        return super().copy(*args, **kwargs)  # type: ignore[misc]

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        self._announce("callproc()")
        return super().callproc(*args, **kwargs)  # type: ignore[misc]

    def stream(self, *args: Any, **kwargs: Any) -> Any:
        self._announce("stream()")
        return super().stream(*args, **kwargs)  # type: ignore[misc]

    def _announce(self, what: str) -> None:
        wrapper: DatabaseWrapper | None = getattr(self.connection, "_fenced_wrapper", None)  # type: ignore[attr-defined]
        if wrapper is not None:
            wrapper.note_unseen(what)


class FencedCursor(Announcing, base.Cursor):
    pass


class FencedServerBindingCursor(Announcing, base.ServerBindingCursor):
    pass


class DatabaseWrapper(FencedConnection, base.DatabaseWrapper):
    connection: Any
    locks_rows = True
    one_state = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        server_side = conn_params.get("cursor_factory") is base.ServerBindingCursor
        connection.cursor_factory = FencedServerBindingCursor if server_side else FencedCursor
        connection._fenced_wrapper = self
        return connection

    def init_connection_state(self) -> None:
        super().init_connection_state()
        raw = self.connection
        if getattr(raw, "_origin", None) is None:
            raw._origin = self.execute_unseen(ORIGIN, ())
            if self.get_autocommit() is False:
                self.connection.rollback()
        identity, self.is_standby, isolation = raw._origin
        self.session_is_snapshot = isolation != "read committed"
        if not self.is_standby:
            origins.note(self.database_name, identity)

    def note_snapshot(self, *, for_session: bool) -> None:
        super().note_snapshot(for_session=for_session)
        if for_session and self.connection is not None:
            # With a pool the session outlives this connection: its next user asks again.
            self.connection._origin = None

    def note_unseen(self, what: str) -> None:
        """Something is about to run that no wrapper sees: it may write, so its commit has to pass the gate."""
        if not self.is_in_transaction() and self.get_autocommit():
            raise ProgrammingError(f"{what} through Django has to run inside transaction.atomic()")
        self.pending.suspects = True

    @property
    def database_name(self) -> str:
        name = self.settings_dict["NAME"] or self.settings_dict.get("OPTIONS", {}).get("service", "")
        return quote(str(name), safe="")

    def is_in_transaction(self) -> bool:
        return self.connection is not None and self.connection.info.transaction_status != TransactionStatus.IDLE

    def reads_old_state(self) -> bool:
        if self.session_is_snapshot or getattr(self, "isolation_level", None) != IsolationLevel.READ_COMMITTED:
            return True
        return self.pending.is_snapshot or self.is_reading_one_state

    def execute_unseen(self, sql: str, params: tuple[Any, ...]) -> Any:
        with self.connection.cursor() as cursor, self.wrap_database_errors:
            cursor.execute(sql, params or None)
            return cursor.fetchone() if cursor.description is not None else None

    def peek_row(self, cursor: Any) -> Any:
        raw = getattr(cursor, "cursor", cursor)
        row = raw.fetchone()
        if row is not None:
            raw.scroll(0, mode="absolute")
        return row

    def run_and_tell_tables(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> tuple[Any, frozenset[str]]:
        text = str(sql)
        named = guard.tables_in(text)
        if not conf.is_strict():
            return execute(sql, params, many, context), named
        known = tables_of_texts.of(text)
        if known is not None:
            return execute(sql, params, many, context), named | known
        if getattr(context["cursor"].cursor, "name", None):
            # A cursor of the server's runs while its rows are fetched, and would end with a transaction of ours.
            return execute(sql, params, many, context), named
        # The server counts per transaction: one of our own round this statement, once per text.
        alone = not self.is_in_transaction()
        if alone:
            self.execute_unseen("BEGIN", ())
        try:
            before = self._scans()
            answer = execute(sql, params, many, context)
            after = self._scans()
        finally:
            if alone:
                self.execute_unseen("ROLLBACK", ())
        read = frozenset(name for name, scans in after.items() if scans > before.get(name, 0))
        tables_of_texts.keep(text, read)
        return answer, named | read

    def _scans(self) -> dict[str, int]:
        with self.connection.cursor() as cursor:
            cursor.execute(SCANS)
            return dict(cursor.fetchall())

    def ask_at_the_gate(self) -> GateFacts | None:
        sql = GATE.format(home=HOME if self._has_home() else "NULL")
        watched = (list(registry.watched_tables()),)
        xid, changed, home, has_deferred, _flush = self.execute_unseen(sql, watched)
        if has_deferred:
            # What they write has to be written before the fence is raised, not by the commit behind it.
            self.execute_unseen("SET CONSTRAINTS ALL IMMEDIATE", ())
            xid, changed, home, _deferred, _flush = self.execute_unseen(sql, watched)
        if xid is None:
            return None
        if self.pending.suspects and self.execute_unseen(LOCKED, ())[0]:
            self.pending.touch_everything()
        return GateFacts(proof=xid, changed={name: int(rows) for name, rows in changed or ()}, home=home)

    def remembered_home(self) -> str | None:
        return self.execute_unseen(f"SELECT {HOME}", ())[0] if self._has_home() else None

    def _has_home(self) -> bool:
        """Whether the table is there: before the first migration it is not."""
        database = self.database_name
        if database not in _with_home:
            if not self.execute_unseen("SELECT to_regclass('invalidation_cachehome') IS NOT NULL", ())[0]:
                return False
            _with_home.add(database)
        return True

    def is_open(self) -> bool:
        return self.connection is not None and self.connection.info.transaction_status == TransactionStatus.INTRANS

    def is_refusal(self, error: BaseException) -> bool:
        state = getattr(error.__cause__ or error, "sqlstate", None)
        return bool(state) and not str(state).startswith(OUTCOME_UNKNOWN)
