"""Registers in and back out: reading PPM and OCM files, storing them, undoing that.

    report = preview(source=file, name="ppm.csv", user=request.user)              # writes nothing
    report = import_register(source=file, name="ppm.csv", all_or_nothing=True)    # report.run is the ImportRun
    report = undo_import(run=run, skip_changed=False)                             # report.kept: rows left alone
    report = import_device_models(source=Path("gudid_devices.csv"))

`source` is a path or a binary file that can seek. `user` holds an import within the places that user is limited to;
leave it out where nobody is limited (commands). Who acts is `audit.actors.current_actor()`. `progress` is called with
(bytes read, bytes in all). What goes wrong with the whole file raises a subclass of `ImportFailed` and changes
nothing; what is wrong with a row is in `report.errors` with the row's number.
"""

from equipment.imports.catalogue_files import import_device_models
from equipment.imports.exceptions import FileRefused, ImportConflict, ImportFailed, RowsRejected, UndoRefused
from equipment.imports.registers import import_register, preview
from equipment.imports.reports import ImportReport, RowMessage, RowReport, UndoReport
from equipment.imports.undo import undo_import

__all__ = [
    "FileRefused",
    "ImportConflict",
    "ImportFailed",
    "ImportReport",
    "RowMessage",
    "RowReport",
    "RowsRejected",
    "UndoRefused",
    "UndoReport",
    "import_device_models",
    "import_register",
    "preview",
    "undo_import",
]
