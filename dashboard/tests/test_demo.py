"""What the demo loads keeps every rule of the register, and is believable."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Count, F, Q
from django.utils import timezone

from audit.models import AuditLog, EventType
from dashboard.demo import Sizes, load
from dashboard.demo.catalogue import DEVICE_TYPES
from equipment.models import (
    Document,
    Equipment,
    EquipmentPhoto,
    EquipmentStatus,
    FailureCause,
    MaintenanceOutcome,
    MaintenancePlan,
    MaintenanceRound,
    MaintenanceState,
    MaintenanceStatus,
    PlanKind,
    ProductClass,
    ScheduledMaintenance,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
    WorkOrderKind,
    WorkOrderPart,
    WorkOrderStatus,
)
from equipment.models.register import Placement
from equipment.models.work_orders import DEVICE_FAILURES
from locations.models import Location, LocationKind, ProductionRun

TODAY = date(2026, 3, 30)  # the day before, the clock went forward where the tests of time zones are
SIZES = Sizes(equipment=420, work_orders=4200, years=5, seed=3)
PASSWORD = "known to everyone"


@pytest.fixture(scope="module")
def loaded(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[None]:
    """The demo, once for this module; it is taken back afterwards."""
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock(), transaction.atomic():
        patch.setattr("django.conf.settings.MEDIA_ROOT", tmp_path_factory.mktemp("media"))
        load(sizes=SIZES, today=TODAY, password=PASSWORD)
        yield
        transaction.set_rollback(True)


@pytest.fixture
def demo(loaded, db) -> None:
    """The loaded demo for one test."""


def test_the_counts_are_those_asked_for(demo):
    assert Equipment.objects.count() == SIZES.equipment
    assert WorkOrder.objects.count() == SIZES.work_orders


@pytest.mark.parametrize(
    "model",
    [
        ProductionRun, Location, ProductClass, Equipment, Placement, MaintenancePlan, MaintenanceRound,
        ScheduledMaintenance, WorkOrder, WorkOrderPart, ServiceContract, TrainingRecord, EquipmentPhoto, Document,
    ],
)  # fmt: skip
def test_rows_pass_the_validation_of_their_model(demo, model):
    rows = list(model._base_manager.order_by("pk"))
    sample = rows[:: max(1, len(rows) // 40)]

    assert sample
    for row in sample:
        row.full_clean()
        if hasattr(row, "file"):
            row.file.close()


def test_every_reference_leads_somewhere(demo):
    connection.check_constraints()


def test_every_type_and_its_facts_are_there(demo):
    names = set(Equipment.objects.values_list("name", flat=True))
    ventilator = ProductClass.objects.get(code="CBK")

    assert names == {kind.name for kind in DEVICE_TYPES}
    assert (ventilator.device_class, ventilator.life_sustaining) == ("2", True)
    assert not Equipment.objects.exclude(device_model__product_classes__isnull=False).exists()
    assert not Equipment.objects.exclude(device_model__description=F("name")).exists()


def test_paths_of_locations_are_those_that_saving_gives(demo):
    by_key = Location.objects.in_bulk()

    for location in by_key.values():
        above = by_key[location.parent_id].path if location.parent_id else ""
        assert location.path == f"{above}{location.label}/"
        location.clean()
    assert {location.kind for location in by_key.values()} == set(LocationKind.values)
    assert sum(location.kind == LocationKind.SITE for location in by_key.values()) == 2


def test_no_location_holds_more_than_its_capacity(demo):
    crowded = Location.objects.annotate(there=Count("equipment")).filter(there__gt=F("capacity"))

    assert Location.objects.filter(kind=LocationKind.STORAGE, capacity__isnull=False, equipment__isnull=False).exists()
    assert not crowded.exists()


def test_every_device_has_an_unbroken_history_of_places(demo):
    for device in Equipment.objects.prefetch_related("placements"):
        history = sorted(device.placements.all(), key=lambda placement: placement.since)
        present = history[-1]

        assert [placement.until for placement in history[:-1]] == [placement.since for placement in history[1:]]
        assert present.until is None
        assert (present.department_id, present.location_id, present.custodian_id) == (
            device.department_id,
            device.location_id,
            device.custodian_id,
        )
    assert Placement.objects.filter(until__isnull=False).count() > SIZES.equipment / 3


def test_what_happened_happened_before_today(demo):
    end = _midnight(TODAY)

    assert not ScheduledMaintenance.objects.filter(completed_on__gte=TODAY).exists()
    for name in ("reported_at", "started_at", "returned_to_service_at", "down_from", "down_until"):
        assert not WorkOrder.objects.filter(**{f"{name}__gte": end}).exists()
    assert not Placement.objects.filter(since__gte=end).exists()
    assert not Equipment.objects.filter(Q(installed_on__gte=TODAY) | Q(disposed_on__gte=TODAY)).exists()


def test_work_happens_in_order_and_in_the_lifetime_of_the_device(demo):
    for order in WorkOrder.objects.select_related("equipment"):
        times = [order.reported_at, order.started_at, order.returned_to_service_at]
        known = [instant for instant in times if instant is not None]
        assert known == sorted(known)
        device = order.equipment
        if device.installed_on:
            assert timezone.localdate(order.reported_at) >= device.installed_on
        if device.disposed_on:
            assert not order.is_open
            assert timezone.localdate(known[-1]) <= device.disposed_on


def test_numbers_of_work_orders_rise_with_the_time_of_the_report(demo):
    reported = list(WorkOrder.objects.order_by("pk").values_list("reported_at", flat=True))

    # Not to the hour: the clock is put forward and back.
    assert all(later - earlier >= timedelta(hours=-1) for earlier, later in pairwise(reported))


def test_preventive_work_belongs_to_maintenance_done_that_day(demo):
    orders = WorkOrder.objects.filter(scheduled_maintenance__isnull=False).select_related("scheduled_maintenance")

    assert orders.count() == SIZES.work_orders // 2
    for order in orders:
        done = order.scheduled_maintenance
        assert done.equipment_id == order.equipment_id
        assert done.completed_on == timezone.localdate(order.returned_to_service_at)
        assert order.kind in {WorkOrderKind.PREVENTIVE, WorkOrderKind.CALIBRATION}
    assert not WorkOrder.objects.filter(kind=WorkOrderKind.PREVENTIVE, scheduled_maintenance=None).exists()


def test_some_work_is_open_in_every_open_status_and_its_devices_are_out_of_service(demo):
    down = WorkOrder.objects.open().filter(down_from__isnull=False).values("equipment")

    assert set(WorkOrder.objects.values_list("status", flat=True)) == set(WorkOrderStatus.values)
    assert Equipment.objects.filter(status=EquipmentStatus.OUT_OF_SERVICE).exists()
    assert not Equipment.objects.filter(status=EquipmentStatus.OUT_OF_SERVICE).exclude(pk__in=down).exists()
    assert not Equipment.objects.filter(status=EquipmentStatus.IN_SERVICE, pk__in=down).exists()


def test_parts_add_up_to_the_cost_of_the_work_order(demo):
    costs: dict[int, list] = defaultdict(list)
    for part in WorkOrderPart.objects.all():
        costs[part.work_order_id].append(part.quantity * part.unit_cost)

    assert costs
    for order in WorkOrder.objects.in_bulk(costs).values():
        assert order.parts_cost == pytest.approx(sum(costs[order.pk]))


def test_dates_of_fixed_plans_are_occurrences_of_the_plan(demo):
    plans = MaintenancePlan.objects.filter(is_floating=False).prefetch_related("scheduled_maintenance")

    assert set(plans.values_list("kind", flat=True)) == set(PlanKind.values)
    for plan in plans:
        planned = [row.occurrence_date for row in plan.scheduled_maintenance.all()]
        assert planned
        assert sorted(planned) == [plan.occurrence(index) for index in range(len(planned))]


def test_a_floating_plan_counts_from_the_last_completion_and_has_one_open_date(demo):
    plans = MaintenancePlan.objects.filter(is_floating=True, equipment__disposed_on=None)
    several = 0

    for plan in plans.prefetch_related("scheduled_maintenance"):
        rows = sorted(plan.scheduled_maintenance.all(), key=lambda row: row.occurrence_date)
        assert sum(row.is_open for row in rows) <= 1
        for earlier, later in pairwise(rows):
            several += 1
            assert later.occurrence_date == (earlier.completed_on or earlier.occurrence_date) + plan.step()
    assert several


def test_planned_maintenance_reaches_a_year_ahead(demo):
    last = ScheduledMaintenance.objects.order_by("-occurrence_date").first()

    assert TODAY + timedelta(days=330) < last.occurrence_date < TODAY + timedelta(days=366)
    assert not MaintenancePlan.objects.filter(equipment__status=EquipmentStatus.DISPOSED, is_active=True).exists()
    assert not (ScheduledMaintenance.objects.open().filter(equipment__status=EquipmentStatus.DISPOSED).exists())


def test_every_state_of_maintenance_can_be_seen(demo):
    states = {row.state_on(TODAY) for row in ScheduledMaintenance.objects.all()}
    outcomes = set(ScheduledMaintenance.objects.values_list("outcome", flat=True)) - {""}

    assert states == set(MaintenanceState)
    assert outcomes == set(MaintenanceOutcome.values)
    assert ScheduledMaintenance.objects.filter(status=MaintenanceStatus.IN_PROGRESS).exists()


def test_quarters_are_those_of_the_planned_date(demo):
    for row in ScheduledMaintenance.objects.select_related("plan"):
        quarter = (row.occurrence_date.month - 1) // 3 + 1
        assert row.quarter == (quarter if row.plan.kind == PlanKind.PPM else None)


def test_rounds_are_of_several_devices_of_one_room_on_one_day(demo):
    rows = ScheduledMaintenance.objects.filter(round__isnull=False).select_related("round", "equipment")

    assert rows.exists()
    for row in rows:
        assert row.scheduled_date == row.round.scheduled_date
        assert row.equipment.location_id == row.round.location_id
    assert MaintenanceRound.objects.annotate(size=Count("scheduled_maintenance")).filter(size__gt=1).exists()


def test_most_maintenance_is_completed_and_most_of_that_on_time(demo):
    window = ScheduledMaintenance.objects.filter(
        scheduled_date__range=(TODAY - timedelta(days=365), TODAY - timedelta(days=1))
    ).exclude(status=MaintenanceStatus.CANCELLED)
    rows = list(window)
    completed = [row for row in rows if row.status == MaintenanceStatus.COMPLETED]
    on_time = [row for row in completed if row.was_on_time]

    assert 0.85 < len(completed) / len(rows) < 0.98
    assert 0.75 < len(on_time) / len(completed) < 0.97
    assert any(row.completed_on > row.scheduled_date + timedelta(days=row.tolerance_days) for row in completed)


def test_wear_comes_with_age_and_early_failures_do_not(demo):
    """The mean age at failure, in expected lives, against the mean age at which the devices were observed."""
    ages: dict[str, list[float]] = defaultdict(list)
    failures = WorkOrder.objects.filter(kind=WorkOrderKind.CORRECTIVE, equipment__installed_on__isnull=False)
    for order in failures.select_related("equipment__device_model"):
        life = order.equipment.device_model.expected_life_months * 30.44
        ages[order.cause].append((order.reported_at.date() - order.equipment.installed_on).days / life)
    mean = {cause: sum(found) / len(found) for cause, found in ages.items()}

    assert mean[FailureCause.WEAR] > 1.2 * mean[FailureCause.COMPONENT]
    assert mean[FailureCause.COMPONENT] < 1.1 * mean[FailureCause.USE_ERROR]


def test_types_that_wear_out_fail_more_often_when_they_are_old(demo):
    worn = [kind.name for kind in DEVICE_TYPES if kind.wear >= 0.55]
    failures = {"young": 0, "old": 0}
    days = {"young": 0.0, "old": 0.0}
    start = date(TODAY.year - SIZES.years, TODAY.month, TODAY.day)
    for device in Equipment.objects.filter(
        name__in=worn, installed_on__isnull=False, status__in=[EquipmentStatus.IN_SERVICE, EquipmentStatus.ON_LOAN]
    ).select_related("device_model"):
        half_life = device.installed_on + timedelta(days=device.device_model.expected_life_months * 15.2)
        days["young"] += max((min(half_life, TODAY) - max(start, device.installed_on)).days, 0)
        days["old"] += max((TODAY - max(half_life, start)).days, 0)
        for order in device.work_orders.filter(cause__in=DEVICE_FAILURES):
            failures["old" if order.reported_at.date() >= half_life else "young"] += 1

    rates = {age: failures[age] / days[age] for age in days}
    assert min(failures.values()) > 20
    assert rates["old"] > 1.5 * rates["young"]


def test_causes_from_outside_are_a_believable_share(demo):
    done = WorkOrder.objects.corrective().exclude(cause="")
    outside = done.exclude(cause__in=DEVICE_FAILURES).count() / done.count()

    assert set(done.values_list("cause", flat=True)) == set(FailureCause.values)
    assert 0.2 < outside < 0.4


def test_some_facts_are_unknown(demo):
    devices = Equipment.objects

    for name in ("purchase_cost", "warranty_until", "installed_on", "custodian"):
        unknown = devices.filter(**{f"{name}__isnull": True}).count()
        assert 0 < unknown < SIZES.equipment * 0.6
    assert set(devices.values_list("status", flat=True)) == set(EquipmentStatus.values)


def test_contracts_and_training_run_and_have_run_out(demo):
    contracts = {contract.is_running_on(TODAY) for contract in ServiceContract.objects.all()}
    training = {record.is_valid_on(TODAY) for record in TrainingRecord.objects.all()}

    assert contracts == training == {True, False}
    assert not ServiceContract.objects.filter(equipment__isnull=True).exists()


def test_photos_and_documents_can_be_read(demo):
    for row in [*EquipmentPhoto.objects.all(), *Document.objects.all()]:
        row.file.open()
        assert row.file.read(1)
        row.file.close()


def test_one_audit_row_tells_of_the_load(demo):
    row = AuditLog.objects.exclude(object_type="auth.group").get()

    assert row.event_type == EventType.COMMAND
    assert row.after["command"] == "load_demo"
    assert row.after["counts"]["equipment.workorder"] == SIZES.work_orders
    assert PASSWORD not in str(row.after)


def test_the_register_goes_on_counting_after_the_load(demo):
    for model in (Equipment, Location, WorkOrder):
        newest = model._base_manager.order_by("-pk").first()
        values = {"name": "Another site", "kind": "site"} if model is Location else {}
        if model is Equipment:
            values = {"name": "Infusion pump", "serial": "mine", "location": Location.objects.first()}
        if model is WorkOrder:
            values = {"equipment": Equipment.objects.first()}

        assert model._base_manager.create(**values).pk > newest.pk


def test_the_four_users_can_do_what_their_groups_can(demo):
    users = User.objects.in_bulk(["admin", "editor", "viewer", "north"], field_name="username")

    assert all(user.check_password(PASSWORD) for user in users.values())
    assert users["admin"].is_superuser
    assert users["editor"].is_staff
    assert users["editor"].has_perm("equipment.change_equipment")
    assert not users["viewer"].is_staff
    assert users["viewer"].has_perm("equipment.view_equipment")
    assert not users["viewer"].has_perm("equipment.change_equipment")


def test_the_limited_user_sees_one_site_only(demo):
    north = User.objects.get(username="north")
    site = Location.objects.get(name="North Clinic")

    seen = Equipment.objects.visible_to(north)

    assert 0 < seen.count() == Equipment.objects.within(site).count() < SIZES.equipment


def test_the_staff_in_the_history_cannot_sign_in(demo):
    staff = User.objects.exclude(username__in=["admin", "editor", "viewer", "north"])

    assert staff.count() > 10
    assert not any(user.has_usable_password() for user in staff)
    assert not staff.filter(Q(is_superuser=True) | Q(is_staff=True)).exists()


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
