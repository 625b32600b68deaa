"""The guard: compares what a computation reads with what its declaration says.

A table that is read but not declared would leave the entry standing when it changes. A declared table that no query
inside reads was read earlier, with no stamp taken before it. A table that only a row or scope covers has to be asked
for exactly that row or scope.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError

from invalidation import conf, fills
from invalidation.conditions import Term, sources, terms
from invalidation.exceptions import UndeclaredDependencyError
from invalidation.fills import Frame
from invalidation.registry import registry
from invalidation.sql import LONGEST_TEXT_REMEMBERED
from invalidation.tags import Need, plain

if TYPE_CHECKING:
    from invalidation.backends.fenced import FencedConnection

logger = logging.getLogger("invalidation.guard")

LONGEST_TEXT_SHOWN = 300


def watch_read(
    connection: FencedConnection, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
) -> Any:
    """Run a SELECT and note what it reads, if a computation is under way."""
    frame = fills.current()
    if frame is None or not frame.is_guarded:
        return execute(sql, params, many, context)
    if connection.is_standby or (connection.reads_old_state() and fills.snapshot() is None):
        frame.refuse("a query inside it sees an older state of the database")
    answer, tables = connection.run_and_tell_tables(execute, sql, params, many, context)
    for table in tables:
        _note(frame, connection, table, str(sql), params)
    return answer


def _note(frame: Frame, connection: FencedConnection, table: str, sql: str, params: Any) -> None:
    frame.tables.add(table)
    if connection.database_name != frame.database:
        frame.undeclared[table] = f"it is in another database: {sql[:LONGEST_TEXT_SHOWN]}"
        return
    unseen = _excluded_column(table, sql)
    if unseen:
        frame.undeclared[table] = f"changes of its column {unseen} end nothing; read by: {sql[:LONGEST_TEXT_SHOWN]}"
        return
    needs = [need for need in frame.needs if need.table == table]
    if any(need.is_whole_table for need in needs) or table in frame.undeclared:
        return
    if not needs:
        frame.undeclared[table] = f"it is read by: {sql[:LONGEST_TEXT_SHOWN]}"
    elif not _is_pinned(needs, table, sql, params):
        frame.undeclared[table] = (
            f"only {', '.join(map(_told, needs))} is declared, and that is no top-level condition of: "
            f"{sql[:LONGEST_TEXT_SHOWN]}"
        )


def judge(frame: Frame) -> None:
    """At the end of a computation: raise UndeclaredDependencyError where strict, else see that nothing is stored."""
    problems = [
        f"{frame.name} reads {table}, which it does not declare: {why}" for table, why in frame.undeclared.items()
    ]
    seen = frame.tables | frame.nested_tables
    problems += [
        f"{frame.name} declares {need.table}, but no query inside it reads that table: it was read earlier, or by "
        "nobody (`sometimes(...)` if it is not read every time)"
        for need in frame.needs
        if need.always and need.table not in seen
    ]
    if not problems:
        return
    if conf.is_strict():
        raise UndeclaredDependencyError("; ".join(problems))
    frame.refuse(problems[0])
    logger.warning("not stored: %s", problems[0])


def _is_pinned(needs: Iterable[Need], table: str, sql: str, params: Any) -> bool:
    """Whether a query's condition keeps to the declared rows or scopes of the table."""
    if sources(sql, table) != 1 or _reads_what_is_no_table(sql):
        return False
    found = [term for term in terms(sql) if term.table == table]
    return _by_rows(needs, found, params) or any(_by_scope(need, found, params) for need in needs if need.scope)


def _by_rows(needs: Iterable[Need], found: list[Term], params: Any) -> bool:
    rows = [need for need in needs if need.pk is not None]
    if not rows:
        return False
    key = rows[0].model._meta.pk
    declared = {need.pk for need in rows}
    return any(term.column == key.column and declared.issuperset(_plain_values(key, term, params)) for term in found)


def _by_scope(need: Need, found: list[Term], params: Any) -> bool:
    # A proxy has no fields of its own.
    concrete = need.model._meta.concrete_model or need.model
    fields = {field.column: field for field in concrete._meta.local_concrete_fields}
    return all(
        any(term.column == column and set(_plain_values(fields[column], term, params)) == {value} for term in found)
        for column, value in need.scope
    )


def _plain_values(field: Any, term: Term, params: Any) -> tuple[Any, ...]:
    try:
        return tuple(plain(field, value) for value in term.values(params))
    except (ValidationError, TypeError, ValueError, IndexError):
        return (object(),)


def _told(need: Need) -> str:
    if need.pk is not None:
        return f"row {need.pk}"
    return "scope " + ", ".join(f"{column}={value!r}" for column, value in need.scope)


def _excluded_column(table: str, sql: str) -> str:
    """A column that is excluded from watching and that the text names; "" for none."""
    watched = registry.watched(table)
    columns = watched.excluded if watched is not None else frozenset()
    names = "|".join(map(re.escape, (table, *_aliases(table, sql)))) if columns else ""
    return next((column for column in columns if re.search(rf'\b(?:{names})"?\."?{re.escape(column)}\b', sql)), "")


def _aliases(table: str, sql: str) -> set[str]:
    """The other names that a text gives to a table."""
    found = re.findall(rf'\b(?:FROM|JOIN)\s+\(*"?{re.escape(table)}"?\s+(?:AS\s+)?"?(\w+)"?', sql, re.IGNORECASE)
    return set(found)


def _reads_what_is_no_table(sql: str) -> bool:
    """Whether a text reads from something that is no table of a model: a view may show any table once more."""
    named = re.findall(r'\b(?:FROM|JOIN)\s+\(*"?(\w+)"?', sql, re.IGNORECASE)
    return any(
        registry.watched(name) is None and not _known_tables().fullmatch(name) and name.upper() != "SELECT"
        for name in named
    )


@cache
def _known_tables() -> re.Pattern[str]:
    names = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    return re.compile(r"(?<![\w$])(?:" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?![\w$])")


def tables_in(sql: str) -> frozenset[str]:
    """The tables of our models that a text names."""
    return _tables_in(sql) if len(sql) <= LONGEST_TEXT_REMEMBERED else _tables_in.__wrapped__(sql)


@lru_cache(maxsize=4096)
def _tables_in(sql: str) -> frozenset[str]:
    return frozenset(_known_tables().findall(sql))
