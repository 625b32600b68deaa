"""Many readers of one key: one computation at a time, whatever happens to it and however often the data changes."""

import pytest
from django.db import transaction

from invalidation.leases import Renewer
from tests import stampede_reads as reads
from tests.stampede_reads import create, fills, read

pytestmark = pytest.mark.django_db(transaction=True)

READERS = 6


@pytest.fixture(autouse=True)
def long_lived_entries(settings):
    settings.CACHE_CLASS_TTLS = {**settings.CACHE_CLASS_TTLS, "static": 24 * 3600}


def test_readers_in_many_processes_share_one_fill(actors):
    create("x1")
    readers = [actors.process(f"reader{number}") for number in range(READERS)]
    filling = readers[0].run_to("after_compute", read)

    waiting = [reader.begin(read) for reader in readers[1:]]
    readers[0].go_on()

    assert [call.result() for call in (filling, *waiting)] == [["x1"]] * READERS
    assert fills() == 1


def test_a_filler_that_is_killed_costs_one_more_fill(actors):
    create("x1")
    filler, *readers = [actors.process(f"reader{number}") for number in range(READERS)]
    filler.run_to("after_compute", read)
    waiting = [reader.begin(read) for reader in readers]

    filler.kill()

    assert [call.result() for call in waiting] == [["x1"]] * len(readers)
    assert fills() == 2


def test_a_reader_that_waits_takes_a_result_whose_computation_began_after_it_arrived(actors):
    """Under constant writes no entry ever holds; still nobody computes beside the holder of the lease."""
    create("x1")
    first, second, third = (actors.process(name) for name in ("first", "second", "third"))
    writer = actors.thread("writer")
    first.run_to("before_compute", read)
    second_call = second.begin(read)
    third_call = third.begin(read)

    # Whatever the first computes is older than this; the second and third arrived before it, and may have either.
    writer.call(create, name="x2")
    first.go_on()

    assert set(second_call.result()) >= {"x1"}
    assert set(third_call.result()) >= {"x1"}
    assert fills() <= 3


def test_what_was_begun_before_a_reader_arrived_is_not_taken(actors):
    create("x1")
    first, late = actors.process("first"), actors.process("late")
    filling = first.run_to("after_compute", read)
    actors.thread("writer").call(create, name="x2")
    reading = late.begin(read)

    first.go_on()

    assert filling.result() == ["x1"]
    assert reading.result() == ["x1", "x2"]
    assert read() == ["x1", "x2"]


def test_a_long_computation_keeps_its_lease(actors, monkeypatch):
    monkeypatch.setattr("invalidation.conf.LEASE_MILLISECONDS", 300)
    # One that has not yet begun to wait as long as the usual lease allows.
    monkeypatch.setattr("invalidation.computations.renewer", Renewer())
    create("x1")
    slow, other = actors.thread("slow"), actors.thread("other")

    first = slow.begin(read, slow_seconds=1.0)
    second = other.begin(read, slow_seconds=1.0)

    assert first.result() == second.result() == ["x1"]
    assert fills() == 1


def test_a_reader_inside_a_transaction_does_not_wait_for_somebody_elses_fill(actors):
    create("x1")
    filler, reader = actors.process("filler"), actors.thread("reader")
    filler.run_to("before_compute", read)

    assert reader.call(read_in_transaction) == ["x1"]
    assert filler.standing == "before_compute"


def read_in_transaction():
    with transaction.atomic():
        return reads.read()


def test_an_error_in_a_computation_gives_the_lease_back(actors, monkeypatch):
    create("x1")
    monkeypatch.setattr(reads.group_names, "function", lambda **_params: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read()
    monkeypatch.undo()

    assert read() == ["x1"]
    assert fills() == 1
