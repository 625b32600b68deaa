"""The equipment list as shown: its columns, orders and rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models import F
from django.db.models.expressions import OrderBy
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from equipment.models import Equipment, EquipmentStatus
from equipment.querysets import EquipmentQuerySet
from locations.models import Location

DEFAULT_SORT = "name"

FIELDS_SHOWN = (
    "name",
    "asset_tag",
    "serial",
    "status",
    "device_model__name",
    "device_model__manufacturer__name",
    "department__name",
    "department__path",
    "location__name",
    "location__path",
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be sorted by; `fields` are what it sorts by, the first ones first."""

    key: str
    label: str | Promise
    fields: tuple[str, ...]


COLUMNS = (
    Column("name", gettext_lazy("Name"), ("name", "serial")),
    Column("asset_tag", gettext_lazy("Asset tag"), ("asset_tag",)),
    Column("manufacturer", gettext_lazy("Manufacturer"), ("device_model__manufacturer__name", "device_model__name")),
    Column("model", gettext_lazy("Model"), ("device_model__name",)),
    Column("serial", gettext_lazy("Serial number"), ("serial",)),
    Column("department", gettext_lazy("Department"), ("department__name",)),
    Column("location", gettext_lazy("Location"), ("location__name",)),
    Column("status", gettext_lazy("Status"), ("status", "name")),
)


def _orders(column: Column) -> Iterator[tuple[str, list[str | OrderBy]]]:
    """The two orders of a column, each ending in the primary key: no two rows are ever equal.

    Rows without a model or place come last either way, on every database; for fields that are never empty the words
    are left out, because SQLite would not use the index.
    """
    for sign in ("", "-"):
        order: list[str | OrderBy] = []
        for field in (*column.fields, "pk"):
            if "__" not in field:
                order.append(sign + field)
            else:
                order.append(F(field).desc(nulls_last=True) if sign else F(field).asc(nulls_last=True))
        yield sign + column.key, order


SORTS: dict[str, list[str | OrderBy]] = {key: order for column in COLUMNS for key, order in _orders(column)}


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's heading: what a click sorts by, and how it is sorted now (ascending, descending or none)."""

    label: str | Promise
    target: str
    direction: str


def headings(sort: str) -> list[Heading]:
    """The headings when the list is in the order `sort`, a key of SORTS."""
    made = []
    for column in COLUMNS:
        direction = {column.key: "ascending", f"-{column.key}": "descending"}.get(sort, "none")
        made.append(Heading(column.label, f"-{column.key}" if direction == "ascending" else column.key, direction))
    return made


class PlaceNames:
    """Names of places for somebody who may look into the subtrees at `paths`, or anywhere for None."""

    def __init__(self, paths: Sequence[str] | None) -> None:
        self._paths = paths

    def of(self, place: Location | None) -> str | None:
        """The name; empty for no place, None for one outside, which is not to be named."""
        if place is None:
            return ""
        if self._paths is None or place.path.startswith(tuple(self._paths)):
            return place.name
        return None


def place_label(name: str | None) -> str:
    """A name of `PlaceNames` as shown, in the language of the page."""
    return _("Elsewhere") if name is None else name


def label_of(choices: type[models.TextChoices], name: str) -> property:
    """A property: the label of the choice that the field `name` holds, in the language of the page; empty for none.

    Cached values hold the choice itself, and so are the same in every language.
    """

    def label(value: Any) -> str:
        chosen = getattr(value, name)
        return str(choices(chosen).label) if chosen else ""

    return property(label)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the list. Without a model, both `manufacturer` and `model` are empty."""

    id: int
    name: str
    asset_tag: str
    serial: str
    status: str
    manufacturer: str
    model: str
    department_name: str | None
    location_name: str | None

    status_label = label_of(EquipmentStatus, "status")

    @property
    def department(self) -> str:
        return place_label(self.department_name)

    @property
    def location(self) -> str:
        return place_label(self.location_name)


def rows(equipment: EquipmentQuerySet, keys: Sequence[int], *, places: PlaceNames) -> tuple[Row, ...]:
    """The rows of one page: those of `equipment` with the primary keys `keys`, in their order.

    Sorting and cutting the page by keys alone, and reading only these rows whole, is what keeps late pages quick.
    """
    found = equipment.for_list().only(*FIELDS_SHOWN).in_bulk(keys)
    return tuple(_row(found[key], places) for key in keys if key in found)


def _row(device: Equipment, places: PlaceNames) -> Row:
    model = device.device_model
    return Row(
        id=device.pk,
        name=device.name,
        asset_tag=device.asset_tag,
        serial=device.serial,
        status=device.status,
        manufacturer=model.manufacturer.name if model else "",
        model=model.name if model else "",
        department_name=places.of(device.department),
        location_name=places.of(device.location),
    )
