"""Rules of reading: stamps, leases, results handed on, and what a computation may use and return."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.utils.translation import gettext_lazy

from equipment.models import Manufacturer
from invalidation import conf, entries, epoch, keys
from invalidation.backends.fenced import FencedConnection
from invalidation.exceptions import UndeclaredDependencyError, UnkeyableValueError
from invalidation.store import store
from invalidation.tags import sometimes, table
from invalidation.testing import assert_hits, in_another_thread, interleave
from tests.rules.makers import (
    committed,
    has_waiter,
    is_stored,
    key_of_table,
    loud_names,
    maker,
    name_of,
    names,
    rename,
    tag_of_table,
    unregistered,
    wait_for_waiter,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]


# Stamps


def test_a_stamp_never_comes_again_after_its_tag_was_evicted():
    pk = maker()
    store().command("DEL", key_of_table())
    assert_hits(names)  # gives the tag a stamp
    assert_hits(loud_names)
    store().command("DEL", store().names.index(tag_of_table()))  # evicted: the writer removes no entry
    rename(pk=pk, name="new")
    assert is_stored(loud_names)

    store().command("DEL", key_of_table())
    assert names() == ["new"]  # gives it a stamp again

    assert loud_names() == ["NEW"]


def test_stamps_are_taken_before_the_first_query():
    pk = maker()

    with interleave("after_compute", lambda: in_another_thread(rename, pk=pk, name="new")):
        assert names() == ["old"]  # it began before the commit

    assert names() == ["new"]


def test_a_missing_epoch_is_not_minted_on_the_way(actors, troubled_redis):
    pk = maker()
    writer = actors.thread("writer")
    saving = []

    def forget():
        saving.append(writer.run_to("after_raise", rename, pk=pk, name="new"))
        troubled_redis.flush_all()

    with interleave("after_lookup", forget):
        names()
    assert loud_names() == ["OLD"]
    writer.go_on(to="after_commit")
    under_a_forgotten_fence = loud_names()
    writer.go_on()
    saving[0].result()

    assert under_a_forgotten_fence == ["NEW"]


# One computation at a time


def test_a_waiter_takes_no_result_that_was_begun_before_it_came(actors):
    pk = maker()
    early, late = actors.thread("early"), actors.thread("late")
    computing = early.run_to("after_compute", names)
    rename(pk=pk, name="new")

    waiting = late.begin(names)
    wait_for_waiter(names)
    early.go_on()

    assert computing.result() == ["old"]
    assert waiting.result() == ["new"]


def test_a_waiter_takes_no_result_of_another_epoch(actors):
    pk = maker()
    names()
    old = store().command("GET", names.key()).value
    assert entries.decode(old).value == names.codec.encode(["old"])
    rename(pk=pk, name="new")
    computer, late = actors.thread("computer"), actors.thread("late")
    computing = computer.run_to("before_compute", names)

    waiting = late.begin(names)
    wait_for_waiter(names)
    # What a server knows that came back from an older image: a result that was handed on then.
    present = epoch.settled(epoch.ensure())
    store().command("MSET", keys.result_key(names.key()), old, store().names.epoch, present)

    assert waiting.result() == ["new"]
    computer.go_on()
    assert computing.result() == ["new"]


def test_only_the_present_holder_of_the_lease_publishes(actors):
    pk = maker()
    slow, quick, late = actors.thread("slow"), actors.thread("quick"), actors.thread("late")
    slowly = slow.run_to("after_compute", names)
    rename(pk=pk, name="new")
    store().command("DEL", keys.lease_key(names.key()))  # it ran out: its holder was suspended
    quickly = quick.run_to("after_compute", names)
    waiting = late.begin(names)
    wait_for_waiter(names)

    slow.go_on()
    assert slowly.result() == ["old"]
    assert store().command("EXISTS", keys.result_key(names.key())).value == 0
    quick.go_on()

    assert quickly.result() == ["new"]
    assert waiting.result() == ["new"]


def test_the_database_connection_is_in_hand_before_the_lease_is_taken(monkeypatch):
    maker()
    names()
    connect = FencedConnection.connect
    leases = []

    def noted(self):
        leases.append(store().command("EXISTS", keys.lease_key(loud_names.key())).value)
        connect(self)

    monkeypatch.setattr(FencedConnection, "connect", noted)
    connection.close()
    loud_names()

    assert leases == [0]


def test_who_is_inside_a_transaction_waits_for_nobody(actors, monkeypatch):
    monkeypatch.setattr(conf, "LONGEST_WAIT_SECONDS", 0.1)
    maker()
    computer = actors.thread("computer")
    computing = computer.run_to("before_compute", names)

    with transaction.atomic():
        assert names() == ["old"]

    assert not has_waiter(names)
    computer.go_on()
    computing.result()


@unregistered("rules:outer", needs=[])
def names_inside() -> list[str]:
    return names()


def test_who_holds_a_lease_waits_for_nobody(actors, monkeypatch):
    monkeypatch.setattr(conf, "LONGEST_WAIT_SECONDS", 0.1)
    maker()
    computer = actors.thread("computer")
    computing = computer.run_to("before_compute", names)

    assert names_inside() == ["old"]

    assert not has_waiter(names)
    computer.go_on()
    computing.result()


def test_every_wait_is_bounded(actors, monkeypatch):
    monkeypatch.setattr(conf, "LONGEST_WAIT_SECONDS", 0.1)
    maker()
    computer, late = actors.thread("computer"), actors.thread("late")
    computing = computer.run_to("before_compute", names)

    waiting = late.begin(names)

    assert waiting.ends_within(5)
    computer.go_on()
    assert computing.result() == waiting.result() == ["old"]


# A fill uses nothing read earlier


@unregistered("rules:of_instance", needs=[table(Manufacturer)])
def name_of_instance(*, found: Any) -> str:
    return Manufacturer.objects.values_list("name", flat=True).get(pk=found.pk)


def test_an_instance_is_no_parameter():
    found = Manufacturer.objects.get(pk=maker())

    with pytest.raises(UnkeyableValueError):
        name_of_instance(found=found)


@unregistered("rules:lazy", needs=[sometimes(table(Manufacturer))])
def lazy_text() -> str:
    text: Any = gettext_lazy("Name")
    return text


@unregistered("rules:queryset", needs=[sometimes(table(Manufacturer))])
def lazy_rows() -> list[str]:
    rows: Any = Manufacturer.objects.values_list("name", flat=True)
    return rows


@pytest.mark.parametrize("read", [lazy_text, lazy_rows])
def test_a_lazy_value_is_no_result(read):
    with pytest.raises(TypeError, match="finished"):
        read()

    assert not is_stored(read)


def test_what_was_read_earlier_is_noticed():
    earlier = Manufacturer.objects.get(pk=maker())

    @unregistered("rules:earlier", needs=[table(Manufacturer)])
    def name_of_earlier() -> str:
        return earlier.name

    with pytest.raises(UndeclaredDependencyError, match="earlier"):
        name_of_earlier()

    assert not is_stored(name_of_earlier)


# Reads inside reads


@unregistered("rules:twice", needs=[])
def name_twice(*, pk: int) -> list[str]:
    return [name_of(pk=pk), name_of(pk=pk)]


def test_a_value_of_two_stamps_of_one_tag_is_not_used_again():
    pk = maker()

    with interleave("after_store", lambda: in_another_thread(rename, pk=pk, name="new")):
        assert name_twice(pk=pk) == ["old", "new"]

    assert name_twice(pk=pk) == ["new", "new"]


@unregistered("rules:own_and_inner", needs=[table(Manufacturer)])
def own_and_inner_names() -> list[list[str]]:
    own = list(Manufacturer.objects.order_by("pk").values_list("name", flat=True))
    return [own, names()]


def test_a_value_older_than_a_read_inside_it_is_not_used_again():
    pk = maker()

    with interleave("before_lookup", lambda: in_another_thread(rename, pk=pk, name="new"), passing=1):
        assert own_and_inner_names() == [["old"], ["new"]]

    assert own_and_inner_names() == [["new"], ["new"]]


@unregistered("rules:bypassing", needs=[])
def bypassed_name(*, pk: int) -> str:
    return name_of.bypass(pk=pk)


def test_a_value_with_a_bypass_inside_is_not_stored():
    pk = maker()
    bypassed_name(pk=pk)

    rename(pk=pk, name="new")

    assert bypassed_name(pk=pk) == committed(pk=pk) == "new"
    assert not is_stored(bypassed_name, pk=pk)
