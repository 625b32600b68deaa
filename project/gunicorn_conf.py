"""How each worker of gunicorn serves the site; how many there are, and where they listen, is told by who starts it."""

import os
import signal
from typing import Any

from project import environment
from project.processes.parent_death import tie_to_parent

worker_class = "gthread"
threads = 4
# For the settings, which each worker loads: its pool of connections follows from it.
os.environ["WEB_THREADS"] = str(threads)
# Code that queries before a fork would share one connection among the workers.
preload_app = False
timeout = 60
graceful_timeout = 10
keepalive = 5
# Whom to believe about TLS and addresses is for the settings to say (BEHIND_TLS_PROXY). By its defaults gunicorn would
# believe anything that comes over the loopback.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
umask = 0o077
# A heartbeat file on a disk can make a worker look hung while the disk is busy.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - gunicorn makes a private file
# Its default is a socket in the home folder, outside the project.
control_socket_disable = True
loglevel = "debug" if environment.text("LOG_LEVEL") == "DEBUG" else "warning"


def on_starting(server: Any) -> None:
    """Let a worker be stopped from its first moment on.

    Until a worker has handlers of its own it would have the master's, which only note the signal: a stop right
    after the start would be lost on it, and last until the master's patience ends.
    """
    stop = {signal.SIGTERM}
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, stop),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, stop),
        after_in_child=lambda: (
            signal.signal(signal.SIGTERM, signal.SIG_DFL),
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stop),
        ),
    )


def post_fork(server: Any, worker: Any) -> None:
    """Let no worker outlive the process that looks after it."""
    tie_to_parent(worker.ppid, signal.SIGKILL)
