"""What each row would change in the register, found without changing anything."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from equipment.imports.cells import shown
from equipment.imports.references import Department, References
from equipment.imports.rows import RegisterRow
from equipment.imports.schedule import ScheduleChange, schedule_change
from equipment.models import DeviceModel, Equipment, ImportAction, ImportFormat, MaintenancePlan, ScheduledMaintenance
from locations.querysets import limit_paths

TEXT_FIELDS = ("name", "asset_tag", "installed_on", "warranty_until")


@dataclass(slots=True)
class RowPlan:
    """What one row does. `device` holds the new values already, `before` the old ones of those that change.

    `department` and `device_model` are to be set on the device once they are saved; None leaves it as it is.
    """

    row: RegisterRow
    action: str = ImportAction.UNCHANGED
    device: Equipment | None = None
    before: dict[str, Any] = field(default_factory=dict)
    department: Department | None = None
    device_model: DeviceModel | None = None
    schedule: ScheduleChange = field(default_factory=ScheduleChange)

    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """The fields that change, for people: name, old value, new value."""
        if self.device is None:
            return ()
        found = [(name, str(old or ""), str(getattr(self.device, name) or "")) for name, old in self.before.items()]
        if self.department is not None and self.action == ImportAction.UPDATED:
            found.append(("department", str(self.device.department or ""), self.department.name))
        if self.device_model is not None and self.action == ImportAction.UPDATED:
            found.append(("device_model", str(self.device.device_model or ""), str(self.device_model)))
        for maintenance in self.schedule.added:
            found.append(("scheduled_date", "", maintenance.scheduled_date.isoformat()))
        for maintenance, before in self.schedule.changed:
            found += [(name, str(old or ""), str(getattr(maintenance, name) or "")) for name, old in before.items()]
        return tuple(found)


class Planner:
    """Plans batch after batch of one file, remembering what earlier rows took.

    With `lock`, the devices are locked until the transaction ends. `user` keeps to the places they are limited to.
    """

    def __init__(self, format_: ImportFormat, *, user: Any = None, lock: bool = False) -> None:
        self._data_type = format_.value
        self._lock = lock
        self._limits = limit_paths(user) if user is not None else None
        self.references = References(user, is_limited=self._limits is not None)
        self._serial_rows: dict[str, int] = {}
        self._tag_rows: dict[str, int] = {}
        # The tags that devices had before this import: a tag that an earlier row frees is free for the next import,
        # or the outcome would depend on where one batch ends.
        self._tags_before: dict[str, tuple[int, str]] = {}

    def plan(self, rows: list[RegisterRow]) -> list[RowPlan]:
        """The plans of a batch, in its order, with a fixed number of queries."""
        stored = self._stored(row.serial for row in rows if not row.errors)
        self.references.load_models(
            [row.manufacturer for row in rows]
            + [device.device_model.manufacturer.name for device in stored.values() if device.device_model]
        )
        pks = [device.pk for device in stored.values()]
        plans = {
            plan.equipment_id: plan for plan in MaintenancePlan.objects.filter(equipment__in=pks, kind=self._data_type)
        }
        schedules: dict[int, list[ScheduledMaintenance]] = defaultdict(list)
        for maintenance in schedule_of(self._data_type).filter(equipment__in=pks):
            schedules[maintenance.equipment_id].append(maintenance)
        taken = self._tag_holders(row.asset_tag for row in rows if not row.errors)
        found = []
        for row in rows:
            plan = RowPlan(row)
            self._check_file(row)
            if not row.errors:
                self._plan_row(plan, stored.get(row.serial), plans, schedules, taken)
            if row.errors:
                plan.action = ImportAction.REJECTED
            found.append(plan)
        return found

    def _plan_row(
        self,
        plan: RowPlan,
        device: Equipment | None,
        plans: dict[int, MaintenancePlan],
        schedules: dict[int, list[ScheduledMaintenance]],
        taken: dict[str, tuple[int, str]],
    ) -> None:
        row = plan.row
        is_new = device is None
        if device is None:
            device = Equipment(data_type=self._data_type, serial=row.serial)
        self._check_register(row, device, taken)
        values = {name: getattr(row, name) for name in TEXT_FIELDS if getattr(row, name)}
        before = {name: getattr(device, name) for name, value in values.items() if getattr(device, name) != value}
        if device.is_disposed and (row.visits or row.completed):
            row.warnings.append(_("The device is disposed of: its maintenance is left as it is."))
        else:
            pk = device.pk or 0
            plan.schedule = schedule_change(row, device, plans.get(pk), schedules[pk] if pk else [])
            row.errors += plan.schedule.errors
        if row.errors or not self._refer(plan, device):
            return
        if before.get("asset_tag"):
            self._tags_before[before["asset_tag"]] = (device.pk, device.serial)
        for name in before:
            setattr(device, name, values[name])
        plan.device, plan.before = device, {} if is_new else before
        if is_new:
            plan.action = ImportAction.CREATED
        elif before or plan.department or plan.device_model or plan.schedule:
            plan.action = ImportAction.UPDATED

    def _refer(self, plan: RowPlan, device: Equipment) -> bool:
        """Find or make the department and model; whether both could be."""
        row = plan.row
        if row.department and (device.department is None or device.department.name.lower() != row.department.lower()):
            plan.department = self.references.department(row.department)
            if plan.department is None:
                row.errors.append(_("Department: there is no %s where you may work.") % shown(row.department))
                return False
        known = device.device_model
        manufacturer = row.manufacturer or (known.manufacturer.name if known else "")
        model = row.model or (known.name if known else "")
        named = (manufacturer.lower(), model.lower())
        if known is None or (known.manufacturer.name.lower(), known.name.lower()) != named:
            plan.device_model = self.references.device_model(manufacturer, model)
        return True

    def _check_file(self, row: RegisterRow) -> None:
        """Refuse what an earlier row of the file claims."""
        for column, value, seen in (
            ("Serial", row.serial, self._serial_rows),
            ("LOG_Number", row.asset_tag, self._tag_rows),
        ):
            if value and (earlier := seen.setdefault(value, row.number)) != row.number:
                row.errors.append(
                    _("%(column)s: %(value)s is in row %(row)d already.")
                    % {"column": column, "value": shown(value), "row": earlier}
                )

    def _check_register(self, row: RegisterRow, device: Equipment, taken: dict[str, tuple[int, str]]) -> None:
        """Refuse what another device of the register holds, and what this one cannot be."""
        holder = taken.get(row.asset_tag) if row.asset_tag else None
        if holder is not None and holder[0] != device.pk:
            row.errors.append(
                _("LOG_Number: %(tag)s is another device's (serial number %(serial)s).")
                % {"tag": shown(row.asset_tag), "serial": shown(holder[1])}
                if self._limits is None
                else _("LOG_Number: %s is another device's.") % shown(row.asset_tag)
            )
        if device.disposed_on and row.installed_on and row.installed_on > device.disposed_on:
            row.errors.append(_("Installation_Date: the device was disposed of before that day."))
        if self._limits is not None:
            if device.pk and not (device.location and device.location.path.startswith(tuple(self._limits))):
                row.errors.append(_("Serial: this device is not within the places you may work on."))
            elif not device.pk and not row.department:
                row.errors.append(_("Department: missing; you may only add devices to places you work on."))

    def _stored(self, serials: Iterable[str]) -> dict[str, Equipment]:
        devices = Equipment.objects.filter(data_type=self._data_type, serial__in=list(serials))
        if self._lock:
            devices = devices.select_for_update(of=("self",)).order_by("pk")
        devices = devices.select_related("device_model__manufacturer", "department", "location")
        return {device.serial: device for device in devices}

    def _tag_holders(self, tags: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Who holds each tag, as (id, serial number), by what the register said when the import began."""
        wanted = [tag for tag in tags if tag]
        held = Equipment.objects.filter(asset_tag__in=wanted).values_list("asset_tag", "pk", "serial")
        return {tag: (pk, serial) for tag, pk, serial in held} | self._tags_before


def schedule_of(data_type: str) -> Any:
    """The maintenance a register of that programme speaks of: what its plan gave, and PPM quarters in any case."""
    spoken_of = Q(plan__kind=data_type)
    if data_type == ImportFormat.PPM:
        spoken_of |= Q(quarter__isnull=False)
    return ScheduledMaintenance.objects.filter(spoken_of).order_by("scheduled_date", "pk")
