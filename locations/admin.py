"""Locations in the admin: the tree, its storage and delivery places, and production runs."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from locations.limited_admin import LimitedAdmin, LimitedInline, ReadOnlyInline, as_key, visible
from locations.models import Location, LocationKind, LocationLimit, ProductionRun
from locations.querysets import limit_paths


class SiteFilter(admin.SimpleListFilter):
    """Everything at one site."""

    title = _("site")
    parameter_name = "site"
    path_lookup = "path"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        sites = visible(Location.objects.of_kind(LocationKind.SITE), request.user)
        return [(str(site.pk), site.name) for site in sites]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        value = self.value()
        if not value:
            return None
        key = as_key(value)
        site = None if key is None else Location.objects.filter(pk=key).first()
        return queryset.filter(**{f"{self.path_lookup}__startswith": site.path}) if site else queryset.none()


class LocatedAtSiteFilter(SiteFilter):
    """For rows that have a location."""

    path_lookup = "location__path"


class DepartmentFilter(admin.SimpleListFilter):
    """Rows of one department: only departments that the user may see are offered."""

    title = _("department")
    parameter_name = "department"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        departments = visible(Location.objects.of_kind(LocationKind.DEPARTMENT), request.user)
        return [(str(pk), name) for pk, name in departments.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        value = self.value()
        if not value:
            return None
        key = as_key(value)
        return queryset.none() if key is None else queryset.filter(department_id=key)


class ChildrenInline(ReadOnlyInline):
    model = Location
    fk_name = "parent"
    parent_field = "parent_id"
    latest = 200
    fields = ["name", "code", "kind", "capacity"]
    verbose_name_plural = _("lies in it")


class DeliveryLocationInline(ReadOnlyInline):
    model = Location
    fk_name = "production_run"
    parent_field = "production_run_id"
    latest = 200
    fields = ["name", "code", "parent"]
    named_by = ("parent",)
    verbose_name_plural = _("delivery locations")


@admin.register(Location)
class LocationAdmin(LimitedAdmin):
    list_display = ["name", "code", "kind", "parent_name", "production_run", "capacity", "occupancy"]
    list_filter = ["kind", SiteFilter]
    list_select_related = ["parent", "production_run"]
    search_fields = ["name", "code", "parent__name"]
    ordering = ["name", "pk"]
    autocomplete_fields = ["parent", "production_run"]
    placed_by = "parent"
    readonly_fields = ["lies_in", "occupancy", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["name", "code", "kind", "parent", "lies_in"]}),
        (_("Room"), {"fields": ["capacity", "occupancy", "production_run"]}),
        (None, {"fields": ["notes", "created_at", "updated_at"]}),
    ]
    inlines = [ChildrenInline]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        rows = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "autocomplete":
            return rows.select_related("parent__parent")
        return rows

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Count what is at each location of the page shown, in one query for all of them; names only what is inside."""
        changelist = super().get_changelist_instance(request)
        shown = [row.pk for row in changelist.result_list]
        counts = dict(Location.objects.filter(pk__in=shown).order_by().values_list("pk").annotate(Count("equipment")))
        limits = limit_paths(request.user)
        for row in changelist.result_list:
            row.equipment_count = counts.get(row.pk, 0)
            row.names_above = _names_inside([row.parent], limits)
        return changelist

    @admin.display(description=_("lies in"), ordering="parent__name", empty_value="–")
    def parent_name(self, row: Location) -> str:
        return "".join(getattr(row, "names_above", []))

    @admin.display(description=_("equipment here"))
    def occupancy(self, row: Location) -> str:
        if not row.pk:
            return "–"
        count = getattr(row, "equipment_count", None)
        if count is None:
            count = row.equipment.count()
        return f"{count} / {row.capacity}" if row.capacity else str(count)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            above = visible(Location.objects.above(row), request.user).values_list("name", flat=True)
            row.names_above = list(above)
        return row

    @admin.display(description=_("in the tree"))
    def lies_in(self, row: Location) -> str:
        names = getattr(row, "names_above", [])
        return " › ".join([*names, row.name]) if row.pk else "–"

    def autocomplete_label(self, obj: Location, limits: list[str] | None) -> str:
        place = ", ".join(_names_inside([obj.parent, obj.parent.parent] if obj.parent else [], limits))
        return f"{obj.name} ({place})" if place else obj.name

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj else []


def _names_inside(nodes: "list[Location | None]", limits: list[str] | None) -> list[str]:
    return [node.name for node in nodes if node and (limits is None or node.path.startswith(tuple(limits)))]


@admin.register(ProductionRun)
class ProductionRunAdmin(LimitedAdmin):
    list_display = ["code", "name", "starts_on", "ends_on"]
    search_fields = ["code", "name"]
    date_hierarchy = "starts_on"
    ordering = ["code"]
    readonly_fields = ["created_at", "updated_at"]
    inlines = [DeliveryLocationInline]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj else []


class LocationLimitInline(LimitedInline):
    """Which subtrees a user is limited to; used by the users' admin."""

    model = LocationLimit
    fk_name = "user"
    autocomplete_fields = ["location"]
    verbose_name_plural = _("limited to these locations and what lies in them (none: sees everything)")
