"""Users and groups in the admin: nobody gives, takes or takes over a right they do not have."""

import re

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse

from audit.actors import Actor, acting_as
from audit.models import AuditLog, EventType
from audit.services import record
from dashboard.rights import assignable_groups
from equipment.tests.admin_pages import fill
from locations.models import LocationLimit
from locations.tests import recipes as locations
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

LIST = "admin:auth_user_changelist"
ADD = "admin:auth_user_add"


def change(user):
    return reverse("admin:auth_user_change", args=[user.pk])


def limits(*places):
    fields = {"location_limits-TOTAL_FORMS": len(places), "location_limits-INITIAL_FORMS": 0}
    return fields | {f"location_limits-{number}-location": place.pk for number, place in enumerate(places)}


def new_user(*places, **values):
    return {
        "username": "anna",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
        **limits(*places),
        **values,
    }


def existing(user, *places, **values):
    return {"username": user.username, "is_active": "on", **limits(*places), **values}


def group(name):
    return Group.objects.get(name=name).pk


@pytest.fixture
def colleague(db):
    return User.objects.create_user("colleague", password=PASSWORD)


def test_an_administrator_makes_an_editor_limited_to_a_place(administrator, client_of):
    room = locations.room.make()

    answer = client_of(administrator).post(reverse(ADD), new_user(room, is_staff="on", groups=[group("Editor")]))

    assert answer.status_code == 302, answer.context["errors"]
    user = User.objects.get(username="anna")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert [limit.location for limit in user.location_limits.all()] == [room]
    assert user.has_perm("equipment.change_equipment")
    assert AuditLog.objects.about(user).filter(user=administrator).exists()


@pytest.mark.parametrize("target", ["self", "colleague"])
def test_an_administrator_makes_nobody_a_superuser(target, administrator, colleague, client_of):
    user = administrator if target == "self" else colleague
    permission = Permission.objects.get(codename="delete_session")

    client_of(administrator).post(
        change(user), existing(user, is_superuser="on", is_staff="on", user_permissions=[permission.pk])
    )

    user.refresh_from_db()
    assert not user.is_superuser
    assert not user.user_permissions.exists()


def test_superuser_rights_are_not_even_shown(administrator, superuser, colleague, client_of):
    page = client_of(administrator).get(change(colleague))
    assert not {"is_superuser", "user_permissions"} & set(page.context["adminform"].form.fields)

    page = client_of(superuser).get(change(colleague))
    assert {"is_superuser", "user_permissions"} <= set(page.context["adminform"].form.fields)


@pytest.mark.parametrize("page", ["change", "delete", "history", "password_change"])
def test_a_superuser_is_out_of_an_administrators_reach(page, administrator, superuser, client_of):
    name = "admin:auth_user_password_change" if page == "password_change" else f"admin:auth_user_{page}"
    client = client_of(administrator)
    before = User.objects.values().get(pk=superuser.pk)

    for answer in (
        client.get(reverse(name, args=[superuser.pk])),
        client.post(
            reverse(name, args=[superuser.pk]),
            {"post": "yes", "password1": "a new one, 1890", "password2": "a new one, 1890", "username": "taken"},
        ),
    ):
        assert answer.status_code in {302, 403, 404, 405}

    assert User.objects.values().get(pk=superuser.pk) == before


def test_superusers_are_not_listed_to_others(administrator, superuser, colleague, client_of):
    listed = set(client_of(administrator).get(reverse(LIST)).context["cl"].result_list)

    assert listed == {administrator, colleague}


def test_a_group_with_more_rights_can_neither_be_given_nor_its_members_taken_over(administrator, colleague, client_of):
    beyond = Group.objects.create(name="Operators")
    beyond.permissions.add(Permission.objects.get(codename="delete_session"))
    client = client_of(administrator)

    answer = client.post(change(colleague), existing(colleague, groups=[beyond.pk]))
    assert "groups" in answer.context["adminform"].form.errors
    colleague.groups.add(beyond)

    assert colleague not in client.get(reverse(LIST)).context["cl"].result_list
    assert client.get(change(colleague)).status_code == 302


def test_a_user_with_a_single_right_beyond_is_out_of_reach(administrator, colleague, client_of):
    colleague.user_permissions.add(Permission.objects.get(codename="delete_session"))

    assert client_of(administrator).get(change(colleague)).status_code == 302


def test_the_built_in_groups_are_assignable_to_administrators_and_smaller_ones_too(administrator):
    smaller = Group.objects.create(name="Readers")
    smaller.permissions.add(Permission.objects.get(codename="view_equipment"))

    assert set(assignable_groups(administrator).values_list("name", flat=True)) == {
        "Viewer", "Editor", "Admin", "Readers",
    }  # fmt: skip


def test_administrators_neither_shut_themselves_out_nor_delete_themselves(administrator, client_of):
    client = client_of(administrator)

    client.post(change(administrator), {"username": "admin", **limits(), "first_name": "Ada"})
    client.post(reverse("admin:auth_user_delete", args=[administrator.pk]), {"post": "yes"})
    client.post(reverse(LIST), {"action": "deactivate", "_selected_action": [administrator.pk]})

    administrator.refresh_from_db()
    assert (administrator.is_active, administrator.is_staff, administrator.first_name) == (True, True, "Ada")
    assert [row.name for row in administrator.groups.all()] == ["Admin"]


def test_many_are_deactivated_at_once_and_each_is_recorded(administrator, colleague, client_of):
    other = User.objects.create_user("other", password=PASSWORD)

    client_of(administrator).post(reverse(LIST), {"action": "deactivate", "_selected_action": [colleague.pk, other.pk]})

    assert not User.objects.filter(username__in=["colleague", "other"], is_active=True).exists()
    assert AuditLog.objects.about(colleague).filter(after={"is_active": False}, user=administrator).exists()


def test_a_deactivated_user_is_out_on_the_next_request(administrator, editor, client_of):
    session = client_of(editor)
    assert session.get(reverse("admin:index")).status_code == 200

    client_of(administrator).post(reverse(LIST), {"action": "deactivate", "_selected_action": [editor.pk]})

    assert session.get(reverse("admin:index")).status_code == 302


def test_editors_see_no_users_but_may_choose_a_custodian(editor, colleague, client_of):
    client = client_of(editor)
    query = {"app_label": "equipment", "model_name": "equipment", "field_name": "custodian", "term": "coll"}

    assert client.get(reverse(LIST)).status_code == 403
    assert client.get(change(colleague)).status_code == 403
    answer = client.get(reverse("admin:autocomplete"), query)
    assert [row["text"] for row in answer.json()["results"]] == ["colleague"]


def test_passwords_are_never_shown(superuser, colleague, client_of):
    page = client_of(superuser).get(change(colleague)).content.decode()

    assert colleague.password not in page


# Limited administrators


@pytest.fixture
def limited(administrator):
    """The administrator, limited to one department; that department."""
    department = locations.department.make()
    LocationLimit.objects.create(user=administrator, location=department)
    return department


def test_a_limited_administrator_makes_only_users_who_see_no_more(limited, administrator, client_of):
    room, outside = locations.room.make(parent=limited), locations.room.make()
    client = client_of(administrator)

    without = client.post(reverse(ADD), new_user(groups=[group("Viewer")]))
    beyond = client.post(reverse(ADD), new_user(outside, groups=[group("Viewer")]))
    assert (without.status_code, beyond.status_code) == (200, 200)
    assert not User.objects.filter(username="anna").exists()

    assert client.post(reverse(ADD), new_user(room, groups=[group("Viewer")])).status_code == 302
    assert User.objects.get(username="anna").location_limits.get().location == room


def test_a_limited_administrator_reaches_no_user_who_sees_more(limited, administrator, colleague, client_of):
    client = client_of(administrator)
    assert client.get(change(colleague)).status_code == 302

    LocationLimit.objects.create(user=colleague, location=locations.room.make(parent=limited))
    assert client.get(change(colleague)).status_code == 200

    LocationLimit.objects.create(user=colleague, location=locations.room.make())
    assert client.get(change(colleague)).status_code == 302


def test_nobody_touches_their_own_limits(limited, administrator, client_of):
    second = LocationLimit.objects.create(user=administrator, location=locations.room.make(parent=limited))
    limits = list(administrator.location_limits.order_by("pk"))
    data = {
        "username": administrator.username,
        "location_limits-TOTAL_FORMS": 2,
        "location_limits-INITIAL_FORMS": 2,
        "location_limits-1-DELETE": "on",
    }
    for number, limit in enumerate(limits):
        data |= {
            f"location_limits-{number}-id": limit.pk,
            f"location_limits-{number}-user": administrator.pk,
            f"location_limits-{number}-location": limit.location_id,
        }

    client_of(administrator).post(change(administrator), data)

    assert second in limits
    assert list(administrator.location_limits.order_by("pk")) == limits


def test_the_last_limit_of_a_user_is_not_taken_away_by_a_limited_administrator(
    limited, administrator, colleague, client_of
):
    limit = LocationLimit.objects.create(user=colleague, location=limited)
    data = existing(colleague) | {
        "location_limits-TOTAL_FORMS": 1,
        "location_limits-INITIAL_FORMS": 1,
        "location_limits-0-id": limit.pk,
        "location_limits-0-user": colleague.pk,
        "location_limits-0-location": limited.pk,
        "location_limits-0-DELETE": "on",
    }

    answer = client_of(administrator).post(change(colleague), data)

    assert answer.status_code == 200
    assert list(colleague.location_limits.all()) == [limit]


def test_a_limited_administrator_reads_what_they_did_themselves(administrator, client_of):
    LocationLimit.objects.create(user=administrator, location=locations.site.make())
    with acting_as(Actor.from_user(administrator)):
        own = record(event_type=EventType.COMMAND, description="own")
    record(event_type=EventType.COMMAND, description="another's")

    listed = client_of(administrator).get(reverse("admin:audit_auditlog_changelist")).context["cl"].result_list

    assert own in listed
    assert {row.user for row in listed} == {administrator}


# Groups


@pytest.mark.parametrize("name", ["Viewer", "Editor", "Admin"])
def test_the_built_in_groups_are_read_only_for_administrators(name, administrator, client_of):
    row = Group.objects.get(name=name)
    count = row.permissions.count()

    answer = client_of(administrator).post(
        reverse("admin:auth_group_change", args=[row.pk]), {"name": "Renamed", "permissions": []}
    )

    row.refresh_from_db()
    assert answer.status_code == 403
    assert (row.name, row.permissions.count()) == (name, count)


def test_the_built_in_groups_are_deleted_by_nobody(superuser, client_of):
    row = Group.objects.get(name="Viewer")

    answer = client_of(superuser).post(reverse("admin:auth_group_delete", args=[row.pk]), {"post": "yes"})

    assert answer.status_code == 403
    assert Group.objects.filter(name="Viewer").exists()


def test_an_administrators_own_group_holds_no_right_they_lack(administrator, client_of):
    client = client_of(administrator)
    held = Permission.objects.get(codename="view_equipment")
    lacking = Permission.objects.get(codename="delete_session")

    refused = client.post(reverse("admin:auth_group_add"), {"name": "Readers", "permissions": [held.pk, lacking.pk]})
    assert "permissions" in refused.context["adminform"].form.errors

    client.post(reverse("admin:auth_group_add"), {"name": "Readers", "permissions": [held.pk]})
    assert [row.codename for row in Group.objects.get(name="Readers").permissions.all()] == ["view_equipment"]


def test_the_pick_list_of_permissions_offers_what_is_held(administrator, editor, client_of):
    query = {"app_label": "auth", "model_name": "group", "field_name": "permissions", "term": "session"}

    assert client_of(administrator).get(reverse("admin:autocomplete"), query).json()["results"] == []
    assert client_of(editor).get(reverse("admin:autocomplete"), query).status_code == 403


# The site


def test_the_sections_stand_in_the_order_people_need_them(superuser, client_of):
    page = client_of(superuser).get(reverse("admin:index"))

    labels = [section["app_label"] for section in page.context["app_list"]]
    assert labels[:6] == ["equipment", "locations", "analyses", "auth", "dashboard", "audit"]
    assert "Plumbline administration" in page.content.decode()


def test_no_page_of_the_admin_brings_its_own_scripts_or_styles(superuser, client_of):
    client = client_of(superuser)
    addresses = [reverse("admin:index"), reverse(LIST), reverse(ADD), change(superuser)]
    addresses += [reverse("admin:equipment_equipment_changelist"), reverse("admin:equipment_equipment_add")]

    for address in addresses:
        page = client.get(address).content.decode()
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=\"|javascript:", page), address
        assert not re.search(r"<script(?![^>]*\ssrc=)(?![^>]*type=\"application/json\")", page), address


def change_group(client, row):
    return client.post(reverse("admin:auth_group_change", args=[row.pk]), {"name": "Renamed", "permissions": []})


@pytest.fixture
def readers(db):
    row = Group.objects.create(name="Readers")
    row.permissions.add(Permission.objects.get(codename="view_equipment"))
    return row


def test_a_limited_administrator_writes_no_group(administrator, readers, client_of):
    LocationLimit.objects.create(user=administrator, location=locations.room.make())
    client = client_of(administrator)

    answers = [
        change_group(client, readers),
        client.post(reverse("admin:auth_group_delete", args=[readers.pk]), {"post": "yes"}),
        client.post(reverse("admin:auth_group_add"), {"name": "Others"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert set(Group.objects.values_list("name", flat=True)) == {"Viewer", "Editor", "Admin", "Readers"}
    assert readers.permissions.exists()


def test_a_group_with_a_member_out_of_reach_is_only_read(administrator, superuser, colleague, readers, client_of):
    readers.user_set.add(colleague, superuser)
    client = client_of(administrator)

    answers = [
        change_group(client, readers),
        client.post(reverse("admin:auth_group_delete", args=[readers.pk]), {"post": "yes"}),
    ]
    readers.user_set.remove(superuser)
    among_equals = change_group(client, readers)

    assert [answer.status_code for answer in answers] == [403, 403]
    assert among_equals.status_code == 302
    assert Group.objects.get(pk=readers.pk).name == "Renamed"


IMPOSSIBLE_ADDRESSES = [
    "equipment/workorder/?year=0",
    "equipment/workorder/?year=99999999",
    "equipment/workorder/?reported_at__year=0",
    "equipment/equipment/?department=99999999999999999999999",
    "equipment/equipment/?site=99999999999999999999999",
    "equipment/importedrow/?run__id__exact=99999999999999999999999",
    "auth/user/?groups__id__exact=99999999999999999999999",
    "locations/productionrun/?starts_on__year=99999999",
    "locations/location/?q=%00",
    "autocomplete/?app_label=equipment&model_name=equipment&field_name=location&term=%00",
]


@pytest.mark.parametrize("tail", IMPOSSIBLE_ADDRESSES)
def test_an_address_that_no_page_makes_is_ignored_or_refused(tail, superuser, client_of):
    fill(1)
    locations.production_run.make()

    answer = client_of(superuser).get(f"/admin/{tail}", follow=True)

    assert answer.status_code in {200, 400}


@pytest.mark.parametrize("chosen", ["abc", "9" * 30, "-1", "1\x00"])
@pytest.mark.parametrize(("page", "action"), [("equipment_equipment", "move"), ("auth_user", "deactivate")])
def test_a_chosen_row_that_cannot_be_is_refused(chosen, page, action, superuser, client_of):
    fields = {"action": action, "_selected_action": [chosen]}

    answer = client_of(superuser).post(reverse(f"admin:{page}_changelist"), fields)

    assert answer.status_code == 400
