"""What the engine counts and logs: outcomes per family, durations as histograms, and which write ended what.

`note` and `note_invalidation` are called in the path of requests: they append to a queue and return. A thread of the
process adds the queue up and hands it to Redis at most once a second, so no request ever waits for Redis here.
"""

import atexit
import logging
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, datetime

from django.conf import settings

from invalidation import timing
from invalidation.causes import TAGS_PER_CAUSE, Cause, commands_to_remember
from invalidation.counters import (
    INVALIDATION,
    TABLE_INVALIDATION,
    Counters,
    Tally,
    commands_to_add,
    commands_to_add_dependencies,
    shared_dependencies,
)
from invalidation.exceptions import StoreError
from invalidation.store import store

reads_log = logging.getLogger("invalidation.reads")
writes_log = logging.getLogger("invalidation.writes")
store_log = logging.getLogger("invalidation.store")
operations_log = logging.getLogger("invalidation.operations")

FLUSH_SECONDS = 1.0
# Bounds of what is kept for the thread, should there be none: the oldest go first.
PENDING_EVENTS = 200_000
PENDING_CAUSES = 1000
TAGS_IN_A_LOG_LINE = 5


class _Process:
    """What this process counted: the queues not yet added up, `total` since its start, `unshared` not yet in Redis.

    `dependencies` are pairs of a family and a table; those in `unshared_dependencies` Redis has not been told of.
    """

    def __init__(self) -> None:
        self.events: deque[tuple[str, str, float]] = deque(maxlen=PENDING_EVENTS)
        self.invalidations: deque[tuple[frozenset[str], float]] = deque(maxlen=PENDING_EVENTS)
        self.causes: deque[tuple[tuple[str, ...], Cause]] = deque(maxlen=PENDING_CAUSES)
        self.total: Counters = defaultdict(Tally)
        self.unshared: Counters = defaultdict(Tally)
        self.dependencies: set[tuple[str, str]] = set()
        self.unshared_dependencies: set[tuple[str, str]] = set()
        self.adding = threading.Lock()
        self.sharing = threading.Lock()
        self.starting = threading.Lock()
        self.wanted = threading.Event()
        self.thread: threading.Thread | None = None

    def add_up(self) -> None:
        """Empty the queues of events and invalidations into the tallies."""
        with self.adding:
            while self.events:
                family, event, seconds = self.events.popleft()
                self._count(family, event, seconds)
            while self.invalidations:
                tables, seconds = self.invalidations.popleft()
                for table in tables:
                    self._count(table, TABLE_INVALIDATION, seconds)
                for family in {family for family, table in self.dependencies if table in tables}:
                    self._count(family, INVALIDATION, seconds)

    def _count(self, name: str, event: str, seconds: float) -> None:
        self.total[name, event].add(seconds)
        self.unshared[name, event].add(seconds)

    def wake(self) -> None:
        """Have the thread share what is noted in a second; start it if it does not run yet."""
        self.wanted.set()
        if self.thread is not None or not self.starting.acquire(blocking=False):
            return
        try:
            if self.thread is None:
                thread = threading.Thread(target=self.run, name="invalidation-metrics", daemon=True)
                thread.start()
                self.thread = thread
        except RuntimeError:
            # The process is ending or has too many threads: the next one to note something tries again.
            self.wanted.clear()
        finally:
            self.starting.release()

    def run(self) -> None:
        while True:
            self.wanted.wait()
            time.sleep(FLUSH_SECONDS)
            # Cleared before the queue is emptied: what is noted in between is shared now, and once more looked for.
            self.wanted.clear()
            if shares():
                self.share()
            else:
                self.add_up()

    def share(self) -> bool:
        """Whether all that was noted so far is in Redis now; what is not is kept for the next time."""
        with self.sharing:
            try:
                if self.invalidations:
                    # Which families a write concerns may be known to other processes only.
                    self.dependencies |= shared_dependencies()
                return self._hand_over()
            except StoreError as error:
                store_log.debug("counters stay in the process for now: %s", error)
            except Exception:  # noqa: BLE001 - a defect of this module, which no request and no write may pay for
                store_log.warning("counters could not be shared", exc_info=True)
            self.add_up()
            return False

    def _hand_over(self) -> bool:
        self.add_up()
        with self.adding:
            counted, self.unshared = self.unshared, defaultdict(Tally)
            learned, self.unshared_dependencies = self.unshared_dependencies, set()
        noted = [self.causes.popleft() for _number in range(len(self.causes))]
        commands = [*commands_to_add(counted), *commands_to_add_dependencies(learned), *commands_to_remember(noted)]
        handed_over = False
        try:
            store().pipeline(commands)
            handed_over = True
        finally:
            if not handed_over:
                with self.adding:
                    for key, tally in counted.items():
                        self.unshared[key].merge(tally)
                    self.unshared_dependencies |= learned
                room = PENDING_CAUSES - len(self.causes)
                self.causes.extendleft(reversed(noted[-room:] if room > 0 else []))
        return handed_over


_process = _Process()


def note(family: str, event: str, seconds: float = 0.0, what: str = "") -> None:
    """Count one outcome of a read of `family` and how long it took. Never raises, never waits.

    Each read is one hit, miss, adopted or bypass; a miss is also a fill or a refused one. `what` is told in the log.
    """
    process = _process
    process.events.append((family, event, seconds))
    if not process.wanted.is_set():
        process.wake()
    timing.note(event, seconds)
    if reads_log.isEnabledFor(logging.DEBUG):
        reads_log.debug("%s %s %.2f ms", event.upper(), what or family, seconds * 1000)


def note_dependencies(family: str, tags: Iterable[str]) -> None:
    """Remember which tables a family depends on: a write of one of them counts as an invalidation of the family.

    Called at each fill with the tags of the entry. Never raises, never waits.
    """
    process = _process
    new = {(family, table_of(tag)) for tag in tags if tag.count(":") > 1} - process.dependencies
    if new:
        with process.adding:
            process.dependencies = process.dependencies | new
            process.unshared_dependencies |= new
        if not process.wanted.is_set():
            process.wake()


def note_invalidation(tags: tuple[str, ...], seconds: float, cause: str) -> None:
    """A commit ended all entries of `tags`; raise and lift took `seconds`, `cause` is the write in words.

    Never raises, never waits. The cause is remembered for the first TAGS_PER_CAUSE tags.
    """
    process = _process
    process.invalidations.append((frozenset(map(table_of, tags)), seconds))
    process.causes.append((tags[:TAGS_PER_CAUSE], Cause(datetime.now(UTC), cause, seconds)))
    if not process.wanted.is_set():
        process.wake()
    if writes_log.isEnabledFor(logging.INFO):
        writes_log.info("invalidated %s in %.2f ms: %s", _few(tags), seconds * 1000, cause)


def note_failed_operation(operation: str, error: BaseException | str) -> None:
    """Something that was asked for was not done, a reset for instance. Logged as an ERROR."""
    operations_log.error("%s failed: %s", operation, error)


def table_of(tag: str) -> str:
    """The table of a tag `{database}:{table}:…`; a tag of another form stands for itself."""
    parts = tag.split(":", 2)
    return parts[1] if len(parts) == 3 else tag


def process_counters() -> Counters:
    """What this process counted since it started."""
    process = _process
    process.add_up()
    with process.adding:
        return {key: tally.copy() for key, tally in process.total.items()}


def flush() -> bool:
    """Share everything noted so far with the other processes now; whether that succeeded."""
    return _process.share()


def shares() -> bool:
    """Whether the process shares its counters by itself, once a second and at its end (INVALIDATION_SHARE_COUNTERS)."""
    return bool(getattr(settings, "INVALIDATION_SHARE_COUNTERS", True))


def forget() -> None:
    """Start counting again from zero in this process. For tests."""
    process = _process
    with process.sharing, process.adding:
        for kept in (process.events, process.invalidations, process.causes, process.total, process.unshared):
            kept.clear()
        process.dependencies, process.unshared_dependencies = set(), set()


def _few(tags: tuple[str, ...]) -> str:
    more = len(tags) - TAGS_IN_A_LOG_LINE
    return ", ".join(tags[:TAGS_IN_A_LOG_LINE]) + (f" and {more} more" if more > 0 else "")


def _begin_in_child() -> None:
    """A forked process has no thread and has counted nothing yet; its locks may be held by threads it did not get."""
    global _process
    _process = _Process()


def _flush_at_exit() -> None:
    process = _process
    if settings.configured and shares() and (process.events or process.unshared or process.causes):
        process.share()


os.register_at_fork(after_in_child=_begin_in_child)
atexit.register(_flush_at_exit)
