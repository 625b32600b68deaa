"""Writing the record."""

import pytest
from django.contrib.auth.models import Group

from audit.actors import SYSTEM, Actor, acting_as, current_actor
from audit.models import AuditLog, EventType
from audit.services import Event, record, record_many

pytestmark = pytest.mark.django_db


def test_outside_of_requests_and_commands_the_system_acts():
    assert current_actor() == SYSTEM


def test_an_event_without_an_object_has_none():
    row = record(event_type=EventType.COMMAND, description="done")

    assert (row.object_type, row.object_id, row.object_name) == ("", "", "")


def test_many_events_take_few_queries(django_assert_max_num_queries):
    group = Group.objects.create(name="Auditors")
    events = [Event(EventType.UPDATED, f"change {number}", group, {"a": number}, {"a": 0}) for number in range(100)]
    before = AuditLog.objects.count()

    with acting_as(Actor(name="command import_equipment")), django_assert_max_num_queries(4):
        written = record_many(events=events)

    assert written == 100
    assert AuditLog.objects.count() == before + 100
    assert AuditLog.objects.filter(actor="command import_equipment").about(group).count() == 100


def test_a_name_longer_than_its_column_is_cut():
    row = record(event_type=EventType.COMMAND, description="done", actor=Actor(name="x" * 500))

    assert len(row.actor) == 200
