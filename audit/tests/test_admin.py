"""The audit in the admin: to read, never to change."""

import pytest
from django.urls import reverse

from audit.models import AuditLog, EventType
from audit.services import record

pytestmark = pytest.mark.django_db

LIST = "admin:audit_auditlog_changelist"


def test_administrators_read_it_and_editors_do_not(administrator, editor, client_of):
    record(event_type=EventType.COMMAND, description="load_demo run")

    assert "load_demo run" in client_of(administrator).get(reverse(LIST)).content.decode()
    assert client_of(editor).get(reverse(LIST)).status_code == 403


def test_nobody_changes_it_there(superuser, client_of):
    row = record(event_type=EventType.COMMAND, description="as it was")
    client = client_of(superuser)

    assert client.get(reverse("admin:audit_auditlog_add")).status_code == 403
    for page in ("change", "delete"):
        answer = client.post(reverse(f"admin:audit_auditlog_{page}", args=[row.pk]), {"post": "yes"})
        assert answer.status_code == 403, page
    client.post(reverse(LIST), {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})

    assert AuditLog.objects.get(pk=row.pk).description == "as it was"


def test_values_are_shown_as_text(superuser, client_of):
    row = record(event_type=EventType.UPDATED, description="changed", after={"name": "<script>alert(1)</script>"})

    page = client_of(superuser).get(reverse("admin:audit_auditlog_change", args=[row.pk])).content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
