"""What a fenced database backend adds to Django's: every commit leaves through the gate, every statement is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from invalidation import transactions
from invalidation.exceptions import InvalidationError
from invalidation.sql import Statement
from invalidation.statements import StatementWatcher
from invalidation.transactions import Pending


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What the database says just before the commit.

    `proof` tells later whether the transaction can still commit; `changed` has the watched tables it changed with the
    number of rows, as far as the database counts them; `home` the place of the cache it remembers.
    """

    proof: str
    changed: Mapping[str, int] = field(default_factory=dict)
    home: str | None = None


class FencedConnection:
    """Put before Django's DatabaseWrapper in the bases of a backend's own."""

    pending: Pending
    alias: str
    vendor: str
    connection: Any
    locks_rows = False
    knows_written_tables = False
    functions_may_write = True
    is_standby = False
    one_state = "BEGIN"
    is_reading_one_state = False
    in_atomic_block: bool
    needs_rollback: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pending = Pending()
        self.session_is_snapshot = False
        self.execute_wrappers.insert(0, StatementWatcher(self))  # type: ignore[attr-defined]

    def connect(self) -> None:
        self.pending.clear()
        self.session_is_snapshot = False
        super().connect()  # type: ignore[misc]

    def _commit(self) -> Any:
        return None if self.connection is None else transactions.commit(self, super()._commit)  # type: ignore[misc]

    def _rollback(self) -> Any:
        return None if self.connection is None else transactions.rollback(self, super()._rollback)  # type: ignore[misc]

    def _close(self) -> Any:
        # Not in close(): Django ignores a close of a database in memory, and its transaction goes on.
        self.pending.clear()
        return super()._close()  # type: ignore[misc]

    def _set_autocommit(self, autocommit: bool) -> None:
        if self.is_reading_one_state:
            raise InvalidationError("a cached read with one state of the database opens no transaction of its own")
        # With a transaction open this commits on SQLite, so it passes the gate too.
        if autocommit and self.pending.may_have_written:
            try:
                self._commit()
            except BaseException:
                # Rolled back, and autocommit on all the same: else what comes later would never be committed.
                self._leave_transaction()
                raise
        super()._set_autocommit(autocommit)  # type: ignore[misc]

    def _leave_transaction(self) -> None:
        if self.connection is not None and self.is_in_transaction():
            self.plain_rollback()
        if self.connection is not None:
            super()._set_autocommit(True)  # type: ignore[misc]
        self.autocommit = True

    def commits_by_itself(self) -> bool:
        """Whether a statement would be committed on its own: autocommit is on and no transaction is open."""
        return not self.is_in_transaction() and bool(self.get_autocommit())  # type: ignore[attr-defined]

    def plain_rollback(self) -> None:
        """Roll back without the gate."""
        super()._rollback()  # type: ignore[misc]

    def plain_close(self) -> None:
        """Drop the connection without the gate; the database rolls back by itself."""
        self.pending.clear()
        super()._close()  # type: ignore[misc]
        self.connection = None

    def note_snapshot(self, *, for_session: bool) -> None:
        """From now on the transaction, or every one of this session, may see an older state throughout."""
        if for_session:
            self.session_is_snapshot = True
        self.pending.is_snapshot = True

    def run_and_tell_tables(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> tuple[Any, frozenset[str]]:
        """Run a SELECT; its answer, and the tables it reads."""
        raise NotImplementedError

    def note_written_tables(self, statement: Statement, text: str, context: Any) -> None:
        """After a statement that writes: touch what the database knows it to have written beyond its own table."""

    # What each kind of database answers for itself.

    @property
    def database_name(self) -> str:
        """The database's own name, the same in every process whatever its alias."""
        raise NotImplementedError

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open on the connection, whoever opened it."""
        raise NotImplementedError

    def is_open(self) -> bool:
        """Whether a transaction is open and waits for the next statement: no COMMIT has been sent."""
        raise NotImplementedError

    def begin_to_write(self) -> None:
        """Before a statement that writes, with autocommit off: see that a transaction is open."""

    def reads_old_state(self) -> bool:
        """Whether the next query may see a state of the database older than this moment."""
        raise NotImplementedError

    def begin_one_state(self) -> None:
        """Open a transaction that reads only, and one state of the database throughout.

        Django takes it for an `atomic` block: one inside is a savepoint, as its own look at what a database can do.
        """
        self.execute_unseen(self.one_state, ())
        self.is_reading_one_state = self.in_atomic_block = True
        self.needs_rollback = False

    def end_one_state(self) -> None:
        """End what `begin_one_state` began."""
        self.is_reading_one_state = self.in_atomic_block = self.needs_rollback = False
        self.run_on_commit: list[Any] = []
        self.savepoint_ids: list[Any] = []
        self.execute_unseen("ROLLBACK", ())

    def execute_unseen(self, sql: str, params: tuple[Any, ...]) -> Any:
        """Run one statement of the engine's own, not watched and not logged; its first row, if it has rows."""
        raise NotImplementedError

    def peek_row(self, cursor: Any) -> Any:
        """The first row that RETURNING gave, left for whoever reads it; None if there is none."""
        raise NotImplementedError

    def remembered_home(self) -> str | None:
        """The place of the cache that the database remembers; None before anybody said so."""
        raise NotImplementedError

    def ask_at_the_gate(self) -> GateFacts | None:
        """The facts about the transaction that is about to commit; None if it has written nothing."""
        raise NotImplementedError

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the database itself said that it did not commit, as opposed to saying nothing."""
        raise NotImplementedError
