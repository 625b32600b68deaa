"""Which Redis the writers of a database fence with: all of them the same, or they refuse to write.

A job that was started without REDIS_URL would fence a Redis that no reader of the site asks. The database remembers
the place; who would fence another one is refused before the commit.
"""

from __future__ import annotations

import logging
import re
import socket
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connections, transaction

from invalidation import epoch
from invalidation.exceptions import WriteRefusedError
from invalidation.store import store

logger = logging.getLogger("invalidation.home")

# By database and place; a move of the cache needs every process to be started anew.
_agreed: set[tuple[str, str]] = set()

CREDENTIALS = re.compile(r"//[^@/]*@")


def place() -> str:
    """Where this process fences, in words that are the same in every process that fences there; no password."""
    location = settings.CACHES[store().alias].get("LOCATION", "")
    return _place(location if isinstance(location, str) else ",".join(location), store().names.prefix)


@lru_cache(maxsize=64)
def _place(location: str, prefix: str) -> str:
    text = CREDENTIALS.sub("//", location)
    # A unix socket is the machine's own.
    machine = f"{socket.gethostname()}:" if text.startswith("unix:") else ""
    return f"{machine}{text} {prefix}"


def require(remembered: str | None) -> None:
    """Raise WriteRefusedError if the database remembers another place than this process fences at."""
    if remembered is not None and remembered != place():
        raise WriteRefusedError(
            f"this process keeps its cache at {place()!r}, the others of this database at {remembered!r}: "
            "set REDIS_URL as theirs, or move all of them with `manage.py reset_cache --move-here`"
        )


def agrees(connection: Any) -> bool:
    """Whether the cache of this process is the one that the database's writers fence; asked until it is, once."""
    asked = (connection.database_name, place())
    if asked in _agreed:
        return True
    connection.ensure_connection()
    remembered = connection.remembered_home()
    if remembered is not None and remembered != asked[1]:
        logger.error("reads ask the database: the cache is at %r, the others' is at %r", asked[1], remembered)
        return False
    _agreed.add(asked)
    return True


def is_elsewhere(using: str = "default") -> bool:
    """Whether the database remembers another place than this process's, or none yet."""
    connection: Any = connections[using]
    connection.ensure_connection()
    return bool(connection.remembered_home() != place())


def adopt(using: str = "default") -> None:
    """Make this process's Redis the one that all writers of the database have to fence.

    Meanwhile nobody's is: first a place is written that is no process's, then all entries end, in a quarantine that
    waits for the writers let through before, and then our place is written. Raises StoreError with nothing changed if
    Redis does not answer; if it stops answering on the way, repeat it.
    """
    store().probe()
    _agreed.clear()
    _write(using, f"{place()} (moving)")
    epoch.renew(in_quarantine=True)
    _write(using, place())


def _write(using: str, where: str) -> None:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("DELETE FROM invalidation_cachehome")
        cursor.execute("INSERT INTO invalidation_cachehome (id, place) VALUES (1, %s)", [where])
