"""Puts the locations under audit, and tells the engine what is cached of them."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LocationsConfig(AppConfig):
    name = "locations"
    verbose_name = _("Locations")

    def ready(self) -> None:
        from audit.receivers import watch
        from locations import caches
        from locations.models import Location, LocationLimit, ProductionRun

        watch(Location, exclude=("created_at", "updated_at", "label"))
        watch(ProductionRun, exclude=("created_at", "updated_at"))
        watch(LocationLimit)
        caches.declare()
