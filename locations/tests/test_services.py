"""Writes of the tree: moves, moves at the same time, and departments found by name."""

import threading

import pytest
from django.db import close_old_connections, connection

from locations.exceptions import LocationTreeError
from locations.models import Location
from locations.services import UNSORTED_SITE, find_or_create_department, move_location
from locations.tests import recipes

WAIT_SECONDS = 30


@pytest.mark.django_db
def test_moving_returns_the_location_as_stored():
    department = recipes.department.make()
    elsewhere = recipes.building.make()

    moved = move_location(location=department, new_parent=elsewhere)

    assert moved.parent == elsewhere
    assert Location.objects.get(pk=department.pk).path == moved.path


@pytest.mark.django_db
def test_an_impossible_move_changes_nothing():
    room = recipes.room.make()
    path = room.path

    with pytest.raises(LocationTreeError):
        move_location(location=room.parent, new_parent=room)

    assert Location.objects.get(pk=room.pk).path == path


@pytest.mark.django_db
def test_a_department_is_found_in_any_letter_case():
    department = recipes.department.make(name="Cardiology")

    assert find_or_create_department(name="CARDIOLOGY") == (department, False)


@pytest.mark.django_db
def test_of_departments_with_one_name_that_of_the_site_is_taken():
    recipes.department.make(name="Cardiology")
    second = recipes.department.make(name="Cardiology")
    site = second.parent.parent

    assert find_or_create_department(name="cardiology", site=site) == (second, False)


@pytest.mark.django_db
def test_a_department_that_is_missing_is_made_below_the_first_site():
    site = recipes.site.make()

    department, made = find_or_create_department(name="Oncology")

    assert made
    assert department.parent == site


@pytest.mark.django_db
def test_a_register_without_any_site_gets_one():
    department, _made = find_or_create_department(name="Oncology")

    assert department.parent.name == UNSORTED_SITE


def at_once(*writes):
    """Run the writes in threads that start together; what each raised, or None."""
    barrier = threading.Barrier(len(writes))
    errors = [None] * len(writes)

    def run(place, write):
        try:
            barrier.wait(WAIT_SECONDS)
            write()
        except Exception as error:  # noqa: BLE001 - whatever a thread raises is for the test to judge
            errors[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(writes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive(), "a write never ended"
    close_old_connections()
    return errors


def assert_tree_is_sound():
    """Every path is the parent's path and the own label; nothing lies in itself."""
    for node in Location.objects.select_related("parent"):
        assert node.path == (node.parent.path if node.parent else "") + node.label + "/", node
        assert len(set(node.path.split("/"))) == node.path.count("/") + 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(5))
def test_of_two_opposite_moves_at_once_one_is_refused(attempt):
    first, second = recipes.department.make(), recipes.department.make()

    errors = at_once(
        lambda: move_location(location=first, new_parent=second),
        lambda: move_location(location=second, new_parent=first),
    )

    assert [type(error) for error in errors if error] == [LocationTreeError]
    assert_tree_is_sound()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(5))
def test_of_two_moves_below_each_others_children_one_is_refused(attempt):
    first = recipes.department.make()
    second = recipes.department.make()
    below_first = recipes.department.make(parent=first)
    below_second = recipes.department.make(parent=second)

    errors = at_once(
        lambda: move_location(location=first, new_parent=below_second),
        lambda: move_location(location=second, new_parent=below_first),
    )

    assert [type(error) for error in errors if error] == [LocationTreeError]
    assert_tree_is_sound()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(5))
def test_what_is_made_under_a_moving_node_moves_with_it(attempt):
    department = recipes.department.make()
    elsewhere = recipes.building.make()

    errors = at_once(
        lambda: move_location(location=department, new_parent=elsewhere),
        lambda: Location.objects.create(name="New room", kind="room", parent_id=department.pk),
        lambda: Location.objects.create(name="Newer room", kind="room", parent_id=department.pk),
    )

    assert errors == [None, None, None]
    assert Location.objects.under(elsewhere).filter(kind="room").count() == 2
    assert_tree_is_sound()


@pytest.mark.django_db(transaction=True)
def test_a_chain_of_moves_at_once_leaves_a_sound_tree():
    nodes = [recipes.department.make() for _node in range(4)]
    places = [*nodes[1:], recipes.building.make()]

    errors = at_once(
        *(
            lambda node=node, place=place: move_location(location=node, new_parent=place)
            for node, place in zip(nodes, places, strict=True)
        )
    )

    assert errors == [None] * 4
    assert_tree_is_sound()
    assert Location.objects.under(places[-1]).count() == 5
