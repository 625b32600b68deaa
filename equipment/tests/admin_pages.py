"""What tests of the admin share: addresses, actions, forms as a browser sends them, and rows of every kind."""

from datetime import date

from django.urls import reverse

from equipment.models import ImportedRow, MaintenanceRound
from equipment.tests import recipes
from locations.tests import recipes as locations

DAY = date(2024, 5, 6)


def address(model, page, *arguments):
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=arguments)


def act(client, model, action, rows, filters="", **data):
    """Answer the page of a bulk action; without data it is only asked for."""
    fields = {"action": action, "_selected_action": [str(row.pk) for row in rows], **data}
    return client.post(address(model, "changelist") + filters, fields, follow=True)


def messages_of(answer):
    return [str(message) for message in answer.context["messages"]]


def fill(number):
    """Rows of every kind, `number` of each."""
    for _row in range(number):
        device = recipes.placed_device.make(
            device_model=recipes.device_model.make(), department=locations.department.make()
        )
        plan = recipes.plan.make(equipment=device)
        row = recipes.maintenance.make(equipment=device, plan=plan)
        recipes.work_order.make(equipment=device, scheduled_maintenance=row)
        contract = recipes.contract.make()
        contract.equipment.add(device)
        MaintenanceRound.objects.create(name="Round", location=device.location, scheduled_date=DAY)
        run = recipes.import_run.make()
        ImportedRow.objects.create(run=run, row_number=2, action="rejected", equipment=device, errors=["no name"])


def device_form(**values):
    prefixes = ("maintenance_plans", "photos", "documents")
    management = {
        f"{prefix}-{field}": number
        for prefix in prefixes
        for field, number in (("TOTAL_FORMS", 0), ("INITIAL_FORMS", 0))
    }
    return {
        "name": "Infusion pump",
        "data_type": "ppm",
        "serial": "SN-1",
        "status": "in_service",
        "risk_class": "medium",
        "required_hours_per_week": 168,
        **management,
        **values,
    }
