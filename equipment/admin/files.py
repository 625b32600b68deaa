"""Photos and documents on the pages of what they belong to."""

from typing import Any

from django.contrib.admin.widgets import AdminFileWidget
from django.db import models
from django.urls import reverse

from equipment.models import Document, EquipmentPhoto
from locations.limited_admin import LimitedInline


class StoredFileWidget(AdminFileWidget):
    """Links a stored file to the view that hands it out: files have no address of their own."""

    template_name = "admin/widgets/stored_file.html"

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        instance = getattr(value, "instance", None)
        if instance is not None and instance.pk:
            address = "photo" if isinstance(instance, EquipmentPhoto) else "document"
            context["widget"]["address"] = reverse(address, args=[instance.pk])
        return context


class _FileInline(LimitedInline):
    formfield_overrides = {models.FileField: {"widget": StoredFileWidget}}
    readonly_fields = ["uploaded_by", "uploaded_at"]

    @staticmethod
    def save_with_uploader(formset: Any, user: Any) -> None:
        """Store the formset; new files are this user's."""
        for row in formset.save(commit=False):
            if hasattr(row, "uploaded_by_id") and row.uploaded_by_id is None and row.pk is None:
                row.uploaded_by = user
            row.save()
        for row in formset.deleted_objects:
            row.delete()
        formset.save_m2m()


class PhotoInline(_FileInline):
    model = EquipmentPhoto
    fields = ["file", "caption", "uploaded_by", "uploaded_at"]


class DocumentInline(_FileInline):
    model = Document
    fields = ["title", "kind", "file", "uploaded_by", "uploaded_at"]
