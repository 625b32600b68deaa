"""Undo an import, or list the imports there were."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from audit.commands import acting_for, add_user_option
from equipment.imports import undo_import
from equipment.imports.terminal import failures_told, print_messages
from equipment.models import ImportRun

LISTED_RUNS = 20


class Command(BaseCommand):
    help = "Undo an import as a whole; without a number, list the latest imports."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run", nargs="?", type=int, metavar="RUN", help=_("the number of the import"))
        parser.add_argument(
            "--skip-changed",
            action="store_true",
            help=_("Leave rows that have changed since as they are, and undo the others."),
        )
        add_user_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["run"] is None:
            self._list()
            return
        run = ImportRun.objects.filter(pk=options["run"]).first()
        if run is None:
            raise CommandError(_("There is no import %d.") % options["run"])
        with acting_for("undo_import", options["user"]), failures_told(self):
            report = undo_import(run=run, skip_changed=options["skip_changed"])
        print_messages(self, _("Changed since, left as they are"), report.kept, len(report.kept))
        if report.left_behind:
            self.stdout.write(_("In use elsewhere, left: %s") % ", ".join(report.left_behind[:20]))
        self.stdout.write(
            _("%(deleted)d deleted, %(restored)d restored, %(kept)d left as they are")
            % {"deleted": report.deleted, "restored": report.restored, "kept": len(report.kept)}
        )

    def _list(self) -> None:
        for run in ImportRun.objects.all()[:LISTED_RUNS]:
            undone = f", undone {run.undone_at:%Y-%m-%d %H:%M}" if run.undone_at else ""
            self.stdout.write(
                f"{run.pk}  {run.imported_at:%Y-%m-%d %H:%M}  {run.actor}  {run.file_name} ({run.format}): "
                f"{run.created_count} created, {run.updated_count} updated, {run.unchanged_count} unchanged, "
                f"{run.rejected_count} rejected{undone}"
            )
