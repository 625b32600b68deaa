"""Situations 29 and 30: a write that was announced and failed, and a row that is not there yet."""

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models.signals import post_save, pre_delete, pre_save

from equipment.models import Equipment, MaintenancePlan
from equipment.tests.recipes import device, plan, work_order
from invalidation.testing import assert_hits
from locations.tests.recipes import room
from tests.staleness.reads import (
    all_plans,
    count_at,
    count_of_programme,
    device_name,
    device_names,
    names_at,
    names_of_programme,
    plans_of,
    serial_exists,
)

pytestmark = pytest.mark.django_db(transaction=True)


# 29. Announced but failed


class Refused(Exception):
    """Raised by a receiver of a signal."""


def refuse(**kwargs):
    raise Refused


def save_that_breaks_a_constraint(pk):
    found = Equipment.objects.get(pk=pk)
    found.serial = "taken"
    with pytest.raises(IntegrityError), transaction.atomic():
        found.save()


def save_that_breaks_a_check(pk):
    found = Equipment.objects.get(pk=pk)
    found.status = "disposed"
    with pytest.raises(IntegrityError):
        found.save()


def save_of_a_row_that_is_gone(pk):
    found = Equipment.objects.get(pk=pk)
    found.pk = 0
    with pytest.raises(DatabaseError), transaction.atomic():
        found.save(force_update=True)


def save_that_a_receiver_refuses_before(pk):
    pre_save.connect(refuse, sender=Equipment)
    try:
        with pytest.raises(Refused), transaction.atomic():
            Equipment.objects.get(pk=pk).save()
    finally:
        pre_save.disconnect(refuse, sender=Equipment)


def save_that_a_receiver_refuses_after(pk):
    post_save.connect(refuse, sender=Equipment)
    try:
        with pytest.raises(Refused), transaction.atomic():
            Equipment.objects.get(pk=pk).save()
    finally:
        post_save.disconnect(refuse, sender=Equipment)


def save_of_a_value_that_is_none(pk):
    found = Equipment.objects.get(pk=pk)
    found.installed_on = "no date"
    with pytest.raises(ValidationError), transaction.atomic():
        found.save()


def deletion_that_is_protected(pk):
    order = work_order.make(equipment=Equipment.objects.get(pk=pk))
    with pytest.raises(IntegrityError), transaction.atomic():
        Equipment.objects.get(pk=pk).delete()
    order.delete()


def deletion_that_a_receiver_refuses(pk):
    pre_delete.connect(refuse, sender=Equipment)
    try:
        with pytest.raises(Refused), transaction.atomic():
            Equipment.objects.get(pk=pk).delete()
    finally:
        pre_delete.disconnect(refuse, sender=Equipment)


FAILURES = [
    save_that_breaks_a_constraint,
    save_that_breaks_a_check,
    save_of_a_row_that_is_gone,
    save_that_a_receiver_refuses_before,
    save_that_a_receiver_refuses_after,
    save_of_a_value_that_is_none,
    deletion_that_is_protected,
    deletion_that_a_receiver_refuses,
]


def update_it(pk):
    Equipment.objects.filter(pk=pk).update(name="new", data_type="ocm")


def update_all(pk):
    Equipment.objects.update(name="new", data_type="ocm")


def update_by_cursor(pk):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE equipment_equipment SET name = 'new', data_type = 'ocm'")


def fill(pk):
    assert_hits(device_name, pk=pk)
    assert_hits(device_names)
    for programme in ("ppm", "ocm"):
        assert_hits(names_of_programme, data_type=programme)
        assert_hits(count_of_programme, data_type=programme)


def seen(everywhere, pk):
    return (
        everywhere(device_name, pk=pk),
        everywhere(device_names),
        *(everywhere(names_of_programme, data_type=programme) for programme in ("ppm", "ocm")),
        *(everywhere(count_of_programme, data_type=programme) for programme in ("ppm", "ocm")),
    )


@pytest.fixture
def pk(watched):
    device.make(name="other", serial="taken", data_type="none")
    found = device.make(name="old", serial="ours", data_type="none")
    Equipment.objects.filter(serial="taken").update(data_type="ppm", name="new")
    Equipment.objects.filter(pk=found.pk).update(data_type="ppm")
    return found.pk


@pytest.mark.parametrize("update", [update_it, update_all, update_by_cursor])
@pytest.mark.parametrize("fail", FAILURES)
def test_29_announced_but_failed_hides_no_later_update(pk, everywhere, fail, update):
    fill(pk)

    fail(pk)
    after_failure = seen(everywhere, pk)
    update(pk)

    assert after_failure[:3] == ("old", ["new", "old"], ["new", "old"])
    now = seen(everywhere, pk)
    assert now[:2] == ("new", ["new", "new"])
    assert "new" in now[3]


@pytest.mark.parametrize("fail", FAILURES)
def test_29_announced_but_failed_in_a_savepoint_hides_no_update_of_the_same_transaction(pk, everywhere, fail):
    fill(pk)

    with transaction.atomic():
        with transaction.atomic():
            fail(pk)
        update_all(pk)

    assert seen(everywhere, pk)[:4] == ("new", ["new", "new"], [], ["new", "new"])


def fail_and_update(*, pk, fails):
    globals()[fails](pk)
    update_it(pk)


@pytest.mark.parametrize("fails", [fail.__name__ for fail in FAILURES])
def test_29_announced_but_failed_in_a_worker_hides_none_of_its_updates(pk, process, everywhere, fails):
    fill(pk)
    worker = process("worker")

    worker.call(fail_and_update, pk=pk, fails=fails)

    assert everywhere(device_name, pk=pk) == "new"
    assert everywhere(names_of_programme, data_type="ocm") == ["new"]


# 30. Not there yet


def insert_by_create(**fields):
    Equipment.objects.create(**fields)


def insert_by_save_with_a_key(**fields):
    Equipment(pk=4711, **fields).save()


def insert_in_bulk(**fields):
    Equipment.objects.bulk_create([Equipment(**fields)])


def insert_in_bulk_with_a_key(**fields):
    Equipment.objects.bulk_create([Equipment(pk=4711, **fields)])


def insert_by_get_or_create(**fields):
    Equipment.objects.get_or_create(serial=fields.pop("serial"), defaults=fields)


def insert_by_update_or_create(**fields):
    Equipment.objects.update_or_create(serial=fields.pop("serial"), defaults=fields)


def insert_by_cursor(**fields):
    """A copy of a row that is there, by INSERT … SELECT."""
    columns = [field.column for field in Equipment._meta.concrete_fields if not field.primary_key]
    values = [f"'{fields[name]}'" if name in fields else f'"{name}"' for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO equipment_equipment ({', '.join(columns)}) SELECT {', '.join(values)} "
            "FROM equipment_equipment WHERE serial = 'template'"
        )


@pytest.mark.parametrize(
    "insert",
    [
        insert_by_create,
        insert_by_save_with_a_key,
        insert_in_bulk,
        insert_in_bulk_with_a_key,
        insert_by_get_or_create,
        insert_by_update_or_create,
        insert_by_cursor,
    ],
)
def test_30_not_there_yet_is_forgotten_when_the_row_comes(everywhere, insert):
    place = room.make().pk
    device.make(name="Template", serial="template", data_type="none")
    assert assert_hits(serial_exists, serial="new") is False
    assert assert_hits(names_of_programme, data_type="ppm") == []
    assert assert_hits(count_of_programme, data_type="ppm") == 0
    assert assert_hits(names_at, location=place) == []
    assert assert_hits(count_at, location=place) == 0

    insert(name="Pump", serial="new", data_type="ppm", location_id=place)

    assert everywhere(serial_exists, serial="new") is True
    assert everywhere(names_of_programme, data_type="ppm") == ["Pump"]
    assert everywhere(count_of_programme, data_type="ppm") == 1
    assert everywhere(names_at, location=place) == ["Pump"]
    assert everywhere(count_at, location=place) == 1


@pytest.mark.parametrize("insert", [insert_by_save_with_a_key, insert_in_bulk_with_a_key])
def test_30_not_there_yet_is_forgotten_when_the_row_of_that_key_comes(everywhere, insert):
    assert assert_hits(device_name, pk=4711) is None

    insert(name="Pump", serial="new")

    assert everywhere(device_name, pk=4711) == "Pump"


def test_30_not_there_yet_is_forgotten_when_a_row_with_the_next_key_comes(everywhere):
    """The key is the database's to give: no statement names it before the row is there."""
    coming = device.make().pk + 1
    assert assert_hits(device_name, pk=coming) is None

    found = Equipment.objects.create(name="Pump", serial="new")

    assert found.pk == coming
    assert everywhere(device_name, pk=coming) == "Pump"


def test_30_not_there_yet_is_forgotten_when_a_row_moves_there(everywhere):
    first, there = device.make(), device.make().pk
    here, found = first.pk, plan.make(equipment=first, name="yearly")
    assert assert_hits(plans_of, equipment=there) == []
    assert_hits(all_plans)

    MaintenancePlan.objects.filter(pk=found.pk).update(equipment=there)

    assert everywhere(plans_of, equipment=there) == ["yearly"]
    assert everywhere(plans_of, equipment=here) == []


def create_in_process(*, serial):
    Equipment.objects.create(name="Pump", serial=serial)


@pytest.mark.parametrize("step", ["before_raise", "after_raise", "after_commit"])
def test_30_not_there_yet_is_not_remembered_while_the_row_comes(process, everywhere, step):
    writer, filler = process("writer"), process("filler")

    # The absence is read before the row is committed, and stored in the midst of its commit.
    filling = filler.run_to("after_compute", serial_exists, serial="new")
    writing = writer.run_to(step, create_in_process, serial="new")
    filler.go_on()
    filling.result()
    writer.go_on()
    writing.result()

    assert everywhere(serial_exists, serial="new") is True
