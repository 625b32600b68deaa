"""Fixtures for those who use the site: loaded by conftest.py once the settings are there."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from dashboard.models import UserPreferences

PASSWORD = "a long enough one, 1889"


def member(group: str, **fields: Any) -> User:
    """A user in the group, named after it, with PASSWORD; `fields` are flags such as is_staff."""
    user = User.objects.create_user(username=group.lower(), password=PASSWORD, **fields)
    user.groups.add(Group.objects.get(name=group))
    return user


@pytest.fixture
def viewer(db: None) -> User:
    return member("Viewer")


@pytest.fixture
def editor(db: None) -> User:
    return member("Editor", is_staff=True)


@pytest.fixture
def administrator(db: None) -> User:
    return member("Admin", is_staff=True)


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser(username="superuser", password=PASSWORD)


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A signed-in browser of the user; each call gives another one, with a session of its own."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="dashboard.authentication.CachedRightsBackend")
        return client

    return sign_in


@pytest.fixture
def prefer() -> Callable[..., UserPreferences]:
    """Give a user preferences: `prefer(viewer, page_size=10)`."""

    def store(user: User, **chosen: Any) -> UserPreferences:
        return UserPreferences.objects.create(user=user, **chosen)

    return store
