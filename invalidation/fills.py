"""Computations under way: what each read, by which stamps it was validated, and whether it may be stored.

They nest: a cached read inside another's computation hands its stamps up. The stack belongs to the thread or task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime

from invalidation.tags import Need


@dataclass(slots=True)
class Frame:
    """One computation, or one collection of the stamps of several reads.

    `stamps` are those of cached reads inside it; `tables` what its own queries read, and `nested_tables` those of reads
    inside. `unstorable` is the reason why the whole may not be stored, "" if it may.
    """

    name: str
    needs: tuple[Need, ...] = ()
    database: str = ""
    stamps: dict[str, bytes] = field(default_factory=dict)
    until: datetime | None = None
    unstorable: str = ""
    holds_lease: bool = False
    # With one state of the database throughout, opened after the stamps were taken: reads inside are part of it.
    is_own_snapshot: bool = False
    own_tags: frozenset[str] = frozenset()
    is_guarded: bool = True
    tables: set[str] = field(default_factory=set)
    nested_tables: set[str] = field(default_factory=set)
    undeclared: dict[str, str] = field(default_factory=dict)
    epoch: bytes = b""

    def refuse(self, reason: str) -> None:
        """Say why the whole may not be stored; the first reason stays."""
        self.unstorable = self.unstorable or reason

    def add(
        self, stamps: Mapping[str, bytes], until: datetime | None, epoch: bytes, tables: Sequence[str] = ()
    ) -> None:
        """Take over what a read inside was validated with."""
        for tag, stamp in stamps.items():
            if self.stamps.setdefault(tag, stamp) != stamp:
                self.refuse(f"two stamps of {tag} were seen")
        if self.epoch and self.epoch != epoch:
            self.refuse("two epochs were seen")
        self.epoch = epoch
        self.nested_tables.update(tables)
        if until is not None and (self.until is None or until < self.until):
            self.until = until


_stack: ContextVar[tuple[Frame, ...]] = ContextVar("invalidation_fills", default=())


def current() -> Frame | None:
    """The innermost computation or collection; None outside of all."""
    stack = _stack.get()
    return stack[-1] if stack else None


def snapshot() -> Frame | None:
    """The computation that has opened a snapshot of its own, in which the present one runs; None if none has."""
    return next((frame for frame in reversed(_stack.get()) if frame.is_own_snapshot), None)


def holds_lease() -> bool:
    """Whether this thread or task computes under a lease: then it never waits for another."""
    return any(frame.holds_lease for frame in _stack.get())


@contextmanager
def opened(frame: Frame) -> Iterator[Frame]:
    """Make `frame` the innermost inside the block."""
    token = _stack.set((*_stack.get(), frame))
    try:
        yield frame
    finally:
        _stack.reset(token)


@contextmanager
def collect(name: str = "collection") -> Iterator[Frame]:
    """Collect the stamps of every cached read inside the block: a page's, for its ETag.

    Queries inside that are no cached reads are not seen by it.
    """
    outer = current()
    with opened(Frame(name, is_guarded=False)) as frame:
        yield frame
    if outer is not None:
        if frame.unstorable:
            outer.refuse(frame.unstorable)
        outer.add(frame.stamps, frame.until, frame.epoch or outer.epoch, tuple(frame.nested_tables))
