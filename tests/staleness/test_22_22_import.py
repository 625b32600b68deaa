"""Situation 22: many rows in one transaction."""

from collections import Counter

import pytest
from django.core.management import call_command
from django.db import transaction

from equipment.models import Equipment
from equipment.tests.files import many_devices, ppm_file
from equipment.tests.recipes import device
from invalidation import transactions
from invalidation.store import Store, store
from invalidation.testing import assert_hits
from tests.staleness.reads import count_of_programme, device_name, device_names, names_of_programme

pytestmark = pytest.mark.django_db(transaction=True)

ROWS = 10_000
# Tables, scopes and "any row" of them; with the audit's and the placements' tables, however many rows there are.
MOST_TAGS = 20


class Halfway(Exception):
    """An import fails with half of its rows stored; with what a read inside it said."""


@pytest.fixture
def work_of_redis(monkeypatch):
    """Counts what is sent to Redis: scripts by name and, as "tags", the keys given to `raise`."""
    counted = Counter()
    run, ask = Store.run, Store._ask

    def count_run(self, name, keys, *arguments, **options):
        counted[name] += 1
        if name == "raise":
            counted["tags"] += len(keys) - 1
        return run(self, name, keys, *arguments, **options)

    def count_ask(self, commands, **options):
        counted["round trips"] += 1
        return ask(self, commands, **options)

    monkeypatch.setattr(Store, "run", count_run)
    monkeypatch.setattr(Store, "_ask", count_ask)
    return counted


def store_rows(count, *, data_type="ppm"):
    Equipment.objects.bulk_create(
        [Equipment(name=f"Pump {number}", serial=f"S{number}", data_type=data_type) for number in range(count)],
        batch_size=500,
    )


def import_rows(*, count, fails):
    """Stands at `before_raise` when all rows are stored and nothing is committed."""
    with transaction.atomic():
        store_rows(count)
        if fails:
            raise Halfway(count_of_programme(data_type="ppm"))


def test_22_import_of_ten_thousand_rows_is_one_invalidation(everywhere, work_of_redis):
    device.make(name="Before", data_type="ppm")
    assert assert_hits(count_of_programme, data_type="ppm") == 1
    assert_hits(count_of_programme, data_type="ocm")
    work_of_redis.clear()

    with transaction.atomic():
        store_rows(ROWS)

    assert (work_of_redis["raise"], work_of_redis["lift"]) == (1, 1)
    assert work_of_redis["tags"] <= MOST_TAGS
    assert work_of_redis["round trips"] <= 4
    assert everywhere(count_of_programme, data_type="ppm") == ROWS + 1
    assert everywhere(count_of_programme, data_type="ocm") == 0


def test_22_import_leaves_no_keys_of_its_rows_behind(watched, cache_in_use):
    """What Redis has to remember does not grow with the rows that were written."""
    prefix = store().names.prefix
    assert_hits(count_of_programme, data_type="ppm")
    before = len(list(store().client.scan_iter(f"{prefix}:*")))

    with transaction.atomic():
        store_rows(ROWS)

    assert len(list(store().client.scan_iter(f"{prefix}:*"))) <= before + MOST_TAGS


def test_22_import_of_rows_that_are_saved_one_by_one_is_bounded_too(everywhere, work_of_redis):
    count = transactions.MOST_ROWS_OF_A_TABLE + 50
    pk = device.make(name="Before", serial="before", data_type="ppm").pk
    assert_hits(device_names)
    assert_hits(device_name, pk=pk)
    assert_hits(count_of_programme, data_type="ppm")
    work_of_redis.clear()

    with transaction.atomic():
        for number in range(count):
            device.make(name=f"Pump {number:04d}", data_type="ppm")
        Equipment.objects.filter(pk=pk).update(name="After")

    assert (work_of_redis["raise"], work_of_redis["lift"]) == (1, 1)
    assert work_of_redis["tags"] <= MOST_TAGS
    assert everywhere(count_of_programme, data_type="ppm") == count + 1
    assert everywhere(device_name, pk=pk) == "After"
    assert len(everywhere(device_names)) == count + 1


def test_22_import_of_few_rows_names_them_and_leaves_others_alone(watched, django_assert_num_queries, cache_in_use):
    other = device.make(name="Other").pk
    assert_hits(device_name, pk=other)

    with transaction.atomic():
        for number in range(20):
            device.make(name=f"Pump {number:04d}")

    with django_assert_num_queries(0):
        assert device_name(pk=other) == "Other"


def test_22_import_that_fails_halfway_leaves_everything_as_it_was(everywhere, work_of_redis):
    device.make(name="Before", data_type="ppm")
    assert_hits(count_of_programme, data_type="ppm")
    work_of_redis.clear()

    with pytest.raises(Halfway) as failed:
        import_rows(count=ROWS // 2, fails=True)
    inside = failed.value.args[0]

    assert inside == ROWS // 2 + 1
    assert (work_of_redis["raise"], work_of_redis["lift"]) == (0, 0)
    assert everywhere(count_of_programme, data_type="ppm") == 1
    assert everywhere(names_of_programme, data_type="ppm") == ["Before"]


def test_22_import_is_not_seen_by_halves_and_is_seen_after_its_commit(process, everywhere):
    importer = process("importer")
    assert_hits(count_of_programme, data_type="ppm")

    importing = importer.run_to("before_raise", import_rows, count=1000, fails=False)
    meanwhile = everywhere(count_of_programme, data_type="ppm")
    importer.go_on(to="after_raise")
    under_the_fence = everywhere(count_of_programme, data_type="ppm")
    importer.go_on()
    importing.result()

    assert (meanwhile, under_the_fence) == (0, 0)
    assert everywhere(count_of_programme, data_type="ppm") == 1000


def test_22_import_whose_process_dies_halfway_leaves_everything_as_it_was(process, everywhere):
    importer = process("importer")
    assert_hits(count_of_programme, data_type="ppm")
    importer.run_to("before_raise", import_rows, count=1000, fails=False)

    importer.kill()

    assert everywhere(count_of_programme, data_type="ppm") == 0
    store_rows(1)
    assert everywhere(count_of_programme, data_type="ppm") == 1


def test_22_import_by_the_command_and_its_undoing_are_seen(everywhere, tmp_path):
    register = tmp_path / "register.csv"
    register.write_bytes(ppm_file(*many_devices(300)).getvalue())
    assert_hits(count_of_programme, data_type="ppm")
    assert_hits(device_names)

    call_command("import_equipment", register, verbosity=0)
    imported = everywhere(count_of_programme, data_type="ppm"), len(everywhere(device_names))
    Equipment.objects.all().delete()

    assert imported == (300, 300)
    assert everywhere(count_of_programme, data_type="ppm") == 0
    assert everywhere(device_names) == []
