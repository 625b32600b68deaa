"""The folder of one test run: in the system's temporary place, for this user, gone when the run is over."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "plumbline-tests-"
# Room for `/postgresql/.s.PGSQL.5432` within the 103 bytes that every kernel takes for the path of a socket.
LONGEST_FOLDER = 70


def temporary_place() -> Path:
    """The system's temporary folder, or /tmp where that one's name is too long to hold sockets."""
    place = Path(tempfile.gettempdir()).resolve()
    fits = len(os.fsencode(place)) + len(PREFIX) + 9 <= LONGEST_FOLDER
    return place if fits else Path("/tmp")  # noqa: S108 - made with mkdtemp, private


@contextmanager
def run_folder() -> Iterator[Path]:
    """A new folder that is removed at the end; what runs killed earlier left behind is removed first."""
    place = temporary_place()
    sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    with hold(folder):
        try:
            yield folder
        finally:
            remove(folder)


def remove(folder: Path) -> None:
    """Remove a run's folder; the lock goes last, so that what cannot be removed yet is found by a later `sweep`."""
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != "lock":
            entry.unlink()
    if [entry.name for entry in folder.iterdir()] == ["lock"]:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep `folder` from being swept; the kernel lets go of the lock when this process ends, however it ends."""
    draft = folder / "lock.draft"
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Locked before it has the name that `sweep` looks for.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(folder / "lock")
        yield
    finally:
        os.close(descriptor)


def sweep(place: Path) -> None:
    """Remove the folders of runs that are over. A folder without a lock file is just being made: it stays."""
    for lock in place.glob(f"{PREFIX}*/lock"):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # another user's
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(lock.parent)
        except BlockingIOError:
            pass  # a run in progress
        finally:
            os.close(descriptor)
