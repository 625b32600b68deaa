"""Cached reads of the locations: what each tells, and that a change is in it at once."""

import msgspec
import pytest

from invalidation import entries
from invalidation.store import store
from invalidation.testing import assert_hits, assert_immediately_visible
from locations.caches import (
    Place,
    limits_for,
    limits_of,
    location_counts,
    location_detail,
    location_list,
    sealed_limits,
)
from locations.models import Location, LocationLimit
from locations.services import move_location
from locations.tests import recipes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]


def test_lists_and_counts_hold_what_lies_inside_the_limits():
    room = recipes.room.make()
    recipes.room.make()
    site = Location.objects.get(path=room.ancestor_paths()[0])

    inside = assert_hits(location_list, kind="room", limits=(site.pk,))

    assert inside == (Place(room.pk, room.name),)
    assert len(assert_hits(location_list, kind=None, limits=(site.pk,))) == 4
    assert assert_hits(location_counts, limits=(site.pk,)) == {"site": 1, "building": 1, "department": 1, "room": 1}
    assert assert_hits(location_counts, limits=None)["room"] == 2
    assert assert_hits(location_list, kind=None, limits=()) == ()


def test_the_detail_names_what_lies_above_only_inside_the_limits():
    room = recipes.room.make()
    department = room.parent

    whole = assert_hits(location_detail, location_id=department.pk, limits=None)
    limited = assert_hits(location_detail, location_id=department.pk, limits=(department.pk,))

    assert [place.name for place in whole.above] == [department.parent.parent.name, department.parent.name]
    assert (limited.above, limited.below) == ((), {"room": 1})
    with pytest.raises(Location.DoesNotExist):
        location_detail(location_id=department.parent_id, limits=(department.pk,))


def test_a_department_is_listed_at_once_whichever_way_it_came():
    ward = recipes.department.make(name="Surgery")
    at = {"kind": "department", "limits": None}

    def names(change):
        _before, after = assert_immediately_visible(location_list, change, **at)
        return [place.name for place in after]

    def rename():
        ward.name = "Surgery 2"
        ward.save()

    assert names(rename) == ["Surgery 2"]
    assert names(lambda: Location.objects.filter(pk=ward.pk).update(name="Surgery 3")) == ["Surgery 3"]
    assert names(lambda: recipes.department.make(name="A", parent=ward)) == ["A", "Surgery 3"]
    assert names(lambda: Location.objects.get(name="A").delete()) == ["Surgery 3"]


def test_a_move_makes_both_subtrees_right_for_those_limited_to_them():
    room = recipes.room.make()
    elsewhere = recipes.department.make()
    here = room.parent_id

    def move():
        move_location(location=room, new_parent=elsewhere)

    before, after = assert_immediately_visible(location_counts, move, limits=(here,))

    assert (before.get("room"), after.get("room")) == (1, None)
    assert assert_hits(location_counts, limits=(elsewhere.pk,))["room"] == 1


def test_limits_count_at_once_and_superusers_have_none(viewer, superuser):
    site, other = recipes.site.make(), recipes.site.make()

    found = [limits_of(user_id=viewer.pk)]
    for change in (
        lambda: LocationLimit.objects.create(user=viewer, location=other),
        lambda: LocationLimit.objects.bulk_create([LocationLimit(user=viewer, location=site)]),
        lambda: LocationLimit.objects.filter(user=viewer).delete(),
    ):
        assert_immediately_visible(sealed_limits, change, user_id=viewer.pk)
        found.append(limits_of(user_id=viewer.pk))

    assert found == [None, (other.pk,), tuple(sorted((site.pk, other.pk))), None]
    LocationLimit.objects.create(user=superuser, location=site)
    assert limits_for(superuser) is None


def test_limits_of_somebody_else_put_into_redis_are_not_believed(viewer, editor):
    site = recipes.site.make()
    LocationLimit.objects.create(user=viewer, location=site)
    of_viewer, of_editor = (sealed_limits.key(user_id=user.pk) for user in (viewer, editor))
    assert (limits_of(user_id=viewer.pk), limits_of(user_id=editor.pk)) == ((site.pk,), None)
    mine, others = (entries.decode(store().command("GET", key).value) for key in (of_viewer, of_editor))

    forged = msgspec.structs.replace(mine, value=others.value)
    store().command("SET", of_viewer, entries.encode(forged), "KEEPTTL")

    assert sealed_limits(user_id=viewer.pk) == sealed_limits(user_id=editor.pk)
    assert limits_of(user_id=viewer.pk) == (site.pk,)
