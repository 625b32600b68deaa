"""Names of what can change: tables, rows, scopes of rows, "any row of this table".

What an entry needs and what a write touches meet in these names:

| | needs / touches |
|---|---|
| an entry that reads one row | its row, any |
| an entry that reads a scope | the scope, any |
| an entry that reads the table, or that a row does not exist | table |
| a write of a known row | its row, its old and new scopes, table |
| a write of unknown extent | any, table |

A tag carries the database's own name, not Django's alias of it: two aliases of one database share their tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from invalidation.exceptions import DeclarationError
from invalidation.keys import text_of

Model = type[models.Model]


@dataclass(frozen=True, slots=True)
class Need:
    """What a cached read depends on: a whole table, or with `pk` one row, or with `scope` the rows of one scope.

    `scope` holds (column, value) pairs in the order of their columns. `always` says that every fill queries it.
    """

    model: Model
    pk: Any = None
    scope: tuple[tuple[str, Any], ...] = ()
    always: bool = True

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def is_whole_table(self) -> bool:
        return self.pk is None and not self.scope

    def tags(self, database: str) -> tuple[str, ...]:
        """The tags that an entry with this need is validated against."""
        if self.pk is not None:
            return (row_tag(database, self.table, self.pk), any_tag(database, self.table))
        if self.scope:
            return (scope_tag(database, self.table, dict(self.scope)), any_tag(database, self.table))
        return (table_tag(database, self.table),)


def table(model: Model) -> Need:
    """Depend on every row of a model's table, and on rows that are not there yet."""
    return Need(model)


def row(model: Model, pk: Any) -> Need:
    """Depend on one existing row. That a row does *not* exist is a fact about the table: use `table`.

    Raises DeclarationError without a key: the caller means no row at all.
    """
    if pk is None:
        raise DeclarationError(f"row({model.__name__}, None) names no row")
    return Need(model, pk=model._meta.pk.to_python(pk))


def scope(model: Model, **values: Any) -> Need:
    """Depend on the rows whose columns have these values, absent rows included: `scope(Equipment, data_type="ppm")`.

    The columns are one of the scopes given to `watch`; a foreign key is named without `_id` and takes an id.
    """
    return Need(model, scope=tuple(sorted(_column_and_value(model, name, value) for name, value in values.items())))


def _column_and_value(model: Model, name: str, value: Any) -> tuple[str, Any]:
    try:
        field: Any = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise DeclarationError(f"{model.__name__} has no field {name}") from error
    return field.column, plain(field, value)


def sometimes(need: Need) -> Need:
    """The same need, for a fill that does not query it every time: a prefetch with nothing to fetch, say."""
    return replace(need, always=False)


def plain(field: Any, value: Any) -> Any:
    """A column's value as every process writes it, whatever it was given as: "5" and 5 of one integer field agree."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    return None if value is None else field.to_python(value)


def table_tag(database: str, table: str) -> str:
    return f"{database}:{table}:table"


def any_tag(database: str, table: str) -> str:
    return f"{database}:{table}:any"


def row_tag(database: str, table: str, pk: Any) -> str:
    return f"{database}:{table}:row:{text_of(pk)}"


def scope_tag(database: str, table: str, values: Mapping[str, Any]) -> str:
    """`values` maps columns to plain values, as `plain` gives them."""
    pairs = "&".join(f"{column}={text_of(values[column])}" for column in sorted(values))
    return f"{database}:{table}:scope:{pairs}"


def family_tag(family: str) -> str:
    """Every entry of the family depends on it; replaced by a reset."""
    return f"family:{family}"


def tags_of(needs: Iterable[Need], database: str) -> tuple[str, ...]:
    """The tags of several needs, each once, in order; a whole table covers its rows and scopes."""
    needs = tuple(needs)
    whole = {need.table for need in needs if need.is_whole_table}
    kept = (need for need in needs if need.is_whole_table or need.table not in whole)
    return tuple(dict.fromkeys(tag for need in kept for tag in need.tags(database)))
