"""What a row of an import did, in the form it is kept in: `{section: {id: values}}`, before and after.

`before` of something the row made is None. Undoing reads both (`undo`).
"""

import json

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from audit.snapshots import Snapshot, snapshot
from equipment.models import DeviceModel, Equipment, MaintenancePlan, Manufacturer, ScheduledMaintenance
from locations.models import Location

TIMESTAMPS = frozenset({"created_at", "updated_at"})

SECTIONS: dict[str, type[models.Model]] = {
    "equipment": Equipment,
    "plans": MaintenancePlan,
    "maintenance": ScheduledMaintenance,
    "device_models": DeviceModel,
    "manufacturers": Manufacturer,
    "locations": Location,
}
SECTION_OF = {model: section for section, model in SECTIONS.items()}


class History:
    """Collects what a row did, to be stored with the row."""

    def __init__(self) -> None:
        self.before: dict[str, dict[str, Snapshot | None]] = {}
        self.after: dict[str, dict[str, Snapshot]] = {}

    def made(self, instance: models.Model) -> None:
        """`instance`, saved by now, was not there before."""
        self._put(instance, None, recorded(instance))

    def changed(self, instance: models.Model, before: Snapshot) -> None:
        """`instance` had the values `before`, which name all the fields that changed."""
        now = recorded(instance)
        self._put(instance, before, {name: now[name] for name in before})

    def _put(self, instance: models.Model, before: Snapshot | None, after: Snapshot) -> None:
        section = SECTION_OF[type(instance)]
        self.before.setdefault(section, {})[str(instance.pk)] = before
        self.after.setdefault(section, {})[str(instance.pk)] = after


def recorded(instance: models.Model) -> Snapshot:
    """The values that count when asking whether something has changed since."""
    values = snapshot(instance, TIMESTAMPS)
    # Moving a department changes its path; that is no reason to keep it.
    return {name: value for name, value in values.items() if name not in {"path", "label"}}


def as_stored(values: Snapshot) -> Snapshot:
    """Values as they come back from JSON, to be compared with stored ones."""
    return json.loads(json.dumps(values, cls=DjangoJSONEncoder))
