"""Photos and documents. The files lie outside the served tree; a view hands them out to those who may see them."""

import secrets
from pathlib import PurePath

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from equipment.models.catalogue import DeviceModel
from equipment.models.register import Equipment
from equipment.querysets import DocumentQuerySet, OfOneDeviceQuerySet
from equipment.uploads import validate_document, validate_photo


def photo_path(instance: "EquipmentPhoto", filename: str) -> str:
    """A name of our own, so that nothing the sender chose reaches the file system but a known ending."""
    return _stored_name("photos", filename)


def document_path(instance: "Document", filename: str) -> str:
    return _stored_name("documents", filename)


def _stored_name(folder: str, filename: str) -> str:
    return f"{folder}/{secrets.token_hex(16)}{PurePath(filename).suffix.lower()[:8]}"


class EquipmentPhoto(models.Model):
    equipment = models.ForeignKey(
        Equipment, verbose_name=_("equipment"), on_delete=models.CASCADE, related_name="photos"
    )
    file = models.FileField(_("photo"), upload_to=photo_path, validators=[validate_photo])
    caption = models.CharField(_("caption"), max_length=200, blank=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("uploaded by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    uploaded_at = models.DateTimeField(_("uploaded"), auto_now_add=True)

    objects = OfOneDeviceQuerySet.as_manager()

    class Meta:
        verbose_name = _("photo")
        verbose_name_plural = _("photos")
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.caption or f"{self.equipment}"


class DocumentKind(models.TextChoices):
    MANUAL = "manual", _("Manual")
    CERTIFICATE = "certificate", _("Certificate")
    INVOICE = "invoice", _("Invoice")
    REPORT = "report", _("Service report")
    OTHER = "other", _("Other")


class Document(models.Model):
    """A file about one device, or about a device model and so about all its devices."""

    equipment = models.ForeignKey(
        Equipment,
        verbose_name=_("equipment"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="documents",
    )
    device_model = models.ForeignKey(
        DeviceModel,
        verbose_name=_("device model"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="documents",
    )
    kind = models.CharField(_("kind"), max_length=16, choices=DocumentKind, default=DocumentKind.OTHER)
    title = models.CharField(_("title"), max_length=200)
    file = models.FileField(_("file"), upload_to=document_path, validators=[validate_document])
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("uploaded by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    uploaded_at = models.DateTimeField(_("uploaded"), auto_now_add=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["kind", "title"]
        constraints = [
            models.CheckConstraint(name="document_kind_known", condition=Q(kind__in=DocumentKind.values)),
            models.CheckConstraint(
                name="document_of_device_or_model",
                condition=Q(equipment__isnull=False, device_model__isnull=True)
                | Q(equipment__isnull=True, device_model__isnull=False),
                violation_error_message=_("A document belongs to a device or to a device model, not to both."),
            ),
        ]

    def __str__(self) -> str:
        return self.title
