"""Product classes, manufacturers and device models in the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from equipment.admin.files import DocumentInline
from equipment.models import DeviceModel, Manufacturer, ProductClass
from locations.limited_admin import LimitedAdmin


@admin.register(ProductClass)
class ProductClassAdmin(LimitedAdmin):
    list_display = ["code", "name", "device_class", "medical_specialty", "life_sustaining", "implant"]
    list_filter = ["device_class", "life_sustaining", "implant", "medical_specialty"]
    search_fields = ["code", "name"]
    ordering = ["code"]


@admin.register(Manufacturer)
class ManufacturerAdmin(LimitedAdmin):
    list_display = ["name", "model_count"]
    search_fields = ["name"]
    ordering = ["name"]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        shown = [row.pk for row in changelist.result_list]
        rows = DeviceModel.objects.filter(manufacturer__in=shown).order_by()
        counts = dict(rows.values_list("manufacturer").annotate(Count("pk")))
        for row in changelist.result_list:
            row.model_count = counts.get(row.pk, 0)
        return changelist

    @admin.display(description=_("device models"))
    def model_count(self, row: Manufacturer) -> int:
        return getattr(row, "model_count", 0)


@admin.register(DeviceModel)
class DeviceModelAdmin(LimitedAdmin):
    named_by = ("manufacturer",)
    list_display = [
        "name", "manufacturer", "brand", "catalog_number", "device_class", "life_sustaining", "expected_life_months",
        "end_of_support_on",
    ]  # fmt: skip
    list_filter = ["device_class", "life_sustaining", "mri_safety", "end_of_support_on"]
    list_select_related = ["manufacturer"]
    search_fields = ["name", "brand", "catalog_number", "device_identifier", "manufacturer__name"]
    ordering = ["manufacturer__name", "name", "catalog_number"]
    autocomplete_fields = ["manufacturer", "product_classes"]
    readonly_fields = ["created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["manufacturer", "name", "brand", "catalog_number", "device_identifier", "description"]}),
        (_("Class and safety"), {"fields": ["product_classes", "device_class", "life_sustaining", "mri_safety"]}),
        (_("Life"), {"fields": ["published_on", "expected_life_months", "end_of_support_on"]}),
        (None, {"fields": ["created_at", "updated_at"]}),
    ]
    inlines = [DocumentInline]

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        DocumentInline.save_with_uploader(formset, request.user)
