"""What one request asked of the cache and of the database, for its `Server-Timing` header."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

# Outcomes of a read as the header names them; the others (a fill, a refusal to store) are parts of a miss.
SHOWN = {"hit": "hit", "adopted": "hit", "miss": "miss", "bypass": "bypass"}


@dataclass(slots=True)
class RequestLog:
    """Counts and seconds of one request: reads through the cache by outcome, and queries of the database."""

    reads: Counter[str] = field(default_factory=Counter)
    cache_seconds: float = 0.0
    queries: int = 0
    database_seconds: float = 0.0

    def header(self) -> str:
        """The value of `Server-Timing`; durations in milliseconds, as the header wants them."""
        outcomes = " ".join(f"{name}={self.reads[name]}" for name in ("hit", "miss", "bypass"))
        return (
            f'cache;desc="{outcomes}";dur={self.cache_seconds * 1000:.2f}, '
            f'db;desc="{self.queries}";dur={self.database_seconds * 1000:.2f}'
        )


_log: ContextVar[RequestLog | None] = ContextVar("invalidation_request_log", default=None)


def note(event: str, seconds: float = 0.0) -> None:
    """Count an outcome for the request that is being answered here, if there is one. Never raises."""
    log = _log.get()
    if log is not None and event in SHOWN:
        log.reads[SHOWN[event]] += 1
        log.cache_seconds += seconds


@contextmanager
def recording() -> Iterator[RequestLog]:
    """Count what this thread or task asks inside the block."""
    log = RequestLog()
    token = _log.set(log)
    try:
        with watching_queries(_counting(log)):
            yield log
    finally:
        _log.reset(token)


@contextmanager
def watching_queries(wrapper: Callable[..., Any]) -> Iterator[None]:
    """Every query of this thread, to whichever database, passes `wrapper` inside the block."""
    watched = connections.all()
    for connection in watched:
        connection.execute_wrappers.append(wrapper)
    try:
        yield
    finally:
        # Not Django's execute_wrapper(), which takes away the last one, whosever it is by then.
        for connection in watched:
            connection.execute_wrappers.remove(wrapper)


def _counting(log: RequestLog) -> Callable[..., Any]:
    def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            log.queries += 1
            log.database_seconds += time.perf_counter() - began

    return count
