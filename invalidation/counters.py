"""How often something happened to a family of cached reads and how long it took: in this process and in Redis.

Counters are kept per day (UTC), and each day's for another one, so that yesterday can be looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from invalidation.store import store

# The upper bounds of the histogram's buckets in seconds; one more holds all that took longer.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
TTL_SECONDS = 2 * 24 * 3600
# Of a family: commits that changed a table it depends on. Of a table, under its own name: commits that changed it.
INVALIDATION = "invalidation"
TABLE_INVALIDATION = "table_invalidation"

Command = tuple[str | int | float | bytes, ...]


@dataclass(slots=True)
class Tally:
    """A count, the sum of its durations in seconds, and how many fell into each bucket."""

    count: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))

    def add(self, seconds: float) -> None:
        self.count += 1
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1

    def merge(self, other: Tally) -> None:
        self.count += other.count
        self.seconds += other.seconds
        self.buckets = [one + two for one, two in zip(self.buckets, other.buckets, strict=True)]

    def copy(self) -> Tally:
        return Tally(self.count, self.seconds, list(self.buckets))


# By (family, event), or by (table, TABLE_INVALIDATION).
Counters = dict[tuple[str, str], Tally]


def shared_counters(day: str = "") -> Counters:
    """What all processes counted on a day ("2030-01-31", UTC; "" for today). Raises StoreError without Redis."""
    day = day or today()
    names = [_text(name) for name in store().command("SMEMBERS", _names_key(day)).value]
    answers = store().pipeline([("HGETALL", _key(day, name)) for name in names])
    return {
        (name, event): tally
        for name, answer in zip(names, answers, strict=True)
        for event, tally in _tallies(answer.value).items()
    }


def commands_to_add(counters: Mapping[tuple[str, str], Tally]) -> list[Command]:
    """The commands that add these counters to today's in Redis."""
    day = today()
    commands: list[Command] = []
    for (name, event), tally in counters.items():
        key = _key(day, name)
        commands += [
            ("SADD", _names_key(day), name),
            ("HINCRBY", key, event, tally.count),
            ("HINCRBYFLOAT", key, f"{event}:seconds", tally.seconds),
        ]
        commands += [
            ("HINCRBY", key, f"{event}:{number}", count) for number, count in enumerate(tally.buckets) if count
        ]
    commands += [("EXPIRE", _key(day, name), TTL_SECONDS) for name in sorted({name for name, _event in counters})]
    return [*commands, ("EXPIRE", _names_key(day), TTL_SECONDS)] if commands else []


def shared_dependencies() -> set[tuple[str, str]]:
    """Pairs of a family and a table it depends on, as all processes have seen them. Raises StoreError."""
    pairs = (_text(member).split("|", 1) for member in store().command("SMEMBERS", _dependencies_key()).value)
    return {(family, table) for family, table in pairs}


def commands_to_add_dependencies(pairs: Iterable[tuple[str, str]]) -> list[Command]:
    members = [f"{family}|{table}" for family, table in pairs]
    if not members:
        return []
    return [("SADD", _dependencies_key(), *members), ("EXPIRE", _dependencies_key(), TTL_SECONDS)]


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def _key(day: str, name: str) -> str:
    return store().names.counters(f"{day}:{name}")


def _names_key(day: str) -> str:
    return store().names.counters(day)


def _dependencies_key() -> str:
    return store().names.counters("dependencies")


def _tallies(fields: list[bytes] | dict[bytes, bytes]) -> dict[str, Tally]:
    """A hash of counters, as the server gives it, taken apart into its events."""
    pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for name, value in pairs:
        event, _colon, part = _text(name).partition(":")
        if not part:
            tallies[event].count = int(value)
        elif part == "seconds":
            tallies[event].seconds = float(value)
        elif part.isdigit() and int(part) <= len(BUCKETS):
            tallies[event].buckets[int(part)] = int(value)
    return dict(tallies)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
