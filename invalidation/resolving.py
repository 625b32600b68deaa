"""Fences that readers keep meeting: after a while their writers' end is proven, or they go on standing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

from invalidation import conf, fences, points, proof
from invalidation.exceptions import StoreError
from invalidation.fences import Token

logger = logging.getLogger("invalidation.resolving")

FENCES_REMEMBERED = 10_000

_lock = threading.Lock()
_first_seen: dict[Token, float] = {}


def note(states: Mapping[str, bytes | None]) -> None:
    """Remember the fences in these values of tags; resolve by proof those that were seen for a while already."""
    now = time.monotonic()
    old: dict[str, list[Token]] = {}
    with _lock:
        if len(_first_seen) > FENCES_REMEMBERED:
            _first_seen.clear()
        for tag, value in states.items():
            for token in fences.tokens_of(value):
                if now - _first_seen.setdefault(token, now) >= conf.FENCE_PATIENCE_SECONDS:
                    old.setdefault(tag, []).append(token)
    if old:
        _resolve(old)


def _resolve(old: Mapping[str, list[Token]]) -> None:
    tokens = {token: None for found in old.values() for token in found}
    for database in {token.database for token in tokens}:
        prover = proof.prover_of(database)
        if prover is None:
            continue
        points.reach("before_proof")
        ended = prover.ended([token for token in tokens if token.database == database])
        points.reach("after_proof")
        if ended:
            _remove([tag for tag, found in old.items() if set(found) & set(ended)], ended)


def _remove(tags: list[str], ended: list[Token]) -> None:
    try:
        fences.remove_ended(tags, ended)
    except StoreError as error:
        logger.warning("fences of writers that had ended could not be removed: %s", error)
        return
    logger.info("%d fences of writers that had ended were removed", len(ended))
    with _lock:
        for token in ended:
            _first_seen.pop(token, None)
