"""Situations 17 and 23: rows that move from one scope to another, by one writer and by two."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.deletion import Collector

from equipment.models import Equipment
from equipment.services import move_equipment
from equipment.tests.recipes import device
from invalidation import points
from invalidation.testing import assert_hits
from locations.models import Location
from locations.services import move_location
from locations.tests.recipes import department, room
from tests.staleness.reads import ancestors_of, count_at, count_of_programme, count_within, names_at, placements_of

pytestmark = pytest.mark.django_db(transaction=True)


# 17. Moved row


def move_by_save(pk, to):
    found = Equipment.objects.get(pk=pk)
    found.location_id = to
    found.save()


def move_by_save_of_the_field(pk, to):
    found = Equipment.objects.get(pk=pk)
    found.location = Location.objects.get(pk=to)
    found.save(update_fields=["location"])


def move_what_was_not_loaded(pk, to):
    """The instance knows neither where the row is nor anything else of it."""
    found = Equipment.objects.only("pk").get(pk=pk)
    found.location_id = to
    found.save(update_fields=["location"])


def move_by_update(pk, to):
    Equipment.objects.filter(pk=pk).update(location=to)


def move_by_update_of_a_filter(pk, to):
    Equipment.objects.filter(name="Pump").update(location=to)


def move_in_bulk(pk, to):
    found = Equipment.objects.get(pk=pk)
    found.location_id = to
    Equipment.objects.bulk_update([found], ["location"])


def move_by_service(pk, to):
    move_equipment(equipment=Equipment.objects.filter(pk=pk), location=Location.objects.get(pk=to))


def move_by_relation(pk, to):
    Location.objects.get(pk=to).equipment.add(Equipment.objects.get(pk=pk))


def move_by_cursor(pk, to):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE equipment_equipment SET location_id = %s WHERE id = %s", [to, pk])


def move_there_and_back_and_there(pk, to):
    before = Equipment.objects.get(pk=pk).location_id
    with transaction.atomic():
        for place in (to, before, to):
            move_by_update(pk, place)


MOVES = [
    move_by_save,
    move_by_save_of_the_field,
    move_what_was_not_loaded,
    move_by_update,
    move_by_update_of_a_filter,
    move_in_bulk,
    move_by_service,
    move_by_relation,
    move_by_cursor,
    move_there_and_back_and_there,
]


@pytest.mark.parametrize("move", MOVES)
def test_17_moved_row_makes_both_rooms_and_all_above_them_right(everywhere, move):
    old, new = room.make(), room.make()
    pk = device.make(name="Pump", location=old).pk
    places = [place for each in (old, new) for place in (each.pk, each.parent_id, each.parent.parent_id)]
    for place in places:
        assert_hits(names_at, location=place)
        assert_hits(count_at, location=place)
        assert_hits(count_within, location=place)

    move(pk, new.pk)

    assert everywhere(names_at, location=old.pk) == []
    assert everywhere(names_at, location=new.pk) == ["Pump"]
    assert [everywhere(count_at, location=place) for place in places] == [0, 0, 0, 1, 0, 0]
    assert [everywhere(count_within, location=place) for place in places] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("move", MOVES)
def test_17_moved_row_is_seen_inside_the_transaction_that_moves_it(watched, move, cache_in_use):
    old, new = room.make(), room.make()
    pk = device.make(name="Pump", location=old).pk
    assert_hits(names_at, location=old.pk)
    assert_hits(names_at, location=new.pk)

    with transaction.atomic():
        move(pk, new.pk)
        inside = names_at(location=old.pk), names_at(location=new.pk)

    assert inside == ([], ["Pump"])


def test_17_moved_row_that_goes_nowhere_leaves_its_room(everywhere):
    old = room.make()
    pk = device.make(name="Pump", location=old).pk
    assert_hits(names_at, location=old.pk)

    move_by_save(pk, None)

    assert everywhere(names_at, location=old.pk) == []
    assert everywhere(placements_of, equipment=pk) == [old.pk, None]


def test_17_moved_row_leaves_entries_of_other_rooms_alone(everywhere, django_assert_num_queries):
    old, new, other = room.make(), room.make(), room.make()
    pk = device.make(location=old).pk
    device.make(name="Elsewhere", location=other)
    assert_hits(names_at, location=other.pk)

    move_by_save(pk, new.pk)

    with django_assert_num_queries(0):
        assert names_at(location=other.pk) == ["Elsewhere"]
    assert everywhere(names_at, location=other.pk) == ["Elsewhere"]


def test_17_moved_row_in_another_kind_of_scope_makes_both_counts_right(everywhere):
    pk = device.make(data_type="ppm").pk
    assert [assert_hits(count_of_programme, data_type=each) for each in ("ppm", "ocm")] == [1, 0]

    found = Equipment.objects.get(pk=pk)
    found.data_type = "ocm"
    found.save()

    assert [everywhere(count_of_programme, data_type=each) for each in ("ppm", "ocm")] == [0, 1]


def test_17_moved_row_of_the_tree_takes_the_counts_of_all_that_lies_in_it_along(everywhere):
    old, new = department.make(), department.make()
    ward = room.make(parent=old, name="Ward")
    device.make(location=ward)
    places = [each for top in (old, new) for each in (top.pk, top.parent_id, top.parent.parent_id)]
    assert [assert_hits(count_within, location=place) for place in places] == [1, 1, 1, 0, 0, 0]
    above = assert_hits(ancestors_of, location=ward.pk)

    move_location(location=ward, new_parent=new)

    assert [everywhere(count_within, location=place) for place in places] == [0, 0, 0, 1, 1, 1]
    assert everywhere(ancestors_of, location=ward.pk) == [new.parent.parent.name, new.parent.name, new.name] != above
    # And the whole department goes: the room's own row does not say so.
    move_location(location=new, new_parent=old.parent)
    assert [everywhere(count_within, location=place) for place in places] == [0, 1, 1, 1, 0, 0]


# 23. Two movers: the second has read the row before the first moved it


def save_what_was_read_before(*, pk, to):
    """Stands at `before_lookup` between reading the row and writing it."""
    found = Equipment.objects.get(pk=pk)
    points.reach("before_lookup")
    found.location_id = to
    found.save()


def save_the_field_that_was_read_before(*, pk, to):
    found = Equipment.objects.get(pk=pk)
    points.reach("before_lookup")
    found.location_id = to
    found.save(update_fields=["location"])


def delete_what_was_read_before(*, pk, to):
    found = Equipment.objects.get(pk=pk)
    points.reach("before_lookup")
    found.delete()


def update_in_bulk_what_was_read_before(*, pk, to):
    found = Equipment.objects.get(pk=pk)
    points.reach("before_lookup")
    found.location_id = to
    Equipment.objects.bulk_update([found], ["location"])


def save_in_one_transaction_what_was_read_in_it(*, pk, to):
    """On SQLite it would hold the lock that the first mover needs."""
    with transaction.atomic():
        save_what_was_read_before(pk=pk, to=to)


def move_in_process(*, pk, to):
    """Without a placement, which would stand in the way of a deletion that did not know it."""
    move_by_update(pk, to)


def move_with_a_placement_in_process(*, pk, to):
    move_by_save(pk, to)


def delete_in_process(*, pk, to):
    Equipment.objects.get(pk=pk).delete()


def look_through_and_delete_in_process(*, pk):
    """As `delete()` does, with a cached read between looking for what hangs on the row and deleting it."""
    found = Equipment.objects.get(pk=pk)
    collector = Collector(using="default", origin=found)
    collector.collect([found])
    count_at(location=found.location_id)
    collector.delete()


def make_three_rooms():
    first, second, third = (room.make().pk for _ in range(3))
    pk = device.make(name="Pump", location_id=first).pk
    return first, second, third, pk


def counts_after(everywhere, places):
    return [everywhere(count_at, location=place) for place in places]


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (save_what_was_read_before, [0, 0, 1]),
        (save_the_field_that_was_read_before, [0, 0, 1]),
        (update_in_bulk_what_was_read_before, [0, 0, 1]),
        (delete_what_was_read_before, [0, 0, 0]),
    ],
)
def test_23_two_movers_leave_the_room_between_right(process, everywhere, write, expected):
    *places, pk = make_three_rooms()
    second_mover = process("second mover")

    # It has the row as it was in the first room.
    moving = second_mover.run_to("before_lookup", write, pk=pk, to=places[2])
    move_by_save(pk, places[1])
    between = [assert_hits(count_at, location=place) for place in places]
    second_mover.go_on()
    moving.result()

    assert between == [0, 1, 0]
    assert counts_after(everywhere, places) == expected


def test_23_two_movers_of_which_one_reads_in_its_transaction_leave_the_room_between_right(
    process, everywhere, postgresql
):
    *places, pk = make_three_rooms()
    second_mover = process("second mover")

    moving = second_mover.run_to("before_lookup", save_in_one_transaction_what_was_read_in_it, pk=pk, to=places[2])
    move_by_save(pk, places[1])
    between = [assert_hits(count_at, location=place) for place in places]
    second_mover.go_on()
    moving.result()

    assert between == [0, 1, 0]
    assert counts_after(everywhere, places) == [0, 0, 1]


@pytest.mark.parametrize(("write", "expected"), [(move_in_process, [0, 0, 1]), (delete_in_process, [0, 0, 0])])
def test_23_two_movers_of_which_one_waits_for_the_lock_of_the_other_leave_the_room_between_right(
    process, everywhere, write, expected
):
    *places, pk = make_three_rooms()
    first, second = process("first mover"), process("second mover")

    # The first has moved the row and not committed; the second comes for the row, waits, and stands before its commit.
    first_moving = first.run_to("before_raise", move_in_process, pk=pk, to=places[1])
    second.stop_at("before_raise")
    second_moving = second.begin(write, pk=pk, to=places[2])
    assert not second_moving.ends_within(0.1)
    assert second.standing is None
    first.go_on()
    first_moving.result()
    second.wait_at("before_raise")
    between = [everywhere(count_at, location=place) for place in places]
    second.go_on()
    second_moving.result()

    assert between == [0, 1, 0]
    assert counts_after(everywhere, places) == expected


def test_23_two_movers_of_which_the_database_refuses_one_at_its_commit_leave_all_rooms_right(process, everywhere):
    *places, pk = make_three_rooms()
    first, second = process("first mover"), process("second mover")

    # The deletion has looked for placements before the first mover's was there.
    deleting = second.run_to("before_lookup", look_through_and_delete_in_process, pk=pk)
    first.call(move_with_a_placement_in_process, pk=pk, to=places[1])
    second.go_on(to="after_raise")
    under_the_fence = [everywhere(count_at, location=place) for place in places]
    second.go_on()
    error = deleting.error()

    assert error is not None
    assert error.is_a(IntegrityError)
    assert under_the_fence == counts_after(everywhere, places) == [0, 1, 0]
    # The connection of the second is usable, and nothing of the fence is left.
    second.call(move_in_process, pk=pk, to=places[2])
    assert counts_after(everywhere, places) == [0, 0, 1]
    assert [assert_hits(count_at, location=place) for place in places] == [0, 0, 1]
