"""The central registry: which models are watched, by which scopes, and which cached reads exist.

Apps fill it while they start; after that it is closed, so that every process of one release has the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections, models

from invalidation.exceptions import DeclarationError
from invalidation.tags import Need, plain, scope_tag

if TYPE_CHECKING:
    from invalidation.reads import CachedRead

Scope = tuple[str, ...]

# Columns whose values every process writes alike, whether they come from the model or straight from the database.
SCOPE_FIELDS = (
    models.IntegerField,
    models.CharField,
    models.BooleanField,
    models.UUIDField,
    models.DateField,
)


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """A model whose writes end entries.

    `scopes` are sets of columns, each sorted; `fields` has the field of every column in one of them; `excluded` are
    columns whose change alone ends nothing.
    """

    model: type[models.Model]
    scopes: tuple[Scope, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def pk_column(self) -> str:
        column: str = self.model._meta.pk.column  # type: ignore[assignment]
        return column


class Registry:
    """Open while apps start, closed afterwards."""

    def __init__(self) -> None:
        self.is_closed = False
        self._watched: dict[str, WatchedModel] = {}
        self._reads: dict[str, CachedRead[Any]] = {}

    def watch(
        self, model: type[models.Model], *, scopes: Iterable[str | tuple[str, ...]] = (), exclude: Iterable[str] = ()
    ) -> None:
        """Add a model; raises DeclarationError after start-up, for a model given twice or an unknown field."""
        self._require_open(f"watch({model.__name__})")
        # A proxy's rows are its concrete model's.
        model = model._meta.concrete_model or model
        table = model._meta.db_table
        if table in self._watched:
            raise DeclarationError(f"{model.__name__} is watched already")
        if set(table) & set('".'):
            raise DeclarationError(f"{model.__name__}: a table named {table} cannot be told from its schema")
        fields: dict[str, Any] = {}
        columns: list[Scope] = []
        for names in (scope if isinstance(scope, tuple) else (scope,) for scope in scopes):
            found = [_scope_field(model, name) for name in names]
            fields |= {each.column: each for each in found}
            columns.append(tuple(sorted(each.column for each in found)))
        excluded = frozenset(_local_field(model, name).column for name in exclude)
        if excluded & set(fields):
            raise DeclarationError(f"{model.__name__}: a column of a scope cannot be excluded")
        self._watched[table] = WatchedModel(model, tuple(columns), dict(sorted(fields.items())), excluded)

    def add_read(self, read: CachedRead[Any]) -> None:
        """Add a cached read; raises DeclarationError after start-up or for a name that is taken."""
        self._require_open(read.name)
        if read.name in self._reads:
            raise DeclarationError(f"there are two cached reads named {read.name}")
        self._reads[read.name] = read

    def close(self) -> None:
        """Refuse further declarations; raises DeclarationError if one of them cannot be kept."""
        for read in self._reads.values():
            if not callable(read.needs):
                self.require_watched(read.needs)
        self.is_closed = True

    def require_watched(self, needs: Iterable[Need]) -> None:
        """Raise DeclarationError for a need that no write would ever touch."""
        for need in needs:
            watched = self._watched.get(need.table)
            if watched is None:
                raise DeclarationError(f"{need.model.__name__} is not watched: add watch(...) to its app's caches.py")
            if need.scope and tuple(column for column, _value in need.scope) not in watched.scopes:
                raise DeclarationError(
                    f"{need.model.__name__} is not watched by the scope {[column for column, _value in need.scope]}"
                )

    def note_change(
        self, instance: models.Model, *, using: str, verb: str, fields: Iterable[str] | None = None
    ) -> None:
        """A signal's word that an object is about to change, or has; touches what its transaction touches anyway.

        `fields` are those that are saved, None for all. Outside of a transaction there is nothing to add: the
        statement passed the gate by itself.
        """
        connection: Any = connections[using]
        watched = self._watched.get(instance._meta.db_table)
        if watched is None or instance.pk is None or not hasattr(connection, "pending"):
            return
        if fields is not None and watched.excluded.issuperset(_columns(instance, fields)):
            return
        if connection.is_in_transaction():
            if verb:
                connection.pending.note_cause(f"{instance._meta.label} {instance.pk} {verb}")
            key = plain(watched.model._meta.pk, instance.pk)
            connection.pending.touch_row(watched.table, key, _scopes_of(watched, instance, connection.database_name))

    def note_relation(self, through: type[models.Model], instance: models.Model, *, using: str) -> None:
        """A signal's word that members of a many-to-many relation have changed."""
        connection: Any = connections[using]
        if self._watched.get(through._meta.db_table) is None or not hasattr(connection, "pending"):
            return
        if connection.is_in_transaction():
            connection.pending.note_cause(f"{through._meta.label} of {instance._meta.label} {instance.pk}")
            connection.pending.touch_table(through._meta.db_table)

    def watched(self, table: str) -> WatchedModel | None:
        return self._watched.get(table)

    def watched_models(self) -> tuple[WatchedModel, ...]:
        return tuple(self._watched.values())

    def watched_tables(self) -> tuple[str, ...]:
        return tuple(self._watched)

    def reads(self) -> tuple[CachedRead[Any], ...]:
        return tuple(self._reads.values())

    def read(self, name: str) -> CachedRead[Any]:
        """The cached read of that name; raises DeclarationError if there is none."""
        try:
            return self._reads[name]
        except KeyError:
            raise DeclarationError(f"there is no cached read named {name!r}") from None

    def families(self) -> tuple[str, ...]:
        return tuple(sorted({read.family for read in self._reads.values()}))

    def _require_open(self, what: str) -> None:
        if self.is_closed:
            raise DeclarationError(f"{what} comes after start-up: declare it in the app's caches.py")


def _columns(instance: models.Model, names: Iterable[str]) -> set[str]:
    """The columns of an instance's fields, which go by their names or by those of their attributes."""
    wanted = set(names)
    return {str(each.column) for each in instance._meta.concrete_fields if wanted & {each.name, each.attname}}


def _local_field(model: type[models.Model], name: str) -> Any:
    """A field in the model's own table; raises DeclarationError for any other."""
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise DeclarationError(f"{model.__name__} has no field {name}") from error
    if found not in model._meta.local_concrete_fields:
        raise DeclarationError(f"{model.__name__}.{name} is not a column of the model's own table")
    return found


def _scope_field(model: type[models.Model], name: str) -> Any:
    found = target = _local_field(model, name)
    while isinstance(target, models.ForeignKey):
        target = target.target_field
    if not isinstance(target, SCOPE_FIELDS) or isinstance(target, models.DateTimeField):
        raise DeclarationError(f"{model.__name__}.{name} is no scope: integers, texts, booleans, UUIDs and dates are")
    if getattr(target, "db_collation", None):
        raise DeclarationError(f"{model.__name__}.{name} is no scope: its collation takes unequal texts for equal")
    return found


def _scopes_of(watched: WatchedModel, instance: models.Model, database: str) -> tuple[str, ...]:
    """The scopes an instance says it is in, as far as it says so in plain values."""
    values: dict[str, Any] = {}
    for column, each in watched.fields.items():
        given = instance.__dict__.get(each.attname)
        if each.attname not in instance.__dict__ or hasattr(given, "resolve_expression"):
            continue
        try:
            values[column] = plain(each, given)
        except (ValidationError, TypeError, ValueError):
            continue
    return tuple(
        scope_tag(database, watched.table, {column: values[column] for column in scope})
        for scope in watched.scopes
        if values.keys() >= set(scope)
    )


registry = Registry()
