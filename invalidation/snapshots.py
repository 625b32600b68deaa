"""What the state of a database connection allows a cached read: to use entries, to store them, or neither.

An entry is exact for a reader that sees what was committed when it asks. A transaction that sees an older state may
neither use entries, which may be newer than what it sees, nor store what it reads, which may be older than any stamp.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from invalidation import home, origins


@dataclass(frozen=True, slots=True)
class Allowance:
    """`reason` says why something is not allowed."""

    may_use: bool
    may_store: bool
    may_wait: bool
    reason: str = ""


ALL = Allowance(True, True, True)
INSIDE_TRANSACTION = Allowance(True, True, False)


def allowance(connection: Any, tags: Iterable[str]) -> Allowance:
    """What is allowed to a read over this connection whose entry depends on these tags."""
    if not hasattr(connection, "pending"):
        return Allowance(False, False, False, "the database backend is not a fenced one")
    pending = connection.pending
    if not origins.is_sure(connection.database_name):
        return Allowance(False, False, False, "the entries may be of another database")
    if not home.agrees(connection):
        return Allowance(False, False, False, "the other processes of this database keep their cache elsewhere")
    if connection.connection is None:
        return ALL
    if connection.is_standby:
        return Allowance(True, False, False, "the database is a standby, which may be behind its primary")
    if connection.reads_old_state():
        return Allowance(False, False, False, "the transaction sees one state of the database throughout")
    if not connection.is_in_transaction():
        # psycopg begins a transaction with the first statement of a block.
        return INSIDE_TRANSACTION if connection.in_atomic_block else ALL
    if not pending.may_have_written:
        return INSIDE_TRANSACTION
    if pending.covers(tags, connection.database_name):
        return Allowance(False, False, False, "the transaction has changed what is asked for")
    return Allowance(True, False, False, "the transaction has written")


def has_written(connection: Any) -> bool:
    """Whether the connection is inside a transaction that may have written."""
    return bool(connection.pending.may_have_written and connection.is_in_transaction())


def enter(stack: ExitStack, connection: Any) -> bool:
    """Have all queries see one state of the database until `stack` is left; nothing can be written meanwhile.

    Call it after the stamps were taken. Inside a transaction of somebody else's there is nothing to open: its queries
    see what they see; returns False then.
    """
    if connection.is_in_transaction():
        return False
    connection.ensure_connection()
    connection.begin_one_state()
    stack.callback(connection.end_one_state)
    return True
