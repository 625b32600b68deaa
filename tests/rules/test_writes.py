"""Rules of writing: fences, the gate every commit leaves through, what it does when it fails, which writes are seen."""

from contextlib import contextmanager

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models.signals import pre_save

from equipment.models import Equipment, Manufacturer
from equipment.tests.recipes import device
from invalidation import conf, entries, fences, keeper, proof, statements
from invalidation.exceptions import StoreError, WriteRefusedError
from invalidation.store import Store, store
from invalidation.testing import assert_hits, in_another_thread, interleave, points_reached
from tests.rules.makers import (
    committed,
    count_of,
    fence_on_table,
    is_hit,
    is_stored,
    key_of_table,
    maker,
    names,
    rename,
)
from tests.staleness.troubles import TROUBLES, trouble_at

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("cache_in_use")]


class Undone(Exception):
    """Raised to have a transaction rolled back."""


# Fences


def test_a_second_writers_lift_leaves_the_first_ones_fence(monkeypatch):
    monkeypatch.setattr(conf, "FENCE_PATIENCE_SECONDS", 60)  # no proof is asked for
    maker()
    first, second = fence_on_table(), fence_on_table()

    fences.raise_(first)
    fences.raise_(second)
    fences.lift(second)
    names()

    assert not is_stored(names)


def test_from_the_raise_on_an_entry_is_dead_even_if_the_fence_is_lost():
    maker()
    assert_hits(names)

    fences.raise_(fence_on_table())
    state = store().command("GET", key_of_table()).value
    store().command("SET", key_of_table(), entries.stamp_of(state))

    assert not is_hit(names)


def test_a_fence_is_not_evicted_while_its_commit_can_happen(actors, troubled_redis):
    pk = maker()
    writer = actors.thread("writer")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")

    troubled_redis.evict_volatile_keys()
    assert names() == ["old"]
    writer.go_on(to="after_commit")
    committed_under_the_fence = names()
    writer.go_on()
    saving.result()

    assert committed_under_the_fence == ["new"]


def test_a_fence_goes_by_proof_and_not_by_the_clock(actors, monkeypatch):
    monkeypatch.setattr(conf, "FENCE_PATIENCE_SECONDS", 0)
    monkeypatch.setattr(proof, "ATTEMPT_EVERY_SECONDS", 0)
    prover = proof.prover_of(connection.database_name)
    prover._next_attempt = 0
    pk = maker()
    writer = actors.thread("writer")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")

    assert [names(), names()] == [["old"], ["old"]]
    keeper.resolve_standing(at_once=True)
    standing = keeper.standing()
    writer.go_on(to="after_commit")
    committed_under_the_fence = names()
    writer.go_on()
    saving.result()

    assert standing
    assert committed_under_the_fence == ["new"]


# Acknowledged, or unknown


@pytest.mark.parametrize("trouble", ["full", "busy"])
def test_an_error_is_no_acknowledgement_of_a_fence(troubled_redis, trouble):
    pk = maker()
    assert_hits(names)

    with (
        trouble_at("before_raise", TROUBLES[trouble], troubled_redis),
        pytest.raises(WriteRefusedError),
    ):
        rename(pk=pk, name="new")

    assert committed(pk=pk) == "old"


@pytest.mark.parametrize("trouble", ["killed connections", "hung"])
def test_a_broken_connection_is_no_proof_of_a_dead_server(troubled_redis, trouble):
    pk = maker()
    assert_hits(names)

    with (
        trouble_at("before_raise", TROUBLES[trouble], troubled_redis),
        pytest.raises(WriteRefusedError),
    ):
        rename(pk=pk, name="new")

    assert committed(pk=pk) == "old"


# A refusal


def fail():
    raise RuntimeError("something before the commit")


def test_what_is_refused_at_the_gate_is_not_committed():
    pk = maker()

    with (
        interleave("before_raise", fail),
        pytest.raises(Exception, match="something before the commit"),
    ):
        rename(pk=pk, name="new")

    assert committed(pk=pk) == "old"
    rename(pk=pk, name="newest")
    assert committed(pk=pk) == "newest"


def test_a_refusal_is_an_error_of_the_database_to_django():
    pk = maker()

    with interleave("before_raise", fail), pytest.raises(OperationalError):
        rename(pk=pk, name="new")


def test_a_refusal_ends_the_transaction_right_there():
    pk = maker()
    transaction.set_autocommit(False)
    try:
        rename(pk=pk, name="new")
        with interleave("after_raise", fail), pytest.raises(WriteRefusedError):
            transaction.commit()

        is_open = connection.is_in_transaction()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert not is_open
    assert keeper.standing() == {}


def test_switching_autocommit_on_commits_through_the_gate():
    pk = maker()
    assert_hits(names)

    transaction.set_autocommit(False)
    rename(pk=pk, name="new")
    transaction.set_autocommit(True)

    assert names() == ["new"]


def test_a_lift_that_fails_is_no_error_of_the_write(monkeypatch):
    pk = maker()
    assert_hits(names)
    run = Store.run

    def without_lift(self, name, *args, **kwargs):
        if name == "lift":
            raise StoreError("the server is gone")
        return run(self, name, *args, **kwargs)

    monkeypatch.setattr(Store, "run", without_lift)
    rename(pk=pk, name="new")

    assert committed(pk=pk) == "new"
    assert names() == ["new"]


# What is pending


def is_clean():
    """Whether a transaction that only reads raises no fence, and stores what it reads."""
    with points_reached() as reached, transaction.atomic():
        names()
    return "before_raise" not in reached and is_stored(names)


def test_nothing_is_pending_after_a_commit():
    maker()

    assert is_clean()


def test_nothing_is_pending_after_a_rollback():
    pk = maker()

    transaction.set_autocommit(False)
    try:
        rename(pk=pk, name="never")
        transaction.rollback()
        with points_reached() as reached:
            names()
            transaction.commit()
    finally:
        transaction.set_autocommit(True)

    assert "before_raise" not in reached
    assert is_stored(names)


@transaction.atomic
def rename_in_vain(*, pk):
    rename(pk=pk, name="never")
    raise Undone


def test_nothing_is_pending_after_a_failed_transaction():
    pk = maker()

    with pytest.raises(Undone):
        rename_in_vain(pk=pk)

    assert is_clean()


def test_nothing_is_pending_on_a_connection_made_anew():
    pk = maker()

    transaction.set_autocommit(False)
    rename(pk=pk, name="never")
    connection.close()

    assert is_clean()
    assert names() == ["old"]


# Which writes are seen


def test_a_failed_save_hides_no_later_update():
    pk = maker()
    assert_hits(names)

    @contextmanager
    def failing_saves():
        def refuse(**kwargs):
            raise Undone

        pre_save.connect(refuse, sender=Manufacturer)
        try:
            yield
        finally:
            pre_save.disconnect(refuse, sender=Manufacturer)

    found = Manufacturer.objects.get(pk=pk)
    with failing_saves(), pytest.raises(Undone):
        found.save()
    rename(pk=pk, name="new")

    assert names() == ["new"]


def move(*, pk, data_type):
    Equipment.objects.filter(pk=pk).update(data_type=data_type)


def test_the_scope_that_a_row_leaves_is_the_one_it_is_in_at_the_write():
    loaded = Equipment.objects.get(pk=device.make(data_type="ppm").pk)
    in_another_thread(move, pk=loaded.pk, data_type="ocm")
    assert assert_hits(count_of, data_type="ocm") == 1

    loaded.data_type = "none"
    loaded.save()

    assert [count_of(data_type=each) for each in ("ppm", "ocm", "none")] == [0, 0, 1]


def move_without_waiting(*, pk, data_type):
    """Raises OperationalError where somebody else holds the row, or the file."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0" if connection.vendor == "sqlite" else "SET lock_timeout = 100")
    move(pk=pk, data_type=data_type)


def test_nobody_moves_a_row_between_the_look_at_its_scope_and_the_write(monkeypatch):
    monkeypatch.setattr(statements, "observers", [])  # the audit takes locks of its own
    pk = device.make(data_type="ppm").pk
    refused = []

    def another_moves_it_first(execute, sql, params, many, context):
        if sql.startswith("UPDATE") and not refused:
            refused.append(None)
            try:
                in_another_thread(move_without_waiting, pk=pk, data_type="ocm")
            except DatabaseError as error:
                refused[0] = error
            in_another_thread(count_of, data_type="ocm")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(another_moves_it_first):
        move(pk=pk, data_type="none")

    assert refused[0] is not None
    assert [count_of(data_type=each) for each in ("ppm", "ocm", "none")] == [0, 0, 1]
