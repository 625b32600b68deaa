"""Who sees which analyses."""

import pytest
from django.contrib.auth.models import AnonymousUser

from analyses.models import Analysis
from equipment.tests import recipes
from equipment.tests.recipes import NOON
from locations.models import LocationLimit

pytestmark = pytest.mark.django_db


@pytest.fixture
def analyses(editor):
    """One of the fleet, one of a model, one inside and one outside the editor's limits, one the editor's own."""
    inside, outside = recipes.placed_device.make(), recipes.placed_device.make()
    LocationLimit.objects.create(user=editor, location=inside.location)
    return {
        "fleet": Analysis.objects.create(kind="cost"),
        "model": Analysis.objects.create(kind="cost", scope="device_model", device_model=recipes.device_model.make()),
        "inside": Analysis.objects.create(kind="cost", scope="equipment", equipment=inside),
        "outside": Analysis.objects.create(kind="cost", scope="equipment", equipment=outside),
        "at inside": Analysis.objects.create(kind="cost", scope="location", location=inside.location),
        "at outside": Analysis.objects.create(kind="cost", scope="location", location=outside.location),
        "own": Analysis.objects.create(kind="cost", requested_by=editor),
    }


def test_a_limited_user_sees_their_own_and_what_is_about_the_inside(analyses, editor):
    seen = set(Analysis.objects.visible_to(editor))

    assert seen == {analyses[name] for name in ("inside", "at inside", "own")}


def test_others_see_all_and_strangers_nothing(analyses, viewer):
    assert set(Analysis.objects.visible_to(viewer)) == set(analyses.values())
    assert not Analysis.objects.visible_to(AnonymousUser()).exists()


def test_unfinished_ones_are_queued_or_processing():
    queued = Analysis.objects.create(kind="cost")
    working = Analysis.objects.create(kind="cost", status="processing", started_at=NOON)
    Analysis.objects.create(kind="cost", status="failed", finished_at=NOON, error="no data")

    assert set(Analysis.objects.unfinished()) == {queued, working}
