"""The engine's settings, read from Django's at each use, with what holds where none is given."""

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

DEFAULT_TTL_SECONDS = 300
# A tag outlives every entry that depends on it: an evicted tag only costs a miss, but a needless one.
TAG_TTL_MARGIN_SECONDS = 3600
LEASE_MILLISECONDS = 3000
RESULT_MILLISECONDS = 5000
LONGEST_WAIT_SECONDS = 10.0
LONGEST_WAIT_MILLISECONDS = 10_000
FENCE_WAIT_SECONDS = 0.01
FENCE_PATIENCE_SECONDS = 0.05
RAISE_BUDGET_SECONDS = 0.25
# How long a write waits for our own server, which its supervisor kills when silent and starts anew.
EMBEDDED_PATIENCE_SECONDS = 8.0
# Dead entries removed by the writer itself, after its commit; a sweep removes the rest.
ENTRIES_REMOVED_BY_A_WRITER = 1000
MOST_ENTRIES_OF_AN_INDEX = 10_000


@dataclass(frozen=True, slots=True)
class Embedded:
    """Our own Redis on this machine: `lock` is held by the server for as long as it lives."""

    socket: Path
    lock: Path


def is_enabled() -> bool:
    """Whether reads go through the cache; writes are fenced in any case."""
    return bool(getattr(settings, "CACHE_ENABLED", True))


def is_strict() -> bool:
    """Whether a forgotten dependency raises (tests and development) or is only not stored and counted."""
    return bool(getattr(settings, "INVALIDATION_STRICT", settings.DEBUG))


def proceeds_without_redis() -> bool:
    """Whether a write whose fence stays unacknowledged commits with a durable note, instead of being refused."""
    return getattr(settings, "INVALIDATION_ON_FAILURE", "refuse") == "proceed"


def embedded() -> Embedded | None:
    """The embedded server that REDIS_URL leads to; None for a server of somebody else's."""
    found: Embedded | None = getattr(settings, "INVALIDATION_EMBEDDED", None)
    return found


def ttl_seconds(ttl_class: str, family: str) -> int:
    """A family's own setting, then its class, then the default of the environment; 0 means: never stored."""
    families: dict[str, int] = getattr(settings, "CACHE_FAMILY_TTLS", {})
    classes: dict[str, int] = getattr(settings, "CACHE_CLASS_TTLS", {})
    if family in families:
        return families[family]
    return classes.get(ttl_class, getattr(settings, "CACHE_DEFAULT_TTL", DEFAULT_TTL_SECONDS))


def tag_ttl_milliseconds() -> int:
    """How long an unfenced tag is kept: longer than any entry."""
    longest = max(
        [
            getattr(settings, "CACHE_DEFAULT_TTL", DEFAULT_TTL_SECONDS),
            *getattr(settings, "CACHE_CLASS_TTLS", {}).values(),
            *getattr(settings, "CACHE_FAMILY_TTLS", {}).values(),
        ]
    )
    return (longest + TAG_TTL_MARGIN_SECONDS) * 1000
