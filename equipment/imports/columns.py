"""The columns of the two register formats, and which of them a header is."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from equipment.imports.cells import shown
from equipment.imports.exceptions import FileRefused
from equipment.imports.tables import canonical
from equipment.models import ImportFormat

QUARTERS = ("I", "II", "III", "IV")

PPM_COLUMNS = (
    "NO",
    "Department",
    "Name",
    "MODEL",
    "SERIAL",
    "MANUFACTURER",
    "LOG_Number",
    "Installation_Date",
    "Warranty_End",
    *(f"PPM_Q_{quarter}_{part}" for quarter in QUARTERS for part in ("date", "engineer")),
)
OCM_COLUMNS = (
    "NO",
    "Department",
    "Name",
    "Model",
    "Serial",
    "Manufacturer",
    "Log_Number",
    "Installation_Date",
    "Warranty_End",
    "Service_Date",
    "Engineer",
    "Next_Maintenance",
    "Status",
)
OPTIONAL = frozenset({"NO", "Next_Maintenance", "Status"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Which format a file has, and the columns in it that are not imported, as written there."""

    format: ImportFormat
    ignored: tuple[str, ...]


def layout_of(titles: list[str]) -> Layout:
    """The format of a header; raises FileRefused naming what is missing and what was found."""
    names = {canonical(title): title for title in titles if title}
    is_ppm = any(name.startswith("ppmq") for name in names)
    is_ocm = "servicedate" in names
    if is_ppm and is_ocm:
        raise FileRefused(_("The header has columns of a PPM and of an OCM register; import them as two files."))
    format_, columns = (ImportFormat.PPM, PPM_COLUMNS) if is_ppm else (ImportFormat.OCM, OCM_COLUMNS)
    missing = _missing(columns, names)
    if missing:
        found = ", ".join(shown(title) for title in list(names.values())[:30]) or _("nothing")
        if not is_ppm and not is_ocm:
            raise FileRefused(
                _(
                    "This is neither a PPM nor an OCM register. "
                    "Missing: %(ppm)s (PPM) or %(ocm)s (OCM). Found: %(found)s."
                )
                % {"ppm": ", ".join(_missing(PPM_COLUMNS, names)), "ocm": ", ".join(missing), "found": found}
            )
        raise FileRefused(
            _("Columns of the %(format)s are missing: %(missing)s. Found: %(found)s.")
            % {"format": format_.label, "missing": ", ".join(missing), "found": found}
        )
    known = {canonical(column) for column in columns}
    return Layout(format_, tuple(title for name, title in names.items() if name not in known))


def _missing(columns: tuple[str, ...], names: dict[str, str]) -> list[str]:
    return [column for column in columns if column not in OPTIONAL and canonical(column) not in names]
