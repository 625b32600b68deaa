"""Why an import or an undo did not happen. In every case nothing was changed.

ImportFailed
├── FileRefused      the file cannot be a register: damaged, too large, wrong columns
├── RowsRejected     all or nothing was asked for, and some rows are wrong
├── ImportConflict   somebody else changed the same data at the same time
└── UndoRefused      what the import made has been changed since
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from equipment.imports.reports import ImportReport, UndoReport


class ImportFailed(Exception):
    """The message is for the person who imports, in their language."""


class FileRefused(ImportFailed):
    pass


class RowsRejected(ImportFailed):
    """`report` tells what is wrong with which row."""

    def __init__(self, message: str, report: "ImportReport") -> None:
        super().__init__(message)
        self.report = report


class ImportConflict(ImportFailed):
    pass


class UndoRefused(ImportFailed):
    """`report.kept` tells which row cannot be put back and why."""

    def __init__(self, message: str, report: "UndoReport") -> None:
        super().__init__(message)
        self.report = report
