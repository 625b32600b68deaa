"""The scripts, on a real server: fences are sets, leases have one holder, an epoch is never minted in passing."""

import pytest

from invalidation.store import Store, new_token

pytestmark = pytest.mark.once

TTL_MS = 60_000


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def key(cache_prefix):
    return lambda name: f"{cache_prefix}:test:{name}"


def get(store, key):
    value = store.command("GET", key).value
    return value.decode() if value is not None else None


def test_two_fences_stand_side_by_side(store, key):
    store.run("raise", [key("tag")], ("one", "stamp1", ""))
    store.run("raise", [key("tag")], ("two", "stamp2", ""))

    assert get(store, key("tag")) == "stamp2 one two"


def test_a_fence_takes_the_place_of_the_stamp_and_of_the_ttl(store, key):
    store.command("SET", key("tag"), "old", "PX", TTL_MS)

    store.run("raise", [key("tag")], ("one", "new", ""))

    assert get(store, key("tag")) == "new one"
    assert store.command("PTTL", key("tag")).value == -1


def test_raising_twice_leaves_one_fence(store, key):
    for stamp in ("first", "second"):
        store.run("raise", [key("tag")], ("one", stamp, ""))

    assert get(store, key("tag")) == "second one"


def test_a_writer_that_holds_the_lock_removes_those_that_ended(store, key):
    for token in ("sqlite!db!!dead", "postgresql!db!9!alive"):
        store.run("raise", [key("tag")], (token, "s", ""))

    store.run("raise", [key("tag")], ("sqlite!db!!mine", "new", "sqlite!db!"))

    assert get(store, key("tag")) == "new postgresql!db!9!alive sqlite!db!!mine"


def test_lifting_takes_only_ones_own_fence_and_replaces_the_stamp(store, key):
    for token in ("one", "two"):
        store.run("raise", [key("tag")], (token, "s", ""))

    store.run("lift", [key("tag")], ("after", TTL_MS, "1", "one"))

    assert get(store, key("tag")) == "after two"
    assert store.command("PTTL", key("tag")).value == -1


def test_the_last_fence_gone_the_tag_has_its_ttl_again(store, key):
    store.run("raise", [key("tag")], ("one", "s", ""))

    store.run("lift", [key("tag")], ("after", TTL_MS, "1", "one"))

    assert get(store, key("tag")) == "after"
    assert 0 < store.command("PTTL", key("tag")).value <= TTL_MS


def test_a_writers_lift_replaces_the_stamp_although_its_fence_was_lost(store, key):
    store.command("SET", key("tag"), "minted-meanwhile")

    store.run("lift", [key("tag")], ("after", TTL_MS, "1", "one"))

    assert get(store, key("tag")) == "after"


def test_a_proof_leaves_tags_alone_on_which_none_of_its_tokens_stands(store, key):
    store.run("raise", [key("tag")], ("newer", "s", ""))

    changed = store.run("lift", [key("tag"), key("missing")], ("after", TTL_MS, "0", "older")).value

    assert (changed, get(store, key("tag")), get(store, key("missing"))) == (0, "s newer", None)


def test_of_two_computations_one_gets_the_lease(store, key):
    keys = [key("lease"), key("epoch"), key("tag")]

    first = store.run("begin", keys, ("one", 1000, TTL_MS, "s1")).value
    second = store.run("begin", keys, ("two", 1000, TTL_MS, "s2")).value

    assert (first[0], second[0]) == (b"one", b"one")
    assert first[2] == second[2] == b"s1"


def test_beginning_a_fill_never_mints_an_epoch(store, key):
    answer = store.run("begin", [key("lease"), key("epoch"), key("tag")], ("one", 1000, TTL_MS, "s")).value

    assert answer[1] is None
    assert get(store, key("epoch")) is None


def test_only_the_present_holder_of_the_lease_publishes(store, key):
    store.command("SET", key("lease"), "newer")

    published = store.run("finish", [key("lease"), key("result")], ("older", "value", 1000)).value

    assert published == 0
    assert (get(store, key("result")), get(store, key("lease"))) == (None, "newer")


def test_who_finishes_publishes_and_gives_the_lease_back(store, key):
    store.command("SET", key("lease"), "one")

    published = store.run("finish", [key("lease"), key("result")], ("one", "value", 1000)).value

    assert published == 1
    assert (get(store, key("result")), get(store, key("lease"))) == ("value", None)


def test_only_the_holder_renews_a_lease(store, key):
    store.command("SET", key("lease"), "one", "PX", 1000)

    assert store.run("renew", [key("lease")], ("two", 50_000)).value == 0
    assert store.command("PTTL", key("lease")).value <= 1000
    assert store.run("renew", [key("lease")], ("one", 50_000)).value == 1
    assert store.command("PTTL", key("lease")).value > 1000


def test_a_missing_epoch_begins_in_quarantine_once_for_all(store, key):
    first = store.run("epoch", [key("epoch")], ("run", "a", "0")).value
    second = store.run("epoch", [key("epoch")], ("run", "b", "0")).value

    assert first == second == b"run:a:quarantine"


def test_the_epoch_of_another_run_is_replaced(store, key):
    store.command("SET", key("epoch"), "run1:a")

    assert store.run("epoch", [key("epoch")], ("run", "b", "0")).value == b"run:b:quarantine"


def test_a_quarantine_that_began_after_the_proof_is_not_ended_by_it(store, key):
    store.command("SET", key("epoch"), "run:b:quarantine")

    assert store.run("settle", [key("epoch")], ("run:a:quarantine", "run:c")).value == 0
    assert get(store, key("epoch")) == "run:b:quarantine"


def test_scripts_survive_that_the_server_forgets_them(store, key):
    store.run("raise", [key("tag")], ("one", "s", ""))
    store.command("SCRIPT", "FLUSH")

    store.run("raise", [key("tag")], ("two", "t", ""))

    assert get(store, key("tag")) == "t one two"


def test_tokens_never_come_twice():
    assert len({new_token() for _number in range(10_000)}) == 10_000
