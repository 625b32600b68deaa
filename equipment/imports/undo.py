"""Undoing an import: what it made goes, what it changed is put back, as long as nothing has happened to it since."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actors import current_actor
from audit.models import EventType
from audit.services import Event, record, record_many
from audit.snapshots import Snapshot, snapshot
from audit.statements import recorded_by_caller
from equipment.imports.dependents import referring
from equipment.imports.exceptions import UndoRefused
from equipment.imports.histories import SECTIONS, TIMESTAMPS, as_stored, recorded
from equipment.imports.limits import BATCH_ROWS
from equipment.imports.registers import conflicts_told, lock_imports
from equipment.imports.reports import RowMessage, UndoReport
from equipment.models import (
    Equipment,
    ImportAction,
    ImportedRow,
    ImportRun,
    MaintenancePlan,
    Placement,
    ScheduledMaintenance,
)
from equipment.services import record_placements
from locations.querysets import limit_paths

PLACE_FIELDS = frozenset({"department_id", "location_id"})


def undo_import(*, run: ImportRun, skip_changed: bool = False, user: Any = None) -> UndoReport:
    """Put everything back as it was before the run, in one transaction.

    Where something has happened since to what the run made or changed, UndoRefused tells each such row and nothing is
    put back; with `skip_changed` these rows stay as they are and the others are put back. Manufacturers, models and
    departments that something uses by now stay. Raises UndoRefused too for a run that has been undone.
    """
    with conflicts_told(), transaction.atomic():
        lock_imports()
        run = ImportRun.objects.select_for_update().get(pk=run.pk)
        report = UndoReport(run)
        if run.undone_at is not None:
            raise UndoRefused(_("This import has been undone already."), report)
        limits = limit_paths(user) if user is not None else None
        undo = _Undo(report, limits)
        rows = run.rows.filter(action__in=[ImportAction.CREATED, ImportAction.UPDATED]).order_by("-row_number")
        for batch in _batches(rows):
            undo.check(batch)
            if not report.kept or skip_changed:
                undo.put_back(batch)
        if report.kept and not skip_changed:
            report.kept.reverse()
            report.deleted = report.restored = 0
            raise UndoRefused(
                _("Nothing was undone: %d rows have changed since the import.") % len(report.kept), report
            )
        report.kept.reverse()
        undo.remove_references()
        run.undone_at, run.undone_by = timezone.now(), current_actor().name[:200]
        run.save(update_fields=["undone_at", "undone_by"])
        record(
            event_type=EventType.IMPORT_UNDONE,
            description=f"Import of {run.file_name} undone: {report.deleted} deleted, {report.restored} restored, "
            f"{len(report.kept)} kept",
            instance=run,
        )
    return report


class _Undo:
    """The work on one run. Rows are checked and put back batch by batch."""

    def __init__(self, report: UndoReport, limits: list[str] | None) -> None:
        self._report, self._limits = report, limits
        self._stored: dict[str, dict[str, models.Model]] = {}
        self._made_references: dict[str, dict[str, Snapshot]] = defaultdict(dict)
        self._kept: set[int] = set()
        self._left: dict[str, list[str]] = {}

    def check(self, rows: list[ImportedRow]) -> None:
        """Find the rows whose results have changed since, and say why."""
        self._stored = _stored(rows)
        used = _used(rows)
        for row in rows:
            for section in ("device_models", "manufacturers", "locations"):
                self._made_references[section] |= (row.after or {}).get(section, {})
            reason = self._reason(row, used)
            if reason:
                self._kept.add(row.pk)
                self._report.kept.append(RowMessage(row.row_number, row.serial, reason))

    @recorded_by_caller()
    def put_back(self, rows: list[ImportedRow]) -> None:
        """Delete what the unchanged rows made and restore what they changed."""
        now = timezone.now()
        rows = [row for row in rows if row.pk not in self._kept]
        gone: dict[str, list[models.Model]] = defaultdict(list)
        restored: dict[str, list[models.Model]] = defaultdict(list)
        names: dict[str, set[str]] = defaultdict(set)
        events: list[Event] = []
        moved: list[Equipment] = []
        for row in rows:
            for section in ("equipment", "plans", "maintenance"):
                for pk, before in (row.before or {}).get(section, {}).items():
                    instance = self._stored[section].get(pk)
                    if instance is None:
                        continue
                    if before is None:
                        gone[section].append(instance)
                        held = snapshot(instance, TIMESTAMPS)
                        events.append(_event(EventType.DELETED, instance, "deleted", held, None))
                        continue
                    events.append(_restored(instance, before, now))
                    restored[section].append(instance)
                    names[section] |= set(before)
                    if section == "equipment" and PLACE_FIELDS & set(before):
                        moved.append(instance)  # type: ignore[arg-type]
        self._report.deleted += len(gone["equipment"])
        self._report.restored += sum(row.action == ImportAction.UPDATED for row in rows)
        for section, instances in restored.items():
            fields = [SECTIONS[section]._meta.get_field(name.removesuffix("_id")).name for name in names[section]]
            SECTIONS[section]._default_manager.bulk_update(instances, [*fields, "updated_at"], batch_size=BATCH_ROWS)
        record_placements(equipment=moved, at=now)
        _delete(gone)
        record_many(events=events)

    @recorded_by_caller()
    def remove_references(self) -> None:
        """Delete the models, manufacturers and places the run made and nothing uses or has changed since."""
        # Places twice: a site is in use until the departments in it are gone.
        for section in ("device_models", "manufacturers", "locations", "locations"):
            made = self._made_references[section]
            model = SECTIONS[section]
            found = {str(instance.pk): instance for instance in model._default_manager.filter(pk__in=list(made))}
            used = referring(model, [instance.pk for instance in found.values()])
            unused = [
                instance
                for pk, instance in found.items()
                if instance.pk not in used and as_stored(recorded(instance)) == made[pk]
            ]
            record_many(
                events=[
                    _event(EventType.DELETED, instance, "deleted", snapshot(instance, TIMESTAMPS), None)
                    for instance in unused
                ]
            )
            rows = model._default_manager.filter(pk__in=[instance.pk for instance in unused])
            rows._raw_delete(rows.db)
            kept = [str(instance) for instance in found.values() if instance not in unused]
            self._left[section] = kept
        self._report.left_behind = [name for names in self._left.values() for name in names]

    def _reason(self, row: ImportedRow, used: dict[str, dict[Any, str]]) -> str:
        """Why the row cannot be put back; "" where it can."""
        device = self._stored["equipment"].get(str(row.equipment_id))
        if row.equipment_id is None or device is None:
            # A device that is gone is what undoing its creation aims at.
            return "" if row.action == ImportAction.CREATED else _("The device has been deleted.")
        if self._limits is not None:
            location = device.location  # type: ignore[attr-defined]
            if location is None or not location.path.startswith(tuple(self._limits)):
                return _("The device is not within the places you may work on.")
        for section in ("equipment", "plans", "maintenance"):
            for pk, after in (row.after or {}).get(section, {}).items():
                instance = self._stored[section].get(pk)
                if instance is None:
                    return _("Its maintenance has been deleted.")
                present = as_stored(recorded(instance))
                changed = [name for name, value in after.items() if name in present and present[name] != value]
                if changed:
                    return _("Changed since: %s.") % ", ".join(_label(instance, name) for name in changed)
                if (row.before or {})[section][pk] is None and pk in used[section]:
                    return _("In use since: %s.") % used[section][pk]
        return ""


def _stored(rows: list[ImportedRow]) -> dict[str, dict[str, models.Model]]:
    """The present rows of what the batch made or changed, locked."""
    stored: dict[str, dict[str, models.Model]] = {}
    for section in ("equipment", "plans", "maintenance"):
        pks = {pk for row in rows for pk in (row.after or {}).get(section, {})}
        if section == "equipment":
            pks |= {str(row.equipment_id) for row in rows if row.equipment_id}
        found = SECTIONS[section]._default_manager.filter(pk__in=pks).order_by("pk").select_for_update(of=("self",))
        found = found.select_related("location" if section == "equipment" else "equipment")
        stored[section] = {str(instance.pk): instance for instance in found}
    return stored


def _used(rows: list[ImportedRow]) -> dict[str, dict[str, str]]:
    """What other rows, beyond those the batch made, refer to: by section and id, with the kind of those rows."""
    made = {
        section: [pk for row in rows for pk, before in (row.before or {}).get(section, {}).items() if before is None]
        for section in ("equipment", "plans", "maintenance")
    }
    own = (Placement, MaintenancePlan, ScheduledMaintenance, ImportedRow)
    used = {
        "equipment": referring(Equipment, made["equipment"], besides=own),
        "plans": referring(MaintenancePlan, made["plans"], besides=own),
        "maintenance": referring(ScheduledMaintenance, made["maintenance"]),
    }
    for model, section in ((MaintenancePlan, "plans"), (ScheduledMaintenance, "maintenance")):
        later = model._default_manager.filter(equipment__in=made["equipment"]).exclude(pk__in=made[section])
        for pk in later.values_list("equipment", flat=True).distinct():
            used["equipment"].setdefault(pk, str(model._meta.verbose_name))
    later = ScheduledMaintenance.objects.filter(plan__in=made["plans"]).exclude(pk__in=made["maintenance"])
    for pk in later.values_list("plan", flat=True).distinct():
        used["plans"].setdefault(pk, str(ScheduledMaintenance._meta.verbose_name))
    moved = Placement.objects.filter(equipment__in=made["equipment"], until__isnull=False)
    for pk in moved.values_list("equipment", flat=True).distinct():
        used["equipment"].setdefault(pk, str(Placement._meta.verbose_name))
    return {section: {str(pk): kind for pk, kind in found.items()} for section, found in used.items()}


def _restored(instance: models.Model, before: Snapshot, now: Any) -> Event:
    """Set the old values on the instance; the event tells what changes by that."""
    present = snapshot(instance, TIMESTAMPS)
    for name, value in before.items():
        field: Any = instance._meta.get_field(name.removesuffix("_id"))
        setattr(instance, name, value if field.is_relation else field.to_python(value))
    instance.updated_at = now  # type: ignore[attr-defined]
    return _event(EventType.UPDATED, instance, "restored", {name: present[name] for name in before}, before)


def _event(event_type: EventType, instance: models.Model, verb: str, before: Any, after: Any) -> Event:
    description = f"{str(instance._meta.verbose_name).capitalize()} {instance} {verb} by undoing an import"
    return Event(event_type, description, instance, before=before, after=after)


def _delete(gone: dict[str, list[models.Model]]) -> None:
    """Delete in bulk, each kind after what refers to it.

    Not by `delete()`: it would read and record every single row, which is done here for all at once.
    """
    devices = [instance.pk for instance in gone["equipment"]]
    ImportedRow.objects.filter(equipment__in=devices).update(equipment=None)
    for rows in (
        Placement.objects.filter(equipment__in=devices),
        ScheduledMaintenance.objects.filter(pk__in=[instance.pk for instance in gone["maintenance"]]),
        MaintenancePlan.objects.filter(pk__in=[instance.pk for instance in gone["plans"]]),
        Equipment.objects.filter(pk__in=devices),
    ):
        rows._raw_delete(rows.db)


def _label(instance: models.Model, name: str) -> str:
    field: Any = instance._meta.get_field(name.removesuffix("_id"))
    return str(field.verbose_name)


def _batches(rows: models.QuerySet[ImportedRow]) -> Iterable[list[ImportedRow]]:
    """The rows from the last to the first, in batches, whatever is done to those that were handed out."""
    last = None
    while batch := list((rows if last is None else rows.filter(row_number__lt=last))[:BATCH_ROWS]):
        yield batch
        last = batch[-1].row_number
