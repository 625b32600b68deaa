"""Whether a write has a chance to be fenced: asked at its first statement, before it holds locks for nothing."""

from __future__ import annotations

import threading
import time

from invalidation import conf, embedded
from invalidation.exceptions import StoreError, WriteRefusedError
from invalidation.store import store

PROBE_EVERY_SECONDS = 0.25

_probing = threading.Lock()
_next_probe = 0.0


def require() -> None:
    """Raise WriteRefusedError while Redis is known not to answer and the setting is to refuse.

    Nothing is asked as long as Redis answers; then one question in a while, and our own server, if it is dead for
    certain, needs no fence. A write through the admin or a page is answered 503 by it.
    """
    if not store().breaker.is_open or conf.proceeds_without_redis():
        return
    own = conf.embedded()
    if own is not None:
        # Its supervisor brings it back: the gate waits for that.
        if embedded.is_dead(own):
            return
        _probe()
        return
    if not _probe():
        raise WriteRefusedError("nothing was written: Redis does not answer, and the caches could not be told")


def _probe() -> bool:
    """Ask Redis once, at most every PROBE_EVERY_SECONDS over all threads; whether it answered."""
    global _next_probe
    if not _probing.acquire(blocking=False):
        return False
    try:
        if time.monotonic() < _next_probe:
            return not store().breaker.is_open
        _next_probe = time.monotonic() + PROBE_EVERY_SECONDS
        store().probe()
    except StoreError:
        return False
    finally:
        _probing.release()
    return True
