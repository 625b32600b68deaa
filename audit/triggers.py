"""Triggers that make the audit table append-only in the database itself, for every client."""

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.models import AuditLog

TABLE = AuditLog._meta.db_table
REFUSAL = "audit rows cannot be changed or deleted"

# Neither the table's name nor the refusal comes from outside.
INSTALL = {
    "sqlite": [
        f"""
        CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END
        """,
        f"""
        CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END
        """,
        # REPLACE INTO deletes what it replaces without firing the trigger above.
        f"""
        CREATE TRIGGER IF NOT EXISTS audit_no_replace BEFORE INSERT ON {TABLE}
        WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END
        """,  # noqa: S608
    ],
    "postgresql": [
        f"""
        CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$
        """,
        f"""
        CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON {TABLE}
        FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()
        """,
    ],
}
REMOVE = {
    "sqlite": [
        "DROP TRIGGER IF EXISTS audit_no_update",
        "DROP TRIGGER IF EXISTS audit_no_delete",
        "DROP TRIGGER IF EXISTS audit_no_replace",
    ],
    "postgresql": [f"DROP TRIGGER IF EXISTS audit_no_change ON {TABLE}"],
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Close the table to UPDATE and DELETE; safe to repeat. Other kinds of database are left as they are."""
    _execute(connection, INSTALL)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Open the table again: for emptying a test database, and nothing else."""
    _execute(connection, REMOVE)


def install_after_migrate(sender: Any, using: str, **kwargs: Any) -> None:
    """Install after each `migrate`: on SQLite a migration that alters the table makes it anew without its triggers."""
    connection = connections[using]
    if TABLE in connection.introspection.table_names():
        install(connection)


def _execute(connection: BaseDatabaseWrapper, statements: dict[str, list[str]]) -> None:
    with connection.cursor() as cursor:
        for statement in statements.get(connection.vendor, []):
            cursor.execute(statement)
