"""What a row holds, as plain values fit for the audit: no passwords, hashes or tokens.

That a secret was changed is told (`changed_secrets`), what it was or is never.
"""

from functools import cache
from typing import Any

from django.db import models
from django.db.models.expressions import BaseExpression
from django.db.models.fields.files import FieldFile

SECRET_WORDS = ("password", "token", "secret", "session", "hash")

# What stands in a record of a change in place of a secret's old and new value.
NOT_RECORDED = "not recorded"
CHANGED_NOT_RECORDED = "changed, not recorded"

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


@cache
def secret_fields(model: type[models.Model], excluded: frozenset[str] = frozenset()) -> tuple[models.Field, ...]:
    """The concrete fields of `model` of which the audit tells a change and never a value."""
    return tuple(
        field
        for field in model._meta.concrete_fields
        if field.name not in excluded and field.attname not in excluded and is_secret(field.name)
    )


def plain(value: Any) -> Any:
    """A value the audit's JSON can hold."""
    return value.name or None if isinstance(value, FieldFile) else value


def json_value(value: Any) -> Any:
    """A parameter of a statement as the audit's JSON can hold it; what is neither text nor number as text."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


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
    return _stored(instance, recorded_fields(type(instance), excluded))


def stored_with_secrets(
    instance: models.Model, excluded: frozenset[str] = frozenset()
) -> tuple[Snapshot, Snapshot] | None:
    """What `stored_snapshot` gives and, beside it, the secrets of the row; None where the row is not there.

    The secrets are for `changed_secrets` and nothing else: no record may hold them.
    """
    secret = secret_fields(type(instance), excluded)
    row = _stored(instance, (*recorded_fields(type(instance), excluded), *secret))
    if row is None:
        return None
    secrets = {field.attname: row.pop(field.attname) for field in secret}
    return row, secrets


def secrets_of(instance: models.Model, excluded: frozenset[str] = frozenset()) -> Snapshot:
    """The secrets that `instance` holds: to be compared with others, and never to be recorded."""
    return {field.attname: field.value_from_object(instance) for field in secret_fields(type(instance), excluded)}


def changed_secrets(instance: models.Model, stored: Snapshot) -> tuple[str, ...]:
    """Names of the secrets of `instance` that are not what was `stored`. Saying more would give them away."""
    fields = secret_fields(type(instance))
    return tuple(
        field.attname
        for field in fields
        if field.attname in stored and _as_stored(field, field.value_from_object(instance)) != stored[field.attname]
    )


def _stored(instance: models.Model, fields: tuple[models.Field, ...]) -> Snapshot | None:
    rows = type(instance)._base_manager.using(instance._state.db).filter(pk=instance.pk)
    return rows.values(*(field.attname for field in fields)).first()


def differences(before: Snapshot, after: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Both snapshots cut down to the values that differ."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}
