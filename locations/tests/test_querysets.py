"""Chainable reads of the tree, and limits."""

import pytest
from django.contrib.auth.models import AnonymousUser

from locations.models import Location, LocationLimit
from locations.querysets import limit_paths
from locations.tests import recipes

pytestmark = pytest.mark.django_db


def test_under_holds_the_node_and_below_does_not():
    room = recipes.room.make()
    recipes.room.make()

    assert list(Location.objects.under(room.parent).order_by("path")) == [room.parent, room]
    assert list(Location.objects.below(room.parent)) == [room]


def test_above_lists_the_ancestors_from_the_site_downwards():
    room = recipes.room.make()

    above = list(Location.objects.above(room))

    assert above == [room.parent.parent.parent, room.parent.parent, room.parent]


def test_of_kind_takes_several():
    room = recipes.room.make()

    assert set(Location.objects.of_kind("room", "site")) == {room, room.parent.parent.parent}


def test_a_user_without_limits_sees_everything(viewer):
    room = recipes.room.make()

    assert room in Location.objects.visible_to(viewer)
    assert limit_paths(viewer) is None


def test_a_limited_user_sees_their_subtrees_alone(viewer):
    inside, also_inside, outside = recipes.room.make(), recipes.room.make(), recipes.room.make()
    LocationLimit.objects.create(user=viewer, location=inside.parent)
    LocationLimit.objects.create(user=viewer, location=also_inside)

    seen = set(Location.objects.visible_to(viewer))

    assert seen == {inside.parent, inside, also_inside}
    assert outside not in seen


def test_a_superuser_is_never_limited(superuser):
    room = recipes.room.make()
    LocationLimit.objects.create(user=superuser, location=recipes.site.make())

    assert room in Location.objects.visible_to(superuser)


def test_somebody_not_signed_in_sees_nothing():
    recipes.room.make()

    assert not Location.objects.visible_to(AnonymousUser()).exists()
