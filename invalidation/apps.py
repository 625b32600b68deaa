"""The engine as an app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InvalidationConfig(AppConfig):
    name = "invalidation"
    verbose_name = _("Invalidation")
