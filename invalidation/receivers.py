"""Signals of watched models call the registry's side of a transaction: what is told about it, and a second line.

Statements say exactly what is written; a signal knows which object it was. Receivers are connected per watched model:
one for every model would switch Django's fast deletes off everywhere.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from invalidation.registry import WatchedModel, registry


def connect(watched: WatchedModel) -> None:
    """Hear of every save, deletion and many-to-many change of the model, its proxies and its children."""
    model, label = watched.model, watched.model._meta.label_lower
    pre_save.connect(note_old_scopes, sender=model, dispatch_uid=f"invalidation.pre_save.{label}")
    post_save.connect(note_saved, sender=model, dispatch_uid=f"invalidation.post_save.{label}")
    pre_delete.connect(note_old_scopes, sender=model, dispatch_uid=f"invalidation.pre_delete.{label}")
    post_delete.connect(note_deleted, sender=model, dispatch_uid=f"invalidation.post_delete.{label}")
    for relation in model._meta.local_many_to_many:
        through = relation.remote_field.through
        m2m_changed.connect(note_relation, sender=through, dispatch_uid=f"invalidation.m2m.{label}.{relation.name}")


def note_old_scopes(sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any) -> None:
    """Before the write: the scopes the instance was in when it was loaded, as far as it still says so."""
    registry.note_change(instance, using=using, verb="", fields=kwargs.get("update_fields"))


def note_saved(sender: type[models.Model], instance: models.Model, using: str, created: bool, **kwargs: Any) -> None:
    verb = "added" if created else "changed"
    registry.note_change(instance, using=using, verb=verb, fields=kwargs.get("update_fields"))


def note_deleted(sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any) -> None:
    registry.note_change(instance, using=using, verb="deleted")


def note_relation(sender: type[models.Model], instance: models.Model, action: str, using: str, **kwargs: Any) -> None:
    if action.startswith("post_"):
        registry.note_relation(sender, instance, using=using)
