"""Importing a register: a look at what it would do, and doing it in one transaction."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.actors import current_actor
from audit.models import EventType
from audit.services import record
from equipment.imports import limits
from equipment.imports.columns import layout_of
from equipment.imports.exceptions import FileRefused, ImportConflict, RowsRejected
from equipment.imports.planning import Planner, RowPlan
from equipment.imports.reports import ImportReport, RowReport
from equipment.imports.rows import RegisterRow, read_row
from equipment.imports.sources import Source, opened
from equipment.imports.tables import Progress, Table
from equipment.imports.writing import write_batch
from equipment.models import ImportFormat, ImportRun


def preview(
    *, source: Path | BinaryIO, name: str = "", user: Any = None, progress: Progress | None = None
) -> ImportReport:
    """What importing the file would do now; writes nothing. Raises FileRefused."""
    with opened(source, name) as file:
        table = Table(file)
        report = _new_report(file, table)
        planner = Planner(ImportFormat(report.format), user=user)
        for rows in _batches(table, report, progress):
            _add(report, planner.plan(rows))
        return _finished(report, planner)


def import_register(
    *,
    source: Path | BinaryIO,
    name: str = "",
    all_or_nothing: bool = False,
    user: Any = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Store the rows of a register that are right, in one transaction, and report those that are not.

    With `all_or_nothing`, a single wrong row raises RowsRejected and nothing is stored. Raises FileRefused for a file
    that cannot be read to its end and ImportConflict where somebody else changed the same data; nothing is stored
    then either. Imports wait for each other.
    """
    with opened(source, name) as file, conflicts_told(), transaction.atomic():
        table = Table(file)
        report = _new_report(file, table)
        lock_imports()
        run = _new_run(report)
        planner = Planner(ImportFormat(report.format), user=user, lock=True)
        for rows in _batches(table, report, progress):
            plans = planner.plan(rows)
            _add(report, plans)
            # Read on after the first wrong row, for the report, but do not write what will be taken back.
            if not (all_or_nothing and report.rejected):
                write_batch(run, plans, planner.references, timezone.now())
        _finished(report, planner)
        if all_or_nothing and report.rejected:
            raise RowsRejected(
                _("Nothing was imported: %(wrong)d of %(total)d rows are wrong.")
                % {"wrong": report.rejected, "total": report.total},
                report,
            )
        _close_run(run, report)
    report.run = run
    return report


def lock_imports() -> None:
    """Wait until no other import or undo runs; the lock ends with the transaction. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            table = connection.ops.quote_name(ImportRun._meta.db_table)
            cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")


@contextmanager
def conflicts_told() -> Iterator[None]:
    """Tell a clash with other writers as an ImportConflict."""
    try:
        yield
    except IntegrityError as error:
        raise ImportConflict(
            _("Nothing was changed: somebody else changed the register at the same time. Try again.")
        ) from error
    except OperationalError as error:
        if not any(word in str(error).lower() for word in ("locked", "deadlock")):
            raise
        raise ImportConflict(_("Nothing was changed: the database was busy for too long. Try again.")) from error


def _new_report(file: Source, table: Table) -> ImportReport:
    layout = layout_of(table.titles)
    return ImportReport(file.name[-255:], file.sha256, layout.format, layout.ignored)


def _new_run(report: ImportReport) -> ImportRun:
    actor = current_actor()
    return ImportRun.objects.create(
        file_name=report.file_name,
        file_sha256=report.file_sha256,
        format=report.format,
        user_id=actor.user_id,
        actor=actor.name[:200],
    )


def _close_run(run: ImportRun, report: ImportReport) -> None:
    run.created_count, run.updated_count = report.created, report.updated
    run.unchanged_count, run.rejected_count = report.unchanged, report.rejected
    run.save(update_fields=["created_count", "updated_count", "unchanged_count", "rejected_count"])
    counts = {"created": report.created, "updated": report.updated}
    counts |= {"unchanged": report.unchanged, "rejected": report.rejected}
    record(
        event_type=EventType.IMPORTED,
        description=f"Imported {run.file_name}: " + ", ".join(f"{number} {word}" for word, number in counts.items()),
        instance=run,
        after={**counts, "sha256": run.file_sha256},
    )


def _batches(table: Table, report: ImportReport, progress: Progress | None) -> Iterator[list[RegisterRow]]:
    today = timezone.localdate()
    rows: Iterable[RegisterRow] = (read_row(line, ImportFormat(report.format), today) for line in table.lines(progress))
    batch: list[RegisterRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == limits.BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _add(report: ImportReport, plans: list[RowPlan]) -> None:
    for plan in plans:
        row = plan.row
        report.add(RowReport(row.number, plan.action, row.serial, row.name, plan.changes()), row.errors, row.warnings)


def _finished(report: ImportReport, planner: Planner) -> ImportReport:
    if not report.total:
        raise FileRefused(_("The file holds a header but no rows."))
    references = planner.references
    report.new_departments = references.missing_departments
    report.new_manufacturers = references.missing_manufacturers
    report.new_device_models = references.missing_device_models
    return report
