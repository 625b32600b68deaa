"""Training records in the admin."""

from django.contrib import admin

from equipment.models import TrainingRecord
from locations.limited_admin import LimitedAdmin


@admin.register(TrainingRecord)
class TrainingRecordAdmin(LimitedAdmin):
    list_display = ["person", "device_model", "trained_on", "expires_on", "trainer"]
    list_filter = ["trained_on", "expires_on"]
    list_select_related = ["person", "device_model__manufacturer"]
    search_fields = ["person__username", "person__last_name", "device_model__name", "trainer"]
    date_hierarchy = "trained_on"
    ordering = ["-trained_on", "pk"]
    autocomplete_fields = ["person", "device_model"]
