"""Situations 8 and 9: one row under several models, and several rows, one after the other, under one key."""

import pytest
from django.db import connection, models, transaction

from equipment.models import Equipment, MaintenancePlan
from equipment.tests.recipes import contract, device, placed_device, plan
from invalidation.tags import row, scope, sometimes, table
from invalidation.testing import assert_hits
from tests.staleness.reads import (
    contracts_of,
    device_name,
    names_at,
    names_of_programme,
    placements_of,
    plans_of,
    unregistered,
    watch,
)

pytestmark = pytest.mark.django_db(transaction=True)


# The project's own models have no parents, so these are the tests' own, with tables made for a test.


class Machine(models.Model):
    name = models.CharField(max_length=50)
    kind = models.CharField(max_length=20, default="plain")

    objects: "models.Manager[Machine]" = models.Manager()

    class Meta:
        app_label = "staleness"

    def __str__(self):
        return self.name


class Ventilator(Machine):
    modes = models.IntegerField(default=1)

    class Meta:
        app_label = "staleness"


class LoudMachine(Machine):
    class Meta:
        app_label = "staleness"
        proxy = True


class ListedDevice(Equipment):
    """A proxy of a model that an app watches."""

    class Meta:
        app_label = "staleness"
        proxy = True


def watch_machines():
    watch({Machine: ["kind"], Ventilator: []})


@unregistered("staleness:machines", needs=[table(Machine)])
def machines() -> list[str]:
    return sorted(Machine.objects.values_list("name", flat=True))


@unregistered("staleness:machine", needs=lambda p: [row(Machine, p["pk"])])
def machine_name(*, pk: int) -> str | None:
    return Machine.objects.filter(pk=pk).values_list("name", flat=True).first()


@unregistered("staleness:machines_of_kind", needs=lambda p: [scope(Machine, kind=p["kind"])])
def machines_of_kind(*, kind: str) -> list[str]:
    return sorted(Machine.objects.filter(kind=kind).values_list("name", flat=True))


# PostgreSQL does not look into the one table of a join where the other is empty.
@unregistered("staleness:ventilators", needs=[sometimes(table(Machine)), table(Ventilator)])
def ventilators() -> list[tuple[str, int]]:
    return sorted(Ventilator.objects.values_list("name", "modes"))


@unregistered("staleness:loud", needs=[table(LoudMachine)])
def loud_machines() -> list[str]:
    return sorted(LoudMachine.objects.values_list("name", flat=True))


@unregistered("staleness:loud_machine", needs=lambda p: [row(LoudMachine, p["pk"])])
def loud_machine_name(*, pk: int) -> str | None:
    return LoudMachine.objects.filter(pk=pk).values_list("name", flat=True).first()


@unregistered("staleness:listed", needs=lambda p: [scope(ListedDevice, data_type=p["data_type"])])
def listed_names(*, data_type: str) -> list[str]:
    return sorted(ListedDevice.objects.filter(data_type=data_type).order_by().values_list("name", flat=True))


@pytest.fixture
def machine_tables(watched, transactional_db):
    with connection.schema_editor() as editor:
        editor.create_model(Machine)
        editor.create_model(Ventilator)
    watch_machines()
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Ventilator)
        editor.delete_model(Machine)


@pytest.fixture
def seen(machine_tables, reader, everywhere):
    """What each read of the machine with this key answers, everywhere."""
    reader.call(watch_machines)

    def ask(pk):
        return {
            "row": everywhere(machine_name, pk=pk),
            "parents": everywhere(machines),
            "proxies": everywhere(loud_machines),
            "row of proxy": everywhere(loud_machine_name, pk=pk),
            "plain": everywhere(machines_of_kind, kind="plain"),
            "loud": everywhere(machines_of_kind, kind="loud"),
            "children": everywhere(ventilators),
        }

    return ask


def fill(pk):
    for read in (machines, loud_machines, ventilators):
        assert_hits(read)
    for kind in ("plain", "loud"):
        assert_hits(machines_of_kind, kind=kind)
    assert_hits(machine_name, pk=pk)
    assert_hits(loud_machine_name, pk=pk)


# 8. Inheritance and proxies


def save_as_child(pk):
    found = Ventilator.objects.get(pk=pk)
    found.name, found.kind, found.modes = "new", "loud", 2
    found.save()


def save_as_parent(pk):
    found = Machine.objects.get(pk=pk)
    found.name, found.kind = "new", "loud"
    found.save()
    Ventilator.objects.filter(pk=pk).update(modes=2)


def save_as_proxy(pk):
    found = LoudMachine.objects.get(pk=pk)
    found.name, found.kind = "new", "loud"
    found.save()
    Ventilator.objects.filter(pk=pk).update(modes=2)


def update_as_child(pk):
    """Columns of both tables: two statements, the parent's by keys that were read."""
    Ventilator.objects.filter(pk=pk).update(name="new", kind="loud", modes=2)


def update_as_proxy(pk):
    LoudMachine.objects.filter(name="old").update(name="new", kind="loud")
    Ventilator.objects.update(modes=2)


def bulk_update_as_child(pk):
    found = Ventilator.objects.get(pk=pk)
    found.name, found.kind, found.modes = "new", "loud", 2
    Ventilator.objects.bulk_update([found], ["name", "kind", "modes"])


@pytest.mark.parametrize(
    "write",
    [save_as_child, save_as_parent, save_as_proxy, update_as_child, update_as_proxy, bulk_update_as_child],
)
def test_08_inheritance_a_write_through_one_model_is_seen_through_each(machine_tables, seen, write):
    pk = Ventilator.objects.create(name="old").pk
    fill(pk)

    write(pk)

    assert seen(pk) == {
        "row": "new",
        "parents": ["new"],
        "proxies": ["new"],
        "row of proxy": "new",
        "plain": [],
        "loud": ["new"],
        "children": [("new", 2)],
    }


def create_child():
    return Ventilator.objects.create(name="made", modes=3).pk


def create_proxy_and_child_of_it():
    found = LoudMachine.objects.create(name="made")
    child = Ventilator(machine_ptr=found, modes=3)
    child.save_base(raw=True)
    return found.pk


@pytest.mark.parametrize("create", [create_child, create_proxy_and_child_of_it])
def test_08_inheritance_a_new_row_is_seen_through_each(machine_tables, seen, create):
    fill(pk=1)

    pk = create()

    assert seen(pk) == {
        "row": "made",
        "parents": ["made"],
        "proxies": ["made"],
        "row of proxy": "made",
        "plain": ["made"],
        "loud": [],
        "children": [("made", 3)],
    }


def delete_child(pk):
    Ventilator.objects.get(pk=pk).delete()


def delete_children_by_queryset(pk):
    Ventilator.objects.filter(modes=1).delete()


@pytest.mark.parametrize("delete", [delete_child, delete_children_by_queryset])
def test_08_inheritance_a_deletion_is_seen_through_each(machine_tables, seen, delete):
    pk = Ventilator.objects.create(name="old").pk
    fill(pk)

    delete(pk)

    assert seen(pk) == {
        "row": None,
        "parents": [],
        "proxies": [],
        "row of proxy": None,
        "plain": [],
        "loud": [],
        "children": [],
    }


def test_08_inheritance_keeping_the_parent_of_a_deleted_child_is_seen(machine_tables, seen):
    found = Ventilator.objects.create(name="old")
    pk = found.pk
    fill(pk)

    found.delete(keep_parents=True)

    now = seen(pk)
    assert now["children"] == []
    assert now["parents"] == now["proxies"] == now["plain"] == ["old"]


def test_08_proxy_of_a_watched_model_is_read_and_written_like_the_model(everywhere):
    pk = device.make(name="old", data_type="ppm").pk
    assert_hits(device_name, pk=pk)
    assert_hits(listed_names, data_type="ppm")
    assert_hits(names_of_programme, data_type="ppm")

    found = ListedDevice.objects.get(pk=pk)
    found.name = "by the proxy"
    found.save()
    by_proxy = everywhere(device_name, pk=pk), everywhere(names_of_programme, data_type="ppm")
    real = Equipment.objects.get(pk=pk)
    real.name = "by the model"
    real.save()

    assert by_proxy == ("by the proxy", ["by the proxy"])
    assert everywhere(listed_names, data_type="ppm") == ["by the model"]


# 9. Delete and recreate


def device_with_relations():
    found = placed_device.make(name="first", serial="1", data_type="ppm")
    plan.make(equipment=found, name="yearly")
    contract.make(number="C-1").equipment.add(found)
    return found


def recreate(pk, **fields):
    return Equipment.objects.create(pk=pk, serial="2", **fields)


def delete_and_recreate_in_one_transaction(pk, **fields):
    with transaction.atomic():
        Equipment.objects.get(pk=pk).delete()
        recreate(pk, **fields)


def delete_and_recreate_one_after_the_other(pk, **fields):
    Equipment.objects.filter(pk=pk).delete()
    recreate(pk, **fields)


def delete_and_recreate_in_bulk(pk, **fields):
    with transaction.atomic():
        Equipment.objects.filter(pk__in=[pk, 0]).delete()
        Equipment.objects.bulk_create([Equipment(pk=pk, serial="2", **fields)])


@pytest.mark.parametrize(
    "write",
    [
        delete_and_recreate_in_one_transaction,
        delete_and_recreate_one_after_the_other,
        delete_and_recreate_in_bulk,
    ],
)
def test_09_delete_and_recreate_brings_back_no_old_relations(everywhere, write):
    found = device_with_relations()
    pk, place = found.pk, found.location_id
    assert assert_hits(plans_of, equipment=pk) == ["yearly"]
    assert assert_hits(contracts_of, equipment=pk) == ["C-1"]
    assert assert_hits(placements_of, equipment=pk) == [place]
    assert assert_hits(names_at, location=place) == ["first"]
    assert assert_hits(device_name, pk=pk) == "first"

    write(pk, name="second", data_type="ocm")

    assert everywhere(device_name, pk=pk) == "second"
    assert everywhere(plans_of, equipment=pk) == []
    assert everywhere(contracts_of, equipment=pk) == []
    assert everywhere(placements_of, equipment=pk) == []
    assert everywhere(names_at, location=place) == []
    assert everywhere(names_of_programme, data_type="ocm") == ["second"]


def delete_in_process(*, pk):
    Equipment.objects.get(pk=pk).delete()


def test_09_delete_and_recreate_during_a_fill_brings_back_nothing(process, everywhere):
    pk = device_with_relations().pk
    filler, writer = process("filler"), process("writer")

    # Its value and its stamps are of the first row; the second has the same key and the same state of absence between.
    filling = filler.run_to("after_compute", plans_of, equipment=pk)
    writer.call(delete_in_process, pk=pk)
    recreate(pk, name="second")
    filler.go_on()
    filling.result()

    assert everywhere(plans_of, equipment=pk) == []
    assert MaintenancePlan.objects.count() == 0


def test_09_delete_and_recreate_with_the_same_values_reads_the_new_row_s_relations(everywhere):
    pk = device_with_relations().pk
    assert assert_hits(plans_of, equipment=pk) == ["yearly"]

    Equipment.objects.get(pk=pk).delete()
    assert everywhere(plans_of, equipment=pk) == []
    again = Equipment.objects.create(pk=pk, name="first", serial="1", data_type="ppm")
    plan.make(equipment=again, name="weekly")

    assert everywhere(plans_of, equipment=pk) == ["weekly"]
