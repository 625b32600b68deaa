"""What devices refer to by name in a register: departments, manufacturers, device models; found, or to be made."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from equipment.models import DeviceModel, Manufacturer
from locations.models import Location, LocationKind
from locations.services import UNSORTED_SITE, find_or_create_department

# Stands for a maker or model that a register leaves empty while it names the other.
UNKNOWN = "Unknown"


@dataclass(slots=True)
class Department:
    """A department by name; `location` is None until it is made."""

    name: str
    location: Location | None


class References:
    """Names whatever their letter case. What is missing is made unsaved and saved by `make`, in few queries.

    The lists `missing_…` name all that was missing since the start, made by now or not.

    With a limited `user`, only departments within the user's limits are found, and none is made.
    """

    def __init__(self, user: Any = None, is_limited: bool = False) -> None:
        departments = Location.objects.of_kind(LocationKind.DEPARTMENT).order_by("-pk")
        if user is not None:
            departments = departments.visible_to(user)
        self._departments = {location.name.lower(): Department(location.name, location) for location in departments}
        self._manufacturers = {maker.name.lower(): maker for maker in Manufacturer.objects.order_by("-pk")}
        self._models: dict[tuple[str, str], list[DeviceModel]] = defaultdict(list)
        self._loaded: set[str] = set()
        self._may_make_departments = not is_limited
        self._new_departments: list[Department] = []
        self._new_manufacturers: list[Manufacturer] = []
        self._new_device_models: list[DeviceModel] = []
        self.missing_departments: list[str] = []
        self.missing_manufacturers: list[str] = []
        self.missing_device_models: list[str] = []

    def load_models(self, manufacturers: Iterable[str]) -> None:
        """Read the models of these makers, those not yet read, in one query."""
        names = {name.lower() for name in manufacturers if name} - self._loaded
        self._loaded |= names
        makers = {maker.pk: maker for name in names if (maker := self._manufacturers.get(name)) and maker.pk}
        if makers:
            for model in DeviceModel.objects.filter(manufacturer__in=makers).order_by("pk"):
                model.manufacturer = makers[model.manufacturer_id]
                self._models[model.manufacturer.name.lower(), model.name.lower()].append(model)

    def department(self, name: str) -> Department | None:
        """The department of that name; None where it is missing and may not be made."""
        found = self._departments.get(name.lower())
        if found is None and self._may_make_departments:
            found = self._departments[name.lower()] = Department(name, None)
            self._new_departments.append(found)
            self.missing_departments.append(name)
        return found

    def device_model(self, manufacturer: str, name: str) -> DeviceModel | None:
        """The model of that maker and name, None for neither.

        Of several, the one without a device identifier (a register does not say which article it means), else a
        general one is made. `load_models` must have been called with the maker.
        """
        if not manufacturer and not name:
            return None
        manufacturer, name = manufacturer or UNKNOWN, name or UNKNOWN
        known = self._models[manufacturer.lower(), name.lower()]
        if len(known) == 1:
            return known[0]
        general = [model for model in known if not model.device_identifier]
        if general:
            return min(general, key=lambda model: model.catalog_number)
        model = DeviceModel(manufacturer=self._manufacturer(manufacturer), name=name)
        known.append(model)
        # From here on the general one is the only candidate of several: it has no identifier.
        self._new_device_models.append(model)
        self.missing_device_models.append(f"{manufacturer} {name}")
        return model

    def _manufacturer(self, name: str) -> Manufacturer:
        found = self._manufacturers.get(name.lower())
        if found is None:
            found = self._manufacturers[name.lower()] = Manufacturer(name=name)
            self._new_manufacturers.append(found)
            self.missing_manufacturers.append(name)
        return found

    def make(self) -> list[Any]:
        """Save what was missing so far; returns all of it, each thing after what it belongs to."""
        made: list[Any] = []
        if self._new_departments and not Location.objects.of_kind(LocationKind.SITE).exists():
            site = Location.objects.create(name=UNSORTED_SITE, kind=LocationKind.SITE)
            made.append(site)
        for department in self._new_departments:
            department.location, is_new = find_or_create_department(name=department.name)
            if is_new:
                made.append(department.location)
        made += Manufacturer.objects.bulk_create(self._new_manufacturers)
        for model in self._new_device_models:
            # Set again, now that it has an id; setting the id alone would make the model forget its maker.
            model.manufacturer = model.manufacturer
        made += DeviceModel.objects.bulk_create(self._new_device_models)
        self._new_departments, self._new_manufacturers, self._new_device_models = [], [], []
        return made
