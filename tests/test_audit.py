"""What is recorded of a change: by whom, from what to what, and never a secret."""

import json

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.tokens import default_token_generator
from django.core.management import call_command
from django.db.models import F
from django.urls import reverse
from django.utils import translation
from django.utils.http import urlsafe_base64_encode

from audit.actors import Actor, acting_as
from audit.models import AuditLog, EventType
from audit.receivers import watched_models
from audit.snapshots import CHANGED_NOT_RECORDED, NOT_RECORDED, SECRET_WORDS, recorded_fields
from equipment import services
from equipment.models import DeviceModel, Equipment, ImportRun
from equipment.tests import recipes
from equipment.tests.files import many_devices, ppm_file
from locations.models import Location
from locations.tests import recipes as locations
from tests.people import PASSWORD

NEW_PASSWORD = "another long one, 1890"

pytestmark = pytest.mark.django_db


def events_about(instance):
    return list(AuditLog.objects.about(instance).order_by("pk"))


def all_that_is_recorded():
    return json.dumps([[event.description, event.before, event.after] for event in AuditLog.objects.all()])


def assert_password_change_is_recorded(user, by):
    event = events_about(user)[-1]
    assert (event.event_type, event.actor) == (EventType.UPDATED, by)
    assert (event.before, event.after) == ({"password": NOT_RECORDED}, {"password": CHANGED_NOT_RECORDED})
    user.refresh_from_db()
    recorded = all_that_is_recorded()
    assert not [secret for secret in (user.password, PASSWORD, NEW_PASSWORD) if secret in recorded]


def test_an_insert_is_recorded_whole():
    room = locations.room.make(name="Theatre 1", capacity=4)

    event = events_about(room)[0]

    assert (event.event_type, event.actor, event.before) == (EventType.CREATED, "system", None)
    assert (event.after["name"], event.after["capacity"], event.after["parent_id"]) == ("Theatre 1", 4, room.parent_id)
    assert event.description == "Location Theatre 1 added"


def test_an_update_is_recorded_by_what_differs():
    room = locations.room.make(name="Theatre 1")
    room.name = "Theatre 2"
    room.save()

    event = events_about(room)[-1]

    assert (event.event_type, event.before, event.after) == (
        EventType.UPDATED,
        {"name": "Theatre 1"},
        {"name": "Theatre 2"},
    )


def test_a_save_that_changes_nothing_is_not_recorded():
    room = locations.room.make()
    count = len(events_about(room))

    room.save()

    assert len(events_about(room)) == count


def test_only_what_was_written_is_recorded():
    room = locations.room.make(name="Theatre 1")
    room.name, room.notes = "Theatre 2", "never stored"
    room.save(update_fields=["name"])

    assert events_about(room)[-1].after == {"name": "Theatre 2"}


def test_a_date_given_as_text_is_no_change_of_itself():
    plan = recipes.plan.make()
    count = len(events_about(plan))

    plan.starts_on = "2024-01-31"
    plan.save()

    assert len(events_about(plan)) == count


def test_a_value_computed_by_the_database_is_recorded_as_a_value():
    room = locations.room.make(capacity=4)
    room.capacity = F("capacity") + 1
    room.save()

    assert events_about(room)[-1].after == {"capacity": 5}


def test_a_deletion_is_recorded_with_everything_it_held():
    run = locations.production_run.make(code="R7")
    key = run.pk
    run.delete()

    event = AuditLog.objects.get(object_type="locations.productionrun", object_id=str(key), event_type="deleted")

    assert event.before["code"] == "R7"
    assert event.after is None


def test_deleting_many_with_what_hangs_on_them_is_recorded_one_by_one():
    plans = [recipes.plan.make(), recipes.plan.make()]
    devices = type(plans[0].equipment).objects.filter(pk__in=[plan.equipment_id for plan in plans])

    devices.delete()

    deleted = AuditLog.objects.filter(event_type="deleted")
    assert deleted.filter(object_type="equipment.equipment").count() == 2
    assert deleted.filter(object_type="equipment.maintenanceplan").count() == 2


def test_members_of_a_relation_are_recorded_as_they_come_and_go():
    contract, device = recipes.contract.make(), recipes.device.make()

    contract.equipment.add(device)
    contract.equipment.remove(device)

    came, went = events_about(contract)[-2:]
    assert (came.before, came.after) == ({}, {"equipment": [device.pk]})
    assert (went.before, went.after) == ({"equipment": [device.pk]}, {})


def test_emptying_a_relation_records_who_was_in_it():
    contract = recipes.contract.make()
    devices = [recipes.device.make(), recipes.device.make()]
    contract.equipment.set(devices)

    contract.equipment.clear()

    assert events_about(contract)[-1].before == {"equipment": [device.pk for device in devices]}
    assert events_about(contract)[-1].after == {"equipment": []}


def test_a_right_given_from_the_other_side_is_recorded_too(viewer):
    group = Group.objects.get(name="Editor")

    group.user_set.add(viewer)

    assert events_about(group)[-1].after == {"user": [viewer.pk]}


def test_permissions_of_a_group_are_recorded():
    group = Group.objects.create(name="Auditors")
    permission = Permission.objects.get(codename="view_auditlog")

    group.permissions.add(permission)

    assert events_about(group)[-1].after == {"permission": [permission.pk]}


def test_the_record_speaks_one_language_whoever_acts():
    with translation.override("de"):
        room = locations.room.make(name="Saal")

    assert events_about(room)[0].description == "Location Saal added"


def test_the_actor_is_the_one_who_is_signed_in(editor, client_of):
    site = locations.site.make()
    client = client_of(editor)

    answer = client.post(
        reverse("admin:locations_location_add"),
        {"name": "Block A", "kind": "building", "parent": site.pk, "code": "", "capacity": "", "notes": ""},
        REMOTE_ADDR="192.0.2.7",
    )

    assert answer.status_code == 302, answer.content
    event = events_about(Location.objects.get(name="Block A"))[0]
    assert (event.user, event.actor, event.address) == (editor, "editor", "192.0.2.7")


def test_actors_nest_and_end():
    with acting_as(Actor(name="outer")):
        with acting_as(Actor(name="inner")):
            inner = locations.site.make()
        outer = locations.site.make()
    after = locations.site.make()

    assert [events_about(site)[0].actor for site in (inner, outer, after)] == ["inner", "outer", "system"]


def test_no_password_or_hash_is_ever_recorded():
    user = User.objects.create_user("anna", password=PASSWORD)
    first = user.password
    user.set_password(NEW_PASSWORD)
    user.save()
    user.first_name = "Anna"
    user.save()

    recorded = all_that_is_recorded()

    assert "Anna" in recorded
    assert NEW_PASSWORD not in recorded
    assert PASSWORD not in recorded
    for password in (first, user.password):
        # The whole, and each part of it: method, salt and hash.
        assert not [part for part in (password, *password.split("$")) if part in recorded]


def test_a_password_that_an_administrator_sets_is_recorded_as_changed(superuser, viewer, client_of):
    answer = client_of(superuser).post(
        reverse("admin:auth_user_password_change", args=[viewer.pk]),
        {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"},
    )

    assert answer.status_code == 302, answer.content
    assert_password_change_is_recorded(viewer, by="superuser")


def test_a_password_that_people_change_themselves_is_recorded_as_changed(viewer, client_of):
    answer = client_of(viewer).post(
        reverse("password_change"),
        {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD},
    )

    assert answer.status_code == 302, answer.content
    assert_password_change_is_recorded(viewer, by="viewer")


def test_a_password_set_by_a_link_from_a_mail_is_recorded_as_changed(viewer, client):
    key = urlsafe_base64_encode(str(viewer.pk).encode())
    link = reverse("password_reset_confirm", args=[key, default_token_generator.make_token(viewer)])
    form = client.get(link).headers["Location"]

    answer = client.post(form, {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD})

    assert answer.status_code == 302, answer.content
    assert_password_change_is_recorded(viewer, by="anonymous")


def test_a_password_set_beside_other_fields_is_recorded_with_them(viewer):
    viewer.first_name = "Vera"
    viewer.set_password(NEW_PASSWORD)
    viewer.save()

    event = events_about(viewer)[-1]
    assert event.before == {"first_name": "", "password": NOT_RECORDED}
    assert event.after == {"first_name": "Vera", "password": CHANGED_NOT_RECORDED}


def test_a_password_that_was_set_but_not_stored_is_not_recorded(viewer):
    viewer.first_name = "Vera"
    viewer.set_password(NEW_PASSWORD)
    viewer.save(update_fields=["first_name"])

    assert events_about(viewer)[-1].after == {"first_name": "Vera"}


def test_a_password_hashed_anew_at_sign_in_is_recorded_as_changed(viewer, client, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", *settings.PASSWORD_HASHERS]

    client.post(reverse("sign_in"), {"username": "viewer", "password": PASSWORD})

    assert User.objects.get(pk=viewer.pk).password.startswith("scrypt$")
    assert_password_change_is_recorded(viewer, by="anonymous")


def test_a_user_who_is_deleted_leaves_no_hash(viewer):
    hashed = viewer.password

    viewer.delete()

    deleted = AuditLog.objects.get(event_type=EventType.DELETED, object_type="auth.user")
    assert "password" not in deleted.before
    assert hashed not in all_that_is_recorded()


def test_no_watched_model_gives_away_a_field_that_sounds_secret():
    for model in watched_models():
        names = {field.name for field in recorded_fields(model)}
        assert not {name for name in names for word in SECRET_WORDS if word in name}, model


def test_every_model_of_the_register_is_watched_but_what_it_writes_itself():
    written_by_itself = {"placement", "importrun", "importedrow"}
    for label in ("locations", "equipment", "analyses", "dashboard"):
        for model in apps.get_app_config(label).get_models():
            assert (model in watched_models()) is (model._meta.model_name not in written_by_itself), model


def test_signing_in_and_out_is_recorded(viewer, client):
    client.post(reverse("sign_in"), {"username": "viewer", "password": PASSWORD})
    client.post(reverse("sign_out"))

    events = AuditLog.objects.filter(user=viewer).order_by("pk")
    assert [event.event_type for event in events] == [EventType.SIGNED_IN, EventType.SIGNED_OUT]


def test_a_failed_sign_in_is_recorded_without_the_password(viewer, client):
    client.post(reverse("sign_in"), {"username": "viewer", "password": "a wrong one, 1891"})

    event = AuditLog.objects.get(event_type=EventType.SIGN_IN_FAILED)
    assert "viewer" in event.description
    assert "1891" not in json.dumps([event.description, event.before, event.after])


def test_a_device_model_is_named_by_its_manufacturer_in_the_record():
    model = recipes.device_model.make(name="P-100")

    assert isinstance(model, DeviceModel)
    assert str(model) in events_about(model)[0].description


def test_an_update_past_every_save_is_recorded_too():
    room = locations.room.make(name="Theatre 1")

    Location.objects.filter(pk=room.pk).update(name="Theatre 2")

    event = events_about(room)[-1]
    assert (event.before, event.after) == ({"name": "Theatre 1"}, {"name": "Theatre 2"})
    assert event.description == "Location Theatre 2 changed by a statement"


def test_moving_a_building_records_the_new_paths_of_what_lies_in_it():
    room, site = locations.room.make(), locations.site.make()
    building = room.parent.parent
    building.parent = site
    building.save()

    event = events_about(room)[-1]
    assert event.after == {"path": Location.objects.get(pk=room.pk).path}
    assert len(events_about(building)) == 2


def test_services_that_record_what_they_write_in_bulk_are_not_recorded_twice(tmp_path):
    for name, changes in (("first.csv", {}), ("second.csv", {"Name": "Monitor"})):
        path = tmp_path / name
        path.write_bytes(ppm_file(*({**row, **changes} for row in many_devices(3))).getvalue())
        call_command("import_equipment", path, verbosity=0)
    services.set_equipment_status(equipment=Equipment.objects.all(), status="missing")
    services.set_equipment_status(equipment=Equipment.objects.all(), status="in_service")
    for run in ImportRun.objects.order_by("-pk"):
        call_command("undo_import", str(run.pk), "--skip-changed", verbosity=0)

    assert AuditLog.objects.filter(event_type=EventType.IMPORT_UNDONE).count() == 2
    assert not Equipment.objects.exists()
    assert not list(AuditLog.objects.filter(description__contains="statement").values_list("description", flat=True))
