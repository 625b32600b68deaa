"""Importing what kinds of devices there are: product classes and device models, as public registries publish them."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from audit.models import EventType
from audit.services import Event, record, record_many
from audit.snapshots import snapshot
from audit.statements import recorded_by_caller
from equipment.imports import limits
from equipment.imports.catalogue_rows import CatalogueRow, read_device_model, read_product_class
from equipment.imports.cells import shown
from equipment.imports.exceptions import FileRefused, RowsRejected
from equipment.imports.histories import TIMESTAMPS
from equipment.imports.registers import conflicts_told, lock_imports
from equipment.imports.reports import ImportReport, RowReport
from equipment.imports.sources import opened
from equipment.imports.tables import Progress, Table, canonical
from equipment.models import DeviceClass, DeviceModel, ImportAction, Manufacturer, ProductClass

PRODUCT_CLASSES = "product_classes"
DEVICE_MODELS = "device_models"
COLUMNS = {
    PRODUCT_CLASSES: (
        "product_code",
        "device_name",
        "device_class",
        "medical_specialty",
        "regulation_number",
        "implant",
        "life_sustaining",
    ),
    DEVICE_MODELS: (
        "device_identifier",
        "brand",
        "model",
        "catalog_number",
        "manufacturer",
        "description",
        "published",
        "mri_safety",
        "product_codes",
    ),
}
# The names of the product codes, which the product classes tell better.
REDUNDANT = frozenset({"productnames"})
HIGHEST_FIRST = (
    DeviceClass.CLASS_3,
    DeviceClass.HUMANITARIAN,
    DeviceClass.CLASS_2,
    DeviceClass.CLASS_1,
    DeviceClass.UNCLASSIFIED,
    DeviceClass.NOT_CLASSIFIED,
)


def import_device_models(
    *,
    source: Path | BinaryIO,
    name: str = "",
    dry_run: bool = False,
    all_or_nothing: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Store product classes (by product code) or device models (by device identifier), whichever the file holds.

    `report.format` tells which. Reads the whole file and stores it in one transaction; raises FileRefused,
    RowsRejected and ImportConflict as importing a register does.
    """
    with opened(source, name) as file, conflicts_told(), nullcontext() if dry_run else transaction.atomic():
        table = Table(file)
        kind, ignored = _kind_of(table.titles)
        report = ImportReport(file.name[-255:], file.sha256, kind, ignored)
        if not dry_run:
            lock_imports()
        catalogue = _ProductClasses() if kind == PRODUCT_CLASSES else _DeviceModels()
        for rows in _batches(table, kind, progress):
            changes = catalogue.plan(rows)
            for row, action in zip(rows, changes, strict=True):
                report.add(RowReport(row.number, action, row.key, row.name), row.errors, row.warnings)
            if not dry_run and not (all_or_nothing and report.rejected):
                catalogue.write(report.file_name)
        report.new_manufacturers = catalogue.missing_manufacturers
        _check(report, all_or_nothing and not dry_run)
        if not dry_run:
            record(
                event_type=EventType.IMPORTED,
                description=f"Imported {report.file_name}: {report.created} created, {report.updated} updated, "
                f"{report.unchanged} unchanged, {report.rejected} rejected",
                after={"format": kind, "sha256": report.file_sha256},
            )
    return report


def _check(report: ImportReport, all_or_nothing: bool) -> None:
    if not report.total:
        raise FileRefused(_("The file holds a header but no rows."))
    if all_or_nothing and report.rejected:
        raise RowsRejected(
            _("Nothing was imported: %(wrong)d of %(total)d rows are wrong.")
            % {"wrong": report.rejected, "total": report.total},
            report,
        )


def _kind_of(titles: list[str]) -> tuple[str, tuple[str, ...]]:
    """Which of the two a header is, and the columns in it that are not imported."""
    names = {canonical(title): title for title in titles if title}
    missing = {
        kind: [column for column in columns if canonical(column) not in names] for kind, columns in COLUMNS.items()
    }
    for kind, columns in COLUMNS.items():
        if not missing[kind]:
            known = {canonical(column) for column in columns} | REDUNDANT
            return kind, tuple(title for name, title in names.items() if name not in known)
    raise FileRefused(
        _(
            "This is neither a list of product classes nor of device models. "
            "Missing: %(classes)s (product classes) or %(models)s (device models). Found: %(found)s."
        )
        % {
            "classes": ", ".join(missing[PRODUCT_CLASSES]),
            "models": ", ".join(missing[DEVICE_MODELS]),
            "found": ", ".join(shown(title) for title in list(names.values())[:30]) or _("nothing"),
        }
    )


def _batches(table: Table, kind: str, progress: Progress | None) -> Iterator[list[CatalogueRow]]:
    read = read_product_class if kind == PRODUCT_CLASSES else read_device_model
    batch: list[CatalogueRow] = []
    for line in table.lines(progress):
        batch.append(read(line))
        if len(batch) == limits.BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(slots=True)
class _Change:
    """A row of the catalogue to be written; `before` holds the values that change, None for a new one."""

    instance: Any
    before: dict[str, Any] | None


class _Catalogue:
    """Upserts one kind of row by its key. `plan` finds what changes, `write` stores what the last plan found."""

    model: type[models.Model]
    key: str
    related: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._changes: list[_Change] = []
        self._rows: dict[str, int] = {}
        self.missing_manufacturers: list[str] = []

    def prepare(self, rows: list[CatalogueRow]) -> None:
        """Look up what the rows of a batch refer to."""

    def values(self, row: CatalogueRow, stored: Any) -> dict[str, Any]:
        return row.values

    def plan(self, rows: list[CatalogueRow]) -> list[str]:
        for row in rows:
            if row.key and (earlier := self._rows.setdefault(row.key, row.number)) != row.number:
                row.errors.append(_("%(key)s is in row %(row)d already.") % {"key": shown(row.key), "row": earlier})
        good = [row for row in rows if not row.errors]
        self.prepare(good)
        found = self.model._default_manager.filter(**{f"{self.key}__in": [row.key for row in good]})
        found = found.select_related(*self.related) if self.related else found
        stored = {getattr(instance, self.key): instance for instance in found}
        self._changes = []
        return [ImportAction.REJECTED if row.errors else self._plan_row(row, stored.get(row.key)) for row in rows]

    def _plan_row(self, row: CatalogueRow, stored: Any) -> str:
        values = self.values(row, stored)
        if stored is None:
            self._changes.append(_Change(self.model(**{self.key: row.key}, **values), None))
            return ImportAction.CREATED
        before = {name: getattr(stored, name) for name, value in values.items() if getattr(stored, name) != value}
        for name in before:
            setattr(stored, name, values[name])
        if before:
            self._changes.append(_Change(stored, before))
        return ImportAction.UPDATED if before else ImportAction.UNCHANGED

    @recorded_by_caller()
    def write(self, file_name: str) -> None:
        new = [change.instance for change in self._changes if change.before is None]
        changed = [change for change in self._changes if change.before]
        self.model._default_manager.bulk_create(new, batch_size=limits.BATCH_ROWS)
        names = {self.model._meta.get_field(name).name for change in changed for name in change.before or {}}
        if hasattr(self.model, "updated_at"):
            names |= {"updated_at"}
            for change in changed:
                change.instance.updated_at = timezone.now()
        if changed:
            self.model._default_manager.bulk_update(
                [change.instance for change in changed], sorted(names), batch_size=limits.BATCH_ROWS
            )
        record_many(events=[_event(change, file_name) for change in self._changes if change.before != {}])


class _ProductClasses(_Catalogue):
    model, key = ProductClass, "code"


class _DeviceModels(_Catalogue):
    model, key, related = DeviceModel, "device_identifier", ("manufacturer",)

    def __init__(self) -> None:
        super().__init__()
        self._makers = {maker.name.lower(): maker for maker in Manufacturer.objects.order_by("-pk")}
        self._new_makers: list[Manufacturer] = []
        self._classes: dict[str, ProductClass] = {}
        self._links: list[tuple[DeviceModel, list[ProductClass]]] = []
        self._linked: dict[str, set[str]] = {}

    def prepare(self, rows: list[CatalogueRow]) -> None:
        codes = {code for row in rows for code in row.product_codes}
        self._classes = {found.code: found for found in ProductClass.objects.filter(code__in=codes)}
        self._links, self._linked = [], {}
        through = DeviceModel.product_classes.through.objects
        links = through.filter(devicemodel__device_identifier__in=[row.key for row in rows])
        for identifier, code in links.values_list("devicemodel__device_identifier", "productclass__code"):
            self._linked.setdefault(identifier, set()).add(code)

    def values(self, row: CatalogueRow, stored: DeviceModel | None) -> dict[str, Any]:
        known = [self._classes[code] for code in row.product_codes if code in self._classes]
        unknown = [code for code in row.product_codes if code not in self._classes]
        if unknown:
            row.warnings.append(_("Product codes not in the register: %s.") % ", ".join(unknown))
        values = dict(row.values, manufacturer=self._maker(row.manufacturer))
        # What the department has said itself stays.
        if known and not (stored and stored.device_class):
            ranked = [value for value in HIGHEST_FIRST if value in {found.device_class for found in known}]
            values["device_class"] = ranked[0] if ranked else ""
            if any(found.life_sustaining for found in known):
                values["life_sustaining"] = True
        return values

    def _plan_row(self, row: CatalogueRow, stored: Any) -> str:
        action = super()._plan_row(row, stored)
        linked = self._linked.get(row.key, set())
        missing = [self._classes[code] for code in row.product_codes if code in self._classes and code not in linked]
        if missing:
            instance = self._changes[-1].instance if action != ImportAction.UNCHANGED else stored
            self._links.append((instance, missing))
            return ImportAction.UPDATED if action == ImportAction.UNCHANGED else action
        return action

    def _maker(self, name: str) -> Manufacturer:
        maker = self._makers.get(name.lower())
        if maker is None:
            maker = self._makers[name.lower()] = Manufacturer(name=name)
            self._new_makers.append(maker)
            self.missing_manufacturers.append(name)
        return maker

    @recorded_by_caller()
    def write(self, file_name: str) -> None:
        Manufacturer.objects.bulk_create(self._new_makers)
        record_many(events=[_event(_Change(maker, None), file_name) for maker in self._new_makers])
        self._new_makers = []
        for change in self._changes:
            # Set again, now that it has an id; setting the id alone would make the instance forget its maker.
            change.instance.manufacturer = change.instance.manufacturer
        super().write(file_name)
        through = DeviceModel.product_classes.through
        through.objects.bulk_create(
            [
                through(devicemodel=instance, productclass=found)
                for instance, classes in self._links
                for found in classes
            ],
            batch_size=limits.BATCH_ROWS,
            ignore_conflicts=True,
        )
        record_many(
            events=[
                Event(
                    EventType.UPDATED,
                    f"Product classes of {instance} added by importing {file_name}",
                    instance,
                    before={},
                    after={"product_classes": [found.code for found in classes]},
                )
                for instance, classes in self._links
            ]
        )


def _event(change: _Change, file_name: str) -> Event:
    instance = change.instance
    after = snapshot(instance, TIMESTAMPS)
    verb = "added" if change.before is None else "changed"
    before = None
    if change.before is not None:
        names = {name: instance._meta.get_field(name).attname for name in change.before}
        before = {names[name]: getattr(value, "pk", value) for name, value in change.before.items()}
        after = {name: after[name] for name in before}
    return Event(
        EventType.CREATED if change.before is None else EventType.UPDATED,
        f"{str(instance._meta.verbose_name).capitalize()} {instance} {verb} by importing {file_name}",
        instance,
        before=before,
        after=after,
    )
