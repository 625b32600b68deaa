"""One look at Redis: what it holds of a read's entry, its tags and the computation of it, and whether that holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from invalidation import clock, conf, entries, epoch, keys
from invalidation.entries import Entry
from invalidation.kept import Kept
from invalidation.store import store
from invalidation.tags import Need
from invalidation.values import ValueCodec

# The tags of nested reads that an entry turned out to depend on: fetched with it the next time.
nested_tags: Kept[tuple[str, ...]] = Kept(20_000)
# Entries of reads that ask for it: used only after Redis has said that they hold.
copies: Kept[Entry] = Kept(1_000)


@dataclass(slots=True)
class Question:
    """One read: which key, what it depends on, and how its value is computed if it has to be."""

    name: str
    family: str
    key: str
    tags: tuple[str, ...]
    needs: tuple[Need, ...]
    using: str
    codec: ValueCodec
    ttl_class: str
    compute: Callable[[], Any]
    params: Callable[[], bytes]
    until: Callable[[], datetime | None]
    keeps_copy: bool = False
    is_snapshot: bool = False
    refreshes: bool = False
    now: datetime = field(default_factory=clock.now)

    @property
    def ttl_seconds(self) -> int:
        return conf.ttl_seconds(self.ttl_class, self.family)


@dataclass(slots=True)
class Sight:
    """What one look at Redis showed."""

    entry: Entry | None
    epoch: bytes
    lease: bytes | None
    result: bytes | None
    states: dict[str, bytes | None]

    @property
    def is_fenced(self) -> bool:
        return any(value is not None and b" " in value for value in self.states.values())

    @property
    def seen_tokens(self) -> set[bytes | None]:
        """The computations that had begun by then."""
        result = entries.decode(self.result)
        return {self.lease, result.token if result else None, self.entry.token if self.entry else None}


class UnsettledError(Exception):
    """What Redis says does not belong together: the server changed between two questions, say."""


def look(question: Question) -> Sight:
    """One look. Raises StoreError."""
    names, key = store().names, question.key
    nested = nested_tags.of(key) or ()
    asked = question.tags + nested if nested else question.tags
    reply = store().command(
        "MGET", key, names.epoch, keys.lease_key(key), keys.result_key(key), *[names.tag(tag) for tag in asked]
    )
    data, present, lease, result, *values = reply.value
    if not epoch.believable(reply, present):
        # Of another server, or of none that is known: nothing of this answer is used.
        return Sight(None, epoch.ensure(), None, None, dict.fromkeys(asked))
    if epoch.is_quarantined(present):
        epoch.quarantines.try_to_end(present)
    states = dict(zip(asked, values, strict=True))
    entry = entries.decode(data)
    if entry is not None:
        missing = entries.missing_tags(entry, asked)
        if missing:
            # Later than the first look, and still exact: a stamp never returns, so what is equal now was equal then.
            more = store().command("MGET", names.epoch, *[names.tag(tag) for tag in missing])
            if more.value[0] != present or more.run_id != reply.run_id:
                return Sight(None, present, lease, result, states)
            states |= dict(zip(missing, more.value[1:], strict=True))
            nested_tags.keep(key, tuple(tag for tag in entry.tags if tag not in question.tags))
    return Sight(entry, present, lease, result, states)


def holds(question: Question, sight: Sight) -> bool:
    entry = sight.entry
    return (
        entry is not None
        and entry.shape == question.codec.shape
        # Another release, whose read declared less, would not have its entry end with what was added.
        and set(question.tags).issubset(entry.tags)
        and entries.holds(entry, epoch=sight.epoch, states=sight.states, now=question.now)
    )


def copy_that_holds(question: Question) -> Entry | None:
    """This process's own copy of the entry, if Redis says that it still holds; the value is not fetched."""
    copy = copies.of(question.key)
    if copy is None or copy.shape != question.codec.shape:
        return None
    names = store().names
    reply = store().command("MGET", names.epoch, *[names.tag(tag) for tag in copy.tags])
    present, *values = reply.value
    if not epoch.believable(reply, present):
        return None
    states = dict(zip(copy.tags, values, strict=True))
    return copy if entries.holds(copy, epoch=present, states=states, now=question.now) else None
