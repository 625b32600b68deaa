"""A process that ends a server when the run that started it is gone, however that run ended.

Run as a script, so that it needs nothing but the standard library:

    guard.py --signal NAME [--group] [--user UID GID] [--remove FOLDER] -- PROGRAM ARGUMENT…

The run holds the other end of the guard's standard input and never writes to it. The kernel closes that end when the
run ends, `kill -9` included; the guard then sends the signal (with --group also to all that the server started),
waits, kills what does not listen and removes the folder. The guard ends by itself, with the server's exit code, when
the server does; the run is there to look at the folder then.
"""

import argparse
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
GRACE_SECONDS = 20


def die_with_parent(number: int, parent: int) -> None:
    """Between fork and exec on Linux: have the kernel send `number` to this process when `parent` ends.

    Must run after a change of user, which would clear it. A parent that ended before the call is noticed too.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def start(arguments: argparse.Namespace, number: int) -> subprocess.Popen[bytes]:
    """The server, as the wanted user, in a session of its own so that Ctrl-C in a terminal reaches only the run."""
    guard = os.getpid()
    user, group = arguments.user or (None, None)
    return subprocess.Popen(
        arguments.program,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        preexec_fn=(lambda: die_with_parent(number, guard)) if sys.platform == "linux" else None,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signal", required=True)
    parser.add_argument("--group", action="store_true")
    parser.add_argument("--user", type=int, nargs=2)
    parser.add_argument("--remove")
    parser.add_argument("program", nargs="+")
    arguments = parser.parse_args()
    number = signal.Signals[arguments.signal]

    # A byte in this pipe per signal wakes `select`: the end of the server, or a wish that the guard ends.
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer)
    for watched in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(watched, lambda *_: None)

    server = start(arguments, number)
    while server.poll() is None:
        readable, _, _ = select.select([0, wake_reader], [], [])
        wishes = os.read(wake_reader, 512) if wake_reader in readable else b""
        if 0 in readable or set(wishes) & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}:
            end(server, number, group=arguments.group)
            if arguments.remove:
                shutil.rmtree(arguments.remove, ignore_errors=True)
            break
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def end(server: subprocess.Popen[bytes], number: int, *, group: bool) -> None:
    """Ask the server to end; kill it when it has not after GRACE_SECONDS."""
    if group:
        os.killpg(server.pid, number)
    else:
        server.send_signal(number)
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
