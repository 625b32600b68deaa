"""What is cached of the register, and what makes it stale.

Reads of lists and counts take `limits` (`locations.caches.limits_for`). Those of one device's page do not ask whether
the reader may see the device: `device_detail` does, and comes first. Days are local dates.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Model, Q

from equipment.details import (
    Contract,
    DeviceDetail,
    DoneDate,
    File,
    MaintenanceSection,
    OpenDate,
    Order,
    Photo,
    PlacementRow,
    Plan,
    Training,
    WorkOrderSection,
)
from equipment.figures import EquipmentCounts, MaintenanceCounts, OverdueDate, count_equipment, count_maintenance
from equipment.models import (
    DeviceModel,
    Document,
    Equipment,
    EquipmentPhoto,
    MaintenancePlan,
    MaintenanceStatus,
    Manufacturer,
    Placement,
    ScheduledMaintenance,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
)
from equipment.querysets import EquipmentQuerySet
from equipment.tables import SORTS, PlaceNames, Row, rows
from invalidation import cached_read, row, scope, sometimes, table, watch
from invalidation.tags import Need
from locations.models import Location
from locations.querysets import Limits, paths_of, within_paths

NEWEST_SHOWN = 10
OPEN_SHOWN = 8
PLACEMENTS_SHOWN = 20
TRAINING_SHOWN = 20

Covers = ServiceContract.equipment.through
User = get_user_model()


def declare() -> None:
    """Tell the engine whose writes end entries; called once, from `ready()`."""
    for model in (Manufacturer, DeviceModel, ServiceContract):
        watch(model)
    watch(Equipment, scopes=("data_type", "department", "location", "device_model"))
    for of_one_device in (MaintenancePlan, ScheduledMaintenance, WorkOrder, Placement, EquipmentPhoto, Covers):
        watch(of_one_device, scopes=("equipment",))
    watch(Document, scopes=("equipment", "device_model"))
    watch(TrainingRecord, scopes=("device_model",))


def unread(path: str) -> tuple[str, ...]:
    """The fields of the user that `path` leads to which no page shows: a sign-in, which changes one, ends no entry."""
    return (f"{path}__last_login", f"{path}__password")


def _if_read(*models: type[Model]) -> list[Need]:
    """Needs of a computation that has nothing to ask these tables for where it finds no row, or nobody's limits."""
    return [sometimes(table(model)) for model in models]


# Lists and counts of devices


def _chosen(params: Mapping[str, Any]) -> Need:
    """The narrowest need that covers the devices a filter lets through."""
    for column in ("data_type", "department"):
        if params[column] is not None:
            return scope(Equipment, **{column: params[column]})
    return table(Equipment)


def _counted(params: Mapping[str, Any]) -> list[Need]:
    needs = [sometimes(_chosen(params))]
    if params["limits"] is not None or params["text"]:
        needs += _if_read(Location)
    if params["text"]:
        needs += _if_read(DeviceModel, Manufacturer)
    return needs


def _listed(params: Mapping[str, Any]) -> list[Need]:
    # Names of models and places are in the rows; an empty page asks for none.
    return [sometimes(_chosen(params)), *_if_read(DeviceModel, Manufacturer, Location)]


def _narrowed(
    data_type: str | None, status: str | None, department: int | None, paths: list[str] | None
) -> EquipmentQuerySet:
    chosen = {"data_type": data_type, "status": status, "department": department}
    inside = Equipment.objects.filter(within_paths(paths, "location__"))
    return inside.filter(**{name: value for name, value in chosen.items() if value is not None})


@cached_read("equipment:count", needs=_counted, ttl="list", scope="data_type")
def equipment_count(
    *, data_type: str | None, status: str | None, department: int | None, text: str, limits: Limits
) -> int:
    """How many devices a list with these filters holds; `text` is what to search for, or empty."""
    return _narrowed(data_type, status, department, paths_of(limits)).matching(text).count()


@cached_read("equipment:list", needs=_listed, ttl="list", scope="data_type")
def equipment_rows(
    *,
    data_type: str | None,
    status: str | None,
    department: int | None,
    text: str,
    sort: str,
    page: int,
    page_size: int,
    limits: Limits,
) -> tuple[Row, ...]:
    """The rows of one page of the list, from 1, in the order `sort` (of SORTS); none for a page beyond the end."""
    paths = paths_of(limits)
    devices = _narrowed(data_type, status, department, paths)
    first = (page - 1) * page_size
    keys = devices.matching(text).order_by(*SORTS[sort]).values_list("pk", flat=True)
    return rows(devices, list(keys[first : first + page_size]), places=PlaceNames(paths))


def _inside(model: type[Model]) -> Callable[[Mapping[str, Any]], list[Need]]:
    """Needs of a count over rows that belong to devices: where the devices are matters only within limits."""

    def needs(params: Mapping[str, Any]) -> list[Need]:
        if params["limits"] is None:
            return [table(model)]
        return _if_read(model, Equipment, Location)

    return needs


@cached_read("equipment:counts", needs=_inside(Equipment), ttl="list")
def equipment_counts(*, limits: Limits) -> EquipmentCounts:
    """All devices inside the limits, by what they are counted for."""
    return count_equipment(Equipment.objects.filter(within_paths(paths_of(limits), "location__")))


@cached_read("maintenance:counts", needs=_inside(ScheduledMaintenance), ttl="list")
def maintenance_counts(*, day: date, days_ahead: int, completed_since: date, limits: Limits) -> MaintenanceCounts:
    """Dates of maintenance as they stand on `day`, the completed ones from `completed_since` on."""
    dates = ScheduledMaintenance.objects.filter(within_paths(paths_of(limits), "equipment__location__"))
    return count_maintenance(dates, day=day, days_ahead=days_ahead, completed_since=completed_since)


@cached_read("work_order:open", needs=_inside(WorkOrder), ttl="list")
def open_work_orders(*, limits: Limits) -> int:
    """How many work orders are open."""
    return WorkOrder.objects.filter(within_paths(paths_of(limits), "equipment__location__")).open().count()


@cached_read(
    "maintenance:overdue",
    needs=_if_read(ScheduledMaintenance, Equipment, DeviceModel, Manufacturer, Location),
    ttl="list",
)
def overdue_maintenance(*, day: date, most: int, limits: Limits) -> tuple[OverdueDate, ...]:
    """What is overdue on `day`, late longest first, `most` at most."""
    dates = ScheduledMaintenance.objects.filter(within_paths(paths_of(limits), "equipment__location__"))
    found = dates.overdue_on(day).select_related("equipment__location", "equipment__device_model__manufacturer")
    return tuple(OverdueDate.of(each) for each in found.order_by("scheduled_date", "pk")[:most])


# The page of one device, a section each


@cached_read(
    "equipment:detail",
    needs=lambda p: [
        row(Equipment, p["equipment_id"]),
        *(table(model) for model in (DeviceModel, Manufacturer, Location, User)),
    ],
    ttl="list",
    scope="equipment_id",
)
def device_detail(*, equipment_id: int, today: date, limits: Limits) -> DeviceDetail:
    """The device itself; raises Equipment.DoesNotExist for one outside the limits."""
    paths = paths_of(limits)
    inside = Equipment.objects.filter(within_paths(paths, "location__"))
    device = inside.for_list().select_related("custodian").defer(*unread("custodian")).get(pk=equipment_id)
    return DeviceDetail.of(device, places=PlaceNames(paths), today=today)


@cached_read(
    "maintenance:of_device",
    needs=lambda p: [
        scope(ScheduledMaintenance, equipment=p["equipment_id"]),
        scope(MaintenancePlan, equipment=p["equipment_id"]),
    ],
    ttl="list",
    scope="equipment_id",
)
def maintenance_of(*, equipment_id: int, today: date) -> MaintenanceSection:
    dates = ScheduledMaintenance.objects.filter(equipment_id=equipment_id)
    done = dates.filter(status=MaintenanceStatus.COMPLETED).order_by("-completed_on", "-pk")[:NEWEST_SHOWN]
    return MaintenanceSection(
        plans=tuple(map(Plan.of, MaintenancePlan.objects.filter(equipment_id=equipment_id))),
        coming=tuple(
            OpenDate.of(date, today=today) for date in dates.open().order_by("scheduled_date", "pk")[:OPEN_SHOWN]
        ),
        done=tuple(map(DoneDate.of, done)),
    )


@cached_read(
    "work_order:of_device",
    needs=lambda p: [scope(WorkOrder, equipment=p["equipment_id"]), table(User)],
    ttl="list",
    scope="equipment_id",
)
def work_orders_of(*, equipment_id: int) -> WorkOrderSection:
    orders = WorkOrder.objects.filter(equipment_id=equipment_id)
    newest = orders.select_related("assigned_to").defer(*unread("assigned_to"))[:NEWEST_SHOWN]
    return WorkOrderSection(newest=tuple(map(Order.of, newest)), count=orders.count())


@cached_read(
    "contract:of_device",
    needs=lambda p: [scope(Covers, equipment=p["equipment_id"]), table(ServiceContract)],
    ttl="list",
    scope="equipment_id",
)
def contracts_of(*, equipment_id: int, today: date) -> tuple[Contract, ...]:
    contracts = ServiceContract.objects.filter(equipment=equipment_id).order_by("-starts_on", "pk")
    return tuple(Contract.of(contract, today=today) for contract in contracts)


@cached_read(
    "placement:of_device",
    needs=lambda p: [sometimes(scope(Placement, equipment=p["equipment_id"])), *_if_read(Location, User)],
    ttl="list",
    scope="equipment_id",
)
def placements_of(*, equipment_id: int, limits: Limits) -> tuple[PlacementRow, ...]:
    """Where the device has been inside the limits, the latest first."""
    paths = paths_of(limits)
    history = Placement.objects.filter(within_paths(paths, "location__"), equipment_id=equipment_id)
    places = PlaceNames(paths)
    latest = history.select_related("department", "location", "custodian").defer(*unread("custodian"))[
        :PLACEMENTS_SHOWN
    ]
    return tuple(PlacementRow.of(placement, places=places) for placement in latest)


@cached_read(
    "photo:of_device",
    needs=lambda p: [scope(EquipmentPhoto, equipment=p["equipment_id"])],
    ttl="list",
    scope="equipment_id",
)
def photos_of(*, equipment_id: int) -> tuple[Photo, ...]:
    photos = EquipmentPhoto.objects.filter(equipment_id=equipment_id)
    return tuple(Photo(*photo) for photo in photos.values_list("pk", "caption"))


@cached_read("document:of_device", needs=[table(Document)], ttl="list", scope="equipment_id")
def documents_of(*, equipment_id: int, device_model_id: int | None) -> tuple[File, ...]:
    """Those of the device, and those of its model."""
    about = Q(equipment=equipment_id)
    if device_model_id is not None:
        about |= Q(device_model=device_model_id)
    return tuple(map(File.of, Document.objects.filter(about)))


@cached_read(
    "training:on_model",
    needs=lambda p: [scope(TrainingRecord, device_model=p["device_model_id"]), table(User)],
    ttl="list",
    scope="device_model_id",
)
def training_on(*, device_model_id: int, today: date) -> tuple[Training, ...]:
    """Who was trained on the model, the latest first."""
    records = (
        TrainingRecord.objects.filter(device_model_id=device_model_id).select_related("person").defer(*unread("person"))
    )
    return tuple(Training.of(record, today=today) for record in records[:TRAINING_SHOWN])
