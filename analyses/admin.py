"""Analyses in the admin: requested here, computed by a worker, never edited."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from analyses.models import Analysis
from locations.limited_admin import LimitedAdmin


@admin.register(Analysis)
class AnalysisAdmin(LimitedAdmin):
    list_display = ["__str__", "kind", "scope", "status", "progress", "requested_by", "requested_at", "finished_at"]
    list_filter = ["status", "kind", "scope"]
    list_select_related = ["equipment", "device_model__manufacturer", "location", "requested_by"]
    search_fields = ["equipment__serial", "device_model__name", "location__name", "requested_by__username"]
    date_hierarchy = "requested_at"
    ordering = ["-requested_at", "-pk"]
    autocomplete_fields = ["equipment", "device_model", "location"]
    asked = ("kind", "scope", "equipment", "device_model", "location", "parameters")
    answered = (
        "status",
        "progress",
        "result",
        "error",
        "requested_by",
        "requested_at",
        "started_at",
        "finished_at",
    )
    readonly_fields = answered
    fieldsets = [(_("Question"), {"fields": asked}), (_("Answer"), {"fields": answered})]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fieldsets(request, obj) if obj else [(_("Question"), {"fields": self.asked})]

    def save_model(self, request: HttpRequest, obj: Analysis, form: Any, change: bool) -> None:
        if not change:
            obj.requested_by_id = request.user.pk
        super().save_model(request, obj, form, change)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An analysis is what it was when asked for: another question is another analysis."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One's own; anybody's only for those who run the site."""
        if not super().has_delete_permission(request, obj):
            return False
        runs_the_site = request.user.has_perm("dashboard.view_operations")
        return obj is None or obj.requested_by_id == request.user.pk or runs_the_site
