"""Recipes of the tree. Baker leaves `save()` as it is, so paths come out right."""

from itertools import count

from model_bakery.recipe import Recipe, foreign_key

from locations.models import Location, LocationKind, ProductionRun

_numbers = count(1)


def numbered(text: str):
    """A callable that gives `text` with another number each time."""
    return lambda: f"{text} {next(_numbers)}"


site = Recipe(Location, kind=LocationKind.SITE, parent=None, name=numbered("Site"))
building = Recipe(Location, kind=LocationKind.BUILDING, parent=foreign_key(site), name=numbered("Building"))
department = Recipe(Location, kind=LocationKind.DEPARTMENT, parent=foreign_key(building), name=numbered("Department"))
room = Recipe(Location, kind=LocationKind.ROOM, parent=foreign_key(department), name=numbered("Room"))
storage = Recipe(Location, kind=LocationKind.STORAGE, parent=foreign_key(site), name=numbered("Storage"))
delivery = Recipe(Location, kind=LocationKind.DELIVERY, parent=foreign_key(site), name=numbered("Ramp"))
production_run = Recipe(ProductionRun, code=numbered("R"), name="Spring delivery")
