"""Work on a device: from the report to the return to service, with downtime, labour, parts and cost."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from equipment.models.maintenance import ScheduledMaintenance
from equipment.models.register import Equipment
from equipment.querysets import OPEN_WORK_ORDERS, WorkOrderPartQuerySet, WorkOrderQuerySet
from equipment.validators import validate_time_has_come


class WorkOrderKind(models.TextChoices):
    CORRECTIVE = "corrective", _("Corrective")
    PREVENTIVE = "preventive", _("Preventive")
    INSPECTION = "inspection", _("Inspection")
    CALIBRATION = "calibration", _("Calibration")


class WorkOrderStatus(models.TextChoices):
    REPORTED = "reported", _("Reported")
    IN_PROGRESS = "in_progress", _("In progress")
    WAITING = "waiting", _("Waiting for parts or supplier")
    RETURNED = "returned", _("Returned to service")
    CLOSED = "closed", _("Closed")
    CANCELLED = "cancelled", _("Cancelled")


class WorkOrderPriority(models.TextChoices):
    LOW = "low", _("Low")
    NORMAL = "normal", _("Normal")
    URGENT = "urgent", _("Urgent")


class FailureCause(models.TextChoices):
    """Why corrective work was needed. The last four are no failures of the device."""

    WEAR = "wear", _("Wear or age")
    COMPONENT = "component", _("Component failure")
    SOFTWARE = "software", _("Software")
    BATTERY = "battery", _("Battery")
    UNKNOWN = "unknown", _("Unknown")
    ACCESSORY = "accessory", _("Accessory or consumable")
    USE_ERROR = "use_error", _("Use error or damage")
    ENVIRONMENT = "environment", _("Power, network or environment")
    NO_PROBLEM_FOUND = "no_problem_found", _("No problem found")


DEVICE_FAILURES = (
    FailureCause.WEAR,
    FailureCause.COMPONENT,
    FailureCause.SOFTWARE,
    FailureCause.BATTERY,
    FailureCause.UNKNOWN,
)
FINISHED = (WorkOrderStatus.RETURNED, WorkOrderStatus.CLOSED)


class WorkOrder(models.Model):
    """One job on one device.

    Times are instants in order: reported ≤ started ≤ returned to service. The device was down from `down_from` to
    `down_until`, open-ended while it still is; a job during which it went on working has neither. Costs are in the
    installation's currency; `parts_cost` is the sum of its parts where they are listed.
    """

    equipment = models.ForeignKey(
        Equipment, verbose_name=_("equipment"), on_delete=models.PROTECT, related_name="work_orders"
    )
    scheduled_maintenance = models.OneToOneField(
        ScheduledMaintenance,
        verbose_name=_("scheduled maintenance"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="work_order",
    )
    kind = models.CharField(_("kind"), max_length=16, choices=WorkOrderKind, default=WorkOrderKind.CORRECTIVE)
    status = models.CharField(_("status"), max_length=16, choices=WorkOrderStatus, default=WorkOrderStatus.REPORTED)
    priority = models.CharField(
        _("priority"), max_length=8, choices=WorkOrderPriority, default=WorkOrderPriority.NORMAL
    )
    problem = models.TextField(_("problem"), blank=True)
    resolution = models.TextField(_("work done"), blank=True)
    cause = models.CharField(_("cause"), max_length=20, choices=FailureCause, blank=True)
    reported_at = models.DateTimeField(_("reported"), default=timezone.now, validators=[validate_time_has_come])
    started_at = models.DateTimeField(_("started"), null=True, blank=True, validators=[validate_time_has_come])
    returned_to_service_at = models.DateTimeField(
        _("returned to service"), null=True, blank=True, validators=[validate_time_has_come]
    )
    down_from = models.DateTimeField(_("down from"), null=True, blank=True, validators=[validate_time_has_come])
    down_until = models.DateTimeField(_("down until"), null=True, blank=True, validators=[validate_time_has_come])
    reported_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("reported by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("assigned to"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="work_orders",
    )
    engineer_name = models.CharField(_("engineer"), max_length=200, blank=True)
    labour_minutes = models.PositiveIntegerField(_("hands-on time (minutes)"), null=True, blank=True)
    labour_cost = models.DecimalField(
        _("labour cost"), max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    parts_cost = models.DecimalField(
        _("parts cost"), max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = WorkOrderQuerySet.as_manager()

    class Meta:
        verbose_name = _("work order")
        verbose_name_plural = _("work orders")
        ordering = ["-reported_at", "-pk"]
        constraints = [
            models.CheckConstraint(name="work_order_kind_known", condition=Q(kind__in=WorkOrderKind.values)),
            models.CheckConstraint(name="work_order_status_known", condition=Q(status__in=WorkOrderStatus.values)),
            models.CheckConstraint(
                name="work_order_priority_known", condition=Q(priority__in=WorkOrderPriority.values)
            ),
            models.CheckConstraint(
                name="work_order_cause_known", condition=Q(cause="") | Q(cause__in=FailureCause.values)
            ),
            models.CheckConstraint(
                name="work_order_started_after_report",
                condition=Q(started_at__isnull=True) | Q(started_at__gte=F("reported_at")),
                violation_error_message=_("Work starts after the report."),
            ),
            models.CheckConstraint(
                name="work_order_returned_after_start",
                condition=Q(returned_to_service_at__isnull=True)
                | Q(returned_to_service_at__gte=F("reported_at"), started_at__isnull=True)
                | Q(returned_to_service_at__gte=F("started_at"), started_at__isnull=False),
                violation_error_message=_("The return to service comes after report and start."),
            ),
            models.CheckConstraint(
                name="work_order_finished_has_return",
                condition=Q(status__in=["returned", "closed"], returned_to_service_at__isnull=False)
                | (~Q(status__in=["returned", "closed"]) & Q(returned_to_service_at__isnull=True)),
                violation_error_message=_("A finished job has its return to service, and only a finished one has."),
            ),
            models.CheckConstraint(
                name="work_order_downtime_in_order",
                condition=Q(down_until__isnull=True) | Q(down_from__isnull=False, down_until__gte=F("down_from")),
                violation_error_message=_("Downtime ends after it began."),
            ),
            models.CheckConstraint(
                name="work_order_finished_is_up",
                condition=~Q(status__in=["returned", "closed", "cancelled"])
                | Q(down_from__isnull=True)
                | Q(down_until__isnull=False),
                violation_error_message=_("The downtime of a finished or cancelled job has an end."),
            ),
            models.CheckConstraint(
                name="work_order_costs_not_negative",
                condition=(Q(labour_cost__isnull=True) | Q(labour_cost__gte=0))
                & (Q(parts_cost__isnull=True) | Q(parts_cost__gte=0)),
            ),
        ]
        indexes = [
            models.Index(fields=["-reported_at", "-id"], name="work_order_newest_first"),
            models.Index(fields=["equipment", "-reported_at"], name="work_order_of_equipment"),
            models.Index(fields=["status", "-reported_at"], name="work_order_by_status"),
            # For those who are limited to some locations: their devices' jobs of one status, counted without the rows.
            models.Index(fields=["equipment", "status", "-reported_at"], name="work_order_of_device_by_status"),
            models.Index(fields=["kind", "-reported_at"], name="work_order_by_kind"),
        ]

    def __str__(self) -> str:
        return self.number

    def clean(self) -> None:
        """The maintenance that a job carries out is its own device's."""
        super().clean()
        maintenance = self.scheduled_maintenance
        if maintenance is not None and maintenance.equipment_id != self.equipment_id:
            raise ValidationError({"scheduled_maintenance": _("This maintenance is another device's.")})

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the job; an open one under the lock of its device, as whoever disposes of a device looks for those."""
        update_fields = kwargs.get("update_fields")
        with transaction.atomic(using=kwargs.get("using")):
            if self.is_open and (update_fields is None or {"status", "equipment", "equipment_id"} & set(update_fields)):
                # The reference alone locks nothing before the commit, where PostgreSQL checks it: until then a
                # disposal would neither see this job nor wait for it.
                devices = Equipment.objects.using(kwargs.get("using")).filter(pk=self.equipment_id).order_by()
                devices.select_for_update(no_key=True).values_list("pk").first()
            super().save(*args, **kwargs)

    @property
    def number(self) -> str:
        """How people call it: WO- and the id in six digits or more."""
        return f"WO-{self.pk:06d}" if self.pk else "WO-new"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_WORK_ORDERS

    @property
    def is_device_failure(self) -> bool:
        """Whether it counts as a failure of the device: corrective, and not caused from outside."""
        return self.kind == WorkOrderKind.CORRECTIVE and self.cause in DEVICE_FAILURES

    @property
    def total_cost(self) -> Decimal | None:
        """Labour and parts; None where neither is known."""
        known = [cost for cost in (self.labour_cost, self.parts_cost) if cost is not None]
        return sum(known, Decimal(0)) if known else None

    @property
    def turnaround(self) -> timedelta | None:
        """From the report to the return to service; None while open."""
        return self.returned_to_service_at - self.reported_at if self.returned_to_service_at else None

    def parts_are_priced(self) -> bool:
        """Whether parts are listed and the cost of each is known: then their sum is `parts_cost`."""
        costs = list(self.parts.values_list("unit_cost", flat=True)) if self.pk else []
        return bool(costs) and None not in costs

    def downtime_until(self, instant: datetime) -> timedelta:
        """How long the device was down by `instant`, an open downtime running to it; zero if it never was."""
        if self.down_from is None:
            return timedelta(0)
        return max(min(self.down_until or instant, instant) - self.down_from, timedelta(0))


class WorkOrderPart(models.Model):
    """A part that was fitted."""

    work_order = models.ForeignKey(
        WorkOrder, verbose_name=_("work order"), on_delete=models.CASCADE, related_name="parts"
    )
    name = models.CharField(_("part"), max_length=200)
    part_number = models.CharField(_("part number"), max_length=100, blank=True)
    quantity = models.PositiveIntegerField(_("quantity"), default=1, validators=[MinValueValidator(1)])
    unit_cost = models.DecimalField(
        _("unit cost"), max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )

    objects = WorkOrderPartQuerySet.as_manager()

    class Meta:
        verbose_name = _("part")
        verbose_name_plural = _("parts")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(name="part_quantity_positive", condition=Q(quantity__gt=0)),
            models.CheckConstraint(
                name="part_cost_not_negative", condition=Q(unit_cost__isnull=True) | Q(unit_cost__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"
