"""Looks through the keys of this site in small steps, whatever else lives in that Redis; never KEYS."""

import re
from collections.abc import Iterable, Iterator

from invalidation import entries
from invalidation.entries import Entry
from invalidation.keys import lease_key, result_key, wanted_key
from invalidation.store import store

KEYS_OF_ONE_STEP = 500
ENTRIES_OF_ONE_LOOK = 50
# What stands beside an entry while it is computed.
COMPANIONS = tuple(ending("") for ending in (lease_key, result_key, wanted_key))
SPECIAL_IN_PATTERNS = re.compile(r"([\[\]*?\\^])")


def keys_beginning(start: str) -> Iterator[str]:
    """Every key that begins with `start`, each once; those made or gone meanwhile may be missing. Raises StoreError."""
    pattern = SPECIAL_IN_PATTERNS.sub(r"\\\1", start) + "*"
    cursor, seen = b"0", set[str]()
    while True:
        cursor, found = store().command("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_OF_ONE_STEP).value
        new = {key.decode() for key in found} - seen
        seen |= new
        yield from sorted(new)
        if int(cursor) == 0:
            return


def entry_keys(family: str = "") -> Iterator[str]:
    """The keys of the entries of a family, or of all for ""; without the leases and results that stand beside them."""
    start = store().names.entries_of(family).removesuffix("*")
    return (key for key in keys_beginning(start) if not key.endswith(COMPANIONS))


def stored_entries(family: str = "") -> Iterator[tuple[str, Entry]]:
    """The entries of a family, or of all for "", with their keys; what is no entry of this code is passed by."""
    for batch in batches(entry_keys(family), ENTRIES_OF_ONE_LOOK):
        values = store().command("MGET", *batch).value
        for key, value in zip(batch, values, strict=True):
            entry = entries.decode(value)
            if entry is not None:
                yield key, entry


def batches(found: Iterable[str], size: int) -> Iterator[list[str]]:
    """`found` in lists of `size`, the last one shorter."""
    batch: list[str] = []
    for each in found:
        batch.append(each)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def family_of(key: str) -> str:
    """The family in the key of an entry."""
    start = store().names.entries_of("").removesuffix("*")
    return key.removeprefix(start).split(":", 1)[0]
