"""What answered pages were made of, kept in Redis: tags with their stamps, under the key of the page."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from django.db import connections

from invalidation import clock, conf, entries, epoch, snapshots
from invalidation.exceptions import StoreError
from invalidation.kept import Kept
from invalidation.keys import lease_key, result_key, wanted_key
from invalidation.store import new_token, store
from invalidation.values import ValueCodec

FAMILY = "page"
NAME = "page:made_of"
TTL_CLASS = "page"


class MadeOf(msgspec.Struct, frozen=True):
    """The stamps a page was read with, until when the clock leaves it right, and the headers it varied by."""

    vary: tuple[str, ...]
    epoch: bytes
    stamps: dict[str, bytes]
    until: datetime | None


class _Vary(msgspec.Struct, frozen=True, array_like=True):
    """What the entry of a page holds as its value; the rest of MadeOf is the entry's own."""

    headers: tuple[str, ...]


# Of pages that this process met, the tags they were made of: fetched together with the entry the next time.
tags_met: Kept[tuple[str, ...]] = Kept(4096)
_codec = ValueCodec(_Vary)


def standing(page: str, key: str) -> MadeOf | None:
    """What the page was made of, if every stamp of it stands now; None if it is not known, ended, or cannot be asked.

    One MGET; a second one for tags that this process did not expect.
    """
    name = store().names.entry(NAME, page, key)
    # First of all: it may find that the entries are of another database, and begin a new epoch.
    if not _may_use(()):
        return None
    try:
        states: dict[str, bytes | None] = {}
        tags = tags_met.of(name) or ()
        data, present, run_epoch = _fetch(name, tags, states)
        entry = entries.decode(data)
        if entry is None or entry.shape != _codec.shape or not run_epoch:
            return None
        missing = entries.missing_tags(entry, tags)
        if missing:
            _data, present, run_epoch = _fetch(name, missing, states)
    except StoreError:
        return None
    tags_met.keep(name, entry.tags)
    if (
        not run_epoch
        or not _may_use(entry.tags)
        or not entries.holds(entry, epoch=present, states=states, now=clock.now())
    ):
        return None
    vary = _codec.decode(entry.value).headers
    return MadeOf(vary, entry.epoch, dict(zip(entry.tags, entry.stamps, strict=True)), entry.until)


def _fetch(name: str, tags: tuple[str, ...], states: dict[str, bytes | None]) -> tuple[bytes | None, bytes, bool]:
    """The entry, the epoch and whether that may be believed; the values of the tags are added to `states`."""
    names = store().names
    answer = store().command("MGET", name, names.epoch, *(names.tag(tag) for tag in tags))
    data, present, *values = answer.value
    states.update(zip(tags, values, strict=True))
    is_in_use = epoch.believable(answer, present) and not epoch.is_quarantined(present)
    return data, present or b"", is_in_use


def _may_use(tags: tuple[str, ...]) -> bool:
    """Whether this thread's transactions, if it has any open, allow entries that depend on these tags."""
    fenced = [each for each in connections.all(initialized_only=True) if hasattr(each, "pending")]
    return all(snapshots.allowance(each, tags).may_use for each in fenced)


def remember(page: str, key: str, made_of: MadeOf) -> None:
    """Keep what a page was made of for as long as its class of TTL says; without Redis it is not kept."""
    seconds = conf.ttl_seconds(TTL_CLASS, FAMILY)
    now = clock.now()
    if made_of.until is not None:
        seconds = min(seconds, int((made_of.until - now) / timedelta(seconds=1)))
    if seconds <= 0:
        return
    names, token = store().names, new_token()
    name, tags = names.entry(NAME, page, key), tuple(made_of.stamps)
    entry = entries.Entry(
        name=NAME,
        params=b"",
        shape=_codec.shape,
        epoch=made_of.epoch,
        token=token.encode(),
        tags=tags,
        stamps=tuple(made_of.stamps.values()),
        filled_at=now,
        until=made_of.until,
        value=_codec.encode(_Vary(made_of.vary)),
    )
    # Nobody computes a page under a lease: `finish` only stores it and lists it for those who remove dead entries.
    keys = [lease_key(name), result_key(name), wanted_key(name), name, *(names.index(tag) for tag in tags)]
    arguments = (token, entries.encode(entry), 1, seconds * 1000, conf.MOST_ENTRIES_OF_AN_INDEX)
    try:
        store().run("finish", keys, arguments)
    except StoreError:
        return
    tags_met.keep(name, tags)
