"""Writes of audit records."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from audit.actors import Actor, current_actor
from audit.models import AuditLog

BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be recorded; `instance` is the object it happened to, `model` their kind where there are many."""

    event_type: str
    description: str
    instance: models.Model | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    object_id: Any = field(default=None)
    model: type[models.Model] | None = None


def record(
    *,
    event_type: str,
    description: str,
    instance: models.Model | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    actor: Actor | None = None,
) -> AuditLog:
    """Record one event, by the current actor unless another is given."""
    row = _row(Event(event_type, description, instance, before, after), actor or current_actor())
    row.save()
    return row


def record_many(*, events: Iterable[Event], actor: Actor | None = None, using: str | None = None) -> int:
    """Record many events by one actor, in batches, on the connection `using`; returns how many."""
    actor = actor or current_actor()
    rows = [_row(event, actor) for event in events]
    AuditLog.objects.using(using).bulk_create(rows, batch_size=BATCH_ROWS)
    return len(rows)


def _row(event: Event, actor: Actor) -> AuditLog:
    instance = event.instance
    kind = event.model if instance is None else type(instance)
    return AuditLog(
        event_type=event.event_type,
        description=event.description,
        user_id=actor.user_id,
        actor=actor.name[:200],
        address=actor.address,
        object_type=kind._meta.label_lower if kind is not None else "",
        object_id=str(event.object_id or instance.pk) if instance is not None else "",
        object_name=str(instance)[:255] if instance is not None else "",
        before=event.before,
        after=event.after,
    )
