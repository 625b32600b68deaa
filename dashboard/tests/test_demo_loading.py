"""Loading the demo: the same every time, in any size, all or nothing, and only into an empty register."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from itertools import groupby
from pathlib import Path
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from audit.models import AuditLog
from dashboard.demo import DemoRefused, Sizes, load
from dashboard.demo.loading import OWN_DATA
from dashboard.demo.work import Desk
from dashboard.demo.writing import first_free_key
from equipment.models import (
    DeviceModel,
    Equipment,
    Manufacturer,
    Placement,
    ProductClass,
    ScheduledMaintenance,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
    WorkOrderPart,
)
from locations.models import Location, LocationKind

TODAY = date(2026, 3, 30)  # the day after the clock goes forward in Berlin
SMALL = Sizes(equipment=12, work_orders=80, years=1)
PASSWORD = "known to everyone"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def test_the_same_seed_and_day_give_the_same_data():
    sizes = Sizes(equipment=60, work_orders=400, years=2, seed=11)

    first, again = _digest(sizes), _digest(sizes)
    other = _digest(Sizes(equipment=60, work_orders=400, years=2, seed=12))

    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes(equipment=1, work_orders=0, years=1),
        Sizes(equipment=1, work_orders=60, years=1, seed=5),
        Sizes(equipment=7, work_orders=3, years=20),
        Sizes(equipment=40, work_orders=2000, years=2),
    ],
    ids=str,
)
def test_unusual_sizes_are_met_exactly(sizes):
    load(sizes=sizes, today=TODAY, password=PASSWORD)

    assert Equipment.objects.count() == sizes.equipment
    assert WorkOrder.objects.count() == sizes.work_orders
    connection.check_constraints()


def test_repairs_end_before_the_device_is_disposed_of():
    load(sizes=Sizes(equipment=60, work_orders=8000, years=1), today=TODAY, password=PASSWORD)

    orders = WorkOrder.objects.filter(equipment__disposed_on__isnull=False).select_related("equipment")
    assert orders.count() > 200
    for order in orders:
        assert not order.is_open
        left = timezone.make_aware(datetime.combine(order.equipment.disposed_on, time()))
        assert (order.returned_to_service_at or order.reported_at) <= left


def test_where_clocks_change_nothing_is_out_of_order(settings):
    settings.TIME_ZONE = "Europe/Berlin"

    load(sizes=Sizes(equipment=80, work_orders=1500, years=2), today=TODAY, password=PASSWORD)

    end = _midnight(TODAY)
    assert end.astimezone(UTC).hour == 22
    assert not WorkOrder.objects.filter(Q(reported_at__gte=end) | Q(returned_to_service_at__gte=end)).exists()
    for order in WorkOrder.objects.filter(scheduled_maintenance__isnull=False).select_related("scheduled_maintenance"):
        assert timezone.localdate(order.reported_at) == order.scheduled_maintenance.completed_on
        assert timezone.localdate(order.returned_to_service_at) == order.scheduled_maintenance.completed_on


def test_an_interrupted_load_leaves_nothing_behind(monkeypatch, media):
    orders = Desk.rows

    def interrupted(desk, agenda):
        for number, row in enumerate(orders(desk, agenda)):
            if number == 50:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(Desk, "rows", interrupted)
    rows_of_audit = AuditLog.objects.count()

    with pytest.raises(KeyboardInterrupt):
        load(sizes=SMALL, today=TODAY, password=PASSWORD)

    for model in (*OWN_DATA, User, WorkOrder, ScheduledMaintenance, ProductClass):
        assert not model._base_manager.exists()
    assert AuditLog.objects.count() == rows_of_audit


def test_an_error_at_the_end_takes_stored_files_away_again(monkeypatch, media):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("dashboard.demo.loading.record", fail)

    with pytest.raises(OSError, match="disk full"):
        load(sizes=SMALL, today=TODAY, password=PASSWORD)

    assert (media / "photos").is_dir()
    assert [path for path in media.rglob("*") if path.is_file()] == []


def _some_place() -> Location:
    return Location.objects.create(name="Ours", kind=LocationKind.SITE)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Equipment.objects.create(name="Pump", serial="1"), "equipment"),
        (_some_place, "locations"),
        (lambda: Manufacturer.objects.create(name="Ours"), "manufacturers"),
        (lambda: User.objects.create_user("someone"), "someone"),
    ],
)
def test_a_register_with_data_of_its_own_is_refused(make, named):
    make()
    users = User.objects.count()

    with pytest.raises(DemoRefused, match=named):
        load(sizes=SMALL, today=TODAY, password=PASSWORD)

    assert User.objects.count() == users
    assert not WorkOrder.objects.exists()


def test_an_account_of_the_same_name_stays_as_it_was():
    before = User.objects.create_user("admin", password="of its own", email="me@hospital.example")

    load(sizes=SMALL, today=TODAY, password=PASSWORD)

    after = User.objects.get(username="admin")
    assert after.pk == before.pk
    assert after.check_password("of its own")
    assert (after.email, after.is_superuser, after.groups.count()) == ("me@hospital.example", False, 0)
    assert User.objects.get(username="viewer").check_password(PASSWORD)


def test_product_classes_that_are_there_stay_as_they_were():
    ProductClass.objects.create(code="FRN", name="Pump, Infusion", device_class="2")

    load(sizes=SMALL, today=TODAY, password=PASSWORD)

    assert ProductClass.objects.get(code="FRN").name == "Pump, Infusion"
    assert DeviceModel.objects.filter(product_classes__code="FRN").exists()


def test_keys_of_deleted_rows_are_not_given_again():
    gone = Equipment.objects.create(name="Pump", serial="1").pk
    Equipment.objects.all().delete()

    first = first_free_key(Equipment)
    load(sizes=SMALL, today=TODAY, password=PASSWORD)

    assert first > gone
    assert Equipment.objects.order_by("pk").first().pk == first


@pytest.mark.django_db(transaction=True)
def test_of_two_loads_at_once_one_is_refused(media):
    barrier = Barrier(2)

    def load_with_the_other() -> str:
        try:
            barrier.wait(timeout=30)
            load(sizes=SMALL, today=TODAY, password=PASSWORD)
        except DemoRefused:
            return "refused"
        finally:
            connection.close()
        return "loaded"

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(load_with_the_other) for _thread in range(2)]

    assert sorted(answer.result() for answer in answers) == ["loaded", "refused"]
    assert Equipment.objects.count() == SMALL.equipment


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _digest(sizes: Sizes) -> str:
    """What a load of `sizes` stores, without keys and times of storing; it is taken back."""
    queries = (
        (Location, ("path", "name", "code", "kind", "capacity", "production_run__code")),
        (Equipment, ("serial", "asset_tag", "name", "data_type", "status", "installed_on", "warranty_until",
                     "purchase_cost", "disposed_on", "device_model__name", "location__path", "department__path",
                     "custodian__username")),
        (Placement, ("equipment__serial", "location__path", "custodian__username", "since", "until")),
        (ScheduledMaintenance, ("equipment__serial", "occurrence_date", "scheduled_date", "status", "completed_on",
                                "outcome", "plan__kind", "plan__starts_on", "round__name", "completed_by__username")),
        (WorkOrder, ("equipment__serial", "kind", "status", "priority", "cause", "problem", "reported_at",
                     "started_at", "returned_to_service_at", "down_from", "down_until", "assigned_to__username",
                     "reported_by__username", "labour_cost", "parts_cost", "scheduled_maintenance__occurrence_date")),
        (WorkOrderPart, ("work_order__reported_at", "name", "quantity", "unit_cost")),
        (ServiceContract, ("number", "supplier", "starts_on", "annual_cost", "equipment__serial")),
        (TrainingRecord, ("person__username", "device_model__name", "trained_on", "expires_on")),
    )  # fmt: skip
    digest = hashlib.sha256()
    with transaction.atomic():
        load(sizes=sizes, today=TODAY, password=PASSWORD)
        for model, names in queries:
            rows = sorted(map(repr, model._base_manager.values_list(*names)))
            assert rows
            for row, copies in groupby(rows):
                digest.update(f"{row}{len(list(copies))}".encode())
        transaction.set_rollback(True)
    return digest.hexdigest()
