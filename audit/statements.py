"""Records what statements do to audited rows without a signal: `update()`, bulk writes, side effects, raw SQL.

`observe` is called around each statement that writes, inside its transaction. For a table that is not under audit it
costs a look into a dictionary. What the signals or the caller record is left to them (`announcements`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, models, transaction
from django.utils import translation

from audit.announcements import origin_of, recorded_by_caller
from audit.extents import COMPUTED, LONGEST_TEXT_CHARACTERS, Extent, extent_of
from audit.models import EventType
from audit.receivers import excluded_fields, recorded_tables
from audit.services import Event, record_many
from audit.snapshots import (
    CHANGED_NOT_RECORDED,
    NOT_RECORDED,
    Snapshot,
    differences,
    is_secret,
    json_value,
    secrets_of,
    snapshot,
)

if TYPE_CHECKING:
    from invalidation.sql import Statement

__all__ = ["MOST_ROWS", "observe", "recorded_by_caller"]

# A statement that touches more rows than these leaves one record of all of them, not one of each.
MOST_ROWS = 200

EVENT_TYPES = {"insert": EventType.CREATED, "update": EventType.UPDATED, "delete": EventType.DELETED}
VERBS = {"insert": "added", "update": "changed", "delete": "deleted"}
NOT_KNOWN = "not known"

# On PostgreSQL: a row that is seen although the transaction that wrote it goes on was written by this one. `xmin` holds
# the lower half of that transaction's number, which lies within 2^31 of ours.
OF_OPEN_TRANSACTION = """
    pg_xact_status((
        pg_current_xact_id()::text::bigint - 2147483648 + mod(
            mod(%s.xmin::text::bigint - pg_current_xact_id()::text::bigint, 4294967296) + 6442450944, 4294967296
        )
    )::text::xid8) = 'in progress'
"""

WORD = re.compile(r"\w+")
READS = re.compile(r"[\s(]*(SELECT|VALUES)\b", re.IGNORECASE)
SHAPES_ONLY = re.compile(r"\s*(CREATE|ALTER|DROP|COMMENT|GRANT|REVOKE|CLUSTER)\b", re.IGNORECASE)
WRITES = frozenset({"insert", "update", "delete", "replace", "merge", "truncate", "copy", "do", "call", "execute"})

# A connection of a fenced backend: Django's, with what the engine adds to it.
Connection = Any
Rows = dict[Any, models.Model]


def observe(
    connection: Connection, statement: Statement, sql: str, params: Any, many: bool
) -> AbstractContextManager[None] | None:
    """What the statement is to be run in, so that it leaves its records; None where there is nothing to record."""
    if statement.table is None:
        return _of_unknown_table(connection, sql, params, many)
    model = recorded_tables().get(statement.table)
    if model is None:
        return None
    origin = origin_of(statement.table)
    if origin.is_recorded_elsewhere:
        return None
    extent = extent_of(sql, params, many)
    if extent is None:
        return _unknown_rows(connection, [model], statement.verb)
    return _Watch(connection, model, extent, origin.is_compiled).around()


def _of_unknown_table(connection: Connection, sql: str, params: Any, many: bool) -> AbstractContextManager[None] | None:
    """The same for a statement whose table the watcher could not tell."""
    is_single = ";" not in sql.rstrip("; \n\t")
    if is_single and (READS.match(sql) or SHAPES_ONLY.match(sql)):
        return None
    tables = recorded_tables()
    words = set(WORD.findall(sql if len(sql) <= LONGEST_TEXT_CHARACTERS else sql[:LONGEST_TEXT_CHARACTERS]))
    named = sorted(words & tables.keys() | {name for name in tables if name.upper() in words})
    if not named or WRITES.isdisjoint(word.lower() for word in words):
        return None
    origins = {name: origin_of(name) for name in named}
    extent = extent_of(sql, params, many)
    if extent is not None:
        model = tables.get(extent.table)
        if model is None or origins[extent.table].is_recorded_elsewhere:
            return None
        return _Watch(connection, model, extent, origins[extent.table].is_compiled).around()
    touched = [tables[name] for name in named if not origins[name].is_recorded_elsewhere]
    return _unknown_rows(connection, touched, "") if touched else None


class _Watch:
    """Looks at the rows of one statement before and after it."""

    def __init__(self, connection: Connection, model: type[models.Model], extent: Extent, is_compiled: bool) -> None:
        self.connection, self.model, self.extent, self.is_compiled = connection, model, extent, is_compiled
        self.excluded = excluded_fields(model)
        self.key = model._meta.pk
        self.key_column = str(self.key.column)

    def around(self) -> AbstractContextManager[None] | None:
        if self.extent.verb == "insert":
            given = self.extent.values_of(self.key_column)
            return self._insert_with_keys(given) if given and None not in given else self._insert()
        if self.extent.verb == "update" and not self._assigned():
            return None
        return self._change()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Around an UPDATE or DELETE: the rows its condition means, under lock, before and after."""
        try:
            # A statement somebody wrote by hand may turn out not to be what it looks like: that must not end its
            # transaction.
            with nullcontext() if self.is_compiled else transaction.atomic(using=self.connection.alias):
                meant = self._meant()
                before = {row.pk: row for row in self._in_full(meant)[: MOST_ROWS + 1]}
                count = len(before) if len(before) <= MOST_ROWS else meant.count()
        except DatabaseError:
            if self.is_compiled:
                raise
            with _unknown_rows(self.connection, [self.model], self.extent.verb):
                yield
            return
        yield
        if len(before) > MOST_ROWS:
            self._record_summary(count)
        elif before:
            after = self._found(before)
            events = [self._event_of(row, after.get(pk)) for pk, row in before.items()]
            self._record([event for event in events if event is not None])

    @contextmanager
    def _insert_with_keys(self, given: list[Any]) -> Iterator[None]:
        """Around an INSERT that gives its rows' keys; some may be there already (ON CONFLICT)."""
        if len(given) > MOST_ROWS:
            yield
            self._record_summary(len(given))
            return
        before = self._found(given)
        yield
        after = self._found(given)
        events = [
            self._event_of_change(before[pk], row) if pk in before else self._event_of_new(row)
            for pk, row in after.items()
        ]
        self._record([event for event in events if event is not None])
        if self.extent.may_update and len(after) < len(set(given)):
            # A row that had the same value elsewhere was changed instead, under the key it has.
            _record_unknown(self.connection, [self.model], "update")

    @contextmanager
    def _insert(self) -> Iterator[None]:
        """Around an INSERT whose keys the database gives: each is greater than all before."""
        if not isinstance(self.key, models.AutoField):
            yield
            self._record_summary(len(self.extent.rows) if self.extent.rows is not None else None)
            return
        highest = self._rows().aggregate(highest=models.Max("pk"))["highest"]
        yield
        added = self._rows() if highest is None else self._rows().filter(pk__gt=highest)
        added = self._of_this_transaction(added)
        rows = list(self._in_full(added)[: MOST_ROWS + 1])
        if len(rows) > MOST_ROWS:
            self._record_summary(added.count())
        else:
            self._record([self._event_of_new(row) for row in rows])
        if not rows and self.key_column in self.extent.columns:
            _record_unknown(self.connection, [self.model], "insert")
        if self.extent.may_update:
            # Which rows were there already, and were changed, is only known to the database.
            _record_unknown(self.connection, [self.model], "update")

    def _rows(self) -> models.QuerySet[Any]:
        return self.model._base_manager.using(self.connection.alias)

    def _in_full(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """With what is recorded of a row and what its name is made of, by key."""
        unread = [field.name for field in self.model._meta.concrete_fields if self.excluded & _names(field)]
        return rows.select_related().defer(*unread).order_by("pk")

    def _found(self, keys: Any) -> Rows:
        return {row.pk: row for row in self._in_full(self._rows().filter(pk__in=list(keys)))}

    def _meant(self) -> models.QuerySet[Any]:
        """The rows that the condition of the statement means now, locked as the statement is going to lock them."""
        rows = self._rows().select_for_update(of=("self",), no_key=self._keeps_keys())
        if not self.extent.where:
            return rows
        quote = self.connection.ops.quote_name
        table, column = quote(self.model._meta.db_table), quote(self.key_column)
        # In a query of its own, where the condition's names mean what they mean in the statement.
        condition = f"{table}.{column} IN (SELECT {table}.{column} FROM {table} WHERE {self.extent.where})"  # noqa: S608
        return rows.extra(where=[condition], params=self.extent.params)  # noqa: S610 - the statement's own condition

    def _keeps_keys(self) -> bool:
        return self.extent.verb == "update" and self.connection.features.has_select_for_no_key_update

    def _of_this_transaction(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Without those that others have added and committed meanwhile. SQLite has one writer at a time."""
        if self.connection.vendor != "postgresql":
            return rows
        table = self.connection.ops.quote_name(self.model._meta.db_table)
        return rows.extra(where=[OF_OPEN_TRANSACTION % table])  # noqa: S610 - nothing in it comes from outside

    def _event_of(self, before: models.Model, after: models.Model | None) -> Event | None:
        """What an UPDATE or DELETE did to a row."""
        if self.extent.verb == "update":
            if after is not None:
                return self._event_of_change(before, after)
            description = f"{_named(before)} changed by a statement, which gave it another key"
            return Event(EventType.UPDATED, description, before, snapshot(before, self.excluded), None)
        if after is not None:
            return None  # somebody changed it in time, so that the condition did not mean it any more
        description = f"{_named(before)} deleted by a statement"
        return Event(EventType.DELETED, description, before, snapshot(before, self.excluded), None)

    def _event_of_change(self, before: models.Model, after: models.Model) -> Event | None:
        old, new = differences(snapshot(before, self.excluded), snapshot(after, self.excluded))
        stored = secrets_of(before, self.excluded)
        for name, value in secrets_of(after, self.excluded).items():
            if value != stored[name]:
                old[name], new[name] = NOT_RECORDED, CHANGED_NOT_RECORDED
        return Event(EventType.UPDATED, f"{_named(after)} changed by a statement", after, old, new) if new else None

    def _event_of_new(self, row: models.Model) -> Event:
        description = f"{_named(row)} added by a statement"
        return Event(EventType.CREATED, description, row, None, snapshot(row, self.excluded))

    def _assigned(self) -> Snapshot:
        """What an UPDATE sets, as far as it is recorded."""
        fields = {field.column: field for field in self.model._meta.concrete_fields}
        told: Snapshot = {}
        for column, value in self.extent.assigned:
            field = fields.get(column)
            if field is not None and self.excluded & _names(field):
                continue
            name = field.attname if field is not None else column
            if is_secret(name):
                told[name] = CHANGED_NOT_RECORDED
            else:
                told[name] = repr(COMPUTED) if value is COMPUTED else json_value(value)
        return told

    def _record_summary(self, count: int | None) -> None:
        verb = self.extent.verb
        rows = NOT_KNOWN if count is None else count
        told = f"rows, how many is {NOT_KNOWN}," if count is None else f"{count} rows"
        after: Snapshot = {"rows": rows}
        if verb == "update":
            after["set"] = self._assigned()
        description = f"{_kind(self.model)}: {told} {VERBS[verb]} by one statement"
        self._record([Event(EVENT_TYPES[verb], description, None, None, after, model=self.model)])

    def _record(self, events: list[Event]) -> None:
        if events:
            record_many(events=events, using=self.connection.alias)


@contextmanager
def _unknown_rows(connection: Connection, touched: list[type[models.Model]], verb: str) -> Iterator[None]:
    yield
    _record_unknown(connection, touched, verb)


def _record_unknown(connection: Connection, touched: list[type[models.Model]], verb: str) -> None:
    """One record for each model of which a statement may have changed rows that are not known."""
    verb = verb if verb in VERBS else ""
    events = [
        Event(
            EVENT_TYPES.get(verb, EventType.UPDATED),
            f"{_kind(model)}: rows that are not known may have been {VERBS.get(verb, 'changed')} by a statement",
            after={"rows": NOT_KNOWN, "statement": verb or NOT_KNOWN},
            model=model,
        )
        for model in touched
    ]
    record_many(events=events, using=connection.alias)


def _names(field: models.Field) -> set[str]:
    return {field.name, field.attname}


def _kind(model: type[models.Model]) -> str:
    # In one language, whichever the person's is who made the change.
    with translation.override("en"):
        return str(model._meta.verbose_name).capitalize()


def _named(row: models.Model) -> str:
    with translation.override("en"):
        return f"{_kind(type(row))} {row}"
