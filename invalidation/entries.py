"""The stored form of an entry, and the one question about it: does it still hold?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A value with everything that says whether it may be used.

    `shape` tells the type the value was written as; `stamps` belong to `tags`, in their order; `until` is the instant
    from which the clock alone makes it wrong. `token` names the computation it came from.
    """

    shape: bytes
    epoch: str
    token: str
    tags: tuple[str, ...]
    stamps: tuple[str, ...]
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


class TagState(msgspec.Struct, frozen=True):
    """What a tag holds now: its stamp and the fences on it."""

    stamp: str
    fences: tuple[str, ...] = ()


def read_tag(value: bytes | None) -> TagState | None:
    """A tag's value taken apart; None for a tag that has no stamp."""
    if value is None:
        return None
    stamp, *fences = value.decode().split(" ")
    return TagState(stamp, tuple(fences))


def holds(entry: Entry, *, epoch: str, states: Mapping[str, TagState | None], now: datetime) -> bool:
    """Whether the entry is as fresh as the database: same epoch, every stamp equal, no fence, its time not over."""
    if entry.epoch != epoch or (entry.until is not None and now >= entry.until):
        return False
    for tag, stamp in zip(entry.tags, entry.stamps, strict=True):
        state = states.get(tag)
        if state is None or state.fences or state.stamp != stamp:
            return False
    return True


def missing_tags(entry: Entry, known: Sequence[str]) -> tuple[str, ...]:
    """The tags an entry depends on that were not asked for with it: those of reads nested in it."""
    asked = set(known)
    return tuple(tag for tag in entry.tags if tag not in asked)
