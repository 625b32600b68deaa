"""What a user has chosen for themselves, and the permissions of the operating pages."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from locations.models import Location


class Theme(models.TextChoices):
    SYSTEM = "system", _("As the device")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class UserPreferences(models.Model):
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="preferences"
    )
    theme = models.CharField(_("theme"), max_length=8, choices=Theme, default=Theme.SYSTEM)
    language = models.CharField(
        _("language"), max_length=8, blank=True, choices=settings.LANGUAGES, help_text=_("Empty: as the browser says.")
    )
    page_size = models.PositiveSmallIntegerField(
        _("rows per page"), default=50, validators=[MinValueValidator(10), MaxValueValidator(200)]
    )
    home_location = models.ForeignKey(
        Location, verbose_name=_("home location"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    equipment_columns = models.JSONField(_("columns of the equipment list"), default=list, blank=True)
    dashboard_days = models.PositiveSmallIntegerField(
        _("days ahead on the dashboard"), default=30, validators=[MinValueValidator(1), MaxValueValidator(366)]
    )
    receives_reminders = models.BooleanField(_("reminders by e-mail"), default=True)

    class Meta:
        verbose_name = _("preferences")
        verbose_name_plural = _("preferences")
        permissions = [
            ("view_operations", _("Can see the operating pages")),
            ("clear_caches", _("Can clear caches")),
        ]
        constraints = [
            models.CheckConstraint(name="preferences_theme_known", condition=Q(theme__in=Theme.values)),
            models.CheckConstraint(
                name="preferences_page_size_bounded", condition=Q(page_size__gte=10, page_size__lte=200)
            ),
            models.CheckConstraint(
                name="preferences_days_bounded", condition=Q(dashboard_days__gte=1, dashboard_days__lte=366)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}"
