"""Every list and form of the admin, of whatever app: it opens, and many rows cost no more queries than few."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analyses.models import Analysis
from equipment.models import Equipment, ProductClass, TrainingRecord
from equipment.tests import recipes
from equipment.tests.admin_pages import DAY, address, fill
from locations.tests import recipes as locations

pytestmark = pytest.mark.django_db

EVERY_MODEL = [
    model
    for model in admin.site._registry
    if model._meta.app_label in {"equipment", "locations", "analyses", "dashboard", "audit", "auth"}
    and model._meta.model_name != "permission"
]


def more(number):
    """Further rows of every kind."""
    fill(number)
    for device in Equipment.objects.order_by("-pk")[:number]:
        Analysis.objects.create(kind="cost", scope="equipment", equipment=device)
        locations.production_run.make()


@pytest.mark.parametrize("model", EVERY_MODEL, ids=lambda model: model._meta.label_lower)
def test_every_list_and_form_opens_and_a_list_of_many_costs_no_more_queries(model, superuser, client_of):
    client = client_of(superuser)
    ProductClass.objects.create(code="FRN", name="Pump, infusion")
    TrainingRecord.objects.create(person=superuser, device_model=recipes.device_model.make(), trained_on=DAY)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address(model, "changelist"))
        assert answer.status_code == 200
        return len(captured)

    more(1)
    queries()  # The first page of a process fills Django's own tables of content types.
    few = queries()
    more(2)
    many = queries()

    assert many == few
    assert few <= 16
    assert client.get(address(model, "changelist") + "?q=pump").status_code == 200
    assert client.get(address(model, "add")).status_code in {200, 403}
    row = model._default_manager.first()
    if row is not None:
        assert client.get(address(model, "change", row.pk)).status_code == 200


def test_nobody_chooses_from_a_list_of_everything(superuser, client_of):
    client = client_of(superuser)
    fill(1)

    for model in EVERY_MODEL:
        page = client.get(address(model, "add"))
        if page.status_code != 200 or "adminform" not in page.context:
            continue
        for name, field in page.context["adminform"].form.fields.items():
            if hasattr(field, "queryset") and name != "groups":
                widget = getattr(field.widget, "widget", field.widget)
                assert "Autocomplete" in type(widget).__name__, (model, name)
