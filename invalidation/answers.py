"""The way of one read: look up, use what holds, else compute it once for all who ask.

1. One round trip fetches the entry, its tags, the epoch, the lease and the last published result.
2. An entry whose epoch and stamps are equal and whose tags bear no fence is a hit.
3. Else the right to compute is asked for, the stamps are taken, **then** the database is read, then stored.
4. Who does not get the right waits for who has it, and takes an entry that holds, or a result whose computation began
   after the wait began.
5. Where an entry cannot be proven, the database answers and nothing is stored.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import connections
from msgspec import DecodeError

from invalidation import computations, conf, entries, fills, keys, metrics, points, resolving, snapshots
from invalidation.entries import Entry
from invalidation.exceptions import StoreError, StoreUnavailableError
from invalidation.lookups import Question, Sight, UnsettledError, copies, copy_that_holds, holds, look
from invalidation.store import store

logger = logging.getLogger("invalidation.answers")

FIRST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.02


def answer(question: Question) -> Any:
    """The value, never older than what the database had committed when this was called."""
    began = time.perf_counter()
    whole = fills.snapshot()
    if whole is not None:
        return computations.compute_inside(question, whole)
    allowance = snapshots.allowance(connections[question.using], question.tags)
    try:
        if not conf.is_enabled() or question.ttl_seconds <= 0:
            return computations.bypass_since(question, began, "it is not to be cached")
        if not allowance.may_use:
            return computations.bypass_since(question, began, allowance.reason)
        return _answer_through_redis(question, began, allowance)
    except UnsettledError as reason:
        return computations.bypass_since(question, began, str(reason))
    except StoreError as error:
        # What is not asked because it failed a moment ago is no news.
        level = logging.DEBUG if isinstance(error, StoreUnavailableError) else logging.WARNING
        logger.log(level, "the cache failed, the database answers %s: %s", question.key, error)
        metrics.note(question.family, "error")
        return computations.bypass_since(question, began, "Redis did not answer")


def _answer_through_redis(question: Question, began: float, allowance: snapshots.Allowance) -> Any:
    points.reach("before_lookup")
    if question.keeps_copy and not question.refreshes:
        copy = copy_that_holds(question)
        if copy is not None and not _is_touched(question, copy):
            return _use(question, copy, began)
    sight = look(question)
    points.reach("after_lookup")
    if not question.refreshes and holds(question, sight):
        if _is_touched(question, sight.entry):
            return computations.bypass_since(question, began, "the transaction has changed what a read inside it needs")
        return _use(question, sight.entry, began)
    if sight.is_fenced:
        sight = _wait_for_fences(question, sight)
        if not question.refreshes and not sight.is_fenced and holds(question, sight):
            return _use(question, sight.entry, began)
    if not allowance.may_store:
        return computations.bypass_since(question, began, allowance.reason)
    # In hand before any lease is taken: who has the one and waits for the other would stop everybody. And only an open
    # connection tells where it leads.
    connections[question.using].ensure_connection()
    allowance = snapshots.allowance(connections[question.using], question.tags)
    if not allowance.may_store:
        return computations.bypass_since(question, began, allowance.reason)
    may_wait = allowance.may_wait and not fills.holds_lease()
    return _compute_once(question, sight, began, may_wait=may_wait)


def _is_touched(question: Question, entry: Entry | None) -> bool:
    """Whether this transaction has changed what the entry depends on, reads nested in it included."""
    connection: Any = connections[question.using]
    return entry is not None and snapshots.has_written(connection) and connection.pending.covers(
        entry.tags, connection.database_name
    )  # fmt: skip


def _use(question: Question, entry: Entry | None, began: float) -> Any:
    if entry is None:
        raise UnsettledError("there is no entry")
    try:
        value = question.codec.decode(entry.value)
    except DecodeError as error:
        raise UnsettledError("an entry of the right shape has a value of another") from error
    _hand_up(question, entry)
    if question.keeps_copy:
        copies.keep(question.key, entry)
    metrics.note(question.family, "hit", time.perf_counter() - began, question.key)
    return value


def _wait_for_fences(question: Question, sight: Sight) -> Sight:
    """Look again for a few milliseconds; fences that have stood for long are resolved by proof."""
    deadline = time.monotonic() + conf.FENCE_WAIT_SECONDS
    while sight.is_fenced and time.monotonic() < deadline:
        resolving.note(sight.states)
        time.sleep(FIRST_PAUSE_SECONDS)
        sight = look(question)
    if sight.is_fenced:
        resolving.note(sight.states)
    return sight


def _compute_once(question: Question, arrival: Sight, began: float, *, may_wait: bool) -> Any:
    """Compute under the lease, or take what its holder computes."""
    seen = arrival.seen_tokens
    deadline = time.monotonic() + conf.LONGEST_WAIT_SECONDS
    pause = FIRST_PAUSE_SECONDS
    sight = arrival
    asked: bytes | None = None
    while True:
        if sight.lease is None:
            token, holder, stamps = computations.begin(question)
            if holder == token:
                return computations.compute_under_lease(question, arrival.epoch, token, stamps, began)
        if not may_wait or time.monotonic() > deadline:
            return computations.bypass_since(question, began, "somebody else computes it, and this read cannot wait")
        if sight.lease != asked:
            # Once per computation that is waited for: its end takes the mark away.
            store().command("SET", keys.wanted_key(question.key), "1", "PX", conf.LONGEST_WAIT_MILLISECONDS)
            asked = sight.lease
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        sight = look(question)
        if sight.epoch != arrival.epoch:
            return computations.bypass_since(question, began, "the epoch changed while waiting")
        if holds(question, sight) and not (question.refreshes and sight.entry and sight.entry.token in seen):
            return _use(question, sight.entry, began)
        published = entries.decode(sight.result)
        if published is not None and _may_adopt(question, published, arrival, seen):
            outer = fills.current()
            if outer is not None:
                outer.refuse(f"{question.name} was computed by somebody else")
            metrics.note(question.family, "adopted", time.perf_counter() - began, question.key)
            return question.codec.decode(published.value)


def _may_adopt(question: Question, published: Entry, arrival: Sight, seen: set[bytes | None]) -> bool:
    """Whether a result was computed from a state of the database no older than this read's beginning.

    Its token is none that was there at the arrival, so its computation began afterwards.
    """
    return (
        published.token not in seen
        and published.epoch == arrival.epoch
        and published.shape == question.codec.shape
        and (published.until is None or question.now < published.until)
    )


def _hand_up(question: Question, entry: Entry) -> None:
    outer = fills.current()
    if outer is not None:
        stamps = dict(zip(entry.tags, entry.stamps, strict=True))
        outer.add(stamps, entry.until, entry.epoch, tuple({need.table for need in question.needs}))
