"""The keeper: does in the background what no reader or writer is waiting for.

It resolves fences that nobody reads, ends quarantines, replays the outbox and sweeps. Every worker of the site has
one; they may all do the same at once.
"""

from __future__ import annotations

import logging
import threading

from django.db import close_old_connections

from invalidation import conf, epoch, fences, proof, replaying, sweeping
from invalidation.exceptions import StoreError
from invalidation.fences import Token
from invalidation.store import store

logger = logging.getLogger("invalidation.keeper")

EVERY_SECONDS = 1.0
FENCES_OF_ONE_LOOK = 1000


class Keeper(threading.Thread):
    """A thread that looks around once a second until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(name="invalidation-keeper", daemon=True)
        self._stopping = threading.Event()
        # Fences are resolved at the second look: most are gone by then, with no proof needed.
        self._seen: frozenset[str] = frozenset()

    def run(self) -> None:
        while not self._stopping.wait(EVERY_SECONDS):
            try:
                self.look_around()
            except StoreError as error:
                logger.debug("Redis is away: %s", error)
            except Exception:
                logger.exception("the keeper met an error and goes on")
            finally:
                close_old_connections()

    def stop(self) -> None:
        self._stopping.set()

    def look_around(self) -> None:
        """One look. Raises StoreError if Redis is away."""
        present = epoch.ensure()
        if epoch.is_quarantined(present):
            epoch.quarantines.try_to_end(present)
        self._seen = resolve_standing(self._seen)
        if conf.proceeds_without_redis():
            replaying.replay()
        sweeping.sweep()


def start() -> Keeper:
    """Start the keeper of this process; call it in the process that serves, after any fork."""
    keeper = Keeper()
    keeper.start()
    return keeper


def standing() -> dict[str, tuple[Token, ...]]:
    """Every tag that bears a fence now, with its tokens. Raises StoreError."""
    names = store().names
    keys = store().command("SRANDMEMBER", names.fenced, FENCES_OF_ONE_LOOK).value
    if not keys:
        return {}
    values = store().command("MGET", *keys).value
    return {
        names.tag_of(key.decode()): fences.tokens_of(value)
        for key, value in zip(keys, values, strict=True)
        if fences.tokens_of(value)
    }


def resolve_standing(seen: frozenset[str] = frozenset(), *, at_once: bool = False) -> frozenset[str]:
    """Remove the fences of writers that were proven to have ended; returns the tokens that still stand.

    Only those in `seen` are looked at, or all `at_once`. Raises StoreError.
    """
    tags_of: dict[Token, list[str]] = {}
    for tag, tokens in standing().items():
        for token in tokens:
            tags_of.setdefault(token, []).append(tag)
    suspects = [token for token in tags_of if at_once or str(token) in seen]
    by_database: dict[str, list[Token]] = {}
    for token in suspects:
        by_database.setdefault(token.database, []).append(token)
    for database, found in by_database.items():
        prover = proof.prover_of(database)
        ended = prover.ended(found) if prover is not None else []
        if ended:
            fences.remove_ended(dict.fromkeys(tag for token in ended for tag in tags_of[token]), ended)
            logger.info("%d fences of writers that had ended were removed", len(ended))
    return frozenset(str(token) for token in tags_of)
