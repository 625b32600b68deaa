"""At most one run of the site per folder of data."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path


class AlreadyRunning(Exception):
    """Another process runs the site from the same folder; the message says which and where."""


@contextlib.contextmanager
def hold(path: Path, *, address: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs; raises AlreadyRunning if another process does.

    The kernel releases it with our end, however that comes. The file stays: one that is removed could be locked
    twice, by name and by descriptor.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(f"Plumbline is already running from this folder: {holder(descriptor)}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(descriptor: int) -> str:
    """Who holds the lock, in words."""
    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {note['pid']}, {note['address']}"
    except (ValueError, KeyError, TypeError):
        return "a process that is just starting"
