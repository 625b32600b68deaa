"""The database itself refuses changes of the audit, whoever asks."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from audit import triggers
from audit.models import AuditLog, EventType
from audit.services import record

TABLE = AuditLog._meta.db_table
STATEMENTS = {
    "update": f"UPDATE {TABLE} SET description = 'forged' WHERE id = %s",
    "delete": f"DELETE FROM {TABLE} WHERE id = %s",
}


def execute(statement, *parameters):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.mark.django_db
@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_raw_sql_cannot_change_a_row(statement):
    row = record(event_type=EventType.COMMAND, description="as it was")

    with pytest.raises(DatabaseError, match=triggers.REFUSAL):
        execute(statement, row.pk)

    assert AuditLog.objects.get(pk=row.pk).description == "as it was"


@pytest.mark.django_db
def test_raw_sql_cannot_replace_a_row():
    if connection.vendor != "sqlite":
        return  # No other database has REPLACE; what PostgreSQL has instead is an UPDATE.
    row = record(event_type=EventType.COMMAND, description="as it was")
    statement = (
        f"REPLACE INTO {TABLE} (id, event_type, description, actor, timestamp, object_type, object_id, object_name) "
        "VALUES (%s, 'command', 'forged', 'anna', '2024-01-01', '', '', '')"
    )

    with pytest.raises(DatabaseError, match=triggers.REFUSAL):
        execute(statement, row.pk)

    assert AuditLog.objects.get(pk=row.pk).description == "as it was"


@pytest.mark.django_db
def test_without_the_triggers_the_same_statement_would_pass():
    row = record(event_type=EventType.COMMAND, description="as it was")

    triggers.remove(connection)
    execute(STATEMENTS["update"], row.pk)

    assert AuditLog.objects.get(pk=row.pk).description == "forged"


@pytest.mark.django_db
def test_migrate_installs_the_triggers_again():
    row = record(event_type=EventType.COMMAND, description="as it was")
    triggers.remove(connection)

    call_command("migrate", verbosity=0)

    with pytest.raises(DatabaseError, match=triggers.REFUSAL):
        execute(STATEMENTS["delete"], row.pk)


@pytest.mark.django_db
def test_installing_twice_is_harmless():
    triggers.install(connection)
    triggers.install(connection)

    row = record(event_type=EventType.COMMAND, description="still writable")
    assert type(row).objects.filter(pk=row.pk).exists()
    with pytest.raises(DatabaseError, match=triggers.REFUSAL), transaction.atomic():
        execute(STATEMENTS["delete"], row.pk)
