"""Rows of watched tables as the database holds them now: their keys and scopes, read in the writer's transaction."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError

from invalidation.registry import WatchedModel
from invalidation.tags import plain, scope_tag

if TYPE_CHECKING:
    from invalidation.backends.fenced import FencedConnection

# An UPDATE that leaves the key alone takes the weaker lock itself; the stronger would wait for new child rows.
LOCKS = {"update": " FOR NO KEY UPDATE", "delete": " FOR UPDATE", "": ""}


def plain_key(watched: WatchedModel, value: Any) -> Any:
    """A parameter as the model's key in its plain form; None if it is none, or if the database compares it loosely."""
    field: Any = watched.model._meta.pk
    if getattr(field, "db_collation", None):
        return None
    try:
        return plain(field, value)
    except (ValidationError, TypeError, ValueError):
        return None


def scopes(connection: FencedConnection, watched: WatchedModel, pk: Any, *, lock: str = "") -> tuple[str, ...]:
    """The tags of the scopes a row is in now; with `lock` ("update" or "delete") nobody moves it before we do.

    Read in the transaction of the statement that writes: what was loaded earlier may have been changed since.
    """
    if not watched.scopes:
        return ()
    key = watched.model._meta.pk.get_db_prep_value(pk, connection, prepared=False)  # type: ignore[arg-type]
    found = connection.execute_unseen(_select(watched) + (LOCKS[lock] if connection.locks_rows else ""), (key,))
    if found is None:
        return ()
    values = {column: plain(field, value) for (column, field), value in zip(watched.fields.items(), found, strict=True)}
    return tuple(
        scope_tag(connection.database_name, watched.table, {column: values[column] for column in scope})
        for scope in watched.scopes
    )


@lru_cache(maxsize=512)
def _select_text(table: str, columns: tuple[str, ...], pk_column: str) -> str:
    names = ", ".join(_quoted(column) for column in columns)
    return f"SELECT {names} FROM {_quoted(table)} WHERE {_quoted(pk_column)} = %s"  # noqa: S608 - names of our models


def _select(watched: WatchedModel) -> str:
    return _select_text(watched.table, tuple(watched.fields), watched.pk_column)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
