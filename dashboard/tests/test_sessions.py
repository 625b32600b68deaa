"""Sessions through the cache: what ends one ends it at once, and who reads Redis opens none."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.test import Client
from django.utils import timezone

from dashboard.caches import stored_session
from dashboard.sessions import SessionStore, row_key
from invalidation.testing import assert_hits, assert_no_queries, in_another_thread, standing_clock

ClientOf = Callable[[User], Client]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]


def key_of(client: Client) -> str:
    key = client.session.session_key
    assert key is not None
    return key


def is_signed_in(client: Client) -> bool:
    return client.get("/accounts/preferences/").status_code == 200


def everything_in_redis(prefix: str) -> Iterator[bytes]:
    """Every key of this test and everything that it holds."""
    redis: Any = caches["default"].client.get_client()  # type: ignore[attr-defined]
    for key in redis.scan_iter(match=f"*{prefix}*"):
        yield key
        match redis.type(key):
            case b"string":
                yield redis.get(key) or b""
            case b"set":
                yield from redis.smembers(key)
            case b"zset":
                yield from redis.zrange(key, 0, -1)
            case b"hash":
                yield from (part for pair in redis.hgetall(key).items() for part in pair)
            case b"list":
                yield from redis.lrange(key, 0, -1)


def test_a_session_that_is_known_is_read_without_the_database(viewer: User, client_of: ClientOf) -> None:
    key = key_of(client_of(viewer))
    assert_hits(stored_session, row_key=row_key(key))

    with assert_no_queries():
        held = SessionStore(key).load()

    assert held["_auth_user_id"] == str(viewer.pk)


ENDS: dict[str, Callable[[str], object]] = {
    "signed out elsewhere": lambda key: SessionStore(key).flush(),
    "all deleted": lambda key: Session.objects.all().delete(),
    "expired by an update": lambda key: Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1)),
}


def test_a_session_that_ended_elsewhere_is_dead_on_the_next_request(viewer: User, client_of: ClientOf) -> None:
    seen = {}

    for name, end in ENDS.items():
        client = client_of(viewer)
        key = key_of(client)
        before = is_signed_in(client)
        in_another_thread(end, key)
        seen[name] = (before, is_signed_in(client), SessionStore(key).load())

    assert seen == dict.fromkeys(ENDS, (True, False, {}))


def test_a_session_ends_by_the_clock_alone(viewer: User, client_of: ClientOf) -> None:
    key = key_of(client_of(viewer))
    assert_hits(stored_session, row_key=row_key(key))

    with standing_clock() as clock:
        clock.advance(hours=12, seconds=-5)
        before = SessionStore(key).load()
        clock.advance(seconds=10)
        after = SessionStore(key).load()

    assert (bool(before), after) == (True, {})


def test_a_new_key_for_the_session_ends_the_old_one(viewer: User, client_of: ClientOf) -> None:
    old = key_of(client_of(viewer))
    store = SessionStore(old)
    assert store.load()

    store.cycle_key()
    store.save()

    assert SessionStore(old).load() == {}
    assert SessionStore(store.session_key).load()["_auth_user_id"] == str(viewer.pk)


def test_neither_database_nor_redis_know_what_opens_a_session_or_a_password(
    viewer: User, client_of: ClientOf, cache_prefix: str
) -> None:
    client = client_of(viewer)
    assert is_signed_in(client)
    assert client.get("/").status_code == 200

    kept = list(everything_in_redis(cache_prefix))

    secrets = (key_of(client).encode(), viewer.password.encode())
    assert any(row_key(key_of(client)).encode() in each for each in kept), "the session is not in Redis at all"
    assert [each for each in kept for secret in secrets if secret in each] == []
    assert not Session.objects.filter(pk=key_of(client)).exists()


def test_what_else_a_session_holds_stays_in_the_database(viewer: User, client_of: ClientOf, cache_prefix: str) -> None:
    client = client_of(viewer)
    session = client.session
    session["_password_reset_token"] = "open-sesame"
    session.save()

    held = SessionStore(session.session_key).load()

    assert held["_password_reset_token"] == "open-sesame"
    assert assert_hits(stored_session, row_key=row_key(key_of(client))).data is None


def test_the_data_of_one_session_opens_no_other(viewer: User, superuser: User, client_of: ClientOf) -> None:
    own, strong = key_of(client_of(viewer)), key_of(client_of(superuser))
    stolen = Session.objects.get(pk=row_key(strong)).session_data

    Session.objects.filter(pk=row_key(own)).update(session_data=stolen)

    assert SessionStore(strong).load()["_auth_user_id"] == str(superuser.pk)
    assert SessionStore(own).load() == {}


def test_a_session_that_is_gone_is_not_made_anew_by_a_request_under_way(viewer: User, client_of: ClientOf) -> None:
    client = client_of(viewer)
    session = client.session
    assert session.get("_auth_user_id")
    in_another_thread(SessionStore(session.session_key).flush)

    with pytest.raises(UpdateError):
        session.save()

    assert not Session.objects.exists()


def test_the_asynchronous_methods_tell_the_same(viewer: User, client_of: ClientOf) -> None:
    key = key_of(client_of(viewer))
    store = SessionStore(key)

    assert async_to_sync(store.aload)() == SessionStore(key).load() != {}
    assert async_to_sync(store.aexists)(key)
    async_to_sync(store.adelete)(key)
    assert not async_to_sync(store.aexists)(key)
    made = SessionStore()
    made["a"] = 1
    async_to_sync(made.asave)()
    assert SessionStore(made.session_key).load() == {"a": 1}


def test_a_key_that_nobody_was_given_opens_an_empty_session() -> None:
    store = SessionStore("invented" * 4)

    assert (store.load(), store.session_key) == ({}, None)
