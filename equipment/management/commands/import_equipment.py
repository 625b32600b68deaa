"""Import a PPM or OCM register."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from audit.commands import acting_for, add_user_option
from equipment.imports import import_register, preview
from equipment.imports.terminal import add_import_options, failures_told, print_report, progress_bar


class Command(BaseCommand):
    help = (
        "Import a PPM or OCM register from a CSV or XLSX file: devices are found by serial number and updated, or "
        "added. Exit status: 0 all rows stored, 3 some rows rejected, 1 nothing changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_import_options(parser)
        add_user_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        with acting_for("import_equipment", options["user"]), failures_told(self), progress_bar(options) as progress:
            if options["dry_run"]:
                report = preview(source=file, progress=progress)
            else:
                report = import_register(source=file, all_or_nothing=options["all_or_nothing"], progress=progress)
        print_report(self, report, dry_run=options["dry_run"], all_or_nothing=options["all_or_nothing"])
        if report.run is not None:
            self.stdout.write(_("To take it back: manage.py undo_import %d") % report.run.pk)
