"""Puts the register under audit and its files under their rows, and tells the engine what is cached of it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EquipmentConfig(AppConfig):
    name = "equipment"
    verbose_name = _("Equipment")

    def ready(self) -> None:
        from audit.receivers import watch
        from equipment import caches, models
        from equipment.receivers import keep_files_with_rows

        timestamps = ("created_at", "updated_at")
        for model in (
            models.ProductClass,
            models.Manufacturer,
            models.DeviceModel,
            models.Equipment,
            models.EquipmentPhoto,
            models.Document,
            models.ServiceContract,
            models.MaintenancePlan,
            models.MaintenanceRound,
            models.ScheduledMaintenance,
            models.WorkOrder,
            models.WorkOrderPart,
            models.TrainingRecord,
        ):
            watch(model, exclude=timestamps)
        keep_files_with_rows(models.EquipmentPhoto)
        keep_files_with_rows(models.Document)
        caches.declare()
