"""The one clock that cached reads look at: read once per fill, and set by tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime

from django.utils import timezone

# None is the system's, looked up at each use: what stands in for it for a while must not stay.
_source: Callable[[], datetime] | None = None
# The instant at which the fill that runs now began: everything it computes is as of then.
_frozen: ContextVar[datetime | None] = ContextVar("invalidation_instant", default=None)


def now() -> datetime:
    """The instant, aware; inside a fill the one at which it began, before its first query."""
    return _frozen.get() or (_source or timezone.now)()


def today() -> date:
    """The local date in the site's time zone."""
    return timezone.localdate(now(), timezone.get_default_timezone())


@contextmanager
def frozen(instant: datetime) -> Iterator[None]:
    """Inside the block `now()` is `instant`, in this thread or task."""
    token = _frozen.set(instant)
    try:
        yield
    finally:
        _frozen.reset(token)


def set_source(source: Callable[[], datetime] | None) -> None:
    """Take the time from `source` from now on, in the whole process; None for the system's. For tests."""
    global _source
    _source = source
