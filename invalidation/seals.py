"""Seals: entries whose truth somebody's rights hang on are signed, so that who can write to Redis cannot invent one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.core.signing import BadSignature, Signer

if TYPE_CHECKING:
    from invalidation.reads import CachedRead

logger = logging.getLogger("invalidation.seals")


def seal(purpose: str) -> Signer:
    """Signs values of one purpose, which names whose they are: one user's do not pass for another's.

    With the present SECRET_KEY alone.
    """
    return Signer(salt=f"invalidation.seals.{purpose}", fallback_keys=[])


def unsealed(read: CachedRead[str], purpose: str, **params: Any) -> Any:
    """What `seal(purpose).sign_object` wrote in the cached read; from the database where the entry is not sealed so."""
    try:
        return seal(purpose).unsign_object(read(**params))
    except BadSignature:
        # Made with another SECRET_KEY, in the first minutes after a change of it, or by somebody else altogether.
        logger.warning("an entry of %s is not sealed by us: asking the database", purpose)
        return seal(purpose).unsign_object(read.bypass(**params))
