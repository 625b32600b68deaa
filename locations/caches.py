"""What is cached of the locations, and what makes it stale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from invalidation import cached_read, scope, sometimes, table, watch
from invalidation.seals import seal, unsealed
from invalidation.tags import Need
from locations.models import Location, LocationLimit, ProductionRun
from locations.querysets import Limits, paths_of, within_paths


def declare() -> None:
    """Tell the engine whose writes end entries; called once, from `ready()`."""
    watch(Location, scopes=("kind",))
    watch(LocationLimit, scopes=("user",))
    watch(ProductionRun)


@dataclass(frozen=True, slots=True)
class Place:
    """A location by its name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class LocationDetail:
    """One location. `above` leads from the site downwards, without what lies outside the reader's limits; `below`
    counts all that lies below it, by kind."""

    id: int
    name: str
    code: str
    kind: str
    capacity: int | None
    production_run: str
    notes: str
    above: tuple[Place, ...]
    below: dict[str, int]


def limits_for(user: Any) -> Limits:
    """What every cached read takes to know where the user may look.

    None for nobody's limits: superusers and users without any. Somebody not signed in is limited to nothing at all.
    """
    if not user.is_authenticated:
        return ()
    return None if user.is_superuser else limits_of(user_id=user.pk)


def limits_of(*, user_id: int) -> Limits:
    """The locations whose subtrees the user is limited to, whoever they are; None without a limit."""
    return tuple(unsealed(sealed_limits, f"limits.{user_id}", user_id=user_id)) or None


@cached_read(
    "location:limits", needs=lambda p: [scope(LocationLimit, user=p["user_id"])], ttl="static", scope="user_id"
)
def sealed_limits(*, user_id: int) -> str:
    """The ids of the locations that limit the user, signed: what does not exist for them hangs on it."""
    limits = LocationLimit.objects.filter(user_id=user_id).order_by("location_id")
    return seal(f"limits.{user_id}").sign_object(list(limits.values_list("location_id", flat=True)))


def _of_kind(params: Mapping[str, Any]) -> list[Need]:
    # A subtree may grow by a change of rows of any kind: what lies above moves, and the paths below follow.
    if params["limits"] is None and params["kind"]:
        return [scope(Location, kind=params["kind"])]
    return [sometimes(table(Location))]


@cached_read("location:list", needs=_of_kind, ttl="list", scope="kind")
def location_list(*, kind: str | None, limits: Limits) -> tuple[Place, ...]:
    """The locations of a kind, or all, by name, inside the limits."""
    found = Location.objects.filter(within_paths(paths_of(limits)))
    if kind:
        found = found.of_kind(kind)
    return tuple(Place(*row) for row in found.order_by("name", "pk").values_list("pk", "name"))


@cached_read("location:counts", needs=[sometimes(table(Location))], ttl="list")
def location_counts(*, limits: Limits) -> dict[str, int]:
    """How many locations of each kind lie inside the limits; kinds without any are left out."""
    found = Location.objects.filter(within_paths(paths_of(limits)))
    return dict(found.order_by().values_list("kind").annotate(Count("pk")))


@cached_read("location:detail", needs=[sometimes(table(Location)), sometimes(table(ProductionRun))], ttl="list")
def location_detail(*, location_id: int, limits: Limits) -> LocationDetail:
    """One location; raises Location.DoesNotExist for one outside the limits."""
    inside = Location.objects.filter(within_paths(paths_of(limits)))
    location = inside.select_related("production_run").get(pk=location_id)
    above = inside.above(location).values_list("pk", "name")
    below = Location.objects.below(location).order_by().values_list("kind").annotate(Count("pk"))
    return LocationDetail(
        id=location.pk,
        name=location.name,
        code=location.code,
        kind=location.kind,
        capacity=location.capacity,
        production_run=location.production_run.code if location.production_run else "",
        notes=location.notes,
        above=tuple(Place(*row) for row in above),
        below=dict(below),
    )
