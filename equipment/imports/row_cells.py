"""The cells of one row, read one by one by their column; each failure becomes an error of the row."""

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

from django.db import models
from django.utils.translation import gettext as _

from equipment.imports.cells import Cell, CellError, read_date, read_text, shown
from equipment.imports.tables import Line, canonical

Read = TypeVar("Read")


class RowCells:
    """Reads a line. Errors go to `errors`, each naming the column; what cannot be read counts as empty."""

    def __init__(self, line: Line, errors: list[str]) -> None:
        self._cells, self._errors = line.cells, errors
        if line.surplus:
            errors.append(_("The row has more cells than the header has columns."))

    def any_text(self, column: str) -> str:
        return self._read(column, read_text) or ""

    def text(self, column: str, model: type[models.Model], name: str, *, required: bool = False) -> str:
        """The text, for the field `name` of `model`: too long a text is an error, never cut."""
        errors = len(self._errors)
        text = self.any_text(column)
        field: Any = model._meta.get_field(name)
        limit = field.max_length
        if len(text) > limit:
            self._errors.append(
                _("%(column)s: %(text)s has %(length)d characters; at most %(limit)d are kept.")
                % {"column": column, "text": shown(text), "length": len(text), "limit": limit}
            )
        if required and not text and len(self._errors) == errors:
            self._errors.append(_("%s: missing.") % column)
        return text

    def day(self, column: str) -> date | None:
        return self._read(column, read_date)

    def _read(self, column: str, read: Callable[[Cell], Read]) -> Read | None:
        try:
            return read(self._cells.get(canonical(column)))
        except CellError as error:
            self._errors.append(_("%(column)s: %(reason)s.") % {"column": column, "reason": error})
            return None
