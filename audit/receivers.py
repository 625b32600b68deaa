"""Signals of sign-ins and of the models that apps have put under audit."""

from collections.abc import Mapping, Set
from typing import Any

from django.db import models
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.utils import translation

from audit.actors import Actor
from audit.models import EventType
from audit.services import record
from audit.snapshots import (
    CHANGED_NOT_RECORDED,
    NOT_RECORDED,
    changed_secrets,
    differences,
    snapshot,
    stored_with_secrets,
)

_excluded: dict[type[models.Model], frozenset[str]] = {}
_relations: set[type[models.Model]] = set()
# What the observer of statements looks at first, for every write there is.
_tables: dict[str, type[models.Model]] = {}


def watch(model: type[models.Model], *, exclude: tuple[str, ...] = ()) -> None:
    """Record every save, deletion and many-to-many change of `model`'s instances, and what statements do to its rows.

    `exclude` names fields that change without meaning (`last_login`). Call it in an app's `ready()`.
    """
    label = model._meta.label_lower
    _excluded[model] = frozenset(exclude)
    _tables[model._meta.db_table] = model
    pre_save.connect(remember_stored, sender=model, dispatch_uid=f"audit.pre_save.{label}")
    post_save.connect(record_save, sender=model, dispatch_uid=f"audit.post_save.{label}")
    pre_delete.connect(remember_stored, sender=model, dispatch_uid=f"audit.pre_delete.{label}")
    post_delete.connect(record_delete, sender=model, dispatch_uid=f"audit.post_delete.{label}")
    for relation in model._meta.local_many_to_many:
        through: type[models.Model] = relation.remote_field.through  # type: ignore[assignment]
        _relations.add(through)
        if through._meta.auto_created:
            _tables[through._meta.db_table] = through
        m2m_changed.connect(record_relation, sender=through, dispatch_uid=f"audit.m2m.{label}.{relation.name}")


def watched_models() -> Set[type[models.Model]]:
    """The models under audit."""
    return _excluded.keys()


def watched_relations() -> Set[type[models.Model]]:
    """The models of the many-to-many tables whose changes are told by signals."""
    return _relations


def recorded_tables() -> Mapping[str, type[models.Model]]:
    """The tables under audit with their models, the tables of many-to-many relations among them."""
    return _tables


def excluded_fields(model: type[models.Model]) -> frozenset[str]:
    """The fields of `model` that are not recorded."""
    return _excluded.get(model, frozenset())


def remember_stored(sender: type[models.Model], instance: models.Model, **kwargs: Any) -> None:
    """Keep what the row holds now on the instance, for the record of the change."""
    adding = instance._state.adding and instance.pk is None
    stored = None if adding else stored_with_secrets(instance, excluded_fields(sender))
    instance._audit_before = stored  # type: ignore[attr-defined]


def record_save(sender: type[models.Model], instance: models.Model, created: bool, **kwargs: Any) -> None:
    """Record an insert whole, an update by what differs, a save that changed nothing not at all.

    Of a secret only that it changed. A password hashed anew at sign-in, which the hashers' settings ask for, is
    recorded as a change too: nothing tells it reliably from a password that was set.
    """
    stored = instance.__dict__.pop("_audit_before", None)
    after = snapshot(instance, excluded_fields(sender))
    if created or stored is None:
        _record(EventType.CREATED, instance, None, after)
        return
    before, secrets_before = stored
    after |= dict.fromkeys(changed_secrets(instance, secrets_before), CHANGED_NOT_RECORDED)
    before |= dict.fromkeys(secrets_before, NOT_RECORDED)
    if kwargs.get("update_fields") is not None:
        # Other values on the instance were not written, whatever they are.
        names = set(kwargs["update_fields"])
        written = {field.attname for field in sender._meta.concrete_fields if names & {field.name, field.attname}}
        after = {name: value if name in written else before.get(name) for name, value in after.items()}
    old, new = differences(before, after)
    if new:
        _record(EventType.UPDATED, instance, old, new)


def record_delete(sender: type[models.Model], instance: models.Model, **kwargs: Any) -> None:
    """Record a deletion with everything the row held, its secrets left out."""
    stored = instance.__dict__.pop("_audit_before", None)
    before = stored[0] if stored else snapshot(instance, excluded_fields(sender))
    _record(EventType.DELETED, instance, before, None)


def record_relation(
    sender: type[models.Model],
    instance: models.Model,
    action: str,
    model: type[models.Model],
    pk_set: set[Any] | None,
    **kwargs: Any,
) -> None:
    """Record members that were added to or taken from a many-to-many relation."""
    name = str(model._meta.model_name)
    if action == "pre_clear":
        members = _members(sender, instance, model)
        if members:
            _record(EventType.UPDATED, instance, {name: members}, {name: []})
    elif action in {"post_add", "post_remove"} and pk_set:
        keys = sorted(pk_set)
        before, after = ({}, {name: keys}) if action == "post_add" else ({name: keys}, {})
        _record(EventType.UPDATED, instance, before, after)


def _members(through: type[models.Model], instance: models.Model, model: type[models.Model]) -> list[Any]:
    """The keys of `model` that `instance` is related to by the table `through`."""
    links = {field.related_model: field.name for field in through._meta.concrete_fields if field.is_relation}
    rows = through._base_manager.filter(**{links[type(instance)]: instance})
    return sorted(rows.values_list(f"{links[model]}_id", flat=True))


def record_sign_in(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    """Record a successful sign-in."""
    actor = Actor.from_user(user, _address(request))
    record(event_type=EventType.SIGNED_IN, description=f"{actor.name} signed in", actor=actor)


def record_sign_out(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    """Record the end of a session; one that had no user leaves nothing to record."""
    if user is not None:
        actor = Actor.from_user(user, _address(request))
        record(event_type=EventType.SIGNED_OUT, description=f"{actor.name} signed out", actor=actor)


def record_failed_sign_in(sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    """Record a failed sign-in with the name that was tried (never the password)."""
    name = str(credentials.get("username", ""))[:150]
    actor = Actor(name="anonymous", address=_address(request))
    record(event_type=EventType.SIGN_IN_FAILED, description=f"Sign-in failed for {name!r}", actor=actor)


def _record(event_type: EventType, instance: models.Model, before: Any, after: Any) -> None:
    # In one language, whichever the person's is who made the change.
    with translation.override("en"):
        kind, name = str(instance._meta.verbose_name).capitalize(), str(instance)
    verb = {EventType.CREATED: "added", EventType.UPDATED: "changed", EventType.DELETED: "deleted"}[event_type]
    description = f"{kind} {name} {verb}"
    record(event_type=event_type, description=description, instance=instance, before=before, after=after)


def _address(request: Any) -> str | None:
    return request.META.get("REMOTE_ADDR") or None if request is not None else None
