"""Fences: a writer's token inside its tags while its transaction commits.

A token is `kind!database!proof!random`. `kind` is the database's, and `proof` is what tells later whether the writer
can still commit: the transaction's xid8 on PostgreSQL; nothing on SQLite, where the write lock tells.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from invalidation import conf, embedded, metrics, sweeping
from invalidation.entries import fences_of
from invalidation.exceptions import StoreError
from invalidation.store import new_token, store

logger = logging.getLogger("invalidation.fences")

SEPARATOR = "!"
TAGS_OF_ONE_CALL = 500
LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Token:
    """A fence's token, taken apart."""

    kind: str
    database: str
    proof: str
    nonce: str

    @classmethod
    def parse(cls, text: str) -> Token:
        """Raises ValueError for a text that is no token."""
        kind, database, proof, nonce = text.split(SEPARATOR)
        return cls(kind, database, proof, nonce)

    def __str__(self) -> str:
        return SEPARATOR.join((self.kind, self.database, self.proof, self.nonce))


@dataclass(frozen=True, slots=True)
class Fence:
    """One writer's fence: its token, the tags it stands on, and why.

    `ended_prefix` begins the tokens of writers that are known to have ended; they are removed on the way.
    """

    token: Token
    tags: tuple[str, ...]
    cause: str
    began: float
    ended_prefix: str = ""


def tokens_of(value: bytes | None) -> tuple[Token, ...]:
    """The fences in a tag's value; what is no token of ours is left out, and stands for ever."""
    found = []
    for text in fences_of(value):
        with suppress(ValueError):
            found.append(Token.parse(text.decode()))
    return tuple(found)


def prepare(*, kind: str, database: str, proof: str, tags: Iterable[str], cause: str, sole_writer: bool) -> Fence:
    """The fence that a transaction about to commit has to raise.

    With `sole_writer` the caller holds the lock that every writer of the database needs, so that all others ended.
    """
    token = Token(kind, database, proof, new_token())
    ended = SEPARATOR.join((kind, database, "")) if sole_writer else ""
    return Fence(token, tuple(tags), cause, time.monotonic(), ended)


def raise_(fence: Fence) -> None:
    """Return only when Redis has acknowledged the fence on every tag; raises StoreError if that stays unknown.

    Whatever failed may have taken effect: a second attempt, on a fresh connection, is harmless. A server of our own
    that is provably dead has nothing left to fence: it comes back with another run_id, empty and in quarantine.
    """
    budget = conf.RAISE_BUDGET_SECONDS
    own = conf.embedded()
    if own is None:
        _attempt(fence, deadline=fence.began + budget, again=lambda: True)
        return
    # Killed when silent and started anew by the site's supervisor: a write waits for that.
    patience = time.monotonic() + conf.EMBEDDED_PATIENCE_SECONDS
    while True:
        try:
            _attempt(fence, deadline=time.monotonic() + budget, again=lambda: not embedded.is_dead(own))
        except StoreError:
            if embedded.is_dead(own):
                return
            if time.monotonic() > patience:
                raise
        else:
            return
        time.sleep(LOOK_AGAIN_SECONDS)


def _attempt(fence: Fence, *, deadline: float, again: Callable[[], bool]) -> None:
    stamp = new_token()
    names = store().names
    for part in _parts(fence.tags):
        keys = [names.fenced, *(names.tag(tag) for tag in part)]
        arguments = (str(fence.token), stamp, fence.ended_prefix)
        try:
            store().run("raise", keys, arguments, deadline=deadline, asks_breaker=False)
        except StoreError:
            if time.monotonic() >= deadline or not again():
                raise
            store().run("raise", keys, arguments, deadline=deadline, asks_breaker=False)


def lift(fence: Fence) -> None:
    """Take the fence down, replace the stamps once more and remove what died, up to a bound.

    Never raises: the transaction has ended, and nothing may make that look like a failure. What stays standing is
    left to proof.
    """
    try:
        _lift(fence)
    except Exception as error:  # noqa: BLE001 - see above
        logger.warning("a fence could not be lifted and is left to proof: %s", error)
        return
    metrics.note_invalidation(fence.tags, time.monotonic() - fence.began, fence.cause)


def _lift(fence: Fence) -> None:
    stamp, names, leave = new_token(), store().names, conf.ENTRIES_REMOVED_BY_A_WRITER
    left_over = False
    deadline = time.monotonic() + conf.RAISE_BUDGET_SECONDS
    for part in _parts(fence.tags):
        keys = _lift_keys(part)
        arguments = (stamp, conf.tag_ttl_milliseconds(), "1", leave, names.prefix, str(fence.token))
        removed, dirty = store().run("lift", keys, arguments, deadline=deadline).value
        leave = max(leave - removed, 0)
        left_over = left_over or bool(dirty)
    if left_over:
        sweeping.sweep_soon()


def remove_ended(tags: Iterable[str], tokens: Sequence[Token]) -> None:
    """Take tokens off whose writers were proven to have ended; exactly these. Raises StoreError."""
    stamp = new_token()
    texts = [str(token) for token in tokens]
    for part in _parts(tuple(tags)):
        arguments = (stamp, conf.tag_ttl_milliseconds(), "0", 0, store().names.prefix, *texts)
        store().run("lift", _lift_keys(part), arguments)


def replace_stamps(tags: Iterable[str]) -> None:
    """End every entry that depends on one of the tags, without a transaction. Raises StoreError."""
    stamp = new_token()
    for part in _parts(tuple(tags)):
        arguments = (stamp, conf.tag_ttl_milliseconds(), "1", 0, store().names.prefix, "-")
        if store().run("lift", _lift_keys(part), arguments).value[1]:
            sweeping.sweep_soon()


def _lift_keys(tags: Sequence[str]) -> list[str]:
    names = store().names
    return [names.fenced, names.dirty, *(names.tag(tag) for tag in tags)]


def _parts(tags: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(tags), TAGS_OF_ONE_CALL):
        yield tags[start : start + TAGS_OF_ONE_CALL]
