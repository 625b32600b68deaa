"""Service contracts in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from equipment.models import ServiceContract
from locations.limited_admin import LimitedAdmin


@admin.register(ServiceContract)
class ServiceContractAdmin(LimitedAdmin):
    """Contracts. One that covers devices outside the user's limits too is others' as well: it is only read."""

    list_display = ["number", "supplier", "kind", "starts_on", "ends_on", "annual_cost", "response_hours"]
    list_filter = ["kind", "ends_on"]
    search_fields = ["number", "supplier"]
    date_hierarchy = "starts_on"
    ordering = ["number"]
    autocomplete_fields = ["equipment"]
    placed_by = "equipment"
    readonly_fields = ["created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["number", "supplier", "kind", "response_hours"]}),
        (_("Duration and cost"), {"fields": ["starts_on", "ends_on", "annual_cost"]}),
        (None, {"fields": ["equipment", "notes", "created_at", "updated_at"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        # A field that is only shown names every device.
        return [
            (title, {**options, "fields": ["covered" if name == "equipment" else name for name in options["fields"]]})
            for title, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "covered"]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.covered_inside = list(row.equipment.visible_to(request.user))
        return row

    @admin.display(description=_("equipment"))
    def covered(self, row: ServiceContract) -> str:
        names = [str(device) for device in getattr(row, "covered_inside", [])]
        others = row.equipment.count() - len(names) if row.pk else 0
        if others > 0:
            names.append(ngettext("… and %d other", "… and %d others", others) % others)
        return ", ".join(names) or "–"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_wholly_visible(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_wholly_visible(request, obj)

    def _is_wholly_visible(self, request: HttpRequest, obj: ServiceContract | None) -> bool:
        if obj is None:
            return True
        return ServiceContract.objects.wholly_visible_to(request.user).filter(pk=obj.pk).exists()
