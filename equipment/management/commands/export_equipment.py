"""Export the register."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from audit.commands import acting_for, add_user_option
from equipment.exports import ALL, CONTENT_TYPES, Export, export_equipment
from equipment.models import DataType, Equipment


class Command(BaseCommand):
    help = "Export equipment as CSV or XLSX; PPM and OCM registers can be imported again as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--type", choices=[*DataType.values, ALL], default=ALL, help=_("the programme"))
        parser.add_argument("--as", choices=list(CONTENT_TYPES), default="csv", dest="as_", help=_("the kind of file"))
        parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=_("a file instead of standard output"))
        add_user_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        output: Path | None = options["output"]
        if output is None and sys.stdout.isatty() and options["as_"] == "xlsx":
            raise CommandError(_("An XLSX file is not for a terminal: name a file with -o."))
        with acting_for("export_equipment", options["user"]):
            export = export_equipment(queryset=Equipment.objects.all(), data_type=options["type"], as_=options["as_"])
            if output is None:
                for chunk in export.chunks:
                    sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            else:
                _write(export, output)
                message = _("%(count)d rows in %(file)s") % {"count": export.row_count, "file": output}
                self.stderr.write(message, style_func=str)


def _write(export: Export, output: Path) -> None:
    """Write beside the file and put it in place when it is whole: a broken export leaves the old file."""
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as file:
            try:
                for chunk in export.chunks:
                    file.write(chunk)
                file.flush()
                Path(file.name).replace(output)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise CommandError(
            _("%(file)s cannot be written: %(reason)s.") % {"file": output, "reason": error.strerror}
        ) from None
