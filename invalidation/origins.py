"""Which physical database entries were filled from: a restored or failed-over one may lack what they show.

Every new connection says who it leads to. Another than before ends all entries, before the connection answers anything.
"""

from __future__ import annotations

import logging
import threading

from invalidation import epoch
from invalidation.exceptions import StoreError, StoreUnavailableError
from invalidation.store import store

logger = logging.getLogger("invalidation.origins")

_lock = threading.Lock()
_known: dict[tuple[str, str], str] = {}
_unsure: dict[tuple[str, str], str] = {}


def note(database: str, identity: str) -> None:
    """A connection leads to this database; if it is another than the entries', they end. Never raises."""
    where = (store().names.prefix, database)
    if _known.get(where) == identity:
        return
    with _lock:
        _unsure[where] = identity
    is_sure(database)


def is_sure(database: str) -> bool:
    """Whether the entries are known to be of the database that this process is connected to."""
    where = (store().names.prefix, database)
    identity = _unsure.get(where)
    if identity is None:
        return True
    try:
        _compare(database, identity, _known.get(where))
    except StoreError as error:
        level = logging.DEBUG if isinstance(error, StoreUnavailableError) else logging.WARNING
        logger.log(level, "the origin of the entries is not known: %s", error)
        return False
    with _lock:
        _known[where] = identity
        if _unsure.get(where) == identity:
            del _unsure[where]
    return True


def _compare(database: str, identity: str, before: str | None) -> None:
    key = store().names.origin(database)
    remembered = store().command("GET", key).value
    told = remembered.decode() if remembered is not None else before
    if told is not None and told != identity:
        logger.warning("%s is another database than before (restored, or failed over): all entries end", database)
        epoch.renew(in_quarantine=True)
    store().command("SET", key, identity)
