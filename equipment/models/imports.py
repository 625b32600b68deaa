"""What was imported, row by row, so that a whole import can be undone."""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from equipment.models.register import Equipment
from equipment.querysets import ImportedRowQuerySet, ImportRunQuerySet


class ImportFormat(models.TextChoices):
    PPM = "ppm", _("PPM register")
    OCM = "ocm", _("OCM register")


class ImportAction(models.TextChoices):
    CREATED = "created", _("Created")
    UPDATED = "updated", _("Updated")
    UNCHANGED = "unchanged", _("Unchanged")
    REJECTED = "rejected", _("Rejected")


class ImportRun(models.Model):
    """One import of a register file, with its counts; rows that were rejected keep their errors."""

    file_name = models.CharField(_("file"), max_length=255)
    file_sha256 = models.CharField(max_length=64, editable=False)
    format = models.CharField(_("format"), max_length=8, choices=ImportFormat)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    actor = models.CharField(_("actor"), max_length=200)
    imported_at = models.DateTimeField(_("imported"), auto_now_add=True)
    created_count = models.PositiveIntegerField(_("created"), default=0)
    updated_count = models.PositiveIntegerField(_("updated"), default=0)
    unchanged_count = models.PositiveIntegerField(_("unchanged"), default=0)
    rejected_count = models.PositiveIntegerField(_("rejected"), default=0)
    undone_at = models.DateTimeField(_("undone"), null=True, blank=True)
    undone_by = models.CharField(_("undone by"), max_length=200, blank=True)

    objects = ImportRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-imported_at", "-pk"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(name="import_format_known", condition=Q(format__in=ImportFormat.values)),
        ]

    def __str__(self) -> str:
        return f"{self.file_name} ({self.imported_at:%Y-%m-%d %H:%M})"


class ImportedRow(models.Model):
    """What one row of the file did.

    `before` and `after` hold what the row changed, of the device, its plan and its scheduled maintenance: undoing
    compares the present state with `after` and puts `before` back.
    """

    run = models.ForeignKey(ImportRun, verbose_name=_("import"), on_delete=models.CASCADE, related_name="rows")
    row_number = models.PositiveIntegerField(_("row"))
    action = models.CharField(_("action"), max_length=10, choices=ImportAction)
    equipment = models.ForeignKey(
        Equipment, verbose_name=_("equipment"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    serial = models.CharField(_("serial number"), max_length=100, blank=True)
    errors = models.JSONField(_("errors"), default=list, blank=True)
    before = models.JSONField(_("before"), null=True, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(_("after"), null=True, blank=True, encoder=DjangoJSONEncoder)

    objects = ImportedRowQuerySet.as_manager()

    class Meta:
        verbose_name = _("imported row")
        verbose_name_plural = _("imported rows")
        ordering = ["row_number", "pk"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(name="imported_row_action_known", condition=Q(action__in=ImportAction.values)),
            models.UniqueConstraint(fields=["run", "row_number"], name="imported_row_once"),
        ]

    def __str__(self) -> str:
        return f"{self.run} #{self.row_number}"
