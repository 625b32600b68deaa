"""Devices in the admin, with everything that belongs to one."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from equipment.admin.bulk_actions import DisposalForm, MoveForm, NothingForm, StatusForm, bulk_action
from equipment.admin.files import DocumentInline, PhotoInline
from equipment.admin.transfer import TransferViews, export_selected
from equipment.models import Equipment, MaintenancePlan, Placement, ScheduledMaintenance, ServiceContract, WorkOrder
from equipment.services import delete_equipment, dispose_of_equipment, move_equipment, set_equipment_status
from locations.admin import DepartmentFilter, LocatedAtSiteFilter
from locations.limited_admin import LimitedAdmin, LimitedInline, ReadOnlyAdmin, ReadOnlyInline


class OverdueFilter(admin.SimpleListFilter):
    """Devices with maintenance that is overdue, or due, today."""

    title = _("maintenance today")
    parameter_name = "maintenance"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("overdue", _("Overdue")), ("due", _("Due"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any] | None":
        dates = ScheduledMaintenance.objects.filter(equipment=OuterRef("pk"))
        if self.value() == "overdue":
            return queryset.filter(Exists(dates.overdue_on(timezone.localdate())))
        if self.value() == "due":
            return queryset.filter(Exists(dates.due_on(timezone.localdate())))
        return queryset.none() if self.value() else None


class PlanInline(LimitedInline):
    model = MaintenancePlan
    named_by = ("equipment",)
    fields = ["kind", "name", "interval", "interval_unit", "starts_on", "tolerance_days", "engineer_name", "is_active"]
    show_change_link = True


class MaintenanceInline(ReadOnlyInline):
    model = ScheduledMaintenance
    named_by = ("equipment",)
    parent_field = "equipment_id"
    fields = ["scheduled_date", "state", "status", "completed_on", "outcome", "engineer_name"]
    ordering = ["-scheduled_date", "-pk"]
    latest = 12
    verbose_name_plural = _("scheduled maintenance (latest dates)")

    @admin.display(description=_("state today"))
    def state(self, row: ScheduledMaintenance) -> str:
        return str(row.state_on(timezone.localdate()).label)


class WorkOrderInline(ReadOnlyInline):
    model = WorkOrder
    parent_field = "equipment_id"
    fields = ["number", "kind", "status", "cause", "reported_at", "returned_to_service_at", "total_cost"]
    ordering = ["-reported_at", "-pk"]
    latest = 10
    verbose_name_plural = _("latest work orders")


class PlacementInline(ReadOnlyInline):
    model = Placement
    named_by = ("equipment", "department", "location", "custodian")
    parent_field = "equipment_id"
    fields = ["since", "until", "department", "location", "custodian"]
    ordering = ["-since", "-pk"]
    latest = 20
    show_change_link = False
    classes = ["nameless"]
    verbose_name_plural = _("where it has been")


class ContractInline(ReadOnlyInline):
    model = ServiceContract.equipment.through
    named_by = ("servicecontract",)
    parent_field = "equipment_id"
    fields = ["servicecontract"]
    show_change_link = False
    classes = ["nameless"]
    verbose_name_plural = _("service contracts")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("equipment.view_servicecontract")


@admin.register(Equipment)
class EquipmentAdmin(TransferViews, LimitedAdmin):
    change_list_template = "admin/equipment/equipment/change_list.html"
    list_display = [
        "name", "asset_tag", "serial", "data_type", "device_model", "department", "location", "status",
        "warranty_until",
    ]  # fmt: skip
    list_filter = [
        "data_type", "status", "risk_class", OverdueFilter, LocatedAtSiteFilter, DepartmentFilter,
        "device_model__life_sustaining",
    ]  # fmt: skip
    list_select_related = ["device_model__manufacturer", "department", "location"]
    search_fields = ["name", "serial", "asset_tag", "device_model__name", "device_model__manufacturer__name"]
    search_help_text = _("Name, serial number, asset tag, model or manufacturer")
    ordering = ["name", "serial", "pk"]
    autocomplete_fields = ["device_model", "department", "location", "custodian"]
    placed_by = "location"
    readonly_fields = ["created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["name", "data_type", "serial", "asset_tag", "device_model", "risk_class"]}),
        (_("Where and whose"), {"fields": ["status", "disposed_on", "department", "location", "custodian"]}),
        (
            _("Purchase and warranty"),
            {"fields": ["supplier", "purchased_on", "purchase_cost", "installed_on", "warranty_until"]},
        ),
        (_("Use"), {"fields": ["required_hours_per_week", "notes"]}),
        (None, {"fields": ["created_at", "updated_at"]}),
    ]
    inlines = [
        PlanInline, MaintenanceInline, WorkOrderInline, PlacementInline, ContractInline, PhotoInline, DocumentInline,
    ]  # fmt: skip
    actions = [
        bulk_action(
            name="set_status",
            title=_("Set status"),
            write=lambda rows, request, data: set_equipment_status(equipment=rows, **data),
            permission="bulk_update",
            form=StatusForm,
        ),
        bulk_action(
            name="move",
            title=_("Move to a location"),
            write=lambda rows, request, data: move_equipment(equipment=rows, **data),
            permission="bulk_update",
            form=MoveForm,
        ),
        bulk_action(
            name="dispose_of",
            title=_("Dispose of"),
            write=lambda rows, request, data: dispose_of_equipment(equipment=rows, **data),
            permission="bulk_update",
            form=DisposalForm,
            destructive=True,
        ),
        export_selected,
        bulk_action(
            name="delete_selected",
            title=_("Delete"),
            write=lambda rows, request, data: delete_equipment(equipment=rows),
            permission="bulk_delete",
            form=NothingForm,
            destructive=True,
        ),
    ]

    def get_urls(self) -> list[URLPattern]:
        return [*self.transfer_urls(), *super().get_urls()]

    def has_bulk_update_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("equipment.bulk_update_equipment")

    def has_bulk_delete_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("equipment.bulk_delete_equipment")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return queryset.matching(search_term), False

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        if obj is None:
            return [PlanInline, PhotoInline, DocumentInline]
        return super().get_inlines(request, obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        if formset.model in {PhotoInline.model, DocumentInline.model}:
            DocumentInline.save_with_uploader(formset, request.user)
        else:
            super().save_formset(request, form, formset, change)


@admin.register(Placement)
class PlacementAdmin(ReadOnlyAdmin):
    """Reached from a device; the list answers who was where."""

    list_display = ["equipment", "department", "location", "custodian", "since", "until"]
    list_select_related = ["equipment", "department", "location", "custodian"]
    search_fields = ["equipment__serial", "equipment__asset_tag"]
    ordering = ["-since", "-pk"]
