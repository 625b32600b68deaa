"""Writes of a planned batch, in a number of queries that does not depend on its rows.

Bulk writes send no signals and call no `save`: placements, audit rows and times of change are made here.
"""

from datetime import datetime
from typing import Any

from django.db.models import Model

from audit.models import EventType
from audit.services import Event, record_many
from audit.snapshots import snapshot
from audit.statements import recorded_by_caller
from equipment.imports.histories import TIMESTAMPS, History
from equipment.imports.limits import BATCH_ROWS
from equipment.imports.planning import RowPlan
from equipment.imports.references import References
from equipment.models import (
    Equipment,
    ImportAction,
    ImportedRow,
    ImportRun,
    MaintenancePlan,
    ScheduledMaintenance,
)
from equipment.services import record_placements
from locations.models import Location

DEVICE_FIELDS = (
    "name",
    "asset_tag",
    "installed_on",
    "warranty_until",
    "device_model",
    "department",
    "location",
    "updated_at",
)
MAINTENANCE_FIELDS = ("scheduled_date", "quarter", "status", "completed_on", "engineer_name", "updated_at")


@recorded_by_caller()
def write_batch(run: ImportRun, plans: list[RowPlan], references: References, now: datetime) -> None:
    """Store what the batch changes, with its history in `run` and in the audit. Call it inside a transaction."""
    made = references.make()
    changing = [plan for plan in plans if plan.action in {ImportAction.CREATED, ImportAction.UPDATED}]
    moved = [plan for plan in changing if _settle(plan, now)]
    new = [plan for plan in changing if plan.action == ImportAction.CREATED]
    Equipment.objects.bulk_create([_device(plan) for plan in new], batch_size=BATCH_ROWS)
    _update(Equipment, [_device(plan) for plan in changing if plan.action == ImportAction.UPDATED], DEVICE_FIELDS)
    record_placements(equipment=[_device(plan) for plan in (*new, *moved)], at=now)
    _write_schedules(changing, now)
    _keep(run, plans, made)


def _device(plan: RowPlan) -> Equipment:
    if plan.device is None:
        raise ValueError("a rejected row has no device")
    return plan.device


def _settle(plan: RowPlan, now: datetime) -> bool:
    """Put the device where the row says and give it its model; whether a device that was there before has moved."""
    device = _device(plan)
    device.updated_at = now
    is_new = plan.action == ImportAction.CREATED
    if plan.device_model is not None:
        plan.before |= {} if is_new else {"device_model_id": device.device_model_id}
        device.device_model = plan.device_model
    if plan.department is None or plan.department.location is None:
        return False
    department = plan.department.location
    old = {"department_id": device.department_id, "location_id": device.location_id}
    device.department = department
    if not _lies_within(device.location, department):
        device.location = department
    if is_new:
        return False
    plan.before |= {name: value for name, value in old.items() if getattr(device, name) != value}
    return True


def _lies_within(location: Location | None, department: Location) -> bool:
    return location is not None and location.path.startswith(department.path)


def _write_schedules(plans: list[RowPlan], now: datetime) -> None:
    MaintenancePlan.objects.bulk_create(
        [plan.schedule.plan for plan in plans if plan.schedule.plan is not None], batch_size=BATCH_ROWS
    )
    ScheduledMaintenance.objects.bulk_create(
        [row for plan in plans for row in plan.schedule.added], batch_size=BATCH_ROWS
    )
    changed = [row for plan in plans for row, _before in plan.schedule.changed]
    for row in changed:
        row.updated_at = now
    _update(ScheduledMaintenance, changed, MAINTENANCE_FIELDS)


def _update(model: type[Model], rows: list[Any], fields: tuple[str, ...]) -> None:
    if rows:
        model._default_manager.bulk_update(rows, fields, batch_size=BATCH_ROWS)


def _keep(run: ImportRun, plans: list[RowPlan], made: list[Any]) -> None:
    """Store what each row did, and record it. What a batch made for many rows is kept with the first that changed."""
    rows: list[ImportedRow] = []
    events: list[Event] = [
        Event(EventType.CREATED, _described(thing, "added", run), thing, after=snapshot(thing, TIMESTAMPS))
        for thing in made
        if not isinstance(thing, Location)  # recorded when it was saved
    ]
    for plan in plans:
        if plan.action == ImportAction.UNCHANGED:
            continue
        history = History()
        if plan.device is not None:
            for thing in made:
                history.made(thing)
            made = []
            _remember(history, plan)
            events.append(_event(run, plan, history))
        rows.append(
            ImportedRow(
                run=run,
                row_number=plan.row.number,
                action=plan.action,
                equipment=plan.device,
                serial=plan.row.serial[: ImportedRow._meta.get_field("serial").max_length],
                errors=plan.row.errors,
                before=history.before or None,
                after=history.after or None,
            )
        )
    ImportedRow.objects.bulk_create(rows, batch_size=BATCH_ROWS)
    record_many(events=events)


def _remember(history: History, plan: RowPlan) -> None:
    if plan.action == ImportAction.CREATED:
        history.made(_device(plan))
    elif plan.before:
        history.changed(_device(plan), plan.before)
    if plan.schedule.plan is not None:
        history.made(plan.schedule.plan)
    for maintenance in plan.schedule.added:
        history.made(maintenance)
    for maintenance, before in plan.schedule.changed:
        history.changed(maintenance, before)


def _event(run: ImportRun, plan: RowPlan, history: History) -> Event:
    """The audit's view of a row's history: one device, with what happened to its schedule."""
    device, is_new = _device(plan), plan.action == ImportAction.CREATED
    before = dict(history.before.get("equipment", {}).get(str(device.pk)) or {})
    after = dict(history.after.get("equipment", {}).get(str(device.pk), {}))
    for section in ("plans", "maintenance"):
        if changes := history.after.get(section):
            after[section] = [{"id": int(pk), **values} for pk, values in changes.items()]
            olds = [{"id": int(pk), **values} for pk, values in history.before[section].items() if values is not None]
            before |= {section: olds} if olds else {}
    return Event(
        EventType.CREATED if is_new else EventType.UPDATED,
        _described(device, "added" if is_new else "changed", run),
        device,
        before=None if is_new else before,
        after=after,
    )


def _described(instance: Model, verb: str, run: ImportRun) -> str:
    return f"{str(instance._meta.verbose_name).capitalize()} {instance} {verb} by importing {run.file_name}"
