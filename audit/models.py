"""The audit record itself."""

from typing import Any, NoReturn

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit.exceptions import AppendOnlyError


class EventType(models.TextChoices):
    CREATED = "created", _("Created")
    UPDATED = "updated", _("Updated")
    DELETED = "deleted", _("Deleted")
    IMPORTED = "imported", _("Imported")
    IMPORT_UNDONE = "import_undone", _("Import undone")
    EXPORTED = "exported", _("Exported")
    SIGNED_IN = "signed_in", _("Signed in")
    SIGNED_OUT = "signed_out", _("Signed out")
    SIGN_IN_FAILED = "sign_in_failed", _("Sign-in failed")
    COMMAND = "command", _("Command run")


class AuditLogQuerySet(models.QuerySet["AuditLog"]):
    """Reads of the audit; the ways to change rows in bulk are closed."""

    def about(self, instance: models.Model) -> "AuditLogQuerySet":
        """What happened to one object, newest first."""
        return self.filter(object_type=instance._meta.label_lower, object_id=str(instance.pk))

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("Audit rows cannot be changed.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("Audit rows cannot be changed.")

    def delete(self) -> NoReturn:
        raise AppendOnlyError("Audit rows cannot be deleted.")


class AuditLog(models.Model):
    """One event. Rows are written by `audit.services` and never change; triggers in the database see to it."""

    event_type = models.CharField(_("event"), max_length=32, choices=EventType)
    description = models.TextField(_("description"), blank=True)
    # No constraint and no cascade: a user who is deleted leaves the record as it was.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    actor = models.CharField(
        _("actor"), max_length=200, help_text=_("Who acted, as named at that time: a user, a command or the system.")
    )
    timestamp = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    object_type = models.CharField(_("kind of object"), max_length=100, blank=True)
    object_id = models.CharField(_("object id"), max_length=64, blank=True)
    object_name = models.CharField(_("object"), max_length=255, blank=True)
    before = models.JSONField(_("before"), null=True, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(_("after"), null=True, blank=True, encoder=DjangoJSONEncoder)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)

    objects = AuditLogQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit record")
        verbose_name_plural = _("audit records")
        ordering = ["-timestamp", "-id"]
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(name="audit_event_type_known", condition=models.Q(event_type__in=EventType.values)),
            models.CheckConstraint(
                name="audit_object_id_with_type",
                condition=models.Q(object_id="") | ~models.Q(object_type=""),
            ),
        ]
        indexes = [
            models.Index(fields=["-timestamp", "-id"], name="audit_newest_first"),
            models.Index(fields=["object_type", "object_id", "-timestamp"], name="audit_by_object"),
            models.Index(fields=["event_type", "-timestamp"], name="audit_by_event"),
            models.Index(fields=["user", "-timestamp"], name="audit_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.timestamp:%Y-%m-%d %H:%M} {self.actor}: {self.description or self.get_event_type_display()}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the row; raises AppendOnlyError for one that is there already."""
        if not self._state.adding:
            raise AppendOnlyError("Audit rows cannot be changed.")
        super().save(*args, force_insert=True, **{k: v for k, v in kwargs.items() if k == "using"})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError("Audit rows cannot be deleted.")
