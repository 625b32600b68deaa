"""An analysis: what was asked, how far it is, what came out."""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from analyses.querysets import AnalysisQuerySet
from equipment.models import DeviceModel, Equipment
from locations.models import Location


class AnalysisKind(models.TextChoices):
    RELIABILITY = "reliability", _("Reliability")
    COMPLIANCE = "compliance", _("Maintenance compliance")
    COST = "cost", _("Cost of service")
    REPLACEMENT = "replacement", _("Replacement priority")


class AnalysisScope(models.TextChoices):
    FLEET = "fleet", _("All equipment")
    EQUIPMENT = "equipment", _("One device")
    DEVICE_MODEL = "device_model", _("One device model")
    LOCATION = "location", _("One location and what is below it")


class AnalysisStatus(models.TextChoices):
    QUEUED = "queued", _("Queued")
    PROCESSING = "processing", _("Processing")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")


class Analysis(models.Model):
    """A computation over the history of a scope.

    `attempt` grows with each worker that takes the analysis on: a worker that was presumed dead and wakes up holds an
    older number, and what it writes is refused. `heartbeat_at` is that worker's last sign of life; `progress` runs
    from 0 to 100. `result` is complete or absent.
    """

    kind = models.CharField(_("kind"), max_length=16, choices=AnalysisKind)
    scope = models.CharField(_("scope"), max_length=16, choices=AnalysisScope, default=AnalysisScope.FLEET)
    equipment = models.ForeignKey(
        Equipment,
        verbose_name=_("equipment"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="analyses",
    )
    device_model = models.ForeignKey(
        DeviceModel,
        verbose_name=_("device model"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="analyses",
    )
    location = models.ForeignKey(
        Location,
        verbose_name=_("location"),
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="analyses",
    )
    parameters = models.JSONField(_("parameters"), default=dict, blank=True, encoder=DjangoJSONEncoder)
    status = models.CharField(_("status"), max_length=16, choices=AnalysisStatus, default=AnalysisStatus.QUEUED)
    progress = models.PositiveSmallIntegerField(_("progress (%)"), default=0)
    attempt = models.PositiveIntegerField(_("attempt"), default=0, editable=False)
    result = models.JSONField(_("result"), null=True, blank=True, encoder=DjangoJSONEncoder)
    error = models.TextField(_("reason of failure"), blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("requested by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="analyses",
    )
    requested_at = models.DateTimeField(_("requested"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = AnalysisQuerySet.as_manager()

    class Meta:
        verbose_name = _("analysis")
        verbose_name_plural = _("analyses")
        ordering = ["-requested_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="analysis_kind_known", condition=Q(kind__in=AnalysisKind.values)),
            models.CheckConstraint(name="analysis_status_known", condition=Q(status__in=AnalysisStatus.values)),
            models.CheckConstraint(
                name="analysis_scope_has_its_object",
                condition=Q(scope="fleet", equipment__isnull=True, device_model__isnull=True, location__isnull=True)
                | Q(scope="equipment", equipment__isnull=False, device_model__isnull=True, location__isnull=True)
                | Q(scope="device_model", equipment__isnull=True, device_model__isnull=False, location__isnull=True)
                | Q(scope="location", equipment__isnull=True, device_model__isnull=True, location__isnull=False),
                violation_error_message=_("The scope names exactly the object it is about."),
            ),
            models.CheckConstraint(name="analysis_progress_percent", condition=Q(progress__lte=100)),
            models.CheckConstraint(
                name="analysis_times_follow_status",
                condition=Q(status="queued", started_at__isnull=True, finished_at__isnull=True)
                | Q(status="processing", started_at__isnull=False, finished_at__isnull=True)
                | Q(
                    status="completed",
                    started_at__isnull=False,
                    finished_at__isnull=False,
                    finished_at__gte=F("started_at"),
                )
                | Q(status="failed", finished_at__isnull=False),
                violation_error_message=_("The times do not fit the status."),
            ),
            models.CheckConstraint(
                name="analysis_result_when_completed",
                condition=Q(status="completed", result__isnull=False)
                | (~Q(status="completed") & Q(result__isnull=True)),
                violation_error_message=_("A completed analysis has a result, and only a completed one has."),
            ),
            models.CheckConstraint(
                name="analysis_failure_has_reason",
                condition=Q(status="failed") & ~Q(error="") | ~Q(status="failed") & Q(error=""),
                violation_error_message=_("A failed analysis says why, and only a failed one does."),
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-requested_at"], name="analysis_by_status"),
            models.Index(fields=["requested_by", "-requested_at"], name="analysis_of_user"),
        ]

    def __str__(self) -> str:
        about = self.equipment or self.device_model or self.location or _("all equipment")
        return f"{self.get_kind_display()}: {about}"

    @property
    def is_finished(self) -> bool:
        return self.status in {AnalysisStatus.COMPLETED, AnalysisStatus.FAILED}
