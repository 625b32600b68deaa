"""The audit's rows: what they must hold, and that nobody changes them."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction

from audit.actors import Actor, acting_as
from audit.exceptions import AppendOnlyError
from audit.models import AuditLog, EventType
from audit.services import record
from tests.constraints import assert_refused, constraints_of

pytestmark = pytest.mark.django_db

CONSTRAINTS = constraints_of("audit")
BROKEN = {
    "audit_event_type_known": {"event_type": "guessed"},
    "audit_object_id_with_type": {"event_type": "created", "object_id": "7", "object_type": ""},
}


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_the_database_refuses_what_a_constraint_forbids(name):
    row = AuditLog(actor="system", **BROKEN[name])

    assert_refused(CONSTRAINTS[name], lambda: AuditLog.objects.bulk_create([row]))


@pytest.mark.parametrize("word", ["action", "service_date", "user_name"])
def test_a_wrong_keyword_fails_loudly(word):
    with pytest.raises(TypeError, match=word):
        AuditLog(event_type=EventType.CREATED, **{word: "created"})
    with pytest.raises(TypeError, match=word):
        record(event_type=EventType.CREATED, description="made", **{word: "created"})

    assert not AuditLog.objects.filter(description="made").exists()


@pytest.fixture
def row():
    return record(event_type=EventType.COMMAND, description="as it was")


def test_a_row_is_neither_saved_again_nor_deleted(row):
    row.description = "forged"

    with pytest.raises(AppendOnlyError):
        row.save()
    with pytest.raises(AppendOnlyError):
        row.delete()


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(description="forged"),
        lambda rows: rows.bulk_update(list(rows), ["description"]),
        lambda rows: rows.delete(),
        lambda rows: rows.filter(pk__gt=0).delete(),
    ],
)
def test_a_queryset_changes_no_rows(row, change):
    with pytest.raises(AppendOnlyError):
        change(AuditLog.objects.all())

    assert AuditLog.objects.get(pk=row.pk).description == "as it was"


def test_a_second_row_with_the_same_key_is_refused(row):
    forged = AuditLog(pk=row.pk, event_type=EventType.COMMAND, actor="anna", description="forged")

    with pytest.raises(IntegrityError), transaction.atomic():
        forged.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditLog.objects.bulk_create(
            [forged], update_conflicts=True, unique_fields=["id"], update_fields=["description"]
        )

    assert AuditLog.objects.get(pk=row.pk).description == "as it was"


def test_what_happened_to_one_object_is_found():
    group, _other = Group.objects.create(name="Auditors"), Group.objects.create(name="Operators")

    events = AuditLog.objects.about(group)

    assert [event.event_type for event in events] == [EventType.CREATED]


def test_deleting_a_user_leaves_the_record_as_it_was(viewer):
    with acting_as(Actor.from_user(viewer)):
        row = record(event_type=EventType.COMMAND, description="done")
    key = viewer.pk
    viewer.delete()

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT user_id, actor FROM {AuditLog._meta.db_table} WHERE id = %s", [row.pk])
        assert cursor.fetchone() == (key, "viewer")
