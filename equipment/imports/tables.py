"""A table: a header and rows of cells, whichever kind of file they come from."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from equipment.imports import limits
from equipment.imports.cells import Cell, CellError, read_text, shown
from equipment.imports.csv_reader import read_csv
from equipment.imports.exceptions import FileRefused
from equipment.imports.sources import Source
from equipment.imports.xlsx_reader import read_xlsx

Progress = Callable[[int, int], None]
SEPARATORS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its number in the file (the header is 1 as a rule) and its cells by the canonical name of the column.

    `surplus` says that it has cells beyond the last column.
    """

    number: int
    cells: dict[str, Cell]
    surplus: bool


class Table:
    """A file as a table: `columns` holds canonical names, `titles` the same as written in the file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._rows: Iterator[tuple[int, list[Cell]]] = read_xlsx(source) if source.is_xlsx else read_csv(source)  # type: ignore[assignment]
        self.titles: list[str] = []
        for _number, cells in self._rows:
            if any(cell not in (None, "") for cell in cells):
                self.titles = _titles(cells)
                break
        if not self.titles:
            raise FileRefused(_("The file holds no row at all."))
        self.columns = [canonical(title) for title in self.titles]
        twice = sorted({name for name in self.columns if name and self.columns.count(name) > 1})
        if twice:
            raise FileRefused(_("Columns appear twice: %s.") % ", ".join(shown(name) for name in twice))

    def lines(self, progress: Progress | None = None) -> Iterator[Line]:
        """The rows below the header, without blank ones; raises FileRefused where there are more than limits.ROWS."""
        count = 0
        for number, cells in self._rows:
            if progress is not None and number % limits.BATCH_ROWS == 0:
                progress(min(self._source.stream.tell(), self._source.size), self._source.size)
            if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells):
                continue
            count += 1
            if count > limits.ROWS:
                raise FileRefused(_("The file has more than %d rows. Import it in parts.") % limits.ROWS)
            width = len(self.columns)
            surplus = any(cell not in (None, "") for cell in cells[width:])
            cells = [*cells[:width], *[None] * (width - len(cells))]
            yield Line(number, dict(zip(self.columns, cells, strict=True)), surplus)
        if progress is not None:
            progress(self._source.size, self._source.size)


def canonical(title: str) -> str:
    """The name of a column whatever its letter case, blanks and underscores: `PPM_Q_I_date` is `ppmqidate`."""
    return SEPARATORS.sub("", title).lower()


def _titles(cells: list[Cell]) -> list[str]:
    if len(cells) > limits.COLUMNS:
        raise FileRefused(_("The first row has more than %d columns; no register is that wide.") % limits.COLUMNS)
    titles = []
    for position, cell in enumerate(cells, start=1):
        try:
            titles.append(read_text(cell))
        except CellError as error:
            raise FileRefused(
                _("The header of column %(column)d is unusable: %(reason)s.") % {"column": position, "reason": error}
            ) from None
    while titles and not titles[-1]:
        titles.pop()
    return titles
