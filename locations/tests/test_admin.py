"""The tree in the admin."""

import pytest
from django.urls import reverse

from locations.models import Location, LocationLimit
from locations.tests import recipes

pytestmark = pytest.mark.django_db

LIST = "admin:locations_location_changelist"
ADD = "admin:locations_location_add"


def form(**values):
    return {"name": "New", "kind": "room", "code": "", "capacity": "", "notes": "", **values}


def test_a_location_made_in_the_admin_is_listed_and_gone_when_deleted(administrator, client_of):
    site = recipes.site.make()
    client = client_of(administrator)
    before = client.get(reverse(LIST)).context["cl"].result_count

    client.post(reverse(ADD), form(parent=site.pk))
    room = Location.objects.get(name="New")
    assert client.get(reverse(LIST)).context["cl"].result_count == before + 1

    client.post(reverse("admin:locations_location_delete", args=[room.pk]), {"post": "yes"})
    assert client.get(reverse(LIST)).context["cl"].result_count == before


def test_an_impossible_place_is_an_error_of_its_field(administrator, client_of):
    room = recipes.room.make()

    answer = client_of(administrator).post(reverse(ADD), form(kind="building", parent=room.pk))

    assert "parent" in answer.context["adminform"].form.errors


def test_a_second_room_of_the_name_is_an_error_and_no_crash(administrator, client_of):
    room = recipes.room.make(name="Theatre")

    answer = client_of(administrator).post(reverse(ADD), form(name="THEATRE", parent=room.parent_id))

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors


def test_the_filter_by_site_holds_everything_below_it(administrator, client_of):
    room = recipes.room.make()
    recipes.room.make()
    site = Location.objects.above(room).first()

    listed = client_of(administrator).get(reverse(LIST), {"site": site.pk}).context["cl"].result_list

    assert {row.pk for row in listed} == {row.pk for row in Location.objects.under(site)}


def test_a_pick_list_tells_rooms_of_one_name_apart(administrator, client_of):
    rooms = [recipes.room.make(name="Store"), recipes.room.make(name="Store")]
    query = {"app_label": "equipment", "model_name": "equipment", "field_name": "location", "term": "Store"}

    answer = client_of(administrator).get(reverse("admin:autocomplete"), query).json()["results"]

    assert {row["text"] for row in answer} == {
        f"Store ({room.parent.name}, {room.parent.parent.name})" for room in rooms
    }


def test_an_editor_may_not_delete_locations(editor, client_of):
    room = recipes.room.make()

    answer = client_of(editor).post(reverse("admin:locations_location_delete", args=[room.pk]), {"post": "yes"})

    assert answer.status_code == 403
    assert Location.objects.filter(pk=room.pk).exists()


def test_a_limited_editor_builds_only_inside(editor, client_of):
    inside, outside = recipes.department.make(), recipes.department.make()
    LocationLimit.objects.create(user=editor, location=inside)
    client = client_of(editor)

    client.post(reverse(ADD), form(name="Inside", parent=inside.pk))
    refused = client.post(reverse(ADD), form(name="Outside", parent=outside.pk))
    nowhere = client.post(reverse(ADD), form(name="A site", kind="site", parent=""))

    assert Location.objects.filter(name="Inside", parent=inside).exists()
    assert "parent" in refused.context["adminform"].form.errors
    assert "parent" in nowhere.context["adminform"].form.errors


def test_the_top_of_a_limit_is_edited_without_naming_what_lies_above(editor, client_of):
    department = recipes.department.make(name="Cardiology")
    above = department.parent
    LocationLimit.objects.create(user=editor, location=department)
    client = client_of(editor)
    where = reverse("admin:locations_location_change", args=[department.pk])

    page = client.get(where).content.decode()
    answer = client.post(
        where,
        form(name="Heart centre", kind="department", **{"children-TOTAL_FORMS": 0, "children-INITIAL_FORMS": 0}),
    )

    assert above.name not in page
    assert answer.status_code == 302, answer.context["errors"]
    department.refresh_from_db()
    assert (department.name, department.parent) == ("Heart centre", above)


def test_pick_list_and_list_do_not_name_what_lies_above_a_limit(editor, client_of):
    department = recipes.department.make(name="Annexe")
    room = recipes.room.make(name="Annexe store", parent=department)
    LocationLimit.objects.create(user=editor, location=department)
    client = client_of(editor)
    query = {"app_label": "equipment", "model_name": "equipment", "field_name": "location", "term": "Annexe"}

    offered = client.get(reverse("admin:autocomplete"), query).json()["results"]
    listed = client.get(reverse(LIST)).content.decode()

    assert {row["text"] for row in offered} == {"Annexe", "Annexe store (Annexe)"}
    assert room.name in listed
    assert department.parent.name not in listed
