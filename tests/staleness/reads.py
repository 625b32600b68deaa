"""Cached reads for the situations, over the project's own models, and the watching of what they read."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.contrib.auth.models import Group, User
from django.db.models import Count, Exists, OuterRef, Subquery
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from equipment.models import (
    DeviceModel,
    Equipment,
    MaintenancePlan,
    Manufacturer,
    Placement,
    ProductClass,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
)
from invalidation import receivers
from invalidation.reads import CachedRead
from invalidation.registry import WatchedModel, registry
from invalidation.tags import row, scope, sometimes, table
from locations.models import Location

T = TypeVar("T")
ContractDevice = ServiceContract.equipment.through

WATCHED: dict[Any, list[str]] = {
    Equipment: ["data_type", "location"],
    MaintenancePlan: ["equipment"],
    WorkOrder: ["equipment"],
    Location: [],
    Placement: [],
    DeviceModel: [],
    Manufacturer: [],
    ProductClass: [],
    DeviceModel.product_classes.through: [],
    ServiceContract: [],
    ContractDevice: [],
    TrainingRecord: [],
    User: [],
    Group: [],
}


# Watching


def watch(wanted: dict[Any, list[str]]) -> list[WatchedModel]:
    """Watch the models by these scopes besides those they are watched by; gives those that were not watched at all."""
    was_closed, registry.is_closed = registry.is_closed, False
    new = []
    for model, scopes in wanted.items():
        known = registry.watched(model._meta.db_table)
        names: set[tuple[str, ...]] = {(name,) for name in scopes}
        excluded: set[str] = set()
        if known is not None:
            names |= {tuple(_field(known, column) for column in columns) for columns in known.scopes}
            excluded = {_field(known, column) for column in known.excluded}
            del registry._watched[known.table]
        registry.watch(model, scopes=sorted(names), exclude=excluded)
        watched = registry.watched(model._meta.db_table)
        assert watched is not None
        if known is None:
            receivers.connect(watched)
            new.append(watched)
    registry.is_closed = was_closed
    return new


def watch_all() -> None:
    """For a process of a test's own, which ends with it."""
    watch(WATCHED)


def disconnect(models: Iterable[WatchedModel]) -> None:
    """Have the signals of these models reach the engine no more."""
    for watched in models:
        model, label = watched.model, watched.model._meta.label_lower
        for signal, name in (
            (pre_save, "pre_save"),
            (post_save, "post_save"),
            (pre_delete, "pre_delete"),
            (post_delete, "post_delete"),
        ):
            signal.disconnect(sender=model, dispatch_uid=f"invalidation.{name}.{label}")
        for relation in model._meta.local_many_to_many:
            m2m_changed.disconnect(
                sender=relation.remote_field.through, dispatch_uid=f"invalidation.m2m.{label}.{relation.name}"
            )


def _field(watched: WatchedModel, column: str) -> str:
    return next(field.name for field in watched.model._meta.local_concrete_fields if field.column == column)


def unregistered(name: str, **options: Any) -> Callable[[Callable[..., T]], CachedRead[T]]:
    """Declare a cached read that the registry does not hear of: it is for tests alone."""
    return lambda function: CachedRead(function, name, **options)


# Devices


@unregistered("staleness:device_name", needs=lambda p: [row(Equipment, p["pk"])])
def device_name(*, pk: int) -> str | None:
    return Equipment.objects.filter(pk=pk).values_list("name", flat=True).first()


@unregistered("staleness:device_names", needs=[table(Equipment)])
def device_names() -> list[str]:
    return sorted(Equipment.objects.order_by().values_list("name", flat=True))


@unregistered("staleness:names_in_service", needs=[table(Equipment)])
def names_in_service() -> list[str]:
    return sorted(Equipment.objects.filter(status="in_service").order_by().values_list("name", flat=True))


@unregistered("staleness:of_programme", needs=lambda p: [scope(Equipment, data_type=p["data_type"])])
def names_of_programme(*, data_type: str) -> list[str]:
    return sorted(Equipment.objects.filter(data_type=data_type).order_by().values_list("name", flat=True))


@unregistered("staleness:count_of_programme", needs=lambda p: [scope(Equipment, data_type=p["data_type"])])
def count_of_programme(*, data_type: str) -> int:
    return Equipment.objects.filter(data_type=data_type).count()


@unregistered("staleness:at", needs=lambda p: [scope(Equipment, location=p["location"])])
def names_at(*, location: int) -> list[str]:
    return sorted(Equipment.objects.filter(location=location).order_by().values_list("name", flat=True))


@unregistered("staleness:count_at", needs=lambda p: [scope(Equipment, location=p["location"])])
def count_at(*, location: int) -> int:
    return Equipment.objects.filter(location=location).count()


@unregistered("staleness:exists", needs=[table(Equipment)])
def serial_exists(*, serial: str) -> bool:
    return Equipment.objects.filter(serial=serial).exists()


@unregistered("staleness:custodian", needs=lambda p: [row(Equipment, p["pk"])])
def custodian_of(*, pk: int) -> int | None:
    return Equipment.objects.filter(pk=pk).values_list("custodian_id", flat=True).first()


# What hangs on devices


@unregistered("staleness:plans", needs=lambda p: [scope(MaintenancePlan, equipment=p["equipment"])])
def plans_of(*, equipment: int) -> list[str]:
    return sorted(MaintenancePlan.objects.filter(equipment=equipment).order_by().values_list("name", flat=True))


@unregistered("staleness:all_plans", needs=[table(MaintenancePlan)])
def all_plans() -> list[str]:
    return sorted(MaintenancePlan.objects.order_by().values_list("name", flat=True))


@unregistered("staleness:contracts", needs=[table(ServiceContract), table(ContractDevice)])
def contracts_of(*, equipment: int) -> list[str]:
    return sorted(ServiceContract.objects.filter(equipment=equipment).values_list("number", flat=True))


@unregistered("staleness:placements", needs=[table(Placement)])
def placements_of(*, equipment: int) -> list[int | None]:
    found = Placement.objects.filter(equipment=equipment).order_by("pk")
    return list(found.values_list("location_id", flat=True))


@unregistered("staleness:trained", needs=[table(TrainingRecord)])
def trained_people(*, device_model: int) -> list[int]:
    found = TrainingRecord.objects.filter(device_model=device_model).order_by("person_id")
    return list(found.values_list("person_id", flat=True))


@unregistered("staleness:classes", needs=[table(ProductClass), table(DeviceModel.product_classes.through)])
def classes_of(*, device_model: int) -> list[str]:
    return sorted(ProductClass.objects.filter(device_models=device_model).values_list("name", flat=True))


# Joined and derived


@unregistered("staleness:list", needs=[table(Equipment), table(Location), sometimes(table(DeviceModel)),
                                       sometimes(table(Manufacturer))])  # fmt: skip
def device_list() -> list[tuple[str, str, str]]:
    """Name, place and maker, by one joined query."""
    return [
        (
            device.name,
            device.location.name if device.location else "",
            device.device_model.manufacturer.name if device.device_model else "",
        )
        for device in Equipment.objects.for_list()
    ]


@unregistered("staleness:occupancy", needs=[table(Equipment), table(Location)])
def devices_per_room() -> dict[str, int]:
    """By an annotation over the reverse relation."""
    rooms = Location.objects.filter(kind="room").annotate(devices=Count("equipment"))
    return dict(rooms.order_by("name").values_list("name", "devices"))


@unregistered("staleness:open_orders", needs=[table(Equipment), table(WorkOrder)])
def open_orders_per_device() -> dict[str, int | None]:
    """By a correlated subquery."""
    orders = WorkOrder.objects.open().filter(equipment=OuterRef("pk")).order_by().values("equipment")
    counted = Equipment.objects.annotate(orders=Subquery(orders.annotate(count=Count("pk")).values("count")))
    return dict(counted.order_by("name").values_list("name", "orders"))


@unregistered("staleness:with_open_orders", needs=[table(Equipment), table(WorkOrder)])
def names_with_open_orders() -> list[str]:
    """By an Exists filter."""
    orders = WorkOrder.objects.open().filter(equipment=OuterRef("pk"))
    return sorted(Equipment.objects.filter(Exists(orders)).order_by().values_list("name", flat=True))


@unregistered("staleness:within", needs=[table(Equipment), table(Location)])
def count_within(*, location: int) -> int:
    """At the location or anywhere below it."""
    top = Location.objects.filter(pk=location).values("path")
    return Equipment.objects.filter(location__path__startswith=Subquery(top)).count()


@unregistered("staleness:ancestors", needs=[table(Location)])
def ancestors_of(*, location: int) -> list[str]:
    """The names above it, from the root downwards."""
    found = Location.objects.get(pk=location)
    return list(
        Location.objects.filter(path__in=found.ancestor_paths()).order_by("path").values_list("name", flat=True)
    )


@unregistered("staleness:groups", needs=[table(Group)])
def group_names() -> list[str]:
    return sorted(Group.objects.values_list("name", flat=True))
