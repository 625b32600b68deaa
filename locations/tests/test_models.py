"""The tree: its constraints in the database, its paths, and what may lie where."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from locations.exceptions import LocationTreeError
from locations.models import (
    DEEPEST,
    LABEL_LENGTH,
    PARENT_KINDS,
    Location,
    LocationKind,
    LocationLimit,
    ProductionRun,
    new_label,
)
from locations.tests import recipes
from tests.constraints import assert_refused, constraints_of

pytestmark = pytest.mark.django_db

CONSTRAINTS = constraints_of("locations")


def rewrite(row, **values):
    """Change a stored row as the database sees it, past `save()` and `clean()`."""
    return lambda: type(row)._base_manager.filter(pk=row.pk).update(**values)


def twin(row, **values):
    """Insert a second row like this one."""
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return lambda: type(row)._base_manager.bulk_create([type(row)(**{**fields, "id": None, **values})])


def other_path():
    label = new_label()
    return {"label": label, "path": f"{label}/"}


def same_site_name():
    site = recipes.site.make(name="North")
    return twin(site, name="NORTH", **other_path())


def same_room_name():
    room = recipes.room.make(name="Theatre")
    return twin(room, name="theatre", **other_path())


def same_code():
    room = recipes.room.make(code="OR-1")
    return twin(room, name="Another", **other_path())


def limit_twice():
    limit = LocationLimit.objects.create(user=User.objects.create(username="anna"), location=recipes.site.make())
    return twin(limit)


BROKEN = {
    "production_run_code_given": lambda: rewrite(recipes.production_run.make(), code=""),
    "production_run_ends_after_start": lambda: rewrite(
        recipes.production_run.make(), starts_on="2024-05-06", ends_on="2024-05-05"
    ),
    "location_kind_known": lambda: rewrite(recipes.room.make(), kind="cellar"),
    "location_name_given": lambda: rewrite(recipes.room.make(), name=""),
    "location_only_sites_are_roots": lambda: rewrite(recipes.room.make(), parent=None),
    "location_run_only_for_delivery": lambda: rewrite(
        recipes.room.make(), production_run=recipes.production_run.make()
    ),
    "location_capacity_positive": lambda: rewrite(recipes.storage.make(), capacity=0),
    "location_name_unique_in_parent": same_room_name,
    "location_site_name_unique": same_site_name,
    "location_code_unique": same_code,
    "location_limit_once": limit_twice,
}


@pytest.mark.parametrize("name", sorted(CONSTRAINTS))
def test_the_database_refuses_what_a_constraint_forbids(name):
    assert_refused(CONSTRAINTS[name], BROKEN[name]())


def test_a_site_below_something_is_refused_too():
    site = recipes.site.make()

    assert_refused(CONSTRAINTS["location_only_sites_are_roots"], rewrite(recipes.room.make(), kind="site"))
    assert_refused(CONSTRAINTS["location_only_sites_are_roots"], rewrite(site, parent=recipes.site.make()))


def test_rooms_of_one_name_may_lie_in_different_departments():
    first = recipes.room.make(name="Store")

    second = recipes.room.make(name="Store")

    assert first.parent_id != second.parent_id


def test_a_path_is_the_labels_from_the_root():
    room = recipes.room.make()

    nodes = [*Location.objects.above(room), room]

    assert [node.kind for node in nodes] == ["site", "building", "department", "room"]
    assert room.path == "".join(f"{node.label}/" for node in nodes)
    assert room.depth == 3


@pytest.mark.parametrize("child", LocationKind.values)
@pytest.mark.parametrize("parent", [None, *LocationKind.values])
def test_a_kind_lies_only_where_the_table_says(child, parent):
    above = getattr(recipes, parent).make() if parent else None
    allowed = parent in PARENT_KINDS[child] if parent else not PARENT_KINDS[child]
    node = Location(name="New", kind=child, parent=above)

    if allowed:
        node.full_clean()
        node.save()
    else:
        with pytest.raises(ValidationError):
            node.full_clean()
        with pytest.raises(LocationTreeError):
            node.save()


def test_an_unknown_kind_is_an_error_of_its_field():
    node = Location(name="New", kind="cellar", parent=recipes.site.make())

    with pytest.raises(ValidationError) as refusal:
        node.full_clean()

    assert "kind" in refusal.value.message_dict


def test_moving_a_node_moves_all_below_it():
    room = recipes.room.make()
    department = room.parent
    elsewhere = recipes.building.make()

    department.parent = elsewhere
    department.save()

    room.refresh_from_db()
    assert list(Location.objects.above(room)) == [elsewhere.parent, elsewhere, department]


def test_moving_a_node_leaves_a_twin_of_its_beginning_alone():
    moved, beside = recipes.building.make(), recipes.building.make()
    below = recipes.department.make(parent=beside)
    elsewhere = recipes.site.make()

    moved.parent = elsewhere
    moved.save()

    assert set(Location.objects.under(beside)) == {beside, below}


def test_a_node_cannot_lie_in_itself_or_below_itself():
    outer = recipes.department.make()
    inner = recipes.department.make(parent=outer)

    for place in (outer, inner):
        outer.parent = place
        with pytest.raises(LocationTreeError):
            outer.save()
        with pytest.raises(ValidationError):
            outer.full_clean()


def test_a_save_of_other_fields_leaves_a_move_of_somebody_else_alone():
    room = recipes.room.make()
    stale = Location.objects.get(pk=room.parent_id)
    elsewhere = recipes.building.make()
    moved = Location.objects.get(pk=room.parent_id)
    moved.parent = elsewhere
    moved.save()

    stale.name = "Renamed"
    stale.save(update_fields=["name"])

    room.refresh_from_db()
    assert room.path.startswith(Location.objects.get(pk=moved.pk).path)
    assert room.path.startswith(elsewhere.path)


def test_a_save_of_the_parent_alone_moves_the_path_too():
    room = recipes.room.make()
    elsewhere = recipes.department.make()

    room.parent = elsewhere
    room.save(update_fields=["parent"])

    room.refresh_from_db()
    assert room.path == f"{elsewhere.path}{room.label}/"


def test_a_kind_that_what_lies_below_cannot_bear_is_refused():
    building = recipes.department.make().parent
    building.kind = LocationKind.DELIVERY

    with pytest.raises(LocationTreeError):
        building.save()
    with pytest.raises(ValidationError) as refusal:
        building.full_clean()

    assert "kind" in refusal.value.message_dict


def chain(levels):
    """Departments one below the other, `levels` of them counted with their site; the last one."""
    node = recipes.site.make()
    for _level in range(levels - 1):
        node = recipes.department.make(parent=node)
    return node


def test_the_tree_is_ten_levels_deep_and_no_deeper():
    deepest = chain(DEEPEST)

    assert len(deepest.path) == DEEPEST * (LABEL_LENGTH + 1)
    with pytest.raises(LocationTreeError):
        recipes.department.make(parent=deepest)


def test_a_move_that_would_push_the_subtree_too_deep_is_refused():
    top = chain(2)
    below = recipes.department.make(parent=top)
    deep = chain(DEEPEST - 1)
    path = below.path

    top.parent = deep
    with pytest.raises(LocationTreeError):
        top.save()

    below.refresh_from_db()
    assert below.path == path


def test_a_location_that_holds_something_cannot_be_deleted():
    room = recipes.room.make()

    with pytest.raises(ProtectedError):
        room.parent.delete()


def test_deleting_the_place_a_user_is_limited_to_never_widens_their_sight(viewer):
    site = recipes.site.make()
    LocationLimit.objects.create(user=viewer, location=site)

    with pytest.raises(ProtectedError):
        site.delete()


def test_a_parent_that_is_gone_is_named():
    site = recipes.site.make()
    node = Location(name="New", kind="building", parent=site)
    Location.objects.filter(pk=site.pk).delete()

    with pytest.raises(LocationTreeError, match="gone"):
        node.save()


def test_two_paths_are_never_the_same():
    room = recipes.room.make()

    with pytest.raises(IntegrityError), transaction.atomic():
        rewrite(recipes.room.make(), path=room.path)()


def test_a_run_shows_its_code_and_name():
    assert str(ProductionRun(code="R1", name="Spring")) == "R1 Spring"
