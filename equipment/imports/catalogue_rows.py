"""One product class or device model of a file: its values, or everything that is wrong with it."""

import re
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from equipment.imports.cells import shown
from equipment.imports.row_cells import RowCells
from equipment.imports.tables import Line
from equipment.models import DeviceClass, DeviceModel, Manufacturer, MriSafety, ProductClass

PRODUCT_CODE = re.compile(r"[A-Z]{3}")
YES_NO = {"y": True, "yes": True, "n": False, "no": False, "": False}
MRI_WORDS = {
    "mr safe": MriSafety.SAFE,
    "mr conditional": MriSafety.CONDITIONAL,
    "mr unsafe": MriSafety.UNSAFE,
    "labeling does not contain mri safety information": MriSafety.NOT_STATED,
    "": MriSafety.NOT_STATED,
}


@dataclass(slots=True)
class CatalogueRow:
    """What a row says. `values` are fields of the model without those that refer to other rows."""

    number: int
    key: str = ""
    name: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    manufacturer: str = ""
    product_codes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_product_class(line: Line) -> CatalogueRow:
    """A row of the product classification; a class in any letter case."""
    row = CatalogueRow(line.number)
    cells = RowCells(line, row.errors)
    row.key = cells.text("product_code", ProductClass, "code", required=True)
    row.name = cells.text("device_name", ProductClass, "name", required=True)
    if row.key and not PRODUCT_CODE.fullmatch(row.key):
        row.errors.append(_("product_code: %s is not three capital letters.") % shown(row.key))
    device_class = cells.any_text("device_class").upper()
    if device_class and device_class not in DeviceClass.values:
        row.errors.append(_("device_class: %s is not a known class.") % shown(device_class))
    row.values = {
        "name": row.name,
        "device_class": device_class,
        "medical_specialty": cells.text("medical_specialty", ProductClass, "medical_specialty"),
        "regulation_number": cells.text("regulation_number", ProductClass, "regulation_number"),
        "implant": _word(cells, row, "implant", YES_NO),
        "life_sustaining": _word(cells, row, "life_sustaining", YES_NO),
    }
    return row


def read_device_model(line: Line) -> CatalogueRow:
    """A row of the device identification database; its product codes are separated by semicolons."""
    row = CatalogueRow(line.number)
    cells = RowCells(line, row.errors)
    row.key = cells.text("device_identifier", DeviceModel, "device_identifier", required=True)
    row.name = cells.text("model", DeviceModel, "name", required=True)
    row.manufacturer = cells.text("manufacturer", Manufacturer, "name", required=True)
    row.values = {
        "name": row.name,
        "brand": cells.text("brand", DeviceModel, "brand"),
        "catalog_number": cells.text("catalog_number", DeviceModel, "catalog_number"),
        "description": cells.any_text("description"),
        "published_on": cells.day("published"),
        "mri_safety": _word(cells, row, "mri_safety", MRI_WORDS),
    }
    for code in cells.any_text("product_codes").split(";"):
        code = code.strip().upper()
        if code and not PRODUCT_CODE.fullmatch(code):
            row.errors.append(_("product_codes: %s is not three letters.") % shown(code))
        elif code and code not in row.product_codes:
            row.product_codes.append(code)
    return row


def _word(cells: RowCells, row: CatalogueRow, column: str, words: dict[str, Any]) -> Any:
    text = cells.any_text(column)
    if text.lower() not in words:
        row.errors.append(_("%(column)s: %(text)s is not a known value.") % {"column": column, "text": shown(text)})
    return words.get(text.lower())
