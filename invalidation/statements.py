"""The watcher: sees each statement that goes through a Django cursor, and says what it reads or writes.

What is not provably a lone SELECT counts as a write. A write counts as a row's only if it is provably one row's: an
INSERT of one row, or an UPDATE or DELETE whose whole condition is the primary key. Everything else is a table's. This
is read from the statement that runs, not from a signal that announced it: an announcement whose `save()` failed cannot
hide a later `update()`, because there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import NotSupportedError, transaction

from invalidation import fills, guard, rows, transactions, writability
from invalidation.exceptions import InvalidationError
from invalidation.registry import WatchedModel, registry
from invalidation.sql import Kind, Statement, classify

if TYPE_CHECKING:
    from invalidation.backends.fenced import FencedConnection

Execute = Callable[..., Any]
Observer = Callable[["FencedConnection", Statement, str, Any, bool], AbstractContextManager[None] | None]

# Called around each statement that writes, inside its transaction: the audit.
observers: list[Observer] = []


class StatementWatcher:
    """The execute wrapper of a fenced connection."""

    def __init__(self, connection: FencedConnection) -> None:
        self.connection = connection

    def __call__(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        text = sql if isinstance(sql, str) else None
        statement = classify(text) if text is not None else Statement(Kind.WRITE)
        if statement.kind is Kind.READ and not (statement.calls_function and self.connection.functions_may_write):
            return guard.watch_read(self.connection, execute, sql, params, many, context)
        if statement.kind is Kind.CONTROL:
            return self._control(statement, execute, sql, params, many, context)
        if self.connection.is_reading_one_state:
            if statement.kind is Kind.READ:
                # In a transaction that reads only, whatever its functions are.
                return guard.watch_read(self.connection, execute, sql, params, many, context)
            raise InvalidationError(f"a cached read may not write: {text or sql}")
        with ExitStack() as stack:
            if self.connection.commits_by_itself():
                stack.enter_context(transaction.atomic(using=self.connection.alias))
            if statement.sets_snapshot:
                self.connection.note_snapshot(for_session=True)
            if statement.kind is Kind.READ:
                # A function may write under a reader's verb: the gate asks the database.
                self.connection.pending.suspects = True
                return guard.watch_read(self.connection, execute, sql, params, many, context)
            return self._write(statement, execute, text or "", sql, params, many, context)

    def _control(
        self, statement: Statement, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        """What a hand-written BEGIN, COMMIT or ROLLBACK does is what Django's own would do."""
        if statement.is_two_phase:
            raise NotSupportedError("two-phase commit passes by the caches: its commit could not be fenced")
        if self.connection.is_reading_one_state and statement.verb:
            raise InvalidationError("a cached read with one state of the database opens no transaction of its own")
        if statement.calls_function and self.connection.functions_may_write:
            self.connection.pending.suspects = True
        if statement.verb == "commit":
            answer = transactions.commit(self.connection, lambda: execute(sql, params, many, context))
        elif statement.verb == "rollback":
            answer = transactions.rollback(self.connection, lambda: execute(sql, params, many, context))
        else:
            answer = execute(sql, params, many, context)
        # Afterwards: COMMIT AND CHAIN hands it on to the next transaction.
        if statement.sets_snapshot:
            self.connection.note_snapshot(for_session=statement.for_session)
        if statement.takes_lock:
            self.connection.pending.holds_lock = True
        return answer

    def _write(
        self, statement: Statement, execute: Execute, text: str, sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        connection = self.connection
        watched = registry.watched(statement.table) if statement.table is not None else None
        if watched is not None or statement.table is None:
            # At the first statement, not at COMMIT with locks held.
            writability.require()
        if not connection.get_autocommit():  # type: ignore[attr-defined]
            connection.begin_to_write()
        connection.pending.wrote = True
        frame = fills.current()
        if frame is not None and frame.is_guarded:
            frame.refuse(f"it runs what is not recognised as a lone SELECT: {text[:200]}")
        with ExitStack() as stack:
            for observer in observers:
                observing = observer(connection, statement, text, params, many)
                if observing is not None:
                    stack.enter_context(observing)
            if watched is None:
                answer = execute(sql, params, many, context)
                if statement.table is None and not connection.knows_written_tables:
                    connection.pending.touch_everything()
            elif many or not statement.is_one_row:
                answer = self._write_of_table(watched, statement, execute, sql, params, many, context)
            else:
                answer = self._write_of_row(watched, statement, execute, sql, params, context)
            connection.note_written_tables(statement, text, context)
            connection.pending.note_cause(f"{statement.verb or 'statement'} {statement.table or 'of unknown extent'}")
        return answer

    def _write_of_table(
        self,
        watched: WatchedModel,
        statement: Statement,
        execute: Execute,
        sql: Any,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        pending = self.connection.pending
        if statement.columns and watched.excluded.issuperset(statement.columns):
            answer = execute(sql, params, many, context)
            pending.count(watched.table, context["cursor"].rowcount)
            return answer
        pending.touch_table(watched.table)
        return execute(sql, params, many, context)

    def _write_of_row(
        self, watched: WatchedModel, statement: Statement, execute: Execute, sql: Any, params: Any, context: Any
    ) -> Any:
        pending = self.connection.pending
        if pending.touches_all_of(watched.table):
            return self._write_of_table(watched, statement, execute, sql, params, False, context)
        key_column = watched.pk_column
        if statement.verb == "insert":
            answer = execute(sql, params, False, context)
            pk = self._key_of_inserted(watched, statement, params, context)
            if pk is None:
                pending.touch_table(watched.table)
                return answer
            pending.touch_row(watched.table, pk, rows.scopes(self.connection, watched, pk))
            pending.count(watched.table, 1)
            return answer
        if statement.key_column != key_column or key_column in statement.columns:
            return self._write_of_table(watched, statement, execute, sql, params, False, context)
        pk = rows.plain_key(watched, tuple(params)[-1])
        if pk is None or watched.excluded.issuperset(statement.columns or {""}):
            return self._write_of_table(watched, statement, execute, sql, params, False, context)
        before = rows.scopes(self.connection, watched, pk, lock=statement.verb)
        pending.touch_row(watched.table, pk, before)
        answer = execute(sql, params, False, context)
        if statement.verb == "update":
            pending.touch_row(watched.table, pk, rows.scopes(self.connection, watched, pk))
        pending.count(watched.table, context["cursor"].rowcount)
        return answer

    def _key_of_inserted(self, watched: WatchedModel, statement: Statement, params: Any, context: Any) -> Any:
        """The key of the one row that was inserted: given, or told by RETURNING; None if it cannot be known."""
        if watched.pk_column in statement.columns:
            given = statement.parameter_of(watched.pk_column, params)
            return None if given is None else rows.plain_key(watched, given)
        if statement.returns != watched.pk_column:
            return None
        row = self.connection.peek_row(context["cursor"])
        try:
            return None if row is None else rows.plain_key(watched, row[0])
        except (ValidationError, TypeError, ValueError):
            return None
