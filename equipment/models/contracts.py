"""Service contracts."""

from datetime import date

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from equipment.models.register import Equipment
from equipment.querysets import ServiceContractQuerySet


class ContractKind(models.TextChoices):
    FULL_SERVICE = "full_service", _("Full service")
    PREVENTIVE = "preventive", _("Preventive maintenance only")
    TIME_AND_MATERIAL = "time_and_material", _("Time and material")
    WARRANTY = "warranty", _("Extended warranty")


class ServiceContract(models.Model):
    """A supplier's service for devices, for a price a year that is shared evenly by the devices it covers."""

    number = models.CharField(_("contract number"), max_length=100, unique=True)
    supplier = models.CharField(_("supplier"), max_length=200)
    kind = models.CharField(_("kind"), max_length=20, choices=ContractKind, default=ContractKind.FULL_SERVICE)
    starts_on = models.DateField(_("starts on"))
    ends_on = models.DateField(_("ends on"), null=True, blank=True)
    annual_cost = models.DecimalField(
        _("cost per year"), max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    response_hours = models.PositiveSmallIntegerField(_("response time (hours)"), null=True, blank=True)
    equipment = models.ManyToManyField(
        Equipment, verbose_name=_("equipment"), blank=True, related_name="service_contracts"
    )
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = ServiceContractQuerySet.as_manager()

    class Meta:
        verbose_name = _("service contract")
        verbose_name_plural = _("service contracts")
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(name="contract_number_given", condition=~Q(number="")),
            models.CheckConstraint(name="contract_kind_known", condition=Q(kind__in=ContractKind.values)),
            models.CheckConstraint(
                name="contract_ends_after_start",
                condition=Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
                violation_error_message=_("The contract ends before it starts."),
            ),
            models.CheckConstraint(
                name="contract_cost_not_negative", condition=Q(annual_cost__isnull=True) | Q(annual_cost__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.supplier})"

    def is_running_on(self, day: date) -> bool:
        """Whether the contract covers `day`, its first and last day included."""
        return self.starts_on <= day and (self.ends_on is None or day <= self.ends_on)
