"""The groups Viewer, Editor and Admin with their permissions (docs/permissions.md).

They are made, and set right, after each `migrate`. What each may do is written here once; a group of another name is
never touched.
"""

from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.db.models import Q

VIEWER, EDITOR, ADMIN = "Viewer", "Editor", "Admin"

DOMAIN_MODELS: dict[str, tuple[str, ...]] = {
    "locations": ("location", "productionrun"),
    "equipment": (
        "productclass",
        "manufacturer",
        "devicemodel",
        "equipment",
        "placement",
        "equipmentphoto",
        "document",
        "servicecontract",
        "maintenanceplan",
        "maintenanceround",
        "scheduledmaintenance",
        "workorder",
        "workorderpart",
        "trainingrecord",
        "importrun",
        "importedrow",
    ),
    "analyses": ("analysis",),
}
# Written by the register itself, never by hand.
READ_ONLY = frozenset({"placement", "importrun", "importedrow"})
# Deleting a location, and anything many at once, is for administrators.
NOT_DELETED_BY_EDITORS = frozenset({"location", "productclass"})


def viewer_permissions() -> set[str]:
    return {f"{app}.view_{model}" for app, models in DOMAIN_MODELS.items() for model in models}


def editor_permissions() -> set[str]:
    written = {(app, model) for app, models in DOMAIN_MODELS.items() for model in models if model not in READ_ONLY}
    return (
        viewer_permissions()
        | {f"{app}.{verb}_{model}" for app, model in written for verb in ("add", "change")}
        | {f"{app}.delete_{model}" for app, model in written if model not in NOT_DELETED_BY_EDITORS}
        | {"equipment.import_equipment", "equipment.export_equipment", "equipment.bulk_update_equipment"}
    )


def administrator_permissions() -> set[str]:
    return (
        editor_permissions()
        | {"locations.delete_location", "equipment.delete_productclass", "equipment.bulk_delete_equipment"}
        | {f"locations.{verb}_locationlimit" for verb in ("view", "add", "change", "delete")}
        | {f"auth.{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in ("user", "group")}
        | {"dashboard.view_userpreferences", "dashboard.change_userpreferences"}
        | {"audit.view_auditlog", "dashboard.view_operations", "dashboard.clear_caches"}
    )


GROUPS = {VIEWER: viewer_permissions, EDITOR: editor_permissions, ADMIN: administrator_permissions}


def make_groups(using: str = "default") -> None:
    """Give each group exactly its permissions; raises LookupError for a permission that does not exist."""
    for name, permissions_of in GROUPS.items():
        wanted = permissions_of()
        group, _created = Group.objects.using(using).get_or_create(name=name)
        found = _find_permissions(wanted, using)
        if set(group.permissions.using(using).values_list("pk", flat=True)) != {row.pk for row in found}:
            group.permissions.set(found)


def make_groups_after_migrate(using: str, **kwargs: Any) -> None:
    """Each app's permissions are made by its own `post_migrate`, some of them after this one: make them all now."""
    tables = set(connections[using].introspection.table_names())
    if Group._meta.db_table not in tables or Permission._meta.db_table not in tables:
        return
    for label in (*DOMAIN_MODELS, "audit", "dashboard", "auth"):
        create_permissions(apps.get_app_config(label), verbosity=0, using=using)
    make_groups(using)


def _find_permissions(names: set[str], using: str) -> list[Permission]:
    condition = Q(pk__in=[])
    for name in names:
        app, codename = name.split(".")
        condition |= Q(content_type__app_label=app, codename=codename)
    found = list(Permission.objects.using(using).select_related("content_type").filter(condition))
    missing = names - {f"{row.content_type.app_label}.{row.codename}" for row in found}
    if missing:
        raise LookupError(f"no such permission: {', '.join(sorted(missing))}")
    return found
