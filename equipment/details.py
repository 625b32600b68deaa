"""The page of one device as plain values: each section as it is shown."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from dateutil.relativedelta import relativedelta

from equipment.models import (
    ContractKind,
    DataType,
    Document,
    DocumentKind,
    Equipment,
    EquipmentStatus,
    FailureCause,
    IntervalUnit,
    MaintenanceOutcome,
    MaintenancePlan,
    MaintenanceState,
    Placement,
    PlanKind,
    RiskClass,
    ScheduledMaintenance,
    ServiceContract,
    TrainingRecord,
    WorkOrder,
    WorkOrderKind,
    WorkOrderStatus,
)
from equipment.tables import PlaceNames, label_of, place_label


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the page says of the device's model."""

    id: int
    name: str
    manufacturer: str
    life_sustaining: bool
    end_of_support_on: date | None
    is_unsupported: bool


@dataclass(frozen=True, slots=True)
class DeviceDetail:
    """One device on one local date. Names of places are those of `PlaceNames`."""

    id: int
    name: str
    status: str
    asset_tag: str
    serial: str
    data_type: str
    risk_class: str
    model: ModelFacts | None
    department_name: str | None
    location_name: str | None
    custodian: str
    installed_on: date | None
    purchased_on: date | None
    purchase_cost: Decimal | None
    supplier: str
    required_hours_per_week: int
    disposed_on: date | None
    notes: str
    warranty_until: date | None
    is_under_warranty: bool
    life_ends_on: date | None
    life_is_over: bool

    status_label = label_of(EquipmentStatus, "status")
    data_type_label = label_of(DataType, "data_type")
    risk_class_label = label_of(RiskClass, "risk_class")

    @property
    def department(self) -> str:
        return place_label(self.department_name)

    @property
    def location(self) -> str:
        return place_label(self.location_name)

    @classmethod
    def of(cls, device: Equipment, *, places: PlaceNames, today: date) -> "DeviceDetail":
        """From a device with its model, places and custodian."""
        ends_on = _end_of_life(device)
        return cls(
            id=device.pk,
            name=device.name,
            status=device.status,
            asset_tag=device.asset_tag,
            serial=device.serial,
            data_type=device.data_type,
            risk_class=device.risk_class,
            model=_model_facts(device, today),
            department_name=places.of(device.department),
            location_name=places.of(device.location),
            custodian=person(device.custodian),
            installed_on=device.installed_on,
            purchased_on=device.purchased_on,
            purchase_cost=device.purchase_cost,
            supplier=device.supplier,
            required_hours_per_week=device.required_hours_per_week,
            disposed_on=device.disposed_on,
            notes=device.notes,
            warranty_until=device.warranty_until,
            is_under_warranty=device.is_under_warranty_on(today),
            life_ends_on=ends_on,
            life_is_over=ends_on is not None and ends_on < today,
        )


def _model_facts(device: Equipment, today: date) -> ModelFacts | None:
    model = device.device_model
    if model is None:
        return None
    return ModelFacts(
        id=model.pk,
        name=model.name,
        manufacturer=model.manufacturer.name,
        life_sustaining=model.life_sustaining,
        end_of_support_on=model.end_of_support_on,
        is_unsupported=model.end_of_support_on is not None and model.end_of_support_on <= today,
    )


def _end_of_life(device: Equipment) -> date | None:
    """Until when the device is expected to last, counted from its installation."""
    model = device.device_model
    if model and model.expected_life_months and device.installed_on:
        return device.installed_on + relativedelta(months=model.expected_life_months)
    return None


def person(user: Any) -> str:
    """The full name, or the name to sign in with; empty for nobody."""
    return "" if user is None else user.get_full_name() or user.get_username()


@dataclass(frozen=True, slots=True)
class OpenDate:
    scheduled_date: date
    state: str
    quarter: str
    engineer_name: str

    state_label = label_of(MaintenanceState, "state")

    @classmethod
    def of(cls, row: ScheduledMaintenance, *, today: date) -> "OpenDate":
        return cls(row.scheduled_date, row.state_on(today).value, _quarter(row), row.engineer_name)


def _quarter(row: ScheduledMaintenance) -> str:
    return str(row.get_quarter_display()) if row.quarter else ""


@dataclass(frozen=True, slots=True)
class DoneDate:
    completed_on: date | None
    scheduled_date: date
    outcome: str
    was_on_time: bool
    engineer_name: str

    outcome_label = label_of(MaintenanceOutcome, "outcome")

    @classmethod
    def of(cls, row: ScheduledMaintenance) -> "DoneDate":
        return cls(row.completed_on, row.scheduled_date, row.outcome, bool(row.was_on_time), row.engineer_name)


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    kind: str
    interval: int
    interval_unit: str
    starts_on: date
    is_active: bool

    kind_label = label_of(PlanKind, "kind")
    interval_unit_label = label_of(IntervalUnit, "interval_unit")

    @classmethod
    def of(cls, plan: MaintenancePlan) -> "Plan":
        return cls(plan.name, plan.kind, plan.interval, plan.interval_unit, plan.starts_on, plan.is_active)


@dataclass(frozen=True, slots=True)
class MaintenanceSection:
    """The plans, the open dates (earliest first) and the latest completed ones."""

    plans: tuple[Plan, ...]
    coming: tuple[OpenDate, ...]
    done: tuple[DoneDate, ...]


@dataclass(frozen=True, slots=True)
class Order:
    number: str
    kind: str
    status: str
    reported_at: datetime
    problem: str
    cause: str
    engineer: str
    total_cost: Decimal | None

    kind_label = label_of(WorkOrderKind, "kind")
    status_label = label_of(WorkOrderStatus, "status")
    cause_label = label_of(FailureCause, "cause")

    @classmethod
    def of(cls, order: WorkOrder) -> "Order":
        """From a job with the user it is assigned to."""
        return cls(
            number=order.number,
            kind=order.kind,
            status=order.status,
            reported_at=order.reported_at,
            problem=order.problem,
            cause=order.cause,
            engineer=order.engineer_name or (str(order.assigned_to) if order.assigned_to else ""),
            total_cost=order.total_cost,
        )


@dataclass(frozen=True, slots=True)
class WorkOrderSection:
    """The newest jobs, and how many there are in all."""

    newest: tuple[Order, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Contract:
    number: str
    supplier: str
    kind: str
    starts_on: date
    ends_on: date | None
    is_running: bool

    kind_label = label_of(ContractKind, "kind")

    @classmethod
    def of(cls, row: ServiceContract, *, today: date) -> "Contract":
        running = row.is_running_on(today)
        return cls(row.number, row.supplier, row.kind, row.starts_on, row.ends_on, running)


@dataclass(frozen=True, slots=True)
class PlacementRow:
    since: datetime
    until: datetime | None
    department_name: str | None
    location_name: str | None
    custodian: str

    @property
    def department(self) -> str:
        return place_label(self.department_name)

    @property
    def location(self) -> str:
        return place_label(self.location_name)

    @classmethod
    def of(cls, row: Placement, *, places: PlaceNames) -> "PlacementRow":
        """From a placement with its places and custodian."""
        return cls(row.since, row.until, places.of(row.department), places.of(row.location), person(row.custodian))


@dataclass(frozen=True, slots=True)
class Photo:
    id: int
    caption: str


@dataclass(frozen=True, slots=True)
class File:
    id: int
    title: str
    kind: str
    is_of_device: bool
    uploaded_at: datetime

    kind_label = label_of(DocumentKind, "kind")

    @classmethod
    def of(cls, row: Document) -> "File":
        return cls(row.pk, row.title, row.kind, row.equipment_id is not None, row.uploaded_at)


@dataclass(frozen=True, slots=True)
class Training:
    person: str
    trained_on: date
    expires_on: date | None
    is_valid: bool

    @classmethod
    def of(cls, row: TrainingRecord, *, today: date) -> "Training":
        """From a record with its person."""
        return cls(person(row.person), row.trained_on, row.expires_on, row.is_valid_on(today))
