"""What is in the cache and what it did today, gathered for people: families, memory, fences, epoch, outbox."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connections, models

from invalidation import epoch, keeper, metrics, scanning
from invalidation.counters import INVALIDATION, TABLE_INVALIDATION, Counters, Tally, shared_counters
from invalidation.models import OutboxEntry
from invalidation.registry import registry
from invalidation.store import store

KEYS_OF_ONE_LOOK = 200


@dataclass(frozen=True, slots=True)
class FamilyFigures:
    """One family of cached reads: what is stored now, and what was counted on one day.

    `hit_rate` is hits and adopted results over all reads that were counted, None without any; `bytes` what Redis
    says its entries take.
    """

    family: str
    entries: int
    bytes: int
    hits: int
    misses: int
    bypasses: int
    fills: int
    refused_fills: int
    errors: int
    invalidations: int
    hit_seconds: float | None
    fill_seconds: float | None

    @property
    def hit_rate(self) -> float | None:
        reads = self.hits + self.misses + self.bypasses
        return self.hits / reads if reads else None


@dataclass(frozen=True, slots=True)
class Figures:
    """The whole cache at one moment. `epoch` is "" where there is none; `outbox` has one count per database."""

    families: tuple[FamilyFigures, ...]
    tables: dict[str, int]
    memory: dict[str, Any]
    epoch: str
    is_quarantined: bool
    fences: dict[str, list[str]]
    dead_indexes: int
    outbox: dict[str, int]
    outbox_oldest: datetime | None = None


def gather(day: str = "") -> Figures:
    """Everything above, with the counters all processes share for that day (UTC, "" for today). Raises StoreError."""
    metrics.flush()
    names = store().names
    present = store().command("GET", names.epoch)
    sizes = sizes_of_families()
    counters = shared_counters(day)
    families = sorted(
        {*registry.families(), *sizes, *(name for name, event in counters if event != TABLE_INVALIDATION)}
    )
    waiting, oldest = _outbox()
    return Figures(
        families=tuple(_family(name, sizes.get(name, (0, 0)), counters) for name in families),
        tables={name: tally.count for (name, event), tally in sorted(counters.items()) if event == TABLE_INVALIDATION},
        memory=memory(),
        epoch=present.value.decode() if present.value else "",
        is_quarantined=present.value is None or epoch.is_quarantined(present.value),
        fences={tag: [str(token) for token in tokens] for tag, tokens in keeper.standing().items()},
        dead_indexes=int(store().command("SCARD", names.dirty).value),
        outbox=waiting,
        outbox_oldest=oldest,
    )


def sizes_of_families() -> dict[str, tuple[int, int]]:
    """Of each family with stored entries their number and what they take in bytes. Raises StoreError."""
    counts: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for batch in scanning.batches(scanning.entry_keys(), KEYS_OF_ONE_LOOK):
        answers = store().pipeline([("MEMORY", "USAGE", key) for key in batch])
        for key, answer in zip(batch, answers, strict=True):
            if answer.value is not None:
                family = scanning.family_of(key)
                counts[family] += 1
                taken[family] += int(answer.value)
    return {family: (counts[family], taken[family]) for family in counts}


def server_info(*sections: str) -> dict[str, str]:
    """What the server tells about itself in these sections of INFO. Raises StoreError."""
    found: dict[str, str] = {}
    for answer in store().pipeline([("INFO", section) for section in sections]):
        for line in answer.value.decode().splitlines():
            name, colon, value = line.partition(":")
            if colon:
                found[name] = value
    return found


def memory() -> dict[str, Any]:
    """Of the whole server, which others may use too: bytes used and allowed, policy, evictions. Raises StoreError."""
    info = server_info("memory", "stats")
    numbers = {name: int(info.get(name, 0)) for name in ("used_memory", "maxmemory", "evicted_keys", "expired_keys")}
    return {**numbers, "maxmemory_policy": info.get("maxmemory_policy", "")}


def _family(name: str, size: tuple[int, int], counters: Counters) -> FamilyFigures:
    tallies: dict[str, Tally] = defaultdict(Tally)
    tallies |= {event: tally for (family, event), tally in counters.items() if family == name}
    hits, fills = tallies["hit"], tallies["fill"]
    return FamilyFigures(
        family=name,
        entries=size[0],
        bytes=size[1],
        hits=hits.count + tallies["adopted"].count,
        misses=tallies["miss"].count,
        bypasses=tallies["bypass"].count,
        fills=fills.count,
        refused_fills=tallies["refused_fill"].count,
        errors=tallies["error"].count,
        invalidations=tallies[INVALIDATION].count,
        hit_seconds=hits.seconds / hits.count if hits.count else None,
        fill_seconds=fills.seconds / fills.count if fills.count else None,
    )


def _outbox() -> tuple[dict[str, int], datetime | None]:
    """How many notes wait in each fenced database that can be asked, and when the oldest was written."""
    waiting: dict[str, int] = {}
    oldest: list[datetime] = []
    for alias in connections:
        if getattr(connections[alias], "database_name", None) is None:
            continue
        try:
            found = OutboxEntry.objects.using(alias).aggregate(
                number=models.Count("pk"), oldest=models.Min("written_at")
            )
        except DatabaseError:
            # Away, or not migrated yet: the database says nothing, which is what is shown.
            continue
        waiting[alias] = found["number"]
        oldest += [found["oldest"]] if found["oldest"] else []
    return waiting, min(oldest, default=None)
