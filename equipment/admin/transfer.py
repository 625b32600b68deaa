"""Import and export of the register in the admin: upload, look at what would happen, confirm; choose, download."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from equipment import pending_imports
from equipment.admin.bulk_actions import BulkForm, bulk_action
from equipment.exports import ALL, export_equipment
from equipment.imports import ImportFailed, ImportReport, RowsRejected, import_register, preview
from equipment.models import DataType, ImportRun

LISTED_ERRORS = 200


class UploadForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy("A PPM or OCM register as CSV (UTF-8) or XLSX; its header tells which."),
    )


class ExportForm(BulkForm):
    data_type = forms.ChoiceField(
        label=gettext_lazy("What"),
        choices=[
            (ALL, gettext_lazy("All of it, with general columns")),
            (DataType.PPM, gettext_lazy("PPM, as a register that can be imported")),
            (DataType.OCM, gettext_lazy("OCM, as a register that can be imported")),
            (DataType.NONE, gettext_lazy("What belongs to neither")),
        ],
    )
    as_ = forms.ChoiceField(label=gettext_lazy("As"), choices=[("csv", "CSV"), ("xlsx", "XLSX")])


def _download(rows: Any, request: HttpRequest, data: dict[str, Any]) -> HttpResponseBase:
    export = export_equipment(queryset=rows, data_type=data["data_type"], as_=data["as_"])
    response = StreamingHttpResponse(export.chunks, content_type=export.content_type)
    response["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
    return response


export_selected = bulk_action(
    name="export_selected",
    title=gettext_lazy("Export"),
    write=_download,
    permission="export",
    form=ExportForm,
)


class TransferViews:
    """Adds the pages of import and export to the equipment's admin."""

    admin_site: Any
    model: Any

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("equipment.import_equipment")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("equipment.export_equipment")

    def transfer_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("import/", view(self.import_view), name="equipment_equipment_import"),
            path("import/<str:token>/", view(self.confirm_view), name="equipment_equipment_import_confirm"),
            path("export/", view(self.export_view), name="equipment_equipment_export"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {
            "may_import": self.has_import_permission(request),
            "may_export": self.has_export_permission(request),
            "filters": request.GET.urlencode(),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})  # type: ignore[misc]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """Take a file, keep it, and go on to what it would do."""
        self._demand(self.has_import_permission(request))
        pending_imports.remove_expired()
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                pending = pending_imports.keep(file=form.cleaned_data["file"], user=request.user)
            except ValidationError as error:
                form.add_error("file", error)
            else:
                return HttpResponseRedirect(reverse("admin:equipment_equipment_import_confirm", args=[pending.token]))
        return self._page(request, "upload", _("Import a register"), form=form)

    def confirm_view(self, request: HttpRequest, token: str) -> HttpResponse:
        """Show what the file would do; do it when that is confirmed."""
        self._demand(self.has_import_permission(request))
        try:
            pending = pending_imports.find(token=token, user=request.user)
        except ValidationError as error:
            self._tell(request, error.messages[0])
            return HttpResponseRedirect(reverse("admin:equipment_equipment_import"))
        if request.method == "POST":
            return self._import(request, pending)
        try:
            report = preview(source=pending.path, name=pending.name, user=request.user)
        except ImportFailed as error:
            pending.discard()
            self._tell(request, str(error))
            return HttpResponseRedirect(reverse("admin:equipment_equipment_import"))
        return self._preview_page(request, report)

    def _import(self, request: HttpRequest, pending: pending_imports.PendingImport) -> HttpResponse:
        if "discard" in request.POST:
            pending.discard()
            return HttpResponseRedirect(reverse("admin:equipment_equipment_changelist"))
        try:
            report = import_register(
                source=pending.path,
                name=pending.name,
                user=request.user,
                all_or_nothing="all_or_nothing" in request.POST,
            )
        except RowsRejected as error:
            # The file stays: the choice can be another one.
            self._tell(request, str(error))
            return self._preview_page(request, error.report)
        except ImportFailed as error:
            self._tell(request, str(error))
            return HttpResponseRedirect(reverse("admin:equipment_equipment_import"))
        pending.discard()
        messages.success(
            request,
            _("%(created)d created, %(updated)d updated, %(unchanged)d unchanged, %(rejected)d rejected.")
            % {
                "created": report.created,
                "updated": report.updated,
                "unchanged": report.unchanged,
                "rejected": report.rejected,
            },
        )
        run = cast(ImportRun, report.run)  # There is one for every import that was stored.
        return HttpResponseRedirect(reverse("admin:equipment_importrun_change", args=[run.pk]))

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Download what the list shows under the filters of the address."""
        self._demand(self.has_export_permission(request))
        rows = self.get_changelist_instance(request).get_queryset(request)  # type: ignore[attr-defined]
        form = ExportForm(request.POST or None, user=request.user)
        if request.method == "POST" and form.is_valid():
            return _download(rows, request, form.cleaned_data)
        return self._page(request, "export", _("Export"), form=form, count=rows.count())

    def _preview_page(self, request: HttpRequest, report: ImportReport) -> HttpResponse:
        return self._page(
            request,
            "import_preview",
            _("Import %s") % report.file_name,
            report=report,
            errors=report.errors[:LISTED_ERRORS],
            warnings=report.warnings[:LISTED_ERRORS],
            listed=LISTED_ERRORS,
        )

    def _page(self, request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "title": title, "opts": self.model._meta, **context}
        return TemplateResponse(request, f"admin/equipment/equipment/{template}.html", whole)

    def _demand(self, allowed: bool) -> None:
        if not allowed:
            raise PermissionDenied

    def _tell(self, request: HttpRequest, text: str) -> None:
        messages.error(request, text)
