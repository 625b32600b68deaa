"""Puts the analyses under audit, and tells the engine what is cached of them."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AnalysesConfig(AppConfig):
    name = "analyses"
    verbose_name = _("Analyses")

    def ready(self) -> None:
        from analyses import caches
        from analyses.models import Analysis
        from audit.receivers import watch

        watch(Analysis, exclude=("heartbeat_at", "progress", "result", "attempt"))
        caches.declare()
