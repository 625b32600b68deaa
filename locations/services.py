"""Writes of locations that span rows."""

from django.db import transaction

from locations.models import Location, LocationKind

UNSORTED_SITE = "Unsorted"


@transaction.atomic
def move_location(*, location: Location, new_parent: Location) -> Location:
    """Move a location with everything below it; raises LocationTreeError where it cannot lie.

    Returns the location as stored. Concurrent moves wait for each other.
    """
    fresh = Location.objects.get(pk=location.pk)
    fresh.parent = new_parent
    fresh.save()
    return fresh


@transaction.atomic
def find_or_create_department(*, name: str, site: Location | None = None) -> tuple[Location, bool]:
    """The department of that name, whatever its letter case; made below `site` (default: the first one) if missing.

    Where several departments bear the name, the one in `site`, else the oldest. A register without any site gets one
    named "Unsorted". Returns the department and whether it was made.
    """
    found = Location.objects.of_kind(LocationKind.DEPARTMENT).filter(name__iexact=name)
    if site is not None:
        found = found.under(site)
    department = found.order_by("pk").first()
    if department is not None:
        return department, False
    if site is None:
        site = Location.objects.of_kind(LocationKind.SITE).order_by("pk").first()
    if site is None:
        site = Location.objects.create(name=UNSORTED_SITE, kind=LocationKind.SITE)
    return Location.objects.create(name=name, kind=LocationKind.DEPARTMENT, parent=site), True
