"""What a connection's transaction has touched, and the gate it leaves through: raise, commit, lift.

A connection of a fenced backend has one `Pending`. It is filled while statements run, taken by the gate at the commit,
and cleared by commit, rollback, close and connect; nothing is kept per thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from invalidation import conf, fences, home, outbox, points
from invalidation.exceptions import StoreError, WriteInterruptedError, WriteRefusedError
from invalidation.registry import registry
from invalidation.tags import any_tag, row_tag, table_tag

if TYPE_CHECKING:
    from invalidation.backends.fenced import FencedConnection
    from invalidation.fences import Fence

logger = logging.getLogger("invalidation.transactions")

# A transaction that names more rows and scopes of a table than this touches "any row" of it instead.
MOST_ROWS_OF_A_TABLE = 200
MOST_CAUSES = 5


@dataclass(slots=True)
class TableTouch:
    """What a transaction has written in one table: known rows and scopes, or an unknown extent.

    `counted` is the number of rows that statements of known effect have written.
    """

    rows: set[Any] = field(default_factory=set)
    scopes: set[str] = field(default_factory=set)
    counted: int = 0
    is_touched: bool = False
    is_any: bool = False

    def touch_row(self, pk: Any, scopes: Iterable[str]) -> None:
        self.is_touched = True
        if self.is_any:
            return
        self.rows.add(pk)
        self.scopes.update(scopes)
        if len(self.rows) + len(self.scopes) > MOST_ROWS_OF_A_TABLE:
            self.touch_any()

    def touch_any(self) -> None:
        self.is_touched = self.is_any = True
        self.rows.clear()
        self.scopes.clear()


class Pending:
    """The touches of one connection's transaction."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: the transaction has ended, one way or the other."""
        self.tables: dict[str, TableTouch] = {}
        self.causes: dict[str, None] = {}
        self.is_everything = False
        # Something was written, watched or not; something may have been, by a function under a reader's verb.
        self.wrote = False
        self.suspects = False
        # It began with the write lock of the file (SQLite): nobody else has been able to commit since.
        self.holds_lock = False
        # It sees one state of the database throughout, which may be older than any stamp.
        self.is_snapshot = False
        # A fence that was raised for a COMMIT the database answered with an error: lifted by a rollback that works.
        self.standing: Fence | None = None

    @property
    def may_have_written(self) -> bool:
        return self.wrote or self.suspects

    def touch_row(self, table: str, pk: Any, scopes: Iterable[str]) -> None:
        """One known row of a watched table was, or is about to be, written."""
        self._touch(table).touch_row(pk, scopes)

    def touch_table(self, table: str) -> None:
        """Rows of unknown number were, or are about to be, written; nothing is kept of a table nobody watches."""
        if registry.watched(table) is not None:
            self._touch(table).touch_any()

    def touch_everything(self) -> None:
        """Something was written of which not even the table is known."""
        self.is_everything = True

    def touches_all_of(self, table: str) -> bool:
        """Whether nothing more has to be known about writes of the table."""
        touch = self.tables.get(table)
        return self.is_everything or (touch is not None and touch.is_any)

    def count(self, table: str, rows: int) -> None:
        """A statement of known effect wrote this many rows of the table."""
        self._touch(table).counted += max(rows, 0)

    def compare_with(self, changed: Mapping[str, int]) -> None:
        """Take the database's word: of which watched tables it changed how many rows in this transaction."""
        for table, rows in changed.items():
            touch = self._touch(table)
            if rows > touch.counted:
                touch.touch_any()

    def note_cause(self, cause: str) -> None:
        """What is told about the end of an entry; the first few of a transaction are kept."""
        if len(self.causes) < MOST_CAUSES:
            self.causes[cause] = None

    def tags(self, database: str) -> list[str]:
        """The tags whose fences must stand while this transaction commits, each once."""
        if self.is_everything:
            tables = registry.watched_tables()
            return [tag for name in tables for tag in (table_tag(database, name), any_tag(database, name))]
        found: list[str] = []
        for table, touch in self.tables.items():
            if not touch.is_touched:
                continue
            found.append(table_tag(database, table))
            if touch.is_any:
                found.append(any_tag(database, table))
            else:
                found.extend(row_tag(database, table, pk) for pk in sorted(touch.rows, key=repr))
                found.extend(sorted(touch.scopes))
        return found

    def covers(self, tags: Iterable[str], database: str) -> bool:
        """Whether this transaction touched any of an entry's tags: it would not see its own writes in the entry."""
        if not self.may_have_written:
            return False
        touched = set(self.tags(database))
        return self.suspects or any(tag in touched for tag in tags)

    def _touch(self, table: str) -> TableTouch:
        touch = self.tables.get(table)
        if touch is None:
            touch = self.tables[table] = TableTouch()
        return touch


def commit(connection: FencedConnection, do_commit: Callable[[], Any]) -> Any:
    """Commit through the gate.

    Raises WriteRefusedError, with the transaction rolled back, if a fence could not be raised; whatever the database
    raises if it did not commit. Once it has committed nothing is raised: a lift that fails is left to proof.
    """
    pending = connection.pending
    if not pending.may_have_written:
        try:
            return do_commit()
        finally:
            pending.clear()
    fence: Fence | None = None
    try:
        points.reach("before_raise")
        fence = _prepare(connection)
        if fence is not None:
            _raise_or_note(connection, fence)
        points.reach("after_raise")
    except BaseException as error:  # noqa: BLE001 - whatever it is, nothing may be committed after it
        _refuse(connection, fence, error)
    try:
        answer = do_commit()
    except BaseException as error:
        if not isinstance(error, DatabaseError):
            _end_interrupted(connection, fence, error)
        if fence is not None and connection.is_refusal(error):
            pending.standing = fence
        elif fence is not None:
            logger.warning("outcome of a commit unknown, its fence is left to proof: %s", error)
        raise
    pending.clear()
    points.reach("after_commit")
    if fence is not None:
        fences.lift(fence)
    points.reach("after_lift")
    return answer


def rollback(connection: FencedConnection, do_rollback: Callable[[], Any]) -> Any:
    """Roll back, and lift the fence of a COMMIT that the database refused on this very connection."""
    standing = connection.pending.standing
    connection.pending.clear()
    answer = do_rollback()
    if standing is not None:
        fences.lift(standing)
    return answer


def _prepare(connection: FencedConnection) -> Fence | None:
    """The fence of the transaction; None if it changed nothing that anybody watches."""
    facts = connection.ask_at_the_gate()
    if facts is None:
        return None
    pending = connection.pending
    pending.compare_with(facts.changed)
    tags = pending.tags(connection.database_name)
    if not tags:
        return None
    home.require(facts.home)
    return fences.prepare(
        kind=connection.vendor,
        database=connection.database_name,
        proof=facts.proof,
        tags=tags,
        cause="; ".join(pending.causes),
        sole_writer=pending.holds_lock,
    )


def _raise_or_note(connection: FencedConnection, fence: Fence) -> None:
    """Raise the fence; by setting, a note in the database that goes with the commit takes its place."""
    try:
        fences.raise_(fence)
    except StoreError:
        if not conf.proceeds_without_redis():
            raise
        outbox.write(connection, fence.tags)


def _refuse(connection: FencedConnection, fence: Fence | None, error: BaseException) -> None:
    """Undo the transaction right here, then raise what Django takes for a database error.

    For any other exception `Atomic` would skip its rollback and switch autocommit on, which commits on SQLite.
    """
    connection.pending.clear()
    rolled_back = False
    try:
        connection.plain_rollback()
        rolled_back = True
    except BaseException:  # noqa: BLE001 - whatever it is: closing ends the transaction too
        with suppress(BaseException):
            connection.plain_close()
    # Where Redis was the reason it would cost another wait, with nothing to lift as a rule: proof does it.
    if fence is not None and rolled_back and not isinstance(error, StoreError):
        fences.lift(fence)
    if isinstance(error, DatabaseError) and not isinstance(error, WriteRefusedError):
        raise error
    kind = WriteRefusedError if isinstance(error, Exception) else WriteInterruptedError
    if kind is WriteRefusedError:
        logger.error("a write was refused, nothing was committed: %s", error)
    raise kind(f"nothing was committed: the caches could not be told ({error})") from error


def _end_interrupted(connection: FencedConnection, fence: Fence | None, error: BaseException) -> None:
    """The process was told to stop while it committed: what has not been committed by now never is.

    Returns for who knows that nothing is open any more: the commit went through, or proof will tell.
    """
    if connection.is_open():
        _refuse(connection, fence, error)
    if connection.is_in_transaction():
        # COMMIT was sent and not answered. Whatever it came to, nothing else may be done over this connection.
        connection.plain_close()
