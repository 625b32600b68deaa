"""Starting a program under the guard, waiting until it serves, and ending it."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

GUARD = Path(__file__).with_name("guard.py")
START_SECONDS = 60


class ServerFailed(Exception):
    """A server did not start; the message ends with the last lines of its log."""


class Account(NamedTuple):
    """A user of this machine other than the one who runs the tests."""

    name: str
    user: int
    group: int


@contextmanager
def guarded(
    program: Sequence[str | Path],
    *,
    signal: str,
    folder: Path,
    serves: Callable[[], bool],
    environment: Mapping[str, str],
    account: Account | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `program` in `folder` until the block ends, or this process does; `folder` is removed with it.

    `signal` names what ends the program in an orderly way, `serves` tells when it is ready. Yields the guard's
    process. Raises ServerFailed when the program ends before it serves, or does not serve within START_SECONDS.
    """
    log = folder / "log"
    command = [sys.executable, "-I", "-S", GUARD, "--signal", signal, "--remove", folder]
    if account:
        command += ["--user", str(account.user), str(account.group)]
    with log.open("wb") as output:
        guard = subprocess.Popen(
            [str(part) for part in [*command, "--", *program]],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not serves():
            if guard.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(failure(log, Path(program[0])))
            time.sleep(0.02)
        yield guard
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait()
        shutil.rmtree(folder, ignore_errors=True)


def failure(log: Path, program: Path) -> str:
    """What to say of a program that does not start."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"{program} did not start: " + (" / ".join(lines[-5:]) or "it said nothing")
