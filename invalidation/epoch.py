"""The epoch: every entry depends on it. It tells one run of the server's memory from the next.

Its value is `run_id:random`, with `:quarantine` behind it while transactions may be under way whose fences the server
has forgotten. It is believed only over a connection to that very run.
"""

from __future__ import annotations

import logging
import threading
import time

from invalidation import proof
from invalidation.exceptions import StoreError
from invalidation.store import Answer, new_token, store

logger = logging.getLogger("invalidation.epoch")

QUARANTINE = b":quarantine"
SETTLE_EVERY_SECONDS = 0.05


class Quarantines:
    """This process's attempts to prove a quarantine over: at most one every SETTLE_EVERY_SECONDS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch = b""
        self._proofs: list[proof.EndOfWriters] = []
        self._next_attempt = 0.0

    def try_to_end(self, epoch: bytes) -> None:
        """Prove that every transaction that ran when the quarantine began has ended, and end it; no waiting."""
        if time.monotonic() < self._next_attempt or not self._lock.acquire(blocking=False):
            return
        try:
            if epoch != self._epoch:
                # Begun after the quarantine was seen: what it waits for includes all that ran at its start.
                self._epoch, self._proofs = epoch, proof.begin_for_all_databases()
            over = [each.is_over() for each in self._proofs]
            if all(over):
                store().run("settle", [store().names.epoch], (epoch, settled(epoch)))
                logger.info("quarantine over, the cache is in use")
        except StoreError as error:
            logger.warning("a quarantine could not be ended: %s", error)
        finally:
            self._next_attempt = time.monotonic() + SETTLE_EVERY_SECONDS
            self._lock.release()


quarantines = Quarantines()


def settled(epoch: bytes) -> str:
    """The epoch that follows a quarantine: another one, so that nothing from before is read."""
    run_id = epoch.decode().split(":", 1)[0]
    return f"{run_id}:{new_token()}"


def believable(answer: Answer, value: bytes | None) -> bool:
    """Whether the value is an epoch of the very server that said so; a missing one is not."""
    return value is not None and bool(answer.run_id) and value.startswith(answer.run_id.encode() + b":")


def is_quarantined(epoch: bytes) -> bool:
    return epoch.endswith(QUARANTINE)


def ensure() -> bytes:
    """The epoch of the server's present run; begins one in quarantine where there is none. Raises StoreError."""
    return _set("ensure")


def renew(*, in_quarantine: bool = False) -> bytes:
    """Begin a new epoch: no entry of before is read again. Raises StoreError.

    In quarantine it begins where writers may be under way whose fences this server does not have.
    """
    return _set("quarantine" if in_quarantine else "renew")


def _set(how: str) -> bytes:
    run_id = store().command("GET", store().names.epoch).run_id
    answer = store().run("epoch", [store().names.epoch], (run_id, new_token(), how))
    value: bytes = answer.value
    if answer.run_id != run_id:
        # The script was told the run of another server than the one it ran on; its epoch will not be believed.
        raise StoreError("the server changed while its epoch was being set")
    if is_quarantined(value):
        logger.warning("the cache is in quarantine until the transactions under way have ended")
    return value
