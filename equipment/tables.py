"""The equipment list as shown: its columns, orders and rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F
from django.db.models.expressions import OrderBy
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from equipment.models import Equipment
from locations.models import Location
from locations.querysets import limit_paths

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
    """Names of places as a user may know them: one that lies outside their limits is only "Elsewhere"."""

    def __init__(self, user: Any) -> None:
        self._paths = limit_paths(user)

    def of(self, place: Location | None) -> str:
        """The name to show; empty for no place."""
        if place is None:
            return ""
        if self._paths is None or place.path.startswith(tuple(self._paths)):
            return place.name
        return _("Elsewhere")


@dataclass(frozen=True, slots=True)
class Row:
    """A row as shown; `number` is its position in the whole list, from 1."""

    number: int
    equipment: Equipment
    department: str
    location: str


def rows(keys: Sequence[int], *, first_number: int, places: PlaceNames) -> list[Row]:
    """The rows of one page, which begins with `first_number`, in the order of their primary keys `keys`.

    Sorting and cutting the page by keys alone, and reading only these rows whole, is what keeps late pages quick.
    """
    found = Equipment.objects.for_list().only(*FIELDS_SHOWN).in_bulk(keys)
    devices = [found[key] for key in keys if key in found]
    return [
        Row(number, device, places.of(device.department), places.of(device.location))
        for number, device in enumerate(devices, first_number)
    ]
