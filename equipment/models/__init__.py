"""The models of the register, one idea a module."""

from equipment.models.catalogue import DeviceClass, DeviceModel, Manufacturer, MriSafety, ProductClass
from equipment.models.contracts import ContractKind, ServiceContract
from equipment.models.files import Document, DocumentKind, EquipmentPhoto
from equipment.models.imports import ImportAction, ImportedRow, ImportFormat, ImportRun
from equipment.models.maintenance import (
    IntervalUnit,
    MaintenanceOutcome,
    MaintenancePlan,
    MaintenanceRound,
    MaintenanceState,
    MaintenanceStatus,
    PlanKind,
    ScheduledMaintenance,
)
from equipment.models.register import DataType, Equipment, EquipmentStatus, Placement, RiskClass
from equipment.models.training import TrainingRecord
from equipment.models.work_orders import (
    FailureCause,
    WorkOrder,
    WorkOrderKind,
    WorkOrderPart,
    WorkOrderPriority,
    WorkOrderStatus,
)

__all__ = [
    "ContractKind",
    "DataType",
    "DeviceClass",
    "DeviceModel",
    "Document",
    "DocumentKind",
    "Equipment",
    "EquipmentPhoto",
    "EquipmentStatus",
    "FailureCause",
    "ImportAction",
    "ImportFormat",
    "ImportRun",
    "ImportedRow",
    "IntervalUnit",
    "MaintenanceOutcome",
    "MaintenancePlan",
    "MaintenanceRound",
    "MaintenanceState",
    "MaintenanceStatus",
    "Manufacturer",
    "MriSafety",
    "Placement",
    "PlanKind",
    "ProductClass",
    "RiskClass",
    "ScheduledMaintenance",
    "ServiceContract",
    "TrainingRecord",
    "WorkOrder",
    "WorkOrderKind",
    "WorkOrderPart",
    "WorkOrderPriority",
    "WorkOrderStatus",
]
