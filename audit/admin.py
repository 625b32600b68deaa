"""The audit in the admin: to read, filter and search, never to change."""

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from audit.models import AuditLog


@admin.register(AuditLog)
class AuditLogAdmin(admin.ModelAdmin):
    list_display = ["timestamp", "event_type", "actor", "description", "object_type", "object_id"]
    list_filter = ["event_type", "timestamp", "object_type"]
    search_fields = ["description", "actor", "object_name", "object_id"]
    date_hierarchy = "timestamp"
    show_full_result_count = False
    fields = [
        "timestamp", "event_type", "actor", "address", "description",
        "object_type", "object_id", "object_name", "before_values", "after_values",
    ]  # fmt: skip

    @admin.display(description=_("before"))
    def before_values(self, row: AuditLog) -> SafeString:
        return self._values(row.before)

    @admin.display(description=_("after"))
    def after_values(self, row: AuditLog) -> SafeString:
        return self._values(row.after)

    def _values(self, values: Any) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True))

    def get_readonly_fields(self, request: HttpRequest, obj: AuditLog | None = None) -> Any:
        return self.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditLog | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditLog | None = None) -> bool:
        return False
