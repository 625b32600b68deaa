"""Who has been trained on which device model."""

from datetime import date

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from equipment.models.catalogue import DeviceModel


class TrainingRecord(models.Model):
    """A person's training on a device model, with the day from which it no longer counts."""

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("person"), on_delete=models.CASCADE, related_name="training_records"
    )
    device_model = models.ForeignKey(
        DeviceModel, verbose_name=_("device model"), on_delete=models.CASCADE, related_name="training_records"
    )
    trained_on = models.DateField(_("trained on"))
    expires_on = models.DateField(_("expires on"), null=True, blank=True)
    trainer = models.CharField(_("trainer"), max_length=200, blank=True)
    notes = models.TextField(_("notes"), blank=True)

    class Meta:
        verbose_name = _("training record")
        verbose_name_plural = _("training records")
        ordering = ["-trained_on", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "device_model", "trained_on"],
                name="training_once_a_day",
                violation_error_message=_("This training is recorded already."),
            ),
            models.CheckConstraint(
                name="training_expires_later",
                condition=Q(expires_on__isnull=True) | Q(expires_on__gt=F("trained_on")),
                violation_error_message=_("A training expires after the day it was given."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person}: {self.device_model}"

    def is_valid_on(self, day: date) -> bool:
        """Whether the training counts on `day`."""
        return self.trained_on <= day and (self.expires_on is None or day < self.expires_on)
