"""Work orders in the admin."""

import re
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from equipment.admin.bulk_actions import ReasonForm, bulk_action
from equipment.admin.search import search_by_device
from equipment.models import WorkOrder, WorkOrderPart
from equipment.services import (
    cancel_work_orders,
    close_work_orders,
    return_to_service,
    start_work,
    total_parts_cost,
)
from locations.limited_admin import LimitedAdmin, LimitedInline, year_filter

NUMBER = re.compile(r"\s*WO-0*(\d{1,18})\s*", re.IGNORECASE)


class PartInline(LimitedInline):
    model = WorkOrderPart
    fields = ["name", "part_number", "quantity", "unit_cost"]


@admin.register(WorkOrder)
class WorkOrderAdmin(LimitedAdmin):
    list_display = [
        "number", "equipment", "kind", "status", "priority", "cause", "reported_at", "returned_to_service_at",
        "engineer_name",
    ]  # fmt: skip
    list_filter = ["status", "kind", "priority", "cause", "reported_at", year_filter("reported_at", _("year"))]
    list_select_related = ["equipment"]
    search_fields = ["equipment__serial", "equipment__asset_tag", "equipment__name"]
    sortable_by = ["number", "reported_at"]  # Sorting a million rows by anything without an index takes seconds.
    search_help_text = _("WO-000123, or serial number, asset tag or name of the device")
    ordering = ["-reported_at", "-pk"]
    autocomplete_fields = ["equipment", "scheduled_maintenance", "reported_by", "assigned_to"]
    readonly_fields = ["number", "total_cost", "turnaround", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["number", "equipment", "kind", "status", "priority", "scheduled_maintenance"]}),
        (_("Problem and work"), {"fields": ["problem", "cause", "resolution"]}),
        (
            _("Times"),
            {
                "fields": [
                    "reported_at", "started_at", "returned_to_service_at", "turnaround", "down_from", "down_until",
                ]
            },
        ),
        (_("People"), {"fields": ["reported_by", "assigned_to", "engineer_name"]}),
        (_("Cost"), {"fields": ["labour_minutes", "labour_cost", "parts_cost", "total_cost"]}),
        (None, {"fields": ["created_at", "updated_at"]}),
    ]  # fmt: skip
    inlines = [PartInline]
    actions = [
        bulk_action(
            name="start",
            title=_("Start work"),
            write=lambda rows, request, data: start_work(work_orders=rows),
            permission="change",
        ),
        bulk_action(
            name="return_to_service",
            title=_("Return to service"),
            write=lambda rows, request, data: return_to_service(work_orders=rows),
            permission="change",
        ),
        bulk_action(
            name="close",
            title=_("Close"),
            write=lambda rows, request, data: close_work_orders(work_orders=rows),
            permission="change",
        ),
        bulk_action(
            name="cancel",
            title=_("Cancel"),
            write=lambda rows, request, data: cancel_work_orders(work_orders=rows, **data),
            permission="change",
            form=ReasonForm,
            destructive=True,
        ),
    ]

    @admin.display(description=_("number"), ordering="pk")
    def number(self, row: WorkOrder) -> str:
        return row.number

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "parts_cost"] if obj is not None and obj.parts_are_priced() else fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"reported_by": request.user.pk, **super().get_changeform_initial_data(request)}

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        number = NUMBER.fullmatch(search_term)
        if number:
            return queryset.filter(pk=int(number[1])), False
        return search_by_device(queryset, search_term)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        was_total = form.instance.parts_are_priced()
        super().save_related(request, form, formsets, change)
        total_parts_cost(work_order=form.instance, was_total=was_total)
