"""Locations, production runs, and who is limited to which part of the tree."""

import secrets
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import F, Max, Q, Value
from django.db.models.functions import Concat, Length, Lower, Substr
from django.utils.translation import gettext_lazy as _

from locations.exceptions import LocationTreeError
from locations.querysets import LocationQuerySet

LABEL_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LABEL_LENGTH = 8
DEEPEST = 10
SHAPE_FIELDS = frozenset({"parent", "kind"})


def new_label() -> str:
    """A step of a path: eight letters drawn at random, unlike any other of the same parent (2⁴⁰ possibilities)."""
    return "".join(secrets.choice(LABEL_ALPHABET) for _step in range(LABEL_LENGTH))


class LocationKind(models.TextChoices):
    SITE = "site", _("Site")
    BUILDING = "building", _("Building")
    DEPARTMENT = "department", _("Department")
    ROOM = "room", _("Room")
    STORAGE = "storage", _("Storage location")
    DELIVERY = "delivery", _("Delivery location")


# What each kind may lie directly below. Real hospitals have departments without a building of their own, and storage
# and delivery places anywhere.
PARENT_KINDS: dict[str, frozenset[str]] = {
    LocationKind.SITE: frozenset(),
    LocationKind.BUILDING: frozenset({LocationKind.SITE}),
    LocationKind.DEPARTMENT: frozenset({LocationKind.SITE, LocationKind.BUILDING, LocationKind.DEPARTMENT}),
    LocationKind.ROOM: frozenset({LocationKind.SITE, LocationKind.BUILDING, LocationKind.DEPARTMENT}),
    LocationKind.STORAGE: frozenset(
        {
            LocationKind.SITE,
            LocationKind.BUILDING,
            LocationKind.DEPARTMENT,
            LocationKind.ROOM,
            LocationKind.STORAGE,
        }
    ),
    LocationKind.DELIVERY: frozenset(
        {LocationKind.SITE, LocationKind.BUILDING, LocationKind.DEPARTMENT, LocationKind.ROOM}
    ),
}


class ProductionRun(models.Model):
    """A run of deliveries; delivery locations belong to one."""

    code = models.CharField(_("code"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=200)
    starts_on = models.DateField(_("starts on"), null=True, blank=True)
    ends_on = models.DateField(_("ends on"), null=True, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("production run")
        verbose_name_plural = _("production runs")
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(name="production_run_code_given", condition=~Q(code="")),
            models.CheckConstraint(
                name="production_run_ends_after_start",
                condition=Q(ends_on__isnull=True) | Q(starts_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Location(models.Model):
    """A node of the tree.

    `path` holds the labels from the root to this node, each followed by `/`; the subtree of a node is what begins
    with its path. It is kept by `save()`, for the node and all below it, under a lock that lets one change of the
    tree's shape happen at a time. `capacity` counts pieces of equipment.
    """

    name = models.CharField(_("name"), max_length=200)
    code = models.CharField(_("code"), max_length=50, blank=True, help_text=_("Short name on doors and labels."))
    kind = models.CharField(_("kind"), max_length=20, choices=LocationKind)
    parent = models.ForeignKey(
        "self", verbose_name=_("lies in"), null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    label = models.CharField(max_length=LABEL_LENGTH, default=new_label, editable=False)
    path = models.CharField(max_length=DEEPEST * (LABEL_LENGTH + 1), unique=True, editable=False)
    capacity = models.PositiveIntegerField(
        _("capacity"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("How many pieces of equipment fit. Empty means no limit."),
    )
    production_run = models.ForeignKey(
        ProductionRun,
        verbose_name=_("production run"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="delivery_locations",
        help_text=_("For delivery locations only."),
    )
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = LocationQuerySet.as_manager()

    class Meta:
        verbose_name = _("location")
        verbose_name_plural = _("locations")
        ordering = ["name", "pk"]
        constraints = [
            models.CheckConstraint(name="location_kind_known", condition=Q(kind__in=LocationKind.values)),
            models.CheckConstraint(name="location_name_given", condition=~Q(name="")),
            models.CheckConstraint(
                name="location_only_sites_are_roots",
                condition=Q(kind="site", parent__isnull=True) | (~Q(kind="site") & Q(parent__isnull=False)),
                violation_error_message=_("A site lies in nothing; everything else lies in something."),
            ),
            models.CheckConstraint(
                name="location_run_only_for_delivery",
                condition=Q(production_run__isnull=True) | Q(kind="delivery"),
                violation_error_message=_("Only a delivery location belongs to a production run."),
            ),
            models.CheckConstraint(
                name="location_capacity_positive", condition=Q(capacity__isnull=True) | Q(capacity__gt=0)
            ),
            models.UniqueConstraint(
                Lower("name"),
                "parent",
                "kind",
                name="location_name_unique_in_parent",
                violation_error_message=_("There is a location of this kind and name here already."),
            ),
            models.UniqueConstraint(
                Lower("name"),
                name="location_site_name_unique",
                condition=Q(parent__isnull=True),
                violation_error_message=_("There is a site of this name already."),
            ),
            models.UniqueConstraint(
                "code",
                name="location_code_unique",
                condition=~Q(code=""),
                violation_error_message=_("This code is another location's."),
            ),
        ]
        indexes = [models.Index(fields=["kind", "name"], name="location_by_kind")]

    def __str__(self) -> str:
        return self.name

    @property
    def depth(self) -> int:
        """0 for a site."""
        return self.path.count("/") - 1

    def ancestor_paths(self) -> list[str]:
        """The paths of the nodes above, from the root downwards."""
        steps = self.path.split("/")[:-2]
        return ["/".join(steps[: i + 1]) + "/" for i in range(len(steps))]

    def clean(self) -> None:
        """Refuse a place in the tree that this kind cannot have; raises ValidationError naming the field."""
        super().clean()
        try:
            self._check_parent(self.parent)
        except LocationTreeError as error:
            raise ValidationError({"parent": error.messages}) from error
        try:
            self._check_children()
        except LocationTreeError as error:
            raise ValidationError({"kind": error.messages}) from error

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the node, and when it moved the paths below it; raises LocationTreeError for an impossible place."""
        update_fields = kwargs.get("update_fields")
        if update_fields is not None and not SHAPE_FIELDS & {name.removesuffix("_id") for name in update_fields}:
            # Neither place nor kind is written: this instance may even remember a place it has left since.
            super().save(*args, **kwargs)
            return
        with transaction.atomic(using=kwargs.get("using")):
            moved_from = self._place()
            if update_fields is not None:
                kwargs["update_fields"] = {*update_fields, "path"}
            super().save(*args, **kwargs)
            if moved_from and moved_from != self.path:
                Location.objects.filter(path__startswith=moved_from).exclude(pk=self.pk).update(
                    path=Concat(Value(self.path), Substr("path", len(moved_from) + 1))
                )

    def _place(self) -> str:
        """Set `path` from the parent as it is now, under lock; returns the stored path before, or ""."""
        # One lock for the shape of the whole tree: locking only the lines involved leaves a gap, because what lies on
        # them can change between looking and locking. NO KEY: devices may be placed meanwhile.
        list(Location.objects.select_for_update(no_key=True).filter(parent__isnull=True).order_by("pk"))
        parent = Location.objects.filter(pk=self.parent_id).first() if self.parent_id else None
        if self.parent_id and parent is None:
            raise LocationTreeError(_("The location it lies in is gone."))
        before = Location.objects.filter(pk=self.pk).values_list("path", flat=True).first() or "" if self.pk else ""
        if parent and before and parent.path.startswith(before):
            raise LocationTreeError(_("A location cannot lie in itself or in what is below it."))
        self._check_parent(parent)
        self._check_children()
        self.path = (parent.path if parent else "") + self.label + "/"
        if before and len(self.path) > len(before):
            self._check_depth_below(before)
        return before

    def _check_children(self) -> None:
        if not self.pk or self.kind not in PARENT_KINDS:
            return
        for child in Location.objects.filter(parent_id=self.pk).order_by().values_list("kind", flat=True).distinct():
            if self.kind not in PARENT_KINDS[child]:
                label = LocationKind(child).label
                raise LocationTreeError(_("What lies in it now (%s) cannot lie in this kind.") % label)

    def _check_depth_below(self, before: str) -> None:
        longest = Location.objects.filter(path__startswith=before).aggregate(longest=Max(Length("path")))["longest"]
        if longest - len(before) + len(self.path) > DEEPEST * (LABEL_LENGTH + 1):
            raise LocationTreeError(_("The tree is %d levels deep at most.") % DEEPEST)

    def _check_parent(self, parent: "Location | None") -> None:
        allowed = PARENT_KINDS.get(self.kind)
        if allowed is None:  # No kind yet, or an unknown one, which has its own error.
            return
        if parent is None:
            if allowed:
                raise LocationTreeError(_("Everything but a site lies in something."))
            return
        if self.pk and (parent.pk == self.pk or (self.path and parent.path.startswith(self.path))):
            raise LocationTreeError(_("A location cannot lie in itself or in what is below it."))
        if parent.kind not in allowed:
            raise LocationTreeError(
                _("A %(child)s cannot lie in a %(parent)s.")
                % {"child": LocationKind(self.kind).label.lower(), "parent": LocationKind(parent.kind).label.lower()}
            )
        if parent.depth + 2 > DEEPEST:
            raise LocationTreeError(_("The tree is %d levels deep at most.") % DEEPEST)


class LocationLimit(models.Model):
    """A user with one of these or more sees only these subtrees."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="location_limits"
    )
    # Not CASCADE: with the last limit gone, the user would see everything.
    location = models.ForeignKey(Location, verbose_name=_("location"), on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = _("location limit")
        verbose_name_plural = _("location limits")
        constraints = [
            models.UniqueConstraint(fields=["user", "location"], name="location_limit_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.location}"
