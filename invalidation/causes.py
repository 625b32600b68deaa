"""Which writes ended the entries of a tag: the last few of each, kept in Redis for an hour."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from invalidation.counters import Command
from invalidation.store import store

TTL_SECONDS = 3600
CAUSES_PER_TAG = 10
TAGS_PER_CAUSE = 50


class Cause(msgspec.Struct, frozen=True):
    """A write that ended entries: when it was committed, what it was, and how long raise and lift took in seconds."""

    at: datetime
    what: str
    seconds: float


_decoder = msgspec.json.Decoder(Cause)


def causes(tags: Iterable[str]) -> dict[str, list[Cause]]:
    """Of each tag the last writes that ended its entries, newest first. Raises StoreError without Redis.

    A write is told of here within about a second after its commit, and for an hour.
    """
    wanted = list(tags)
    answers = store().pipeline([("LRANGE", _key(tag), 0, -1) for tag in wanted])
    return {tag: _read(answer.value) for tag, answer in zip(wanted, answers, strict=True)}


def commands_to_remember(noted: Sequence[tuple[tuple[str, ...], Cause]]) -> list[Command]:
    """The commands that put these causes, oldest first, before those that Redis remembers."""
    commands: list[Command] = []
    written: dict[str, None] = {}
    for tags, cause in noted:
        record = msgspec.json.encode(cause)
        written |= dict.fromkeys(tags)
        commands += [("LPUSH", _key(tag), record) for tag in tags]
    for tag in written:
        commands += [("LTRIM", _key(tag), 0, CAUSES_PER_TAG - 1), ("EXPIRE", _key(tag), TTL_SECONDS)]
    return commands


def _key(tag: str) -> str:
    return f"{store().names.prefix}:cause:{tag}"


def _read(records: Iterable[bytes]) -> list[Cause]:
    """The causes in these records; one that newer or older code wrote otherwise is passed by."""
    found = []
    for record in records:
        try:
            found.append(_decoder.decode(record))
        except msgspec.DecodeError:
            continue
    return found
