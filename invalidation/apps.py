"""The engine as an app: the last to start, so that what the others declared is complete."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InvalidationConfig(AppConfig):
    name = "invalidation"
    verbose_name = _("Invalidation")

    def ready(self) -> None:
        from invalidation import checks, probing, receivers  # noqa: F401 - checks and the probe register themselves
        from invalidation.registry import registry

        registry.close()
        for watched in registry.watched_models():
            receivers.connect(watched)
