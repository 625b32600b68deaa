"""The stored form of an entry, and the one question about it: does it still hold?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

LONGEST_WAIT = timedelta(seconds=15)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A value with everything that says whether it may be used.

    `name` and `params` tell which read it is of and make it possible to compute it anew. `shape` tells the type the
    value was written as; `stamps` belong to `tags`, in their order; `until` is the instant from which the clock alone
    makes it wrong. `token` names the computation it came from.
    """

    name: str
    params: bytes
    shape: bytes
    epoch: bytes
    token: bytes
    tags: tuple[str, ...]
    stamps: tuple[bytes, ...]
    filled_at: datetime
    until: datetime | None
    value: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    return _encoder.encode(entry)


def decode(data: bytes | None) -> Entry | None:
    """The entry, or None for a missing one and for bytes that are not an entry of this code."""
    if data is None:
        return None
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        return None


def stamp_of(value: bytes) -> bytes:
    """The stamp in a tag's value."""
    return value.partition(b" ")[0]


def fences_of(value: bytes | None) -> tuple[bytes, ...]:
    """The fences in a tag's value."""
    return tuple(value.split(b" ")[1:]) if value and b" " in value else ()


def holds(entry: Entry, *, epoch: bytes, states: Mapping[str, bytes | None], now: datetime) -> bool:
    """Whether the entry is as fresh as the database: same epoch, every stamp equal, no fence, its time not over.

    `states` has the value of each tag as Redis holds it. That of a fenced tag is longer than its stamp, and equals
    no stamp.
    """
    if entry.epoch != epoch:
        return False
    # From the future it is where a clock was set back, or another server's is ahead: of the wrong day, for all we know.
    # A little later than `now` is an entry that a reader has waited for.
    if entry.until is not None and not entry.filled_at - LONGEST_WAIT <= now < entry.until:
        return False
    return all(states.get(tag) == stamp for tag, stamp in zip(entry.tags, entry.stamps, strict=True))


def missing_tags(entry: Entry, known: Sequence[str]) -> tuple[str, ...]:
    """The tags an entry depends on that were not asked for with it: those of reads nested in it."""
    asked = set(known)
    return tuple(tag for tag in entry.tags if tag not in asked)
