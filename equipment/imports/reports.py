"""What an import or an undo did, or would do: for people to read."""

from collections import Counter
from dataclasses import dataclass, field

from equipment.models import ImportAction, ImportRun

LISTED_ROWS = 50
LISTED_MESSAGES = 1000


@dataclass(frozen=True, slots=True)
class RowReport:
    """What one row does. `changes` names the fields that change, as (field, old value, new value)."""

    number: int
    action: str
    serial: str
    name: str
    changes: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RowMessage:
    """An error or a warning about one row; the header is row 1 as a spreadsheet counts."""

    number: int
    serial: str
    text: str

    def __str__(self) -> str:
        return f"{self.number}: {self.text}"


@dataclass(slots=True)
class ImportReport:
    """The counts of an import with its first rows and messages.

    `rows` holds the first LISTED_ROWS, `errors` and `warnings` the first LISTED_MESSAGES; the counts count all.
    `run` is None where nothing was written.
    """

    file_name: str
    file_sha256: str
    format: str
    ignored_columns: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)
    error_count: int = 0
    warning_count: int = 0
    rows: list[RowReport] = field(default_factory=list)
    errors: list[RowMessage] = field(default_factory=list)
    warnings: list[RowMessage] = field(default_factory=list)
    new_departments: list[str] = field(default_factory=list)
    new_manufacturers: list[str] = field(default_factory=list)
    new_device_models: list[str] = field(default_factory=list)
    run: ImportRun | None = None

    @property
    def created(self) -> int:
        return self.counts[ImportAction.CREATED]

    @property
    def updated(self) -> int:
        return self.counts[ImportAction.UPDATED]

    @property
    def unchanged(self) -> int:
        return self.counts[ImportAction.UNCHANGED]

    @property
    def rejected(self) -> int:
        return self.counts[ImportAction.REJECTED]

    @property
    def total(self) -> int:
        """The rows of the file, without the header and blank rows."""
        return sum(self.counts.values())

    def add(self, row: RowReport, errors: list[str], warnings: list[str]) -> None:
        self.counts[row.action] += 1
        if len(self.rows) < LISTED_ROWS:
            self.rows.append(row)
        for text in errors:
            self.error_count += 1
            if len(self.errors) < LISTED_MESSAGES:
                self.errors.append(RowMessage(row.number, row.serial, text))
        for text in warnings:
            self.warning_count += 1
            if len(self.warnings) < LISTED_MESSAGES:
                self.warnings.append(RowMessage(row.number, row.serial, text))


@dataclass(slots=True)
class UndoReport:
    """What undoing an import did. `kept` are the rows left as they are, with the reason.

    `left_behind` names manufacturers, models and departments the import made and something else uses by now.
    """

    run: ImportRun
    deleted: int = 0
    restored: int = 0
    kept: list[RowMessage] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)
