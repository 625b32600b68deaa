"""Plans, rounds and scheduled maintenance in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from equipment.admin.bulk_actions import CompletionForm, DateForm, ReasonForm, bulk_action
from equipment.admin.search import search_by_device
from equipment.models import MaintenancePlan, MaintenanceRound, MaintenanceState, ScheduledMaintenance
from equipment.services import cancel_maintenance, complete_maintenance, reschedule_maintenance
from locations.limited_admin import LimitedAdmin, ReadOnlyInline, year_filter


class MaintenanceStateFilter(admin.SimpleListFilter):
    """What is upcoming, due or overdue today."""

    title = _("state today")
    parameter_name = "state"
    states = (MaintenanceState.OVERDUE, MaintenanceState.DUE, MaintenanceState.UPCOMING)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, str(state.label)) for state in self.states]

    def queryset(self, request: HttpRequest, queryset: Any) -> "QuerySet[Any] | None":
        day = timezone.localdate()
        if self.value() == MaintenanceState.OVERDUE:
            return queryset.overdue_on(day)
        if self.value() == MaintenanceState.DUE:
            return queryset.due_on(day)
        if self.value() == MaintenanceState.UPCOMING:
            return queryset.upcoming_on(day)
        return queryset.none() if self.value() else None


class DatesOfPlanInline(ReadOnlyInline):
    model = ScheduledMaintenance
    named_by = ("equipment",)
    parent_field = "plan_id"
    fields = ["scheduled_date", "status", "completed_on", "outcome", "engineer_name"]
    ordering = ["-scheduled_date", "-pk"]
    latest = 20
    verbose_name_plural = _("latest dates of this plan")


class DatesOfRoundInline(DatesOfPlanInline):
    parent_field = "round_id"
    fields = ["equipment", "scheduled_date", "status", "completed_on", "outcome"]
    latest = 100
    verbose_name_plural = _("devices of this round")


@admin.register(MaintenancePlan)
class MaintenancePlanAdmin(LimitedAdmin):
    named_by = ("equipment",)
    list_display = [
        "equipment", "kind", "name", "interval", "interval_unit", "starts_on", "is_floating", "tolerance_days",
        "is_active",
    ]  # fmt: skip
    list_filter = ["kind", "is_active", "is_floating", "interval_unit"]
    list_select_related = ["equipment"]
    search_fields = ["name", "equipment__name", "equipment__serial", "equipment__asset_tag", "engineer_name"]
    ordering = ["-pk"]
    autocomplete_fields = ["equipment"]
    readonly_fields = ["created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["equipment", "kind", "name", "is_active"]}),
        (_("When"), {"fields": ["interval", "interval_unit", "starts_on", "ends_on", "is_floating", "tolerance_days"]}),
        (_("Work"), {"fields": ["estimated_minutes", "engineer_name", "checklist"]}),
        (None, {"fields": ["created_at", "updated_at"]}),
    ]
    inlines = [DatesOfPlanInline]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return search_by_device(queryset, search_term, "name__icontains", "engineer_name__icontains")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj else []


@admin.register(MaintenanceRound)
class MaintenanceRoundAdmin(LimitedAdmin):
    list_display = ["name", "location", "scheduled_date", "assigned_to"]
    list_filter = ["scheduled_date"]
    list_select_related = ["location", "assigned_to"]
    search_fields = ["name", "location__name", "assigned_to__username"]
    date_hierarchy = "scheduled_date"
    ordering = ["-scheduled_date", "name"]
    autocomplete_fields = ["location", "assigned_to"]
    placed_by = "location"
    inlines = [DatesOfRoundInline]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj else []


def _complete(rows: "QuerySet[Any]", request: HttpRequest, data: dict[str, Any]) -> Any:
    return complete_maintenance(maintenance=rows, completed_by_id=request.user.pk, **data)


@admin.register(ScheduledMaintenance)
class ScheduledMaintenanceAdmin(LimitedAdmin):
    named_by = ("equipment",)
    list_display = ["equipment", "scheduled_date", "state", "status", "completed_on", "outcome", "engineer_name"]
    list_filter = [
        MaintenanceStateFilter, "status", "outcome", "quarter", year_filter("scheduled_date", _("year")),
    ]  # fmt: skip
    list_select_related = ["equipment"]
    search_fields = ["equipment__serial", "equipment__asset_tag", "equipment__name"]
    sortable_by = ["scheduled_date"]  # As with work orders.
    search_help_text = _("Serial number, asset tag or name of the device")
    ordering = ["-scheduled_date", "-pk"]
    autocomplete_fields = ["equipment", "plan", "round", "completed_by"]
    readonly_fields = ["occurrence_date", "state", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["equipment", "plan", "round", "scheduled_date", "occurrence_date", "quarter", "state"]}),
        (_("Work"), {"fields": ["tolerance_days", "estimated_minutes", "engineer_name"]}),
        (_("Completion"), {"fields": ["status", "completed_on", "completed_by", "outcome", "checklist_results"]}),
        (None, {"fields": ["notes", "created_at", "updated_at"]}),
    ]
    actions = [
        bulk_action(
            name="complete", title=_("Mark as completed"), write=_complete, permission="change", form=CompletionForm
        ),
        bulk_action(
            name="reschedule",
            title=_("Put on another day"),
            write=lambda rows, request, data: reschedule_maintenance(maintenance=rows, **data),
            permission="change",
            form=DateForm,
        ),
        bulk_action(
            name="cancel",
            title=_("Cancel"),
            write=lambda rows, request, data: cancel_maintenance(maintenance=rows, **data),
            permission="change",
            form=ReasonForm,
            destructive=True,
        ),
    ]

    @admin.display(description=_("state today"))
    def state(self, row: ScheduledMaintenance) -> str:
        return str(row.state_on(timezone.localdate()).label) if row.pk else "–"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return search_by_device(queryset, search_term)
