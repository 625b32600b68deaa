"""Writes of the register that span rows, one idea a module. All are atomic and take keywords only.

What is asked of many rows is answered row by row: `BulkResult` counts what was done and says of each other row why
not. A row that is refused does not keep the others from being done.
"""

from equipment.services.bulk import LARGEST_SELECTION, BulkResult, Refusal, SelectionTooLarge
from equipment.services.maintenance import cancel_maintenance, complete_maintenance, reschedule_maintenance
from equipment.services.register import (
    delete_equipment,
    dispose_of_equipment,
    move_equipment,
    record_placements,
    set_equipment_status,
)
from equipment.services.work_orders import (
    cancel_work_orders,
    close_work_orders,
    return_to_service,
    start_work,
    total_parts_cost,
)

__all__ = [
    "LARGEST_SELECTION",
    "BulkResult",
    "Refusal",
    "SelectionTooLarge",
    "cancel_maintenance",
    "cancel_work_orders",
    "close_work_orders",
    "complete_maintenance",
    "delete_equipment",
    "dispose_of_equipment",
    "move_equipment",
    "record_placements",
    "reschedule_maintenance",
    "return_to_service",
    "set_equipment_status",
    "start_work",
    "total_parts_cost",
]
