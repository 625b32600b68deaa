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
    return lambda name: f"{cache_prefix}:tag:{name}"


@pytest.fixture
def raise_(store, key):
    """Raise a fence: token, stamp, prefix of ended tokens."""
    return lambda *arguments, tag="tag": store.run("raise", [store.names.fenced, key(tag)], arguments)


@pytest.fixture
def lift(store, key):
    """Lift tokens off tags; at most `remove` dead entries go."""

    def call(stamp, how, *tokens, tags=("tag",), remove=100):
        keys = [store.names.fenced, store.names.dirty, *map(key, tags)]
        return store.run("lift", keys, (stamp, TTL_MS, how, remove, store.names.prefix, *tokens)).value

    return call


@pytest.fixture
def finish(store, key):
    """End a computation; "0" as TTL stores nothing."""

    def call(token, data, ttl="0", indexes=()):
        keys = [key("lease"), key("result"), key("wanted"), key("entry"), *indexes]
        return store.run("finish", keys, (token, data, 1000, ttl, 2)).value

    return call


def get(store, key):
    value = store.command("GET", key).value
    return value.decode() if value is not None else None


def test_two_fences_stand_side_by_side(store, key, raise_):
    raise_("one", "stamp1", "")
    raise_("two", "stamp2", "")

    assert get(store, key("tag")) == "stamp2 one two"


def test_a_fence_takes_the_place_of_the_stamp_and_of_the_ttl(store, key, raise_):
    store.command("SET", key("tag"), "old", "PX", TTL_MS)

    raise_("one", "new", "")

    assert get(store, key("tag")) == "new one"
    assert store.command("PTTL", key("tag")).value == -1


def test_raising_twice_leaves_one_fence(store, key, raise_):
    for stamp in ("first", "second"):
        raise_("one", stamp, "")

    assert get(store, key("tag")) == "second one"


def test_a_writer_that_holds_the_lock_removes_those_that_ended(store, key, raise_):
    for token in ("sqlite!db!!dead", "postgresql!db!9!alive"):
        raise_(token, "s", "")

    raise_("sqlite!db!!mine", "new", "sqlite!db!")

    assert get(store, key("tag")) == "new postgresql!db!9!alive sqlite!db!!mine"


def test_lifting_takes_only_ones_own_fence_and_replaces_the_stamp(store, key, raise_, lift):
    for token in ("one", "two"):
        raise_(token, "s", "")

    lift("after", "1", "one")

    assert get(store, key("tag")) == "after two"
    assert store.command("PTTL", key("tag")).value == -1


def test_the_last_fence_gone_the_tag_has_its_ttl_again(store, key, raise_, lift):
    raise_("one", "s", "")

    lift("after", "1", "one")

    assert get(store, key("tag")) == "after"
    assert 0 < store.command("PTTL", key("tag")).value <= TTL_MS


def test_a_writers_lift_replaces_the_stamp_although_its_fence_was_lost(store, key, lift):
    store.command("SET", key("tag"), "minted-meanwhile")

    lift("after", "1", "one")

    assert get(store, key("tag")) == "after"


def test_a_proof_leaves_tags_alone_on_which_none_of_its_tokens_stands(store, key, raise_, lift):
    raise_("newer", "s", "")

    lift("after", "0", "older", tags=("tag", "missing"))

    assert (get(store, key("tag")), get(store, key("missing"))) == ("s newer", None)


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


def test_only_the_present_holder_of_the_lease_publishes(store, key, finish):
    store.command("SET", key("lease"), "newer")
    store.command("SET", key("wanted"), "1")

    published = finish("older", "value")

    assert published == 0
    assert (get(store, key("result")), get(store, key("lease"))) == (None, "newer")


def test_who_finishes_publishes_and_gives_the_lease_back(store, key, finish):
    store.command("SET", key("lease"), "one")
    store.command("SET", key("wanted"), "1")

    published = finish("one", "value")

    assert published == 1
    assert (get(store, key("result")), get(store, key("lease"))) == ("value", None)


def test_nobody_waiting_nothing_is_published(store, key, finish):
    store.command("SET", key("lease"), "one")

    assert finish("one", "value") == 1
    assert get(store, key("result")) is None


def test_an_entry_is_stored_and_listed_up_to_the_bound_of_an_index(store, key, finish):
    index = store.names.index("t")
    store.pipeline([("SADD", index, "other", "another")])

    finish("one", "value", 5000, indexes=(index, store.names.index("u")))

    assert get(store, key("entry")) == "value"
    assert store.command("SISMEMBER", index, key("entry")).value == 0
    assert store.command("SISMEMBER", store.names.index("u"), key("entry")).value == 1
    assert 0 < store.command("PTTL", store.names.index("u")).value <= 5000


def test_a_lift_removes_dead_entries_up_to_its_bound_and_names_the_rest(store, key, raise_, lift):
    raise_("one", "s", "")
    entries = [key(f"entry{number}") for number in range(5)]
    store.pipeline([("SET", entry, "x") for entry in entries] + [("SADD", store.names.index("tag"), *entries)])

    assert lift("after", "1", "one", remove=3) == [3, 1]

    assert store.command("EXISTS", *entries).value == 2
    assert store.command("SMEMBERS", store.names.dirty).value == [store.names.index("tag").encode()]


def test_a_sweep_takes_the_rest_and_forgets_an_empty_index(store, key):
    index = store.names.index("tag")
    store.pipeline([("SET", key("entry"), "x"), ("SADD", index, key("entry")), ("SADD", store.names.dirty, index)])

    assert store.run("sweep", [store.names.dirty, index], (10,)).value == 1

    assert store.command("EXISTS", key("entry"), index, store.names.dirty).value == 0


def test_the_fenced_tags_are_listed_until_the_last_fence_is_lifted(store, key, raise_, lift):
    raise_("one", "s", "")
    raise_("two", "s", "")
    lift("after", "1", "one")
    assert store.command("SMEMBERS", store.names.fenced).value == [key("tag").encode()]

    lift("after", "1", "two")

    assert store.command("EXISTS", store.names.fenced).value == 0


@pytest.mark.parametrize(
    ("before", "how", "after"),
    [
        ("run:a", "renew", "run:b"),
        ("run:a:quarantine", "renew", "run:b:quarantine"),
        ("other:a", "renew", "run:b:quarantine"),
        ("run:a", "quarantine", "run:b:quarantine"),
        ("run:a", "ensure", "run:a"),
    ],
)
def test_a_renewed_epoch_is_in_quarantine_wherever_fences_may_be_missing(store, key, before, how, after):
    store.command("SET", key("epoch"), before)

    assert store.run("epoch", [key("epoch")], ("run", "b", how)).value == after.encode()


def test_only_the_holder_renews_a_lease(store, key):
    store.command("SET", key("lease"), "one", "PX", 1000)

    assert store.run("renew", [key("lease")], ("two", 50_000)).value == 0
    assert store.command("PTTL", key("lease")).value <= 1000
    assert store.run("renew", [key("lease")], ("one", 50_000)).value == 1
    assert store.command("PTTL", key("lease")).value > 1000


def test_a_missing_epoch_begins_in_quarantine_once_for_all(store, key):
    first = store.run("epoch", [key("epoch")], ("run", "a", "ensure")).value
    second = store.run("epoch", [key("epoch")], ("run", "b", "ensure")).value

    assert first == second == b"run:a:quarantine"


def test_the_epoch_of_another_run_is_replaced(store, key):
    store.command("SET", key("epoch"), "run1:a")

    assert store.run("epoch", [key("epoch")], ("run", "b", "ensure")).value == b"run:b:quarantine"


def test_a_quarantine_that_began_after_the_proof_is_not_ended_by_it(store, key):
    store.command("SET", key("epoch"), "run:b:quarantine")

    assert store.run("settle", [key("epoch")], ("run:a:quarantine", "run:c")).value == 0
    assert get(store, key("epoch")) == "run:b:quarantine"


def test_scripts_survive_that_the_server_forgets_them(store, key, raise_):
    raise_("one", "s", "")
    store.command("SCRIPT", "FLUSH")

    raise_("two", "t", "")

    assert get(store, key("tag")) == "t one two"


def test_tokens_never_come_twice():
    assert len({new_token() for _number in range(10_000)}) == 10_000
