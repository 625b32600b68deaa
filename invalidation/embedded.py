"""Whether our own Redis is dead for certain: the one failure that needs no fence.

The server holds a lock on a file for as long as any of its processes lives, and keeps nothing on disk. When nobody
listens on its socket and nobody holds the lock, everything it knew is gone; the next one starts empty, with another
run_id, and its quarantine waits for the transactions that run now.
"""

import errno
import fcntl
import os
import socket

from invalidation.conf import Embedded

NOBODY_LISTENS = {errno.ECONNREFUSED, errno.ENOENT}


def is_dead(server: Embedded) -> bool:
    """True only with proof; a server that is silent, or about which nothing can be learned, may be alive."""
    return _nobody_listens(server) and _nobody_holds_the_lock(server)


def _nobody_listens(server: Embedded) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        try:
            connection.connect(str(server.socket))
        except OSError as error:
            return error.errno in NOBODY_LISTENS
    return False


def _nobody_holds_the_lock(server: Embedded) -> bool:
    try:
        descriptor = os.open(server.lock, os.O_RDONLY)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
