"""Skips reads from Redis for a while after failures, so that a dead server does not slow every page down."""

import logging
import threading
import time

logger = logging.getLogger("invalidation.breaker")

FAILURES_BEFORE_OPEN = 3
OPEN_SECONDS = 1.0
LONGEST_OPEN_SECONDS = 15.0


class Breaker:
    """Open after several failures in a row; lets one through after a while to see whether Redis is back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def allows(self) -> bool:
        """Whether Redis may be asked now; after a failure one asks first, and the others wait for what comes of it."""
        if self._failures < FAILURES_BEFORE_OPEN:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._open_until:
                return False
            self._open_until = now + OPEN_SECONDS
            return True

    def note_success(self) -> None:
        if self._failures:
            with self._lock:
                if self._failures >= FAILURES_BEFORE_OPEN:
                    logger.warning("Redis answers again")
                self._failures, self._open_until = 0, 0.0

    def note_failure(self, seconds: float) -> None:
        """`seconds` is how long the failure took: a server that hangs is left alone sooner than one that refuses."""
        with self._lock:
            self._failures += 2 if seconds > 0.1 else 1
            if self._failures >= FAILURES_BEFORE_OPEN:
                if not self._open_until:
                    logger.warning("Redis fails: reads ask the database, and it is tried again from time to time")
                rounds = min(self._failures - FAILURES_BEFORE_OPEN, 4)
                self._open_until = time.monotonic() + min(OPEN_SECONDS * 2**rounds, LONGEST_OPEN_SECONDS)
