"""What the import commands share: options, a progress bar, the report on the terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from tqdm import tqdm

from equipment.imports.exceptions import ImportFailed, RowsRejected, UndoRefused
from equipment.imports.reports import ImportReport, RowMessage
from equipment.imports.tables import Progress

# Not 2: that is how a command line that cannot be understood ends.
SOME_ROWS_REJECTED = 3


def add_import_options(parser: CommandParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help=_("a CSV (UTF-8) or XLSX file"))
    parser.add_argument("--dry-run", action="store_true", help=_("Only say what would happen."))
    parser.add_argument("--all-or-nothing", action="store_true", help=_("Store nothing if any row is wrong."))


@contextmanager
def progress_bar(options: dict[str, Any]) -> Iterator[Progress]:
    """A bar over the bytes of the file; only on a terminal, and not with `--verbosity 0`."""
    disable = True if options["verbosity"] == 0 else None
    with tqdm(unit="B", unit_scale=True, disable=disable, file=sys.stderr, leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(max(0, done - bar.n))

        yield progress


@contextmanager
def failures_told(command: BaseCommand) -> Iterator[None]:
    """Turn a failed import into a message and exit status 1."""
    try:
        yield
    except RowsRejected as error:
        print_messages(command, _("Errors"), error.report.errors, error.report.error_count)
        raise CommandError(str(error)) from None
    except UndoRefused as error:
        print_messages(command, _("Changed since"), error.report.kept, len(error.report.kept))
        raise CommandError(str(error)) from None
    except ImportFailed as error:
        raise CommandError(str(error)) from None


def print_report(command: BaseCommand, report: ImportReport, *, dry_run: bool, all_or_nothing: bool) -> None:
    """The messages and counts; raises CommandError (status SOME_ROWS_REJECTED) where rows were rejected."""
    for title in report.ignored_columns:
        command.stdout.write(_("Column not imported: %s") % title)
    print_messages(command, _("Warnings"), report.warnings, report.warning_count)
    print_messages(command, _("Errors"), report.errors, report.error_count)
    for label, names in (
        (_("New departments"), report.new_departments),
        (_("New manufacturers"), report.new_manufacturers),
        (_("New device models"), report.new_device_models),
    ):
        if names:
            listed = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
            command.stdout.write(f"{label}: {len(names)} ({listed})")
    counts = {"created": report.created, "updated": report.updated}
    counts |= {"unchanged": report.unchanged, "rejected": report.rejected}
    line = ", ".join(f"{number} {word}" for word, number in counts.items())
    command.stdout.write(_("Dry run, nothing was written: %s") % line if dry_run else line)
    if report.rejected:
        if all_or_nothing:
            raise CommandError(_("All or nothing: importing this file would change nothing."))
        message = _("%d rows would be rejected.") if dry_run else _("%d rows were rejected; the others are stored.")
        raise CommandError(message % report.rejected, returncode=SOME_ROWS_REJECTED)


def print_messages(command: BaseCommand, title: str, messages: list[RowMessage], count: int) -> None:
    """Messages with their row numbers, on the error stream."""
    if not messages:
        return
    command.stderr.write(f"{title}:", style_func=str)
    for message in messages:
        line = _("  row %(number)d: %(text)s") % {"number": message.number, "text": message.text}
        command.stderr.write(line, style_func=str)
    if count > len(messages):
        command.stderr.write(_("  … and %d more.") % (count - len(messages)), style_func=str)
