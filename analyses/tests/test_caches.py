"""The cached counts of analyses."""

import pytest

from analyses.caches import analysis_counts
from analyses.models import Analysis
from equipment.tests import recipes
from invalidation.testing import assert_hits, assert_immediately_visible, assert_no_queries

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]


def test_the_counts_follow_each_change_of_a_status(viewer):
    analysis = Analysis.objects.create(kind="cost", requested_by=viewer)
    to_all = {"user_id": viewer.pk, "limits": None}

    before, after = assert_immediately_visible(
        analysis_counts,
        lambda: Analysis.objects.filter(pk=analysis.pk).update(status="failed", error="why", finished_at=recipes.NOON),
        **to_all,
    )

    assert (before, after) == ({"queued": 1}, {"failed": 1})


def test_a_sign_of_life_ends_no_count(viewer):
    analysis = Analysis.objects.create(kind="cost")
    assert_hits(analysis_counts, user_id=viewer.pk, limits=None)

    Analysis.objects.filter(pk=analysis.pk).update(heartbeat_at=recipes.NOON, progress=7)

    with assert_no_queries():
        assert analysis_counts(user_id=viewer.pk, limits=None) == {"queued": 1}


def test_the_counts_are_of_what_one_may_see(viewer):
    inside, outside = recipes.placed_device.make(), recipes.placed_device.make()
    for device in (inside, outside):
        Analysis.objects.create(kind="cost", scope="equipment", equipment=device)
    Analysis.objects.create(kind="cost", requested_by=viewer)

    limited = assert_hits(analysis_counts, user_id=viewer.pk, limits=(inside.location_id,))
    somebody_else = assert_hits(analysis_counts, user_id=viewer.pk + 1, limits=(inside.location_id,))

    assert (limited, somebody_else) == ({"queued": 2}, {"queued": 1})
