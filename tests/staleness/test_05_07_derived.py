"""Situations 5 to 7: writes of many rows, what the database or Django changes besides, and what is derived by joins."""

from datetime import date

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Concat

from equipment.models import (
    DeviceModel,
    Equipment,
    MaintenancePlan,
    Placement,
    ProductClass,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
)
from equipment.services import delete_equipment, dispose_of_equipment, set_equipment_status
from equipment.tests.files import ppm_file
from equipment.tests.recipes import contract, device, device_model, manufacturer, placed_device, plan, work_order
from invalidation.exceptions import UndeclaredDependencyError
from invalidation.tags import table
from invalidation.testing import assert_hits
from locations.models import Location
from locations.tests.recipes import department, room
from tests.staleness.reads import (
    all_plans,
    ancestors_of,
    classes_of,
    contracts_of,
    count_of_programme,
    custodian_of,
    device_list,
    device_name,
    devices_per_room,
    names_in_service,
    names_of_programme,
    names_with_open_orders,
    open_orders_per_device,
    placements_of,
    plans_of,
    trained_people,
    unregistered,
)

pytestmark = pytest.mark.django_db(transaction=True)


# 5. Bulk writes: of the devices "one" and "two", "one" leaves the programme PPM, or the service


def update_by_a_filter():
    Equipment.objects.filter(name="one").update(data_type="ocm", status="in_storage")


def update_by_a_subquery():
    Equipment.objects.filter(pk__in=Equipment.objects.filter(serial="1").values("pk")).update(
        data_type="ocm", status="in_storage"
    )


def update_by_the_key():
    Equipment.objects.filter(pk=Equipment.objects.get(name="one").pk).update(data_type="ocm", status="in_storage")


def update_by_several_keys():
    keys = [Equipment.objects.get(name="one").pk, 0]
    Equipment.objects.filter(pk__in=keys).update(data_type="ocm", status="in_storage")


def update_through_a_relation():
    Location.objects.get(equipment__name="one").equipment.update(data_type="ocm", status="in_storage")


def update_by_expressions():
    others = Equipment.objects.exclude(serial="2")
    others.update(data_type=Concat(Value("oc"), Value("m")), status=Concat(Value("in_"), Value("storage")))


def bulk_update():
    found = list(Equipment.objects.filter(name="one"))
    for each in found:
        each.data_type, each.status = "ocm", "in_storage"
    Equipment.objects.bulk_update(found, ["data_type", "status"])


def bulk_update_in_batches():
    found = list(Equipment.objects.order_by("name"))
    found[0].data_type, found[0].status = "ocm", "in_storage"
    Equipment.objects.bulk_update(found, ["data_type", "status"], batch_size=1)


def update_or_create():
    Equipment.objects.update_or_create(name="one", defaults={"data_type": "ocm", "status": "in_storage"})


def upsert_by_key():
    found = Equipment.objects.get(name="one")
    found.data_type, found.status = "ocm", "in_storage"
    Equipment.objects.bulk_create(
        [found], update_conflicts=True, unique_fields=["id"], update_fields=["data_type", "status"]
    )


def save_one_field():
    found = Equipment.objects.get(name="one")
    found.data_type, found.status = "ocm", "in_storage"
    found.save(update_fields=["data_type", "status"])


def delete_and_bulk_create():
    with transaction.atomic():
        found = Equipment.objects.get(name="one")
        Equipment.objects.filter(pk=found.pk).delete()
        found.data_type, found.status = "ocm", "in_storage"
        Equipment.objects.bulk_create([found])


@pytest.fixture
def two_devices(everywhere):
    placed_device.make(name="one", serial="1", data_type="ppm")
    placed_device.make(name="two", serial="2", data_type="ppm")
    for programme in ("ppm", "ocm"):
        assert_hits(names_of_programme, data_type=programme)
        assert_hits(count_of_programme, data_type=programme)
    assert_hits(names_in_service)


@pytest.mark.parametrize(
    "write",
    [
        update_by_a_filter,
        update_by_a_subquery,
        update_by_the_key,
        update_by_several_keys,
        update_through_a_relation,
        update_by_expressions,
        bulk_update,
        bulk_update_in_batches,
        update_or_create,
        upsert_by_key,
        save_one_field,
        delete_and_bulk_create,
    ],
)
def test_05_bulk_writes_move_a_row_out_of_one_filter_and_into_another(two_devices, everywhere, write):
    write()

    assert everywhere(names_of_programme, data_type="ppm") == ["two"]
    assert everywhere(names_of_programme, data_type="ocm") == ["one"]
    assert everywhere(count_of_programme, data_type="ppm") == 1
    assert everywhere(count_of_programme, data_type="ocm") == 1
    assert everywhere(names_in_service) == ["two"]


def test_05_bulk_writes_by_an_upsert_on_a_unique_constraint_are_seen(two_devices, everywhere):
    assert_hits(device_name, pk=Equipment.objects.get(serial="1").pk)

    Equipment.objects.bulk_create(
        [Equipment(name="renamed", serial="1", data_type="ppm"), Equipment(name="three", serial="3", data_type="ppm")],
        update_conflicts=True,
        unique_fields=["data_type", "serial"],
        update_fields=["name"],
    )

    assert everywhere(names_of_programme, data_type="ppm") == ["renamed", "three", "two"]
    assert everywhere(device_name, pk=Equipment.objects.get(serial="1").pk) == "renamed"


def test_05_bulk_writes_that_ignore_conflicts_are_seen(two_devices, everywhere):
    Equipment.objects.bulk_create(
        [Equipment(name="ignored", serial="1", data_type="ppm"), Equipment(name="three", serial="3", data_type="ppm")],
        ignore_conflicts=True,
    )

    assert everywhere(names_of_programme, data_type="ppm") == ["one", "three", "two"]


def test_05_bulk_writes_of_a_service_are_seen(two_devices, everywhere):
    set_equipment_status(equipment=Equipment.objects.filter(name="one"), status="in_storage")
    in_storage = everywhere(names_in_service)
    dispose_of_equipment(equipment=Equipment.objects.filter(name="two"), disposed_on=date(2024, 1, 2))

    assert in_storage == ["two"]
    assert everywhere(names_in_service) == []


def test_05_bulk_writes_of_a_command_are_seen(two_devices, everywhere, tmp_path):
    register = tmp_path / "register.csv"
    rows = [{"SERIAL": "1", "Name": "renamed", "LOG_Number": ""}, {"SERIAL": "3", "Name": "three"}]
    register.write_bytes(ppm_file(*rows).getvalue())

    call_command("import_equipment", register, verbosity=0)

    assert everywhere(names_of_programme, data_type="ppm") == ["renamed", "three", "two"]
    assert everywhere(names_in_service) == ["renamed", "three", "two"]


# 6. SET_NULL and cascade


def delete_user(user):
    user.delete()


def delete_users_by_queryset(user):
    User.objects.filter(pk=user.pk).delete()


@pytest.mark.parametrize("delete", [delete_user, delete_users_by_queryset])
def test_06_set_null_is_seen_at_the_child(everywhere, delete):
    user = User.objects.create_user("custodian")
    ours = device.make(custodian=user)
    other = device.make(custodian=User.objects.create_user("somebody else"))
    assert assert_hits(custodian_of, pk=ours.pk) == user.pk
    assert_hits(custodian_of, pk=other.pk)

    delete(user)

    assert everywhere(custodian_of, pk=ours.pk) is None
    assert everywhere(custodian_of, pk=other.pk) == other.custodian_id


@pytest.mark.parametrize("delete", [delete_user, delete_users_by_queryset])
def test_06_cascade_is_seen_at_the_child(everywhere, delete):
    user = User.objects.create_user("trained")
    model = device_model.make()
    TrainingRecord.objects.create(person=user, device_model=model, trained_on=date(2024, 1, 1))
    assert assert_hits(trained_people, device_model=model.pk) == [user.pk]

    delete(user)

    assert everywhere(trained_people, device_model=model.pk) == []


def delete_device(found):
    found.delete()


def delete_by_queryset(found):
    Equipment.objects.filter(pk=found.pk).delete()


def delete_by_service(found):
    delete_equipment(equipment=Equipment.objects.filter(pk=found.pk))


@pytest.mark.parametrize("delete", [delete_device, delete_by_queryset, delete_by_service])
def test_06_cascade_over_several_tables_is_seen_in_each(everywhere, delete):
    found = placed_device.make()
    plan.make(equipment=found, name="yearly")
    contract.make(number="C-1").equipment.add(found)
    of_device = {"equipment": found.pk}
    assert assert_hits(plans_of, **of_device) == ["yearly"]
    assert assert_hits(all_plans) == ["yearly"]
    assert assert_hits(contracts_of, **of_device) == ["C-1"]
    assert assert_hits(placements_of, **of_device) == [found.location_id]

    delete(found)

    assert everywhere(plans_of, **of_device) == []
    assert everywhere(all_plans) == []
    assert everywhere(contracts_of, **of_device) == []
    assert everywhere(placements_of, **of_device) == []


def test_06_cascade_without_the_child_in_any_statement_of_ours_is_seen(everywhere):
    """`_raw_delete` sends one DELETE and no signal."""
    plan.make(name="yearly")
    assert assert_hits(all_plans) == ["yearly"]

    plans = MaintenancePlan.objects.all()
    plans._raw_delete(plans.db)

    assert everywhere(all_plans) == []


# 7. Joined and derived data


def test_07_joined_rows_of_other_tables_are_seen_when_only_they_change(everywhere):
    maker = manufacturer.make(name="Maker")
    ward = room.make(name="Ward")
    device.make(name="Pump", location=ward, device_model=device_model.make(manufacturer=maker))
    assert assert_hits(device_list) == [("Pump", "Ward", "Maker")]

    ward.name = "Theatre"
    ward.save()
    moved = everywhere(device_list)
    type(maker).objects.filter(pk=maker.pk).update(name="Successor")

    assert moved == [("Pump", "Theatre", "Maker")]
    assert everywhere(device_list) == [("Pump", "Theatre", "Successor")]


def test_07_derived_annotation_is_seen_when_only_the_other_table_changes(everywhere):
    ward = room.make(name="Ward")
    assert assert_hits(devices_per_room) == {"Ward": 0}

    found = device.make(location=ward)
    one = everywhere(devices_per_room)
    Equipment.objects.filter(pk=found.pk).update(location=None)

    assert one == {"Ward": 1}
    assert everywhere(devices_per_room) == {"Ward": 0}


def test_07_derived_subquery_count_is_seen_when_only_the_other_table_changes(everywhere):
    found = device.make(name="Pump")
    assert assert_hits(open_orders_per_device) == {"Pump": None}

    order = work_order.make(equipment=found, status="reported")
    one = everywhere(open_orders_per_device)
    WorkOrder.objects.filter(pk=order.pk).delete()

    assert one == {"Pump": 1}
    assert everywhere(open_orders_per_device) == {"Pump": None}


def test_07_derived_exists_filter_is_seen_when_only_the_other_table_changes(everywhere):
    found = device.make(name="Pump")
    assert assert_hits(names_with_open_orders) == []

    order = work_order.make(equipment=found, status="reported")
    one = everywhere(names_with_open_orders)
    WorkOrder.objects.filter(pk=order.pk).update(equipment=device.make(name="Other"))
    moved = everywhere(names_with_open_orders)
    WorkOrder.objects.filter(status="reported").update(priority=F("priority"), status="cancelled")

    assert (one, moved) == (["Pump"], ["Other"])
    assert everywhere(names_with_open_orders) == []


def relate_by_add(model, product_class):
    model.product_classes.add(product_class)


def relate_by_set(model, product_class):
    model.product_classes.set([product_class])


def relate_from_the_other_side(model, product_class):
    product_class.device_models.add(model)


def relate_by_the_table_between(model, product_class):
    DeviceModel.product_classes.through.objects.create(devicemodel=model, productclass=product_class)


def relate_in_bulk(model, product_class):
    through = DeviceModel.product_classes.through
    through.objects.bulk_create([through(devicemodel=model, productclass=product_class)])


def part_by_remove(model, product_class):
    model.product_classes.remove(product_class)


def part_by_clear(model, product_class):
    model.product_classes.clear()


def part_by_set(model, product_class):
    model.product_classes.set([])


def part_from_the_other_side(model, product_class):
    product_class.device_models.clear()


def part_by_deletion(model, product_class):
    ProductClass.objects.filter(pk=product_class.pk).delete()


@pytest.mark.parametrize(
    ("relate", "part"),
    [
        (relate_by_add, part_by_remove),
        (relate_by_set, part_by_clear),
        (relate_from_the_other_side, part_from_the_other_side),
        (relate_by_the_table_between, part_by_set),
        (relate_in_bulk, part_by_deletion),
    ],
)
def test_07_joined_many_to_many_rows_are_seen_when_only_the_table_between_changes(everywhere, relate, part):
    model = device_model.make()
    product_class = ProductClass.objects.create(code="ABC", name="Pumps")
    assert assert_hits(classes_of, device_model=model.pk) == []

    relate(model, product_class)
    related = everywhere(classes_of, device_model=model.pk)
    part(model, product_class)

    assert related == ["Pumps"]
    assert everywhere(classes_of, device_model=model.pk) == []


def test_07_derived_tree_is_seen_when_only_a_row_above_changes(everywhere):
    ward = room.make()
    above = ward.parent
    names = assert_hits(ancestors_of, location=ward.pk)

    Location.objects.filter(pk=above.pk).update(name="Renamed department")

    assert everywhere(ancestors_of, location=ward.pk) == [*names[:-1], "Renamed department"]


@pytest.mark.parametrize("forgotten", [Location, Equipment])
def test_07_joined_table_that_is_not_declared_is_an_error(watched, forgotten, cache_in_use):
    placed_device.make()
    declared = [table(model) for model in (Equipment, Location) if model is not forgotten]

    @unregistered("staleness:forgetful", needs=declared)
    def names_of_places() -> list[str]:
        return list(Equipment.objects.filter(location__isnull=False).values_list("location__name", flat=True))

    with pytest.raises(UndeclaredDependencyError, match=forgotten._meta.db_table):
        names_of_places()


def test_07_joined_table_that_is_not_declared_is_never_stored_where_that_is_no_error(watched, settings, cache_in_use):
    settings.INVALIDATION_STRICT = False
    found = placed_device.make()

    @unregistered("staleness:forgetful", needs=[table(Equipment)])
    def names_of_places() -> list[str]:
        return list(Equipment.objects.filter(location__isnull=False).values_list("location__name", flat=True))

    before = names_of_places()
    Location.objects.filter(pk=found.location_id).update(name="Renamed")

    assert names_of_places() == ["Renamed"] != before


def test_07_joined_rows_stay_right_when_a_service_moves_the_department(everywhere):
    ward = room.make(name="Ward")
    device.make(name="Pump", location=ward)
    names = assert_hits(ancestors_of, location=ward.pk)
    elsewhere = department.make(name="Elsewhere")

    ward.parent = elsewhere
    ward.save()

    moved = everywhere(ancestors_of, location=ward.pk)
    assert moved[-1] == "Elsewhere"
    assert moved != names
    assert Placement.objects.count() == 1
    assert ServiceContract.objects.count() == 0
