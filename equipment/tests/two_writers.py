"""Two writers who meet: the second comes when the first has written and not yet committed."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection, transaction

WAIT_SECONDS = 30


@dataclass
class Meeting:
    """What each of the two returned and raised, and whether the second had to wait for the first."""

    results: list[Any] = field(default_factory=lambda: [None, None])
    errors: list[Exception | None] = field(default_factory=lambda: [None, None])
    waited: bool = False


def second_while_first_is_uncommitted(
    first: Callable[[], Any], second: Callable[[], Any], *, pause_before: str = ""
) -> Meeting:
    """Run `first` in a transaction that stays open until `second`, in another connection, waits for it or has ended.

    `first` pauses for that when it is through or, given `pause_before`, before its first statement that begins so.
    That it waits is asked of the database, so nothing depends on which thread is quicker. Each must be right whatever
    the other does: without the lock that makes it wait, `second` has judged by what `first` was about to change.
    """
    meeting = Meeting()
    written, kept_out, ended = threading.Event(), threading.Event(), threading.Event()
    processes: list[int] = []

    def pause() -> None:
        written.set()
        meeting.waited = _waits(processes, kept_out, ended)

    def pausing(execute: Callable[..., Any], sql: str, *given: Any) -> Any:
        if pause_before and sql.startswith(pause_before) and not written.is_set():
            pause()
        return execute(sql, *given)

    def hold() -> None:
        try:
            with transaction.atomic(), connection.execute_wrapper(pausing):
                meeting.results[0] = first()
                if not pause_before:
                    pause()
        finally:
            written.set()

    def come() -> None:
        try:
            assert written.wait(WAIT_SECONDS), "the first never wrote"
            if connection.features.has_select_for_update:
                connection.ensure_connection()
                processes.append(connection.connection.info.backend_pid)
            elif _is_kept_out():
                kept_out.set()
            meeting.results[1] = second()
        finally:
            ended.set()

    _run(meeting, hold, come)
    return meeting


def _run(meeting: Meeting, *writers: Callable[[], None]) -> None:
    """Run the writers in threads of their own and keep in `meeting` what each raised."""

    def run(place: int, writer: Callable[[], None]) -> None:
        try:
            writer()
        except Exception as error:  # noqa: BLE001 - whatever a thread raises is for the test to judge
            meeting.errors[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * WAIT_SECONDS)
        assert not thread.is_alive(), "a writer never ended"


def _waits(processes: list[int], kept_out: threading.Event, ended: threading.Event) -> bool:
    """Whether the second waits for this connection; returns as soon as it does, or False when it has ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if kept_out.is_set() or (processes and _is_blocked_by_this_connection(processes[0])):
            return True
        if ended.wait(0.01):
            return False
    raise AssertionError("the second neither waited nor ended")


def _is_blocked_by_this_connection(process: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() = ANY(pg_blocking_pids(%s))", [process])
        return bool(cursor.fetchone()[0])


def _is_kept_out() -> bool:
    """Whether SQLite, which has no row locks, lets no transaction begin beside the one that is writing."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")
    try:
        with transaction.atomic():
            return False
    except OperationalError:
        return True
    finally:
        # The next one is patient again, as the settings say.
        connection.close()
