"""Import product classes or device models."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.commands import acting_for, add_user_option
from equipment.imports import import_device_models
from equipment.imports.terminal import add_import_options, failures_told, print_report, progress_bar


class Command(BaseCommand):
    help = (
        "Import product classes (found by product code) or device models (found by device identifier) from a CSV or "
        "XLSX file; which of them, the header tells. Exit status: 0 all rows stored, 3 some rows rejected, "
        "1 nothing changed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_import_options(parser)
        add_user_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        with (
            acting_for("import_device_models", options["user"]),
            failures_told(self),
            progress_bar(options) as progress,
        ):
            report = import_device_models(
                source=file,
                dry_run=options["dry_run"],
                all_or_nothing=options["all_or_nothing"],
                progress=progress,
            )
        print_report(self, report, dry_run=options["dry_run"], all_or_nothing=options["all_or_nothing"])
