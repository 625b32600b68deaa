"""Situations 1 to 4: what is read while a transaction is under way, after it, and after it was rolled back."""

from contextlib import contextmanager, suppress

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import Equipment
from equipment.tests.recipes import device
from invalidation import points
from invalidation.testing import assert_hits, assert_no_queries, in_another_thread
from tests.staleness.reads import count_of_programme, device_name, device_names, names_of_programme

pytestmark = pytest.mark.django_db(transaction=True)

# On the way of a read that finds no entry: its query is over, nothing is stored; stored, and not yet handed out.
STEPS_OF_A_FILL = ["after_compute", "after_store"]
# On the way of a write: fences not up yet; up and nothing committed; committed and fences still up; fences down.
STEPS_OF_A_COMMIT = ["before_raise", "after_raise", "after_commit", "after_lift"]


class Undone(Exception):
    """Raised to have a transaction rolled back."""


@contextmanager
def undone():
    """A transaction, or a savepoint within another, that is rolled back at the end of the block."""
    with suppress(Undone), transaction.atomic():
        yield
        raise Undone


def rename(*, pk, name):
    Equipment.objects.filter(pk=pk).update(name=name)


def rename_by_saving(*, pk, name):
    found = Equipment.objects.get(pk=pk)
    found.name = name
    found.save()


def rename_in_nested_transactions(*, pk, name):
    """Stands once at `before_compute` when the inner block is over and the outer is not."""
    with transaction.atomic():
        with transaction.atomic():
            rename_by_saving(pk=pk, name=name)
        points.reach("before_compute")


def rename_and_break_a_constraint(*, pk):
    with transaction.atomic():
        rename_by_saving(pk=pk, name="never")
        device.make(name="never either", serial=Equipment.objects.get(pk=pk).serial)


def rename_twice(*, pk, name):
    rename(pk=pk, name=f"{name}, first")
    rename(pk=pk, name=name)


# 1. Reader fill


@pytest.mark.parametrize("step", STEPS_OF_A_FILL)
@pytest.mark.parametrize("write", [rename, rename_by_saving, rename_twice])
def test_01_reader_fill_of_the_old_value_is_refused(process, everywhere, step, write):
    pk = device.make(name="old").pk
    filler, writer = process("filler"), process("writer")

    filling = filler.run_to(step, device_name, pk=pk)
    writer.call(write, pk=pk, name="new")
    filler.go_on()

    assert filling.result() in {"old", "new"}  # it began before the commit
    assert everywhere(device_name, pk=pk) == "new"


@pytest.mark.parametrize("step", STEPS_OF_A_COMMIT)
def test_01_reader_fill_across_each_step_of_a_commit_is_refused(process, everywhere, step):
    pk = device.make(name="old").pk
    filler, writer = process("filler"), process("writer")

    # The fill has its stamps and the old value; it is stored while the writer stands in the midst of its commit.
    filling = filler.run_to("after_compute", device_name, pk=pk)
    writing = writer.run_to(step, rename, pk=pk, name="new")
    filler.go_on()
    filling.result()
    committed = step in {"after_commit", "after_lift"}
    meanwhile = everywhere(device_name, pk=pk)
    writer.go_on()
    writing.result()

    assert meanwhile == ("new" if committed else "old")
    assert everywhere(device_name, pk=pk) == "new"


def test_01_reader_fill_that_begins_after_a_commit_sees_it_before_the_fence_is_lifted(process, everywhere):
    pk = device.make(name="old").pk
    assert_hits(device_name, pk=pk)
    writer = process("writer")

    writing = writer.run_to("after_commit", rename, pk=pk, name="new")
    under_the_fence = everywhere(device_name, pk=pk)
    writer.go_on()
    writing.result()

    assert under_the_fence == "new"
    assert everywhere(device_name, pk=pk) == "new"


def test_01_reader_fill_does_not_survive_a_second_writer_of_the_same_table(process, everywhere):
    first, second = device.make(name="first").pk, device.make(name="second").pk
    filler, writer = process("filler"), process("writer")

    filling = filler.run_to("after_compute", device_names)
    # The other row's commit is over before the fill is stored, and only the table's tag is shared with it.
    writer.call(rename, pk=second, name="second, new")
    writing = writer.run_to("after_raise", rename, pk=first, name="first, new")
    filler.go_on()
    filling.result()
    writer.go_on()
    writing.result()

    assert everywhere(device_names) == ["first, new", "second, new"]


# 2. Flush inside an open transaction


@pytest.mark.parametrize("step", ["before_raise", "after_raise"])
@pytest.mark.parametrize("write", [rename, rename_by_saving])
def test_02_flush_inside_an_open_transaction_is_followed_by_one_at_the_commit(process, everywhere, step, write):
    pk = device.make(name="old").pk
    writer = process("writer")

    writing = writer.run_to(step, write, pk=pk, name="new")
    while_open = everywhere(device_name, pk=pk)
    writer.go_on()
    writing.result()

    assert while_open == "old"
    assert everywhere(device_name, pk=pk) == "new"


def test_02_flush_after_an_inner_block_does_not_count_as_the_commit(process, everywhere):
    pk = device.make(name="old").pk
    writer = process("writer")

    writing = writer.run_to("before_compute", rename_in_nested_transactions, pk=pk, name="new")
    # Nothing stands in the way of an entry yet, so it is stored and used.
    while_open = assert_hits(device_name, pk=pk)
    writer.go_on()
    writing.result()

    assert while_open == "old"
    assert everywhere(device_name, pk=pk) == "new"


# 3. Task from on_commit


@pytest.mark.parametrize("write", [rename, rename_by_saving])
def test_03_task_from_on_commit_sees_the_new_data(process, reader, write):
    pk = device.make(name="old").pk
    assert_hits(device_name, pk=pk)
    seen = []

    def begin_tasks():
        seen.append(reader.call(device_name, pk=pk))
        seen.append(in_another_thread(device_name, pk=pk))
        seen.append(device_name(pk=pk))

    with transaction.atomic():
        write(pk=pk, name="new")
        transaction.on_commit(begin_tasks)

    assert seen == ["new", "new", "new"]


def test_03_task_from_on_commit_finds_the_fences_down_and_may_store(reader, watched):
    pk = device.make(name="old").pk
    found = []

    def begin_task():
        reader.call(device_name, pk=pk)
        with assert_no_queries():
            found.append(device_name(pk=pk))

    with transaction.atomic(), transaction.atomic():
        rename(pk=pk, name="new")
        transaction.on_commit(begin_task)

    assert found == ["new"]


def test_03_task_from_on_commit_that_writes_is_seen_by_the_next(reader, everywhere):
    pk = device.make(name="old").pk
    seen = []

    def write_again():
        seen.append(reader.call(device_name, pk=pk))
        rename(pk=pk, name="newest")
        seen.append(reader.call(device_name, pk=pk))

    with transaction.atomic():
        rename(pk=pk, name="new")
        transaction.on_commit(write_again)

    assert seen == ["new", "newest"]
    assert everywhere(device_name, pk=pk) == "newest"


# 4. Rollback


@pytest.mark.parametrize("is_filled_before", [True, False])
@pytest.mark.parametrize("write", [rename, rename_by_saving])
def test_04_rollback_leaves_nothing_uncommitted_visible(everywhere, reader, write, is_filled_before):
    pk = device.make(name="old").pk
    if is_filled_before:
        assert_hits(device_name, pk=pk)
        assert_hits(device_names)

    with undone():
        write(pk=pk, name="never")
        inside = device_name(pk=pk), device_names()
        outside = reader.call(device_name, pk=pk), reader.call(device_names)

    assert inside == ("never", ["never"])
    assert outside == ("old", ["old"])
    assert everywhere(device_name, pk=pk) == "old"
    assert everywhere(device_names) == ["old"]


def test_04_rollback_to_a_savepoint_takes_back_what_reads_inside_saw(everywhere):
    pk = device.make(name="old", data_type="ppm").pk
    assert_hits(names_of_programme, data_type="ppm")

    with transaction.atomic():
        with undone():
            rename_by_saving(pk=pk, name="never")
            device.make(name="never either", data_type="ppm")
            inside = names_of_programme(data_type="ppm"), count_of_programme(data_type="ppm")
        after_savepoint = names_of_programme(data_type="ppm"), count_of_programme(data_type="ppm")

    assert inside == (["never", "never either"], 2)
    assert after_savepoint == (["old"], 1)
    assert everywhere(names_of_programme, data_type="ppm") == ["old"]
    assert everywhere(count_of_programme, data_type="ppm") == 1


def test_04_rollback_to_a_savepoint_keeps_what_was_written_before_it(everywhere):
    pk = device.make(name="old").pk
    assert_hits(device_name, pk=pk)

    with transaction.atomic():
        rename_by_saving(pk=pk, name="new")
        with undone():
            rename_by_saving(pk=pk, name="never")
        inside = device_name(pk=pk)

    assert inside == "new"
    assert everywhere(device_name, pk=pk) == "new"


def test_04_rollback_of_a_failed_statement_leaves_the_connection_and_the_reads_right(everywhere):
    pk = device.make(name="old", serial="A").pk
    assert_hits(device_names)

    with pytest.raises(IntegrityError):
        rename_and_break_a_constraint(pk=pk)

    assert everywhere(device_names) == ["old"]
    rename(pk=pk, name="new")
    assert everywhere(device_names) == ["new"]


def test_04_rollback_in_manual_transactions_is_no_commit(everywhere):
    pk = device.make(name="old").pk
    assert_hits(device_name, pk=pk)

    transaction.set_autocommit(False)
    try:
        rename(pk=pk, name="never")
        inside = device_name(pk=pk)
        transaction.rollback()
        rename(pk=pk, name="new")
        transaction.commit()
    finally:
        transaction.set_autocommit(True)

    assert inside == "never"
    assert everywhere(device_name, pk=pk) == "new"


def test_04_rollback_by_a_lost_connection_leaves_nothing_behind(everywhere):
    pk = device.make(name="old").pk
    assert_hits(device_name, pk=pk)

    transaction.set_autocommit(False)
    rename(pk=pk, name="never")
    inside = device_name(pk=pk)
    connection.close()

    assert inside == "never"
    assert everywhere(device_name, pk=pk) == "old"
    rename(pk=pk, name="new")
    assert everywhere(device_name, pk=pk) == "new"


def test_04_rollback_of_a_process_that_died_in_its_transaction_is_a_rollback(process, everywhere):
    pk = device.make(name="old").pk
    assert_hits(device_name, pk=pk)
    writer = process("writer")
    writer.run_to("before_raise", rename_by_saving, pk=pk, name="never")

    writer.kill()

    assert everywhere(device_name, pk=pk) == "old"
    rename(pk=pk, name="new")
    assert everywhere(device_name, pk=pk) == "new"
