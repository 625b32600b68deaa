"""Compares what is stored with what the database says now, and touches nothing while it does."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import DatabaseError, InterfaceError

from invalidation import entries, explanations, scanning
from invalidation.entries import Entry
from invalidation.exceptions import DeclarationError
from invalidation.explanations import Explanation
from invalidation.registry import registry
from invalidation.release import release
from invalidation.store import store

# The parameters by which a read belongs to one user.
USER_PARAMETERS = ("user", "user_id", "owner", "owner_id")

SAME = "same"
DIFFERENT = "different"
DEAD = "dead"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one entry.

    `outcome` is `same`, `different`, `dead` (it would not be read any more, so nothing depends on it) or `unknown`
    (its read or its form is not of this code). `stored` and `computed` are given for a difference.
    """

    key: str
    outcome: str
    seconds: float = 0.0
    reason: str = ""
    stored: Any = None
    computed: Any = None
    explanation: Explanation | None = None


def verify(*, family: str = "", user: int | None = None) -> Iterator[Verdict]:
    """Judge each stored entry of a family, of one user (by primary key), or of all. Raises StoreError."""
    for key, entry in scanning.stored_entries(family):
        if user is None or belongs_to(entry, user):
            yield judge(key, entry)


def belongs_to(entry: Entry, user: int) -> bool:
    params = explanations.params_of(entry)
    return any(params[name] == user for name in USER_PARAMETERS if name in params)


def judge(key: str, entry: Entry) -> Verdict:
    """Compute the entry's value past the cache and compare. Raises StoreError.

    Only an entry that holds both before and after the computation can be called different: a write in between ends
    it, and what is compared then is two moments.
    """
    try:
        read = registry.read(entry.name)
        params, varied = read.decode_params(entry.params)
        stored = read.codec.decode(entry.value)
    except (DeclarationError, msgspec.MsgspecError) as error:
        return Verdict(key, UNKNOWN, reason=str(error))
    if varied.get("release", release()) != release():
        return Verdict(key, DEAD, reason="it is of another release of the site")
    before = explanations.explain(key)
    if not before.holds:
        return Verdict(key, DEAD, reason=before.reason)
    began = time.perf_counter()
    try:
        computed = read.codec.decode(read.codec.encode(read.recompute(params, varied)))
    except (DatabaseError, InterfaceError):
        # Nothing is wrong with the entry: nobody could be asked.
        raise
    except Exception as error:  # noqa: BLE001 - where the database gives no value, the stored one is a difference
        computed = error
    seconds = time.perf_counter() - began
    if computed == stored:
        return Verdict(key, SAME, seconds)
    now = entries.decode(store().command("GET", key).value)
    after = explanations.explain(key)
    if now is None or now.token != entry.token or not after.holds:
        return Verdict(key, DEAD, seconds, reason=after.reason or "it was stored anew meanwhile")
    return Verdict(key, DIFFERENT, seconds, "", stored, computed, after)
