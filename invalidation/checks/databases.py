"""Whether every write passes the gate and every read sees it: what the settings of the databases tell."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import connections, router

from invalidation.registry import registry

FENCED = {
    "sqlite": "invalidation.backends.sqlite3",
    "postgresql": "invalidation.backends.postgresql",
}


def check_databases(**_kwargs: Any) -> list[CheckMessage]:
    """What in DATABASES and DATABASE_ROUTERS would let a write pass unseen, or a read be older than the primary."""
    return [*_unfenced(), *_sqlite_modes(), *_names_given_twice(), *_reads_elsewhere()]


def _unfenced() -> Iterator[CheckMessage]:
    for alias in connections:
        connection = connections[alias]
        if getattr(connection, "database_name", None) is not None or connection.vendor == "unknown":
            continue
        fenced = FENCED.get(connection.vendor)
        yield Error(
            f"DATABASES[{alias!r}] has the backend {connection.settings_dict['ENGINE']}, whose commits are not fenced.",
            hint=f'Set its ENGINE to "{fenced}".' if fenced else "Only SQLite and PostgreSQL can be fenced.",
            id="invalidation.E010",
        )


def _sqlite_modes() -> Iterator[CheckMessage]:
    for alias in connections:
        connection = connections[alias]
        mode = (connection.settings_dict.get("OPTIONS") or {}).get("transaction_mode") or ""
        if connection.vendor == "sqlite" and mode.upper() not in {"IMMEDIATE", "EXCLUSIVE"}:
            yield Error(
                f"DATABASES[{alias!r}] begins transactions as {mode or 'DEFERRED'}: they may read an older state "
                "than the stamps that entries are stored with.",
                hint='Set OPTIONS["transaction_mode"] to "IMMEDIATE".',
                id="invalidation.E011",
            )


def _names_given_twice() -> Iterator[CheckMessage]:
    """Tags and fences carry a database's name: two servers must not have the same one."""
    servers: dict[tuple[str, str], dict[tuple[str, str], str]] = defaultdict(dict)
    for alias in connections:
        connection = connections[alias]
        database = connection.settings_dict
        if connection.vendor == "postgresql" and not (database.get("TEST") or {}).get("MIRROR"):
            place = (str(database.get("HOST") or ""), str(database.get("PORT") or "5432"))
            servers[connection.vendor, str(database.get("NAME"))].setdefault(place, alias)
    for (_vendor, name), places in servers.items():
        if len(places) > 1:
            aliases = ", ".join(sorted(places.values()))
            yield Error(
                f"The databases {aliases} are all named {name!r} but lie on different servers: fences of one would be "
                "judged by the other, and a standby would be read where the primary is meant.",
                hint="Give each its own name, and read what is cached from the primary alone.",
                id="invalidation.E012",
            )


def _reads_elsewhere() -> Iterator[CheckMessage]:
    for watched in registry.watched_models():
        reads, writes = router.db_for_read(watched.model), router.db_for_write(watched.model)
        if reads != writes:
            yield Error(
                f"A router reads {watched.model._meta.label} from {reads!r} and writes it to {writes!r}: a fill from a "
                "replica that lags would be stored as if it were fresh.",
                hint="Let db_for_read give the primary for watched models.",
                obj=watched.model,
                id="invalidation.E013",
            )
