"""Imports in the admin: what each did, row by row, and taking one back."""

import json
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from equipment.imports import ImportFailed, UndoRefused, undo_import
from equipment.models import ImportedRow, ImportRun
from locations.limited_admin import ReadOnlyAdmin, ReadOnlyInline

LISTED_ROWS = 200


class RejectedRowInline(ReadOnlyInline):
    """The rejected rows with their reasons; all rows have a list of their own."""

    model = ImportedRow
    parent_field = "run_id"
    fields = ["row_number", "serial", "reasons"]
    latest = 100
    show_change_link = False
    verbose_name_plural = gettext_lazy("rejected rows (the first 100)")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        return super().get_queryset(request).filter(action="rejected")

    @admin.display(description=gettext_lazy("errors"))
    def reasons(self, row: ImportedRow) -> str:
        return "; ".join(str(text) for text in row.errors)


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    list_display = [
        "file_name", "format", "imported_at", "actor", "created_count", "updated_count", "unchanged_count",
        "rejected_count", "undone_at",
    ]  # fmt: skip
    list_filter = ["format", "undone_at"]
    search_fields = ["file_name", "actor", "file_sha256"]
    date_hierarchy = "imported_at"
    ordering = ["-imported_at", "-pk"]
    fields = [
        "file_name", "file_sha256", "format", "actor", "imported_at", "created_count", "updated_count",
        "unchanged_count", "rejected_count", "all_rows", "undone_at", "undone_by",
    ]  # fmt: skip
    inlines = [RejectedRowInline]
    change_form_template = "admin/equipment/importrun/change_form.html"

    @admin.display(description=gettext_lazy("all rows"))
    def all_rows(self, run: ImportRun) -> SafeString:
        address = reverse("admin:equipment_importedrow_changelist")
        return format_html('<a href="{}?run__id__exact={}">{}</a>', address, run.pk, _("What each row did"))

    def has_undo_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("equipment.import_equipment")

    def get_urls(self) -> list[URLPattern]:
        undo = path("<int:pk>/undo/", self.admin_site.admin_view(self.undo_view), name="equipment_importrun_undo")
        return [undo, *super().get_urls()]

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        run = context.get("original")
        context["may_undo"] = self.has_undo_permission(request) and run is not None and run.undone_at is None
        return super().render_change_form(request, context, *args, **kwargs)

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask, then take the import back; what has been changed since is left alone only if that was chosen."""
        if not self.has_undo_permission(request):
            raise PermissionDenied
        run = self.get_object(request, str(pk))
        if run is None:
            raise Http404
        back = HttpResponseRedirect(reverse("admin:equipment_importrun_change", args=[run.pk]))
        if run.undone_at is not None:
            messages.error(request, _("This import was undone already."))
            return back
        kept: list[Any] = []
        if request.method == "POST":
            try:
                report = undo_import(run=run, skip_changed="skip_changed" in request.POST, user=request.user)
            except UndoRefused as error:
                messages.error(request, str(error))
                kept = error.report.kept
            except ImportFailed as error:
                messages.error(request, str(error))
                return back
            else:
                messages.success(
                    request,
                    _("Undone: %(deleted)d deleted, %(restored)d put back, %(kept)d left as they are.")
                    % {"deleted": report.deleted, "restored": report.restored, "kept": len(report.kept)},
                )
                for message in [*map(str, report.kept), *report.left_behind][:20]:
                    messages.warning(request, message)
                return back
        context = {
            **self.admin_site.each_context(request),
            "title": _("Undo import"),
            "opts": self.model._meta,
            "run": run,
            "kept": kept[:LISTED_ROWS],
            "kept_count": len(kept),
        }
        return TemplateResponse(request, "admin/equipment/importrun/undo.html", context)


@admin.register(ImportedRow)
class ImportedRowAdmin(ReadOnlyAdmin):
    """Reached from its import; not in the menu."""

    list_display = ["row_number", "action", "serial", "equipment", "errors"]
    list_filter = ["action"]
    list_select_related = ["equipment", "run"]
    search_fields = ["serial"]
    ordering = ["run", "row_number"]
    fields = ["run", "row_number", "action", "serial", "equipment", "errors", "before_values", "after_values"]

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {}

    @admin.display(description=gettext_lazy("before"))
    def before_values(self, row: ImportedRow) -> SafeString:
        return _values(row.before)

    @admin.display(description=gettext_lazy("after"))
    def after_values(self, row: ImportedRow) -> SafeString:
        return _values(row.after)


def _values(values: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True))
