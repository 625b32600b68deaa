"""Writes very many rows of a model quickly: COPY on PostgreSQL, `executemany` elsewhere."""

# ruff: noqa: S608 - the names in the statements are those of our own tables and columns

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.management.color import no_style
from django.db import connection, models
from django.db.models import Max
from django.db.utils import DatabaseErrorWrapper

BATCH_ROWS = 5000


class Table:
    """Collects rows of one model and writes them in batches; `count` is how many were added.

    Rows are tuples in the order of `columns` (names of columns, `equipment_id` for a foreign key) with values as the
    database takes them: instants naive in UTC, JSON as text. Fields that are not named get their default, automatic
    timestamps `stamped_at`; no signal is sent and no `save()` called. Use it inside a transaction and `flush` at the
    end.
    """

    def __init__(self, model: type[models.Model], columns: Iterable[str], stamped_at: datetime) -> None:
        self.model = model
        self.columns = list(columns)
        constants: list[Any] = []
        for field in model._meta.concrete_fields:
            if field.column is None or field.column in self.columns or field.primary_key:
                continue
            self.columns.append(field.column)
            is_automatic = getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)
            value = stamped_at if is_automatic else field.get_db_prep_save(field.get_default(), connection)
            constants.append(value)
        self.constants = tuple(constants)
        self.name = connection.ops.quote_name(model._meta.db_table)
        self.count = 0
        self._batch: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        self._batch.append(row + self.constants)
        self.count += 1
        if len(self._batch) >= BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is still waiting."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        columns = ", ".join(connection.ops.quote_name(column) for column in self.columns)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                with DatabaseErrorWrapper(connection), cursor.copy(f"COPY {self.name} ({columns}) FROM STDIN") as copy:
                    for row in batch:
                        copy.write_row(row)
            else:
                places = ", ".join(["%s"] * len(self.columns))
                cursor.executemany(f"INSERT INTO {self.name} ({columns}) VALUES ({places})", batch)


def first_free_key(model: type[models.Model]) -> int:
    """A key that no row has, nor had as far as the database remembers; so have all greater ones."""
    highest = model._base_manager.aggregate(highest=Max("pk"))["highest"] or 0
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [connection.ops.quote_name(table), "id"])
            sequence = cursor.fetchone()[0]
            cursor.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")
            given = cursor.fetchone()
        elif connection.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
            given = cursor.fetchone()
        else:
            given = None
    return max(highest, given[0] if given else 0) + 1


def move_sequences(written: Iterable[type[models.Model]]) -> None:
    """Let the database go on counting after the keys that were written."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(written)):
            cursor.execute(statement)


def gather_statistics() -> None:
    """Let the database look at what it holds now, so that it plans the first queries well."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA analysis_limit=1000")
        cursor.execute("ANALYZE")


def keep_others_out(model: type[models.Model]) -> None:
    """Let nobody else write rows of `model` until the transaction ends. On SQLite the transaction does that itself."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {connection.ops.quote_name(model._meta.db_table)} IN SHARE ROW EXCLUSIVE MODE")
