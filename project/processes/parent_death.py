"""Ties a process to the one that started it: it ends with it, even when that one is killed with SIGKILL.

Run as a program, this file ties itself and then becomes the command it was given, under the same process id:

    python parent_death.py --parent PID [--lock FD] [--lifeline FD] -- command argument …

On Linux the kernel does it (a parent-death signal). Elsewhere `--lifeline` names the reading end of a pipe whose
other end only the starter holds: a small guard process waits for that pipe to close and then kills the process
group of the command. Standard library only, so that it starts in some milliseconds without the packages.
"""

import argparse
import contextlib
import ctypes
import os
import select
import signal
import sys

KERNEL_CAN_TIE = sys.platform.startswith("linux")
PR_SET_PDEATHSIG = 1
GUARD_LOOKS_EVERY_SECONDS = 1.0


def tie_to_parent(parent: int, signal_number: int) -> bool:
    """Ask the kernel to send us `signal_number` when `parent` ends; False where it cannot.

    The kernel means the *thread* that started us, so the parent starts its children from its main thread. Raises
    ProcessLookupError if `parent` is no longer our parent: it died before the kernel knew what to do about it.
    """
    if KERNEL_CAN_TIE:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        raise ProcessLookupError(f"process {parent} has ended")
    return KERNEL_CAN_TIE


def group_is_alive(group: int) -> bool:
    """Whether the process group has any member left, one that has ended but was not waited for included."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start_guard(lifeline: int) -> None:
    """Fork the guard of this process group; returns in the process that is guarded."""
    group = os.getpgrp()
    if os.fork():
        os.close(lifeline)
        return
    # A group of its own: the guard must outlive the kill it gives, and Ctrl-C on a terminal is not for it.
    os.setsid()
    highest = os.sysconf("SC_OPEN_MAX")
    # The rest, a lock among it, belongs to the guarded process alone: held open here it would look alive for ever.
    os.closerange(0, lifeline)
    os.closerange(lifeline + 1, min(highest, 65536))
    while group_is_alive(group):
        readable, _, _ = select.select([lifeline], [], [], GUARD_LOOKS_EVERY_SECONDS)
        if readable and not os.read(lifeline, 1):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            break
    os._exit(0)


def main() -> None:
    """Tie this process to `--parent`, note its id in the lock file, and become the command."""
    parser = argparse.ArgumentParser(description="Run a command that ends with the process that started it.")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--lock", type=int, help="descriptor of the lock file that is to hold our process id")
    parser.add_argument("--lifeline", type=int, help="descriptor of a pipe that closes when the parent ends")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        if options.lifeline is not None:
            start_guard(options.lifeline)
            if os.getppid() != options.parent:
                raise ProcessLookupError
        else:
            tie_to_parent(options.parent, signal.SIGKILL)
    except ProcessLookupError:
        os._exit(1)
    if options.lock is not None:
        os.ftruncate(options.lock, 0)
        os.pwrite(options.lock, f"{os.getpid()}\n".encode(), 0)
    try:
        os.execvp(options.command[0], options.command)
    except OSError as error:
        print(f"{options.command[0]} does not start: {error.strerror}", file=sys.stderr)
        os._exit(127)


if __name__ == "__main__":
    main()
