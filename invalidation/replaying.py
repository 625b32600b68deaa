"""The replay of the outbox: Redis is told of writes that had to go on without it."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connections

from invalidation import fences
from invalidation.models import OutboxEntry

logger = logging.getLogger("invalidation.outbox")

NOTES_OF_ONE_REPLAY = 500


def replay() -> int:
    """End what the notes of all databases name, then remove them; returns how many. Raises StoreError.

    The order matters: a note that is removed too late is replayed twice, which is harmless.
    """
    replayed = 0
    for alias in connections:
        if not hasattr(connections[alias], "pending"):
            continue
        try:
            notes = list(OutboxEntry.objects.using(alias).order_by("pk")[:NOTES_OF_ONE_REPLAY])
        except DatabaseError as error:
            # A database that has not been migrated yet, or is away, has nothing that could be replayed now.
            logger.debug("no outbox in %s: %s", alias, error)
            continue
        if not notes:
            continue
        fences.replace_stamps(dict.fromkeys(tag for note in notes for tag in note.tags))
        OutboxEntry.objects.using(alias).filter(pk__in=[note.pk for note in notes]).delete()
        replayed += len(notes)
    return replayed
