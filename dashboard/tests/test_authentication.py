"""Users and their rights through the cache: a change of either counts on the next request."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from audit.models import AuditLog
from dashboard import caches
from dashboard.authentication import CachedRightsBackend
from invalidation.testing import assert_hits, assert_no_queries, in_another_thread
from locations.models import Location, LocationLimit
from tests.people import PASSWORD

ClientOf = Callable[[User], Client]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]

backend = CachedRightsBackend()


def answers(client: Client) -> int:
    return client.get("/equipment/").status_code


REVOCATIONS: dict[str, tuple[Callable[[User], Any], int]] = {
    # What is taken from a single user comes first: the last ones take it from everybody.
    "taken out of the group": (lambda user: user.groups.clear(), 403),
    "group left by a removal": (lambda user: user.groups.remove(*user.groups.all()), 403),
    "member row deleted": (lambda user: User.groups.through.objects.all().delete(), 403),
    "group deleted": (lambda user: user.groups.get().delete(), 403),
    "deactivated by an update": (lambda user: User.objects.filter(pk=user.pk).update(is_active=False), 302),
    "deleted": (lambda user: user.delete(), 302),
    "password changed by an update": (lambda user: User.objects.filter(pk=user.pk).update(password="!"), 302),
    "permission taken from the group": (lambda user: user.groups.get().permissions.clear(), 403),
    "permission deleted": (lambda user: Permission.objects.filter(codename="view_equipment").delete(), 403),
}


def member_of_a_group_of_their_own(number: int) -> User:
    group = Group.objects.create(name=f"Group {number}")
    group.permissions.add(view_equipment())
    user = User.objects.create_user(f"member {number}")
    user.groups.add(group)
    return user


def view_equipment() -> Permission:
    return Permission.objects.get(codename="view_equipment", content_type__app_label="equipment")


def test_a_right_that_is_taken_away_is_gone_on_the_next_request(db: None, client_of: ClientOf) -> None:
    seen = {}

    for number, (name, (revoke, _expected)) in enumerate(REVOCATIONS.items()):
        user = member_of_a_group_of_their_own(number)
        client = client_of(user)
        before = answers(client), answers(client)
        in_another_thread(revoke, user)
        seen[name] = (before, answers(client))

    assert seen == {name: ((200, 200), expected) for name, (_revoke, expected) in REVOCATIONS.items()}


GRANTS: dict[str, Callable[[User], Any]] = {
    "group": lambda user: user.groups.add(Group.objects.get(name="Viewer")),
    "permission of one's own": lambda user: user.user_permissions.add(view_equipment()),
    "superuser": lambda user: User.objects.filter(pk=user.pk).update(is_superuser=True),
}


def test_a_right_that_is_given_counts_on_the_next_request(client_of: ClientOf) -> None:
    seen = {}

    for name, grant in GRANTS.items():
        user = User.objects.create_user(f"newcomer with a {name}")
        client = client_of(user)
        before = answers(client)
        in_another_thread(grant, user)
        seen[name] = (before, answers(client))

    assert seen == dict.fromkeys(GRANTS, (403, 200))


def test_a_limit_counts_on_the_next_request(viewer: User, client_of: ClientOf) -> None:
    north = Location.objects.create(name="North", kind="site")
    south = Location.objects.create(name="South", kind="site")
    Location.objects.create(name="Surgery", kind="department", parent=south)
    client = client_of(viewer)
    before = "Surgery" in client.get("/equipment/").content.decode()

    in_another_thread(LocationLimit.objects.create, user=viewer, location=north)

    assert (before, "Surgery" in client.get("/equipment/").content.decode()) == (True, False)


def test_signing_in_ends_no_entry_of_the_user(viewer: User) -> None:
    assert_hits(caches.sealed_account, user_id=viewer.pk)
    Client().post("/accounts/sign-in/", {"username": "viewer", "password": PASSWORD})

    with assert_no_queries():
        found = backend.get_user(viewer.pk)

    viewer.refresh_from_db()
    assert viewer.last_login is not None
    assert found == viewer


def test_a_known_user_and_their_rights_are_read_without_the_database(viewer: User) -> None:
    expected = viewer.get_all_permissions()
    assert_hits(caches.sealed_account, user_id=viewer.pk)
    assert_hits(caches.sealed_rights, user_id=viewer.pk, is_superuser=False)

    with assert_no_queries():
        user = backend.get_user(viewer.pk)
        assert user is not None
        found = user.get_all_permissions()

    assert found == expected
    assert "equipment.view_equipment" in found
    assert user.get_session_auth_hash() == viewer.get_session_auth_hash()


def test_the_rights_are_djangos_own(viewer: User, editor: User, administrator: User, superuser: User) -> None:
    names = ("get_user_permissions", "get_group_permissions", "get_all_permissions")
    viewer.user_permissions.add(Permission.objects.get(codename="view_session"))
    people = [viewer, editor, administrator, superuser, User.objects.create_user("nobody")]

    ours, theirs = (
        {(user.username, name): getattr(each, name)(User.objects.get(pk=user.pk)) for user in people for name in names}
        for each in (backend, ModelBackend())
    )

    assert ours == theirs
    assert "sessions.view_session" in ours["viewer", "get_user_permissions"]


def test_a_deactivated_user_has_no_rights(viewer: User) -> None:
    viewer.is_active = False

    assert backend.get_all_permissions(viewer) == set()


def test_the_password_of_a_user_from_the_cache_is_the_databases(viewer: User) -> None:
    user = backend.get_user(viewer.pk)
    assert user is not None

    with assert_no_queries():
        assert user.has_usable_password()
    assert "password" in user.get_deferred_fields()
    assert user.check_password(PASSWORD)
    user.set_password("quite another one, 1912")
    assert user.get_session_auth_hash() != viewer.get_session_auth_hash()
    user.set_unusable_password()
    assert not user.has_usable_password()


def test_saving_a_user_from_the_cache_writes_nothing_it_does_not_know(viewer: User) -> None:
    user = backend.get_user(viewer.pk)
    assert user is not None
    in_another_thread(User.objects.filter(pk=viewer.pk).update, email="new@example.org", password="!changed")

    user.first_name = "Ada"
    user.save()

    viewer.refresh_from_db()
    assert (viewer.first_name, viewer.email, viewer.password) == ("Ada", "new@example.org", "!changed")
    assert AuditLog.objects.filter(object_type="auth.user", after__first_name="Ada").exists()


@pytest.mark.parametrize("read", ["sealed_account", "sealed_rights"])
def test_an_entry_that_is_not_sealed_for_this_user_gives_no_right(
    viewer: User, superuser: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    whole = getattr(caches, read)

    class Swapped:
        """What Redis would tell after somebody put the superuser's entry in the place of the viewer's."""

        bypass = whole.bypass

        def __call__(self, **params: Any) -> Any:
            return whole(**{**params, "user_id": superuser.pk})

    monkeypatch.setattr(caches, read, Swapped())

    user = backend.get_user(viewer.pk)

    assert user is not None
    assert (user.pk, user.is_superuser) == (viewer.pk, False)
    assert not user.has_perm("auth.delete_user")
    assert user.has_perm("equipment.view_equipment")


def test_another_secret_key_makes_old_entries_worthless_and_signs_nobody_out_twice(viewer: User, settings: Any) -> None:
    assert_hits(caches.sealed_account, user_id=viewer.pk)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 10, [settings.SECRET_KEY]

    user = backend.get_user(viewer.pk)

    assert user is not None
    assert user.get_session_auth_hash() == viewer.get_session_auth_hash()
