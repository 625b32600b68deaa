"""One row of a register: what it says, or everything that is wrong with it."""

from dataclasses import dataclass, field
from datetime import date

from django.utils.translation import gettext as _

from equipment.imports.cells import shown
from equipment.imports.columns import QUARTERS
from equipment.imports.row_cells import RowCells
from equipment.imports.tables import Line
from equipment.models import DeviceModel, Equipment, ImportFormat, Manufacturer, ScheduledMaintenance
from locations.models import Location

COMPLETED_WORDS = frozenset({"completed", "complete", "maintained", "done"})
OPEN_WORDS = frozenset({"", "scheduled", "planned", "pending", "open", "upcoming", "due", "overdue", "in progress"})


@dataclass(frozen=True, slots=True)
class Visit:
    """A date on which the file wants the device maintained; `is_done` on a date it already was."""

    day: date
    engineer_name: str = ""
    quarter: int | None = None
    is_done: bool = False


@dataclass(slots=True)
class RegisterRow:
    """What a row says. A row with `errors` is not stored; empty values leave stored ones as they are.

    `plan_starts_on` is the first date of a plan to be made where the device has none. `completed` is the OCM visit
    that took place, `visits` are the ones to come.
    """

    number: int
    serial: str = ""
    name: str = ""
    asset_tag: str = ""
    department: str = ""
    manufacturer: str = ""
    model: str = ""
    installed_on: date | None = None
    warranty_until: date | None = None
    plan_starts_on: date | None = None
    completed: Visit | None = None
    visits: list[Visit] = field(default_factory=list)
    next_given: bool = False
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_row(line: Line, format_: ImportFormat, today: date) -> RegisterRow:
    """The row of a PPM or OCM register; never raises: what is wrong is in its `errors`, each naming the column."""
    row = RegisterRow(line.number)
    cells = RowCells(line, row.errors)
    row.serial = cells.text("Serial", Equipment, "serial", required=True)
    row.name = cells.text("Name", Equipment, "name", required=True)
    row.asset_tag = cells.text("LOG_Number", Equipment, "asset_tag")
    row.department = cells.text("Department", Location, "name")
    row.manufacturer = cells.text("Manufacturer", Manufacturer, "name")
    row.model = cells.text("Model", DeviceModel, "name")
    row.installed_on = cells.day("Installation_Date")
    row.warranty_until = cells.day("Warranty_End")
    if row.installed_on and row.warranty_until and row.warranty_until < row.installed_on:
        row.warnings.append(_("The warranty ends before the installation."))
    if format_ == ImportFormat.PPM:
        _read_quarters(row, cells)
    else:
        _read_cycle(row, cells, today)
    return row


def _read_quarters(row: RegisterRow, cells: RowCells) -> None:
    """PPM: a visit per quarter with a date. A past date is no completion, with or without an engineer."""
    for quarter, numeral in enumerate(QUARTERS, start=1):
        day = cells.day(f"PPM_Q_{numeral}_date")
        engineer = cells.text(f"PPM_Q_{numeral}_engineer", ScheduledMaintenance, "engineer_name")
        if day is None:
            if engineer:
                row.warnings.append(
                    _("PPM_Q_%(quarter)s_engineer: %(name)s is not stored, for there is no date.")
                    % {"quarter": numeral, "name": shown(engineer)}
                )
            continue
        row.visits.append(Visit(day, engineer, quarter))
    if row.visits:
        row.plan_starts_on = min(visit.day for visit in row.visits)
    else:
        row.plan_starts_on = row.installed_on


def _read_cycle(row: RegisterRow, cells: RowCells, today: date) -> None:
    """OCM: what Service_Date means depends on Status and Next_Maintenance (docs/import.md has the table)."""
    service = cells.day("Service_Date")
    engineer = cells.text("Engineer", ScheduledMaintenance, "engineer_name")
    following = cells.day("Next_Maintenance")
    status = " ".join(cells.any_text("Status").lower().replace("_", " ").split())
    row.next_given = following is not None
    row.plan_starts_on = service or following or row.installed_on
    if status in COMPLETED_WORDS:
        if service is None:
            row.errors.append(_("Status: completed, but Service_Date is empty."))
        elif service > today:
            row.errors.append(_("Service_Date: completed on %s, which is still to come.") % service.isoformat())
        elif following is not None and following <= service:
            row.errors.append(_("Next_Maintenance: not after Service_Date."))
        else:
            row.completed = Visit(service, engineer, is_done=True)
            row.visits = [Visit(following)] if following else []
        return
    if status not in OPEN_WORDS:
        row.errors.append(_("Status: %s is not a known status.") % shown(status))
    if service and following and following < service:
        row.errors.append(_("Next_Maintenance: before Service_Date."))
    if day := following or service:
        row.visits = [Visit(day, engineer)]
    elif engineer:
        row.warnings.append(_("Engineer: %s is not stored, for there is no date.") % shown(engineer))
