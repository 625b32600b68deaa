"""Preferences: what the database refuses."""

import pytest
from django.db import IntegrityError, transaction

from dashboard.models import UserPreferences
from tests.constraints import assert_refused, constraints_of

pytestmark = pytest.mark.django_db

CONSTRAINTS = constraints_of("dashboard")
BROKEN = {
    "preferences_theme_known": [{"theme": "sepia"}],
    "preferences_page_size_bounded": [{"page_size": 9}, {"page_size": 201}],
    "preferences_days_bounded": [{"dashboard_days": 0}, {"dashboard_days": 367}],
}


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_the_database_refuses_what_a_constraint_forbids(name, viewer):
    preferences = UserPreferences.objects.create(user=viewer)

    for values in BROKEN[name]:
        assert_refused(
            CONSTRAINTS[name],
            lambda values=values: UserPreferences.objects.filter(pk=preferences.pk).update(**values),
        )


def test_a_user_has_one_set_of_preferences(viewer):
    UserPreferences.objects.create(user=viewer)

    with pytest.raises(IntegrityError), transaction.atomic():
        UserPreferences.objects.bulk_create([UserPreferences(user=viewer)])


def test_preferences_go_with_their_user(viewer):
    UserPreferences.objects.create(user=viewer)

    viewer.delete()

    assert not UserPreferences.objects.exists()
