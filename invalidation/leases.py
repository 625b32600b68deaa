"""Leases that are kept alive while their computations go on.

A lease is short, so that a computation whose process died costs the others one short wait; a thread renews those that
are still at work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from invalidation import conf
from invalidation.exceptions import StoreError
from invalidation.store import store

logger = logging.getLogger("invalidation.leases")


class Renewer:
    """One thread per process, there only while a computation takes long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, lease: str, token: str) -> Iterator[None]:
        """Renew the lease while the block runs, from a third of its time on."""
        with self._lock:
            self._held[token] = lease
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._renew, name="invalidation-leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(token, None)

    def _renew(self) -> None:
        seen: set[str] = set()
        idle = 0
        while idle < 30:
            self._wake.wait(conf.LEASE_MILLISECONDS / 3000)
            with self._lock:
                held = dict(self._held)
            idle = 0 if held else idle + 1
            # One that was there a third of its time ago already: most computations are over by then.
            for token in held.keys() & seen:
                self._renew_one(held[token], token)
            seen = set(held)

    def _renew_one(self, lease: str, token: str) -> None:
        try:
            store().run("renew", [lease], (token, conf.LEASE_MILLISECONDS))
        except StoreError as error:
            logger.warning("a lease could not be renewed: %s", error)


renewer = Renewer()
