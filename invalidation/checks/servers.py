"""Whether the servers themselves keep what the engine relies on: asked only with `--deploy` and `--database`."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Info
from django.db import DatabaseError, connections

from invalidation.checks import cache
from invalidation.exceptions import StoreError
from invalidation.statistics import server_info
from invalidation.store import store

OLDEST_REDIS = (6, 2)


def check_redis(**_kwargs: Any) -> list[CheckMessage]:
    """What the Redis of `CACHES["default"]` would do to fences and writes."""
    if any(message.is_serious() for message in cache.check_cache()):
        return []
    try:
        info = server_info("server", "replication", "memory", "cluster")
    except StoreError as error:
        return [
            Info(
                f"Redis could not be asked about its settings: {error}",
                hint="Run this check again while Redis is running.",
                id="invalidation.I001",
            )
        ]
    policy = info.get("maxmemory_policy", "") or _setting("maxmemory-policy")
    return [*_eviction(policy), *_snapshots(), *_kind(info)]


def _setting(name: str) -> str:
    """A setting of the server; "" where it may not be asked for."""
    try:
        answer = store().command("CONFIG", "GET", name).value
    except StoreError:
        return ""
    values = list(answer.values()) if isinstance(answer, dict) else list(answer)[1::2]
    return _text(values[0]) if values else ""


def _eviction(policy: str) -> Iterator[CheckMessage]:
    if policy and policy != "noeviction" and not policy.startswith("volatile-"):
        yield Error(
            f"Redis evicts any key when it is full (maxmemory-policy {policy}): a fence could be lost while a writer "
            "commits.",
            hint="Set maxmemory-policy to volatile-lru, or another of volatile-*; a full noeviction refuses writes.",
            id="invalidation.E030",
        )


def _snapshots() -> Iterator[CheckMessage]:
    if _setting("save") and _setting("stop-writes-on-bgsave-error") == "yes":
        yield Error(
            "Redis refuses every write once a snapshot could not be saved, and with it every commit.",
            hint='Set save to "", or stop-writes-on-bgsave-error to no.',
            id="invalidation.E031",
        )


def _kind(info: dict[str, str]) -> Iterator[CheckMessage]:
    if info.get("role") != "master":
        yield Error(
            "CACHES['default'] leads to a replica, where fences cannot be raised.",
            hint="Give LOCATION the address of the primary.",
            id="invalidation.E032",
        )
    if info.get("cluster_enabled") == "1":
        yield Error(
            "CACHES['default'] leads to a Redis Cluster, whose scripts cannot reach all tags of a write.",
            hint="Use a single primary.",
            id="invalidation.E003",
        )
    version = tuple(int(part) for part in info.get("redis_version", "0.0").split(".")[:2])
    if version < OLDEST_REDIS:
        yield Error(
            f"Redis {info.get('redis_version')} is older than {OLDEST_REDIS[0]}.{OLDEST_REDIS[1]}.",
            hint="Use a newer Redis or a Valkey.",
            id="invalidation.E033",
        )


def check_database_servers(*, databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """Whether the named databases keep what they have committed, and are no standbys."""
    messages: list[CheckMessage] = []
    for alias in databases or ():
        asks = {"postgresql": _postgresql, "sqlite": _sqlite}.get(connections[alias].vendor)
        if asks is None:
            continue
        try:
            messages += asks(alias)
        except DatabaseError as error:
            messages.append(
                checks.Warning(
                    f"The database {alias} could not be asked about its settings: {error}",
                    hint="Run this check again while it can be reached.",
                    id="invalidation.W003",
                )
            )
    return messages


def _postgresql(alias: str) -> Iterator[CheckMessage]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_setting('synchronous_commit'), current_setting('fsync'), pg_is_in_recovery()")
        synchronous, fsync, standby = cursor.fetchone()
    for name, value in (("synchronous_commit", synchronous), ("fsync", fsync)):
        if value == "off":
            yield Error(
                f"The database {alias} may lose commits in a crash ({name}=off), which entries would outlive.",
                hint=f"Set {name} to on, for the role and the database too.",
                id="invalidation.E040",
            )
    if standby:
        yield Error(
            f"The database {alias} is a standby: what it answers may be older than what was committed.",
            hint="Fill cached reads from the primary.",
            id="invalidation.E041",
        )


def _sqlite(alias: str) -> Iterator[CheckMessage]:
    with connections[alias].cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        synchronous = cursor.fetchone()[0]
    if synchronous < 2:
        yield Error(
            f"The database {alias} may lose commits in a power cut (PRAGMA synchronous={synchronous}), which entries "
            "in a Redis elsewhere would outlive.",
            hint='Add "PRAGMA synchronous=FULL;" to OPTIONS["init_command"].',
            id="invalidation.E040",
        )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
