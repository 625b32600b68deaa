"""Service contracts in the admin."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from equipment.models import Equipment, ServiceContract
from locations.limited_admin import LimitedAdmin


@admin.register(ServiceContract)
class ServiceContractAdmin(LimitedAdmin):
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

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Devices outside the user's limits, which the form does not show, stay in the contract."""
        inside = Equipment.objects.visible_to(request.user).filter(service_contracts=form.instance)
        outside = set(form.instance.equipment.exclude(pk__in=inside.values("pk")).values_list("pk", flat=True))
        super().save_related(request, form, formsets, change)
        form.instance.equipment.add(*outside)
