"""What a row holds, as plain values fit for the audit: no passwords, hashes or tokens."""

from functools import cache
from typing import Any

from django.db import models
from django.db.models.expressions import BaseExpression
from django.db.models.fields.files import FieldFile

SECRET_WORDS = ("password", "token", "secret", "session", "hash")

Snapshot = dict[str, Any]


def is_secret(name: str) -> bool:
    """Whether a field's value must never be recorded, judged by its name."""
    return any(word in name.lower() for word in SECRET_WORDS)


@cache
def recorded_fields(model: type[models.Model], excluded: frozenset[str] = frozenset()) -> tuple[models.Field, ...]:
    """The concrete fields of `model` that the audit records."""
    return tuple(
        field
        for field in model._meta.concrete_fields
        if field.name not in excluded and field.attname not in excluded and not is_secret(field.name)
    )


def plain(value: Any) -> Any:
    """A value the audit's JSON can hold."""
    return value.name or None if isinstance(value, FieldFile) else value


def snapshot(instance: models.Model, excluded: frozenset[str] = frozenset()) -> Snapshot:
    """The recorded values of `instance`, by field name; a foreign key is its id.

    A value still given as an expression (`F("count") + 1`) is read back from the database.
    """
    fields = recorded_fields(type(instance), excluded)
    values = {field.attname: field.value_from_object(instance) for field in fields}
    if any(isinstance(value, BaseExpression) or hasattr(value, "resolve_expression") for value in values.values()):
        stored = stored_snapshot(instance, excluded)
        if stored is not None:
            return stored
    # As the field understands it: a date that was given as text is not a change of itself.
    return {field.attname: plain(_as_stored(field, values[field.attname])) for field in fields}


def _as_stored(field: models.Field, value: Any) -> Any:
    return value if isinstance(value, FieldFile) else field.to_python(value)


def stored_snapshot(instance: models.Model, excluded: frozenset[str] = frozenset()) -> Snapshot | None:
    """The same from the database; None where the row is not there."""
    names = [field.attname for field in recorded_fields(type(instance), excluded)]
    rows = type(instance)._base_manager.using(instance._state.db).filter(pk=instance.pk).values(*names)
    return rows.first()


def differences(before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Both snapshots cut down to the values that differ."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}
