"""A piece of equipment, and where and with whom it has been."""

from datetime import date
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from equipment.models.catalogue import DeviceModel
from equipment.querysets import EquipmentQuerySet, PlacementQuerySet
from equipment.validators import validate_day_has_come
from locations.models import Location

HOURS_OF_A_WEEK = 168


class DataType(models.TextChoices):
    """The maintenance programme: planned preventive (quarterly) or other (yearly cycle)."""

    PPM = "ppm", _("PPM")
    OCM = "ocm", _("OCM")
    NONE = "none", _("None")


class EquipmentStatus(models.TextChoices):
    IN_SERVICE = "in_service", _("In service")
    OUT_OF_SERVICE = "out_of_service", _("Out of service")
    IN_STORAGE = "in_storage", _("In storage")
    ON_LOAN = "on_loan", _("On loan")
    MISSING = "missing", _("Missing")
    DISPOSED = "disposed", _("Disposed of")


class RiskClass(models.TextChoices):
    LOW = "low", _("Low")
    MEDIUM = "medium", _("Medium")
    HIGH = "high", _("High")


class Equipment(models.Model):
    """One device of the department.

    `department` owns it, `location` is where it is now (any node of the tree, a room or storage place as a rule), and
    `custodian` answers for it. Saving records a change of these three in the placement history, in the same
    transaction.
    """

    name = models.CharField(_("name"), max_length=200)
    data_type = models.CharField(_("programme"), max_length=4, choices=DataType, default=DataType.NONE)
    serial = models.CharField(_("serial number"), max_length=100)
    asset_tag = models.CharField(_("asset tag"), max_length=50, blank=True, help_text=_("Also called LOG number."))
    device_model = models.ForeignKey(
        DeviceModel,
        verbose_name=_("device model"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="equipment",
    )
    department = models.ForeignKey(
        Location,
        verbose_name=_("department"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="owned_equipment",
        limit_choices_to={"kind": "department"},
    )
    location = models.ForeignKey(
        Location,
        verbose_name=_("location"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="equipment",
    )
    custodian = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("custodian"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="equipment_in_custody",
    )
    status = models.CharField(_("status"), max_length=16, choices=EquipmentStatus, default=EquipmentStatus.IN_SERVICE)
    risk_class = models.CharField(_("risk class"), max_length=8, choices=RiskClass, default=RiskClass.MEDIUM)
    installed_on = models.DateField(_("installed on"), null=True, blank=True)
    warranty_until = models.DateField(_("warranty until"), null=True, blank=True)
    purchased_on = models.DateField(_("purchased on"), null=True, blank=True)
    purchase_cost = models.DecimalField(
        _("purchase cost"), max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    supplier = models.CharField(_("supplier"), max_length=200, blank=True)
    required_hours_per_week = models.PositiveSmallIntegerField(
        _("required hours per week"),
        default=HOURS_OF_A_WEEK,
        validators=[MinValueValidator(1), MaxValueValidator(HOURS_OF_A_WEEK)],
        help_text=_("How long it has to be available; uptime is measured against it."),
    )
    disposed_on = models.DateField(_("disposed of on"), null=True, blank=True, validators=[validate_day_has_come])
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = EquipmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("equipment")
        verbose_name_plural = _("equipment")
        ordering = ["name", "serial", "pk"]
        permissions = [
            ("import_equipment", _("Can import equipment and undo imports")),
            ("export_equipment", _("Can export equipment")),
            ("bulk_update_equipment", _("Can change many pieces of equipment at once")),
            ("bulk_delete_equipment", _("Can delete many pieces of equipment at once")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["data_type", "serial"],
                name="equipment_serial_unique_in_programme",
                violation_error_message=_("This programme has a device with this serial number already."),
            ),
            models.UniqueConstraint(
                fields=["asset_tag"],
                name="equipment_asset_tag_unique",
                condition=~Q(asset_tag=""),
                violation_error_message=_("This asset tag is another device's."),
            ),
            models.CheckConstraint(name="equipment_name_given", condition=~Q(name="")),
            models.CheckConstraint(name="equipment_serial_given", condition=~Q(serial="")),
            models.CheckConstraint(name="equipment_data_type_known", condition=Q(data_type__in=DataType.values)),
            models.CheckConstraint(name="equipment_status_known", condition=Q(status__in=EquipmentStatus.values)),
            models.CheckConstraint(name="equipment_risk_class_known", condition=Q(risk_class__in=RiskClass.values)),
            models.CheckConstraint(
                name="equipment_disposed_has_date",
                condition=Q(status="disposed", disposed_on__isnull=False)
                | (~Q(status="disposed") & Q(disposed_on__isnull=True)),
                violation_error_message=_("A disposal has a date, and only a disposal has one."),
            ),
            models.CheckConstraint(
                name="equipment_disposed_after_installed",
                condition=Q(disposed_on__isnull=True)
                | Q(installed_on__isnull=True)
                | Q(disposed_on__gte=F("installed_on")),
                violation_error_message=_("The disposal lies before the installation."),
            ),
            models.CheckConstraint(
                name="equipment_cost_not_negative",
                condition=Q(purchase_cost__isnull=True) | Q(purchase_cost__gte=0),
            ),
            models.CheckConstraint(
                name="equipment_required_hours_in_week",
                condition=Q(required_hours_per_week__gte=1, required_hours_per_week__lte=HOURS_OF_A_WEEK),
            ),
        ]
        indexes = [
            models.Index(fields=["name", "serial", "id"], name="equipment_in_list_order"),
            models.Index(fields=["data_type", "name", "serial", "id"], name="equipment_by_programme"),
            models.Index(fields=["serial"], name="equipment_by_serial"),
            models.Index(fields=["status"], name="equipment_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.serial})"

    def get_absolute_url(self) -> str:
        return reverse("equipment_detail", args=[self.pk])

    @property
    def is_disposed(self) -> bool:
        return self.status == EquipmentStatus.DISPOSED

    def is_under_warranty_on(self, day: date) -> bool:
        """Whether the warranty still runs on `day`, its last day included."""
        return self.warranty_until is not None and day <= self.warranty_until

    def clean(self) -> None:
        super().clean()
        self.serial = self.serial.strip()
        self.asset_tag = self.asset_tag.strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store the device and, if it changed hands or place, its new placement."""
        with transaction.atomic(using=kwargs.get("using")):
            super().save(*args, **kwargs)
            update_fields = kwargs.get("update_fields")
            if update_fields is None or PLACEMENT_FIELDS & {name.removesuffix("_id") for name in update_fields}:
                self._record_placement()

    def _record_placement(self) -> None:
        current = Placement.objects.filter(equipment=self, until__isnull=True).select_for_update().first()
        now = (self.department_id, self.location_id, self.custodian_id)
        since = timezone.now()
        if current is not None:
            if (current.department_id, current.location_id, current.custodian_id) == now:
                return
            since = current.until = max(since, current.since)
            current.save(update_fields=["until"])
        elif not any(now):
            return
        Placement.objects.create(
            equipment=self,
            department_id=self.department_id,
            location_id=self.location_id,
            custodian_id=self.custodian_id,
            since=since,
        )


PLACEMENT_FIELDS = frozenset({"department", "location", "custodian"})


class Placement(models.Model):
    """Where and in whose care a device was from `since` to `until`; the one without `until` is the present one."""

    equipment = models.ForeignKey(
        Equipment, verbose_name=_("equipment"), on_delete=models.CASCADE, related_name="placements"
    )
    department = models.ForeignKey(
        Location, verbose_name=_("department"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    location = models.ForeignKey(
        Location, verbose_name=_("location"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    custodian = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("custodian"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    since = models.DateTimeField(_("since"))
    until = models.DateTimeField(_("until"), null=True, blank=True)

    objects = PlacementQuerySet.as_manager()

    class Meta:
        verbose_name = _("placement")
        verbose_name_plural = _("placements")
        ordering = ["-since", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["equipment"], condition=Q(until__isnull=True), name="placement_one_present_per_device"
            ),
            models.CheckConstraint(
                name="placement_ends_after_start", condition=Q(until__isnull=True) | Q(until__gte=F("since"))
            ),
        ]
        indexes = [models.Index(fields=["-since", "-id"], name="placement_newest_first")]

    def __str__(self) -> str:
        return f"{self.equipment}: {self.location or self.department or '–'}"
