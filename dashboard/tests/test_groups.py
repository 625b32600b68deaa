"""Who may do what: the table of docs/permissions.md, permission by permission."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from audit.models import AuditLog
from dashboard.groups import make_groups

pytestmark = pytest.mark.django_db

REGISTER = {
    "locations": {"location", "productionrun"},
    "equipment": {
        "productclass", "manufacturer", "devicemodel", "equipment", "equipmentphoto", "document", "servicecontract",
        "maintenanceplan", "maintenanceround", "scheduledmaintenance", "workorder", "workorderpart", "trainingrecord",
    },
    "analyses": {"analysis"},
}  # fmt: skip
WRITTEN_BY_THE_REGISTER = {"equipment.view_placement", "equipment.view_importrun", "equipment.view_importedrow"}


def each(*verbs):
    return {f"{app}.{verb}_{model}" for app, models in REGISTER.items() for model in models for verb in verbs}


VIEWER = each("view") | WRITTEN_BY_THE_REGISTER
EDITOR = (
    VIEWER
    | each("add", "change", "delete") - {"locations.delete_location", "equipment.delete_productclass"}
    | {"equipment.import_equipment", "equipment.export_equipment", "equipment.bulk_update_equipment"}
)
ADMIN = (
    EDITOR
    | {"locations.delete_location", "equipment.delete_productclass", "equipment.bulk_delete_equipment"}
    | {f"locations.{verb}_locationlimit" for verb in ("view", "add", "change", "delete")}
    | {f"auth.{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in ("user", "group")}
    | {"dashboard.view_userpreferences", "dashboard.change_userpreferences"}
    | {"audit.view_auditlog", "dashboard.view_operations", "dashboard.clear_caches"}
)


def permissions_of(group):
    rows = Permission.objects.filter(group=group).select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


@pytest.mark.parametrize(("name", "wanted"), [("Viewer", VIEWER), ("Editor", EDITOR), ("Admin", ADMIN)])
def test_a_group_has_exactly_the_permissions_of_the_table(name, wanted):
    assert permissions_of(Group.objects.get(name=name)) == wanted


def test_a_viewer_changes_nothing_at_all(viewer):
    assert {name.split(".")[1].split("_")[0] for name in viewer.get_all_permissions()} == {"view"}


@pytest.mark.parametrize(
    "permission",
    ["equipment.bulk_delete_equipment", "locations.delete_location", "audit.view_auditlog", "auth.view_user"],
)
def test_what_is_for_administrators_is_not_for_editors(permission, editor, administrator):
    assert not editor.has_perm(permission)
    assert administrator.has_perm(permission)


def test_a_migration_sets_right_what_was_changed_by_hand():
    group = Group.objects.get(name="Viewer")
    group.permissions.set(Permission.objects.filter(codename="delete_equipment"))

    call_command("migrate", verbosity=0)

    assert permissions_of(group) == VIEWER


def test_groups_of_other_names_are_left_alone():
    group = Group.objects.create(name="Auditors")
    permission = Permission.objects.get(codename="view_auditlog")
    group.permissions.add(permission)

    make_groups()

    assert permissions_of(group) == {"audit.view_auditlog"}


def test_making_the_groups_again_changes_and_records_nothing():
    count = AuditLog.objects.count()

    make_groups()

    assert AuditLog.objects.count() == count


def test_a_permission_that_does_not_exist_is_an_error(monkeypatch):
    monkeypatch.setattr("dashboard.groups.GROUPS", {"Viewer": lambda: {"equipment.view_unicorn"}})

    with pytest.raises(LookupError, match=r"equipment\.view_unicorn"):
        make_groups()
