"""Computations: what happens on a miss. Once at a time per key, stored if it may be, handed to those who wait."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import connections

from invalidation import clock, conf, entries, epoch, fills, guard, keys, metrics, points, snapshots
from invalidation.entries import Entry
from invalidation.exceptions import StoreError
from invalidation.leases import renewer
from invalidation.lookups import Question, UnsettledError
from invalidation.store import new_token, store
from invalidation.tags import family_tag

logger = logging.getLogger("invalidation.computations")

SHORTEST_TTL_MILLISECONDS = 1


def begin(question: Question) -> tuple[bytes, bytes, dict[str, bytes]]:
    """Ask for the lease and take the stamps; returns our token, the holder's, and what the tags hold."""
    names, token = store().names, new_token()
    reply = store().run(
        "begin",
        [keys.lease_key(question.key), names.epoch, *[names.tag(tag) for tag in question.tags]],
        (token, conf.LEASE_MILLISECONDS, conf.tag_ttl_milliseconds(), new_token()),
    )
    holder, present, *values = reply.value
    if holder == token.encode() and not epoch.believable(reply, present):
        _finish(question, token.encode(), b"", 0, ())
        raise UnsettledError("the server changed between two questions")
    stamps = dict(zip(question.tags, values, strict=True))
    stamps["epoch"] = present
    return token.encode(), holder, stamps


def compute_under_lease(
    question: Question, first_epoch: bytes, token: bytes, stamps: dict[str, bytes], began: float
) -> Any:
    """Compute, store if it may be, publish to those who wait, and give the lease back whatever happens."""
    present = stamps.pop("epoch")
    frame = _frame(question, holds_lease=True)
    if present != first_epoch:
        frame.refuse("the epoch changed between two questions")
    if epoch.is_quarantined(present):
        frame.refuse("the cache is in quarantine")
    if any(b" " in value for value in stamps.values()):
        frame.refuse("a writer is committing")
    data, ttl = b"", 0
    tags: tuple[str, ...] = ()
    try:
        with renewer.keeping(keys.lease_key(question.key), token.decode()):
            value, raw = _compute(question, frame)
            if snapshots.has_written(connections[question.using]):
                # Not even published: it may hold what was never committed.
                frame.refuse("the computation wrote")
            else:
                tags, data, ttl = _entry(question, frame, first_epoch, token, stamps, raw)
    finally:
        _finish(question, token, data, ttl, tags)
    points.reach("after_store")
    metrics.note(question.family, "miss", time.perf_counter() - began, question.key)
    if ttl:
        metrics.note(question.family, "fill", time.perf_counter() - began)
        metrics.note_dependencies(question.family, tags)
    else:
        metrics.note(question.family, "refused_fill", time.perf_counter() - began)
        logger.debug("NOT STORED %s: %s", question.key, frame.unstorable)
    outer = fills.current()
    if outer is not None:
        if frame.unstorable:
            outer.refuse(f"{question.name} inside: {frame.unstorable}")
        outer.add({**stamps, **frame.stamps}, _until(question, frame), first_epoch, _tables(question, frame))
    return value


def _frame(question: Question, *, holds_lease: bool) -> fills.Frame:
    return fills.Frame(
        question.name,
        needs=question.needs,
        database=connections[question.using].database_name,  # type: ignore[attr-defined]
        holds_lease=holds_lease,
    )


def _compute(question: Question, frame: fills.Frame) -> tuple[Any, bytes]:
    """The finished value and its bytes, with everything the frame learned on the way."""
    points.reach("before_compute")
    with ExitStack() as stack:
        if question.is_snapshot:
            frame.is_own_snapshot = snapshots.enter(stack, connections[question.using])
            frame.own_tags = frozenset(question.tags)
        stack.enter_context(fills.opened(frame))
        stack.enter_context(clock.frozen(question.now))
        value = question.compute()
        guard.judge(frame)
    points.reach("after_compute")
    raw = question.codec.encode(value)
    return question.codec.decode(raw), raw


def _entry(
    question: Question, frame: fills.Frame, first_epoch: bytes, token: bytes, stamps: dict[str, bytes], raw: bytes
) -> tuple[tuple[str, ...], bytes, int]:
    """The tags, the bytes and the TTL in milliseconds of the entry; a TTL of 0 where it may not be stored."""
    for tag, stamp in frame.stamps.items():
        if stamps.get(tag, stamp) != stamp:
            frame.refuse(f"two stamps of {tag} were seen")
    if frame.epoch and frame.epoch != first_epoch:
        frame.refuse("two epochs were seen")
    everything = {**frame.stamps, **stamps}
    until = _until(question, frame)
    tags = tuple(everything)
    entry = Entry(
        name=question.name,
        params=question.params(),
        shape=question.codec.shape,
        epoch=first_epoch,
        token=token,
        tags=tags,
        stamps=tuple(entries.stamp_of(value) for value in everything.values()),
        filled_at=question.now,
        until=until,
        value=raw,
    )
    ttl = question.ttl_seconds * 1000
    if until is not None:
        ttl = min(ttl, max(int((until - question.now) / timedelta(milliseconds=1)), SHORTEST_TTL_MILLISECONDS))
    return tags, entries.encode(entry), 0 if frame.unstorable else ttl


def _until(question: Question, frame: fills.Frame) -> datetime | None:
    # As of the instant that the value was computed for: midnight may have passed since.
    with clock.frozen(question.now):
        own = question.until()
    ends = [end for end in (own, frame.until) if end is not None]
    return min(ends) if ends else None


def _finish(question: Question, token: bytes, data: bytes, ttl_milliseconds: int, tags: tuple[str, ...]) -> None:
    """Store, publish, give the lease back; a failure costs the others a wait, and this reader nothing."""
    names, key = store().names, question.key
    where = [keys.lease_key(key), keys.result_key(key), keys.wanted_key(key), key]
    arguments = (token, data, conf.RESULT_MILLISECONDS, ttl_milliseconds, conf.MOST_ENTRIES_OF_AN_INDEX)
    try:
        store().run("finish", [*where, *[names.index(tag) for tag in tags]], arguments)
    except StoreError as error:
        logger.warning("an entry could not be stored: %s", error)
        with suppress(StoreError):
            # Where only the storing failed, the others need not wait for the lease to run out.
            store().run("finish", where, (token, b"", 0, 0, 0))


def bypass(question: Question, reason: str) -> Any:
    """The database's answer, whatever Redis holds."""
    return bypass_since(question, time.perf_counter(), reason)


def bypass_since(question: Question, began: float, reason: str) -> Any:
    """The database's answer, not stored."""
    outer = fills.current()
    if outer is not None:
        outer.refuse(f"{question.name} inside was not read through the cache: {reason}")
    frame = _frame(question, holds_lease=False)
    value, _raw = _compute(question, frame)
    if outer is not None:
        outer.nested_tables.update(_tables(question, frame))
    metrics.note(question.family, "bypass", time.perf_counter() - began, question.key)
    logger.debug("BYPASS %s: %s", question.key, reason)
    return value


def compute_inside(question: Question, whole: fills.Frame) -> Any:
    """Computed as a part of `whole`, in whose snapshot it has to be; its needs must be the whole's too."""
    outer = fills.current() or whole
    uncovered = set(question.tags) - whole.own_tags - {family_tag(question.family)}
    if uncovered:
        whole.refuse(f"{question.name} inside needs {sorted(uncovered)[0]}, which the whole does not declare")
    frame = _frame(question, holds_lease=False)
    value, _raw = _compute(question, frame)
    if frame.unstorable:
        outer.refuse(f"{question.name} inside: {frame.unstorable}")
    outer.add({}, _until(question, frame), outer.epoch, _tables(question, frame))
    return value


def _tables(question: Question, frame: fills.Frame) -> tuple[str, ...]:
    return tuple({need.table for need in question.needs} | frame.nested_tables)
