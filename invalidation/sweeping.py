"""The sweep: dead entries that a writer left over, removed in small steps by a thread of its own.

Nobody reads them, whatever the sweep does: their stamps are gone. It frees memory before their TTL would.
"""

from __future__ import annotations

import logging
import threading

from invalidation.exceptions import StoreError
from invalidation.store import store

logger = logging.getLogger("invalidation.sweeping")

ENTRIES_OF_ONE_STEP = 500
INDEXES_OF_ONE_LOOK = 100

_starting = threading.Lock()
_thread: threading.Thread | None = None
_asked = threading.Event()


def sweep_soon() -> None:
    """Have this process's thread sweep; it ends when nothing is left."""
    global _thread
    _asked.set()
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_sweep_until_clean, name="invalidation-sweep", daemon=True)
            _thread.start()


def sweep() -> int:
    """Remove every dead entry that an index still lists; returns how many. Raises StoreError."""
    removed = 0
    while indexes := store().command("SRANDMEMBER", store().names.dirty, INDEXES_OF_ONE_LOOK).value:
        for index in indexes:
            removed += int(store().run("sweep", [store().names.dirty, index], (ENTRIES_OF_ONE_STEP,)).value)
    return removed


def _sweep_until_clean() -> None:
    while _asked.is_set():
        _asked.clear()
        try:
            removed = sweep()
        except StoreError as error:
            logger.warning("dead entries are left to their TTL: %s", error)
            return
        logger.debug("%d dead entries swept", removed)
