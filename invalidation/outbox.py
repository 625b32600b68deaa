"""Notes of writes that committed although Redis could not be told: used only where the setting says `proceed`.

A note is a row of the same transaction, so it is there exactly if the write is. Whoever reaches Redis next replays it
(invalidation/replaying.py); until then entries of before the write may be read: a numbered limit of this setting.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.utils import timezone

if TYPE_CHECKING:
    from invalidation.backends.fenced import FencedConnection

logger = logging.getLogger("invalidation.outbox")

# Written without the model: a database backend is loaded before any model is.
TABLE = "invalidation_outboxentry"


def write(connection: FencedConnection, tags: Sequence[str]) -> None:
    """Add a note to the transaction that is about to commit."""
    written_at = connection.ops.adapt_datetimefield_value(timezone.now())  # type: ignore[attr-defined]
    connection.execute_unseen(
        f'INSERT INTO "{TABLE}" ("tags", "written_at") VALUES (%s, %s)',  # noqa: S608 - the name of our own table
        (json.dumps(list(tags)), written_at),
    )
    logger.error("a write commits although Redis could not be told; its %d tags wait in the outbox", len(tags))
