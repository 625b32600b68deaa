"""What the fixtures of every test promise: no test sees another's data, and people are who they seem."""

import threading

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from audit.models import AuditLog, EventType
from audit.services import record
from tests.people import PASSWORD

GROUPS = {"Viewer", "Editor", "Admin"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_after_real_transactions_the_tables_are_empty_and_the_groups_are_back(turn):
    assert not User.objects.exists()
    assert not AuditLog.objects.filter(event_type=EventType.COMMAND).exists()
    assert GROUPS.issubset(Group.objects.values_list("name", flat=True))

    User.objects.create_user("someone")
    record(event_type=EventType.COMMAND, description=turn)

    assert AuditLog.objects.filter(description=turn).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "second"])
def test_the_audit_is_closed_again_after_the_tables_were_emptied(turn):
    record(event_type=EventType.COMMAND, description=turn)

    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {AuditLog._meta.db_table}")

    assert AuditLog.objects.filter(description=turn).count() == 1


@pytest.mark.django_db(transaction=True)
def test_another_thread_sees_what_was_committed():
    User.objects.create_user("someone")
    seen = []

    def look():
        try:
            seen.append(User.objects.count())
        finally:
            connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert seen == [1]


@pytest.mark.parametrize("turn", ["first", "second"])
def test_the_cache_is_a_real_redis_and_empty_for_every_test(turn):
    assert "django_redis" in settings.CACHES["default"]["BACKEND"]
    assert cache.get("turn") is None

    cache.set("turn", turn)

    assert cache.get("turn") == turn


def test_the_database_is_the_one_asked_for(db, request):
    assert connection.vendor == request.config.option.database
    assert settings.ENVIRONMENT == "testing"


def test_people_belong_to_the_group_of_their_name(viewer, editor, administrator):
    for user, group in [(viewer, "Viewer"), (editor, "Editor"), (administrator, "Admin")]:
        assert [one.name for one in user.groups.all()] == [group]
        assert user.check_password(PASSWORD)


def test_each_browser_has_a_session_of_its_own(administrator, client_of):
    first, second = client_of(administrator), client_of(administrator)

    first.logout()

    assert first.get(reverse("admin:index")).status_code == 302
    assert second.get(reverse("admin:index")).status_code == 200
