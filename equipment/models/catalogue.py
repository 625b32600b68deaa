"""What kinds of devices there are: product classes, manufacturers, device models."""

from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class DeviceClass(models.TextChoices):
    """The regulatory class, as the FDA's product classification writes it."""

    CLASS_1 = "1", _("Class 1")
    CLASS_2 = "2", _("Class 2")
    CLASS_3 = "3", _("Class 3")
    UNCLASSIFIED = "U", _("Unclassified")
    NOT_CLASSIFIED = "N", _("Not classified")
    HUMANITARIAN = "F", _("Humanitarian device exemption")


class MriSafety(models.TextChoices):
    SAFE = "safe", _("MR safe")
    CONDITIONAL = "conditional", _("MR conditional")
    UNSAFE = "unsafe", _("MR unsafe")
    NOT_STATED = "not_stated", _("Not stated")


class ProductClass(models.Model):
    """A type of device with its three-letter FDA product code."""

    code = models.CharField(
        _("product code"),
        max_length=3,
        unique=True,
        validators=[RegexValidator(r"^[A-Z]{3}\Z", _("A product code is three capital letters."))],
    )
    name = models.CharField(_("name"), max_length=255)
    device_class = models.CharField(_("device class"), max_length=1, choices=DeviceClass, blank=True)
    medical_specialty = models.CharField(_("medical specialty"), max_length=2, blank=True)
    regulation_number = models.CharField(_("regulation number"), max_length=16, blank=True)
    implant = models.BooleanField(_("implant"), default=False)
    life_sustaining = models.BooleanField(_("life-sustaining"), default=False)

    class Meta:
        verbose_name = _("product class")
        verbose_name_plural = _("product classes")
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                name="product_class_device_class_known",
                condition=Q(device_class="") | Q(device_class__in=DeviceClass.values),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Manufacturer(models.Model):
    name = models.CharField(_("name"), max_length=200)

    class Meta:
        verbose_name = _("manufacturer")
        verbose_name_plural = _("manufacturers")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(name="manufacturer_name_given", condition=~Q(name="")),
            models.UniqueConstraint(
                Lower("name"),
                name="manufacturer_name_unique",
                violation_error_message=_("There is a manufacturer of this name already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DeviceModel(models.Model):
    """A model of a manufacturer.

    `device_identifier` is the GTIN under which a public database lists it; models entered by hand have none.
    `device_class` and `life_sustaining` are the department's own word: an import fills them from the product classes
    where they are empty.
    """

    manufacturer = models.ForeignKey(
        Manufacturer, verbose_name=_("manufacturer"), on_delete=models.PROTECT, related_name="device_models"
    )
    name = models.CharField(_("model"), max_length=200)
    brand = models.CharField(_("brand"), max_length=200, blank=True)
    catalog_number = models.CharField(_("catalogue number"), max_length=100, blank=True)
    device_identifier = models.CharField(_("device identifier (GTIN)"), max_length=23, blank=True)
    description = models.TextField(_("description"), blank=True)
    published_on = models.DateField(_("published on"), null=True, blank=True)
    mri_safety = models.CharField(_("MRI safety"), max_length=16, choices=MriSafety, default=MriSafety.NOT_STATED)
    product_classes = models.ManyToManyField(
        ProductClass, verbose_name=_("product classes"), blank=True, related_name="device_models"
    )
    device_class = models.CharField(_("device class"), max_length=1, choices=DeviceClass, blank=True)
    life_sustaining = models.BooleanField(_("life-sustaining"), default=False)
    expected_life_months = models.PositiveSmallIntegerField(
        _("expected life (months)"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    end_of_support_on = models.DateField(
        _("end of support"), null=True, blank=True, help_text=_("From this day the maker supplies no parts or service.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("device model")
        verbose_name_plural = _("device models")
        ordering = ["manufacturer__name", "name", "catalog_number"]
        constraints = [
            models.CheckConstraint(name="device_model_name_given", condition=~Q(name="")),
            models.CheckConstraint(
                name="device_model_device_class_known",
                condition=Q(device_class="") | Q(device_class__in=DeviceClass.values),
            ),
            models.CheckConstraint(name="device_model_mri_safety_known", condition=Q(mri_safety__in=MriSafety.values)),
            models.CheckConstraint(
                name="device_model_life_positive",
                condition=Q(expected_life_months__isnull=True) | Q(expected_life_months__gt=0),
            ),
            models.UniqueConstraint(
                "device_identifier",
                name="device_model_identifier_unique",
                condition=~Q(device_identifier=""),
                violation_error_message=_("This device identifier is another model's."),
            ),
            models.UniqueConstraint(
                "manufacturer",
                Lower("name"),
                Lower("catalog_number"),
                name="device_model_unique_by_hand",
                condition=Q(device_identifier=""),
                violation_error_message=_("This manufacturer has a model of this name and catalogue number already."),
            ),
        ]
        indexes = [models.Index(fields=["manufacturer", "name"], name="device_model_by_name")]

    def __str__(self) -> str:
        return " ".join(part for part in (self.manufacturer.name, self.name, self.catalog_number) if part)
