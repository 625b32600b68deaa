"""Maintenance plans, rounds, and the single dates of work that follow from them."""

from datetime import date, timedelta
from typing import Any

from dateutil.relativedelta import relativedelta
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from equipment.models.register import Equipment
from equipment.querysets import (
    DUE_WITHIN_DAYS,
    OPEN_MAINTENANCE,
    MaintenanceRoundQuerySet,
    OfOneDeviceQuerySet,
    ScheduledMaintenanceQuerySet,
)
from equipment.validators import validate_checklist, validate_day_has_come, validate_first_day
from locations.models import Location


class PlanKind(models.TextChoices):
    """PPM quarters and the OCM cycle are ready-made; a custom plan has any interval."""

    PPM = "ppm", _("PPM, every quarter")
    OCM = "ocm", _("OCM, every year")
    CUSTOM = "custom", _("Custom interval")


class IntervalUnit(models.TextChoices):
    DAY = "day", _("days")
    WEEK = "week", _("weeks")
    MONTH = "month", _("months")
    YEAR = "year", _("years")


READY_MADE: dict[str, tuple[int, str]] = {
    PlanKind.PPM: (3, IntervalUnit.MONTH),
    PlanKind.OCM: (1, IntervalUnit.YEAR),
}


class MaintenanceStatus(models.TextChoices):
    """What is stored. Upcoming, due and overdue are never stored: they follow from the date (MaintenanceState)."""

    SCHEDULED = "scheduled", _("Scheduled")
    IN_PROGRESS = "in_progress", _("In progress")
    COMPLETED = "completed", _("Completed")
    CANCELLED = "cancelled", _("Cancelled")


class MaintenanceState(models.TextChoices):
    """What people see on a given day."""

    UPCOMING = "upcoming", _("Upcoming")
    DUE = "due", _("Due")
    OVERDUE = "overdue", _("Overdue")
    COMPLETED = "completed", _("Completed")
    CANCELLED = "cancelled", _("Cancelled")


class MaintenanceOutcome(models.TextChoices):
    PASSED = "passed", _("Passed")
    PASSED_AFTER_REPAIR = "passed_after_repair", _("Passed after repair")
    FAILED = "failed", _("Failed")
    COULD_NOT_LOCATE = "could_not_locate", _("Could not locate")


class MaintenancePlan(models.Model):
    """How often a device is maintained.

    A fixed plan counts every date from `starts_on`; a floating one counts from the last completion. `tolerance_days`
    is how late still counts as on time.
    """

    equipment = models.ForeignKey(
        Equipment, verbose_name=_("equipment"), on_delete=models.CASCADE, related_name="maintenance_plans"
    )
    kind = models.CharField(_("kind"), max_length=8, choices=PlanKind, default=PlanKind.CUSTOM)
    name = models.CharField(_("name"), max_length=200, blank=True)
    interval = models.PositiveSmallIntegerField(_("every"), default=1, validators=[MinValueValidator(1)])
    interval_unit = models.CharField(_("unit"), max_length=8, choices=IntervalUnit, default=IntervalUnit.YEAR)
    starts_on = models.DateField(_("first date"), validators=[validate_first_day])
    ends_on = models.DateField(_("last date"), null=True, blank=True)
    is_floating = models.BooleanField(
        _("floating"), default=False, help_text=_("Count from the last completion instead of the first date.")
    )
    tolerance_days = models.PositiveSmallIntegerField(_("tolerance (days)"), default=0)
    estimated_minutes = models.PositiveIntegerField(_("estimated work (minutes)"), null=True, blank=True)
    engineer_name = models.CharField(_("engineer"), max_length=200, blank=True)
    checklist = models.JSONField(
        _("checklist"),
        default=list,
        blank=True,
        help_text=_("A list of the steps, each a text."),
        validators=[validate_checklist],
    )
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = OfOneDeviceQuerySet.as_manager()

    class Meta:
        verbose_name = _("maintenance plan")
        verbose_name_plural = _("maintenance plans")
        ordering = ["equipment_id", "kind", "pk"]
        constraints = [
            models.CheckConstraint(name="plan_kind_known", condition=Q(kind__in=PlanKind.values)),
            models.CheckConstraint(name="plan_unit_known", condition=Q(interval_unit__in=IntervalUnit.values)),
            models.CheckConstraint(name="plan_interval_positive", condition=Q(interval__gt=0)),
            models.CheckConstraint(
                name="plan_interval_within_ten_years",
                condition=~Q(interval_unit="day", interval__gt=3650)
                & ~Q(interval_unit="week", interval__gt=520)
                & ~Q(interval_unit="month", interval__gt=120)
                & ~Q(interval_unit="year", interval__gt=10),
                violation_error_message=_("An interval is ten years at most."),
            ),
            models.CheckConstraint(
                name="plan_ends_after_start", condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on"))
            ),
            models.CheckConstraint(
                name="plan_ready_made_interval",
                condition=Q(kind="custom")
                | Q(kind="ppm", interval=3, interval_unit="month")
                | Q(kind="ocm", interval=1, interval_unit="year"),
                violation_error_message=_("PPM is every 3 months and OCM every year; take a custom plan for others."),
            ),
            models.UniqueConstraint(
                fields=["equipment", "kind"],
                condition=Q(kind__in=["ppm", "ocm"]),
                name="plan_ready_made_once_per_device",
                violation_error_message=_("This device has a plan of this kind already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.equipment}: {self.name or self.get_kind_display()}"

    def clean(self) -> None:
        """A ready-made kind brings its interval; a checklist without steps is an empty one, however it was written."""
        super().clean()
        self.checklist = self.checklist or []
        if self.kind in READY_MADE:
            self.interval, self.interval_unit = READY_MADE[self.kind]

    def step(self, count: int = 1) -> relativedelta:
        """`count` intervals, as calendar time."""
        units: dict[str, Any] = {f"{self.interval_unit}s": self.interval * count}
        return relativedelta(**units)

    def occurrence(self, index: int) -> date:
        """The date of occurrence `index` (0 is `starts_on`) of a fixed plan.

        Counted from the first date, not from the one before: from 31 January the months end on 28 February,
        31 March, 30 April.
        """
        return self.starts_on + self.step(index)


class MaintenanceRound(models.Model):
    """One job for many devices, a room's as a rule: done together, by one person, on one day."""

    name = models.CharField(_("name"), max_length=200)
    location = models.ForeignKey(
        Location, verbose_name=_("location"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    scheduled_date = models.DateField(_("date"))
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("assigned to"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    notes = models.TextField(_("notes"), blank=True)

    objects = MaintenanceRoundQuerySet.as_manager()

    class Meta:
        verbose_name = _("maintenance round")
        verbose_name_plural = _("maintenance rounds")
        ordering = ["-scheduled_date", "name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.scheduled_date})"


class ScheduledMaintenance(models.Model):
    """One date on which a device is to be maintained.

    `occurrence_date` is the date the plan gave and never changes: it is what makes planning twice harmless.
    `scheduled_date` is the date agreed on now. An engineer's name or a past date does not make it completed; only
    `status` does, together with `completed_on`.
    """

    equipment = models.ForeignKey(
        Equipment, verbose_name=_("equipment"), on_delete=models.CASCADE, related_name="scheduled_maintenance"
    )
    plan = models.ForeignKey(
        MaintenancePlan,
        verbose_name=_("plan"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="scheduled_maintenance",
    )
    round = models.ForeignKey(
        MaintenanceRound,
        verbose_name=_("round"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="scheduled_maintenance",
    )
    occurrence_date = models.DateField(_("date by the plan"), editable=False)
    scheduled_date = models.DateField(_("scheduled date"))
    quarter = models.PositiveSmallIntegerField(
        _("PPM quarter"), null=True, blank=True, choices=[(1, "I"), (2, "II"), (3, "III"), (4, "IV")]
    )
    tolerance_days = models.PositiveSmallIntegerField(_("tolerance (days)"), default=0)
    estimated_minutes = models.PositiveIntegerField(_("estimated work (minutes)"), null=True, blank=True)
    status = models.CharField(
        _("status"), max_length=16, choices=MaintenanceStatus, default=MaintenanceStatus.SCHEDULED
    )
    engineer_name = models.CharField(_("engineer"), max_length=200, blank=True)
    completed_on = models.DateField(_("completed on"), null=True, blank=True, validators=[validate_day_has_come])
    completed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("completed by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    outcome = models.CharField(_("outcome"), max_length=24, choices=MaintenanceOutcome, blank=True)
    checklist_results = models.JSONField(_("checklist results"), default=list, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = ScheduledMaintenanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("scheduled maintenance")
        verbose_name_plural = _("scheduled maintenance")
        ordering = ["scheduled_date", "pk"]
        constraints = [
            models.CheckConstraint(name="maintenance_status_known", condition=Q(status__in=MaintenanceStatus.values)),
            models.CheckConstraint(
                name="maintenance_completed_has_date",
                condition=Q(status="completed", completed_on__isnull=False)
                | (~Q(status="completed") & Q(completed_on__isnull=True)),
                violation_error_message=_("A completion has a date, and only a completion has one."),
            ),
            models.CheckConstraint(
                name="maintenance_outcome_of_completed",
                condition=Q(outcome="") | Q(status="completed", outcome__in=MaintenanceOutcome.values),
                violation_error_message=_("Only completed maintenance has an outcome."),
            ),
            models.CheckConstraint(
                name="maintenance_quarter_known",
                condition=Q(quarter__isnull=True) | Q(quarter__gte=1, quarter__lte=4),
            ),
            models.UniqueConstraint(fields=["plan", "occurrence_date"], name="maintenance_once_per_occurrence"),
        ]
        indexes = [
            models.Index(fields=["status", "scheduled_date", "id"], name="maintenance_by_date"),
            models.Index(fields=["-scheduled_date", "-id"], name="maintenance_newest_first"),
            models.Index(fields=["equipment", "scheduled_date"], name="maintenance_of_equipment"),
            models.Index(fields=["completed_on", "equipment"], name="maintenance_by_completion"),
        ]

    def __str__(self) -> str:
        return f"{self.equipment}: {self.scheduled_date}"

    def clean(self) -> None:
        """A date follows from a plan of its own device."""
        super().clean()
        if self.plan is not None and self.plan.equipment_id != self.equipment_id:
            raise ValidationError({"plan": _("This plan is another device's.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the date; a new one without a plan occurs when it is scheduled."""
        if not self.occurrence_date:  # type: ignore[truthy-bool]  # a new row has none yet
            self.occurrence_date = self.scheduled_date
        super().save(*args, **kwargs)

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_MAINTENANCE

    def state_on(self, day: date) -> MaintenanceState:
        """What it is on the local date `day`, from the stored status and the date alone."""
        if not self.is_open:
            return MaintenanceState(self.status)
        if self.scheduled_date < day:
            return MaintenanceState.OVERDUE
        if self.scheduled_date <= day + timedelta(days=DUE_WITHIN_DAYS):
            return MaintenanceState.DUE
        return MaintenanceState.UPCOMING

    @property
    def was_on_time(self) -> bool | None:
        """Whether it was done by its date plus tolerance; None while it is open or when cancelled.

        A device that could not be located was not maintained, whenever that was found out.
        """
        if self.completed_on is None:
            return None
        latest = self.scheduled_date + timedelta(days=self.tolerance_days)
        return self.outcome != MaintenanceOutcome.COULD_NOT_LOCATE and self.completed_on <= latest
