"""Reads of the location tree."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from locations.models import Location

# The ids of the locations whose subtrees somebody is limited to, sorted; None for somebody without a limit.
Limits = tuple[int, ...] | None


class LocationQuerySet(models.QuerySet["Location"]):
    def under(self, location: "Location") -> "LocationQuerySet":
        """The location itself and everything below it."""
        return self.filter(path__startswith=location.path)

    def below(self, location: "Location") -> "LocationQuerySet":
        """Everything below the location, without itself."""
        return self.under(location).exclude(pk=location.pk)

    def above(self, location: "Location") -> "LocationQuerySet":
        """The ancestors of the location, from the site downwards, without itself."""
        return self.filter(path__in=location.ancestor_paths()).order_by("path")

    def visible_to(self, user: Any) -> "LocationQuerySet":
        """What the user may know of: everything, or the subtrees they are limited to."""
        return self.filter(within_limits(user))

    def of_kind(self, *kinds: str) -> "LocationQuerySet":
        return self.filter(kind__in=kinds)


def limit_paths(user: Any) -> list[str] | None:
    """The paths of the subtrees a user is limited to; None for no limit.

    Superusers are never limited. Someone not signed in is limited to nothing at all.
    """
    from locations.models import LocationLimit

    if not user.is_authenticated:
        return []
    if user.is_superuser:
        return None
    paths = list(LocationLimit.objects.filter(user=user).values_list("location__path", flat=True))
    return paths or None


def paths_of(limits: Limits) -> list[str] | None:
    """The paths, as they are now, of the subtrees that `limits` names; None for no limit."""
    if limits is None:
        return None
    places = apps.get_model("locations", "Location")._default_manager.filter(pk__in=limits)
    return list(places.order_by().values_list("path", flat=True))


def within_limits(user: Any, prefix: str = "") -> Q:
    """The condition that a row lies where the user may look; `prefix` leads to the location (`"location__"`).

    A row without a location lies outside every limit.
    """
    return within_paths(limit_paths(user), prefix)


def within_paths(paths: Sequence[str] | None, prefix: str = "") -> Q:
    """The condition that a row lies in one of the subtrees, or anywhere for None; `prefix` as for `within_limits`."""
    if paths is None:
        return Q()
    inside = Q(pk__in=[])
    for path in paths:
        inside |= Q(path__startswith=path)
    if not prefix:
        return inside
    # Not by joining: a location is looked up in a short list, and a row is never found twice.
    places = apps.get_model("locations", "Location")._default_manager.filter(inside)
    return Q(**{f"{prefix.removesuffix('__')}__in": places.order_by().values("pk")})
