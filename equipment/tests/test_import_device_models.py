"""Product classes and device models from the files of public registries."""

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AuditLog, EventType
from equipment.imports import FileRefused, RowsRejected, import_device_models, limits
from equipment.models import DeviceModel, Manufacturer, ProductClass
from equipment.tests.files import csv_file

pytestmark = pytest.mark.django_db

CLASS_ROW = {
    "product_code": "MKJ",
    "device_name": "Automated External Defibrillator",
    "device_class": "3",
    "medical_specialty": "CV",
    "regulation_number": "870.5310",
    "implant": "N",
    "life_sustaining": "Y",
}
MODEL_ROW = {
    "device_identifier": "00721902439926",
    "brand": "NA",
    "model": "70402",
    "catalog_number": "70402-000083",
    "manufacturer": "PHYSIO-CONTROL, INC.",
    "description": "LP20 PACKAGE",
    "published": "2014-11-05",
    "mri_safety": "MR Unsafe",
    "product_codes": "MKJ;DQA",
    "product_names": "ignored",
}


def classes(*rows, **how):
    return import_device_models(
        source=csv_file(CLASS_ROW, [CLASS_ROW | row for row in rows]), name="classes.csv", **how
    )


def models(*rows, **how):
    return import_device_models(source=csv_file(MODEL_ROW, [MODEL_ROW | row for row in rows]), name="models.csv", **how)


def test_product_classes_are_stored_as_published():
    report = classes({}, {"product_code": "DQA", "device_class": "f", "life_sustaining": "N", "implant": "Y"})

    assert (report.format, report.created) == ("product_classes", 2)
    stored = ProductClass.objects.get(code="MKJ")
    assert (stored.name, stored.device_class, stored.life_sustaining) == ("Automated External Defibrillator", "3", True)
    assert ProductClass.objects.get(code="DQA").device_class == "F"


def test_device_models_are_stored_with_their_classes():
    classes({}, {"product_code": "DQA", "device_class": "2", "life_sustaining": "N"})

    report = models({})

    stored = DeviceModel.objects.get()
    assert (report.created, report.new_manufacturers) == (1, ["PHYSIO-CONTROL, INC."])
    assert (stored.device_identifier, stored.name, stored.brand) == ("00721902439926", "70402", "")
    assert (stored.catalog_number, stored.published_on, stored.mri_safety) == (
        "70402-000083",
        date(2014, 11, 5),
        "unsafe",
    )
    assert set(stored.product_classes.values_list("code", flat=True)) == {"MKJ", "DQA"}
    assert (stored.device_class, stored.life_sustaining) == ("3", True)
    assert report.ignored_columns == ()


def test_importing_again_changes_nothing():
    classes({})
    models({"product_codes": "MKJ"})
    records = AuditLog.objects.exclude(event_type=EventType.IMPORTED).count()

    reports = classes({}), models({"product_codes": "MKJ"})

    assert [report.unchanged for report in reports] == [1, 1]
    assert AuditLog.objects.exclude(event_type=EventType.IMPORTED).count() == records


def test_a_known_identifier_is_updated():
    models({})

    report = models({"model": "70403", "manufacturer": "Other", "mri_safety": "MR Safe"})

    stored = DeviceModel.objects.get()
    assert report.updated == 1
    assert (stored.name, stored.manufacturer.name, stored.mri_safety) == ("70403", "Other", "safe")
    record = AuditLog.objects.about(stored).first()
    assert (record.before["name"], record.after["name"]) == ("70402", "70403")
    assert record.after["manufacturer_id"] == Manufacturer.objects.get(name="Other").pk


def test_an_unknown_product_code_is_a_warning_and_the_row_is_stored():
    report = models({})

    assert (report.created, report.rejected) == (1, 0)
    assert report.warnings[0].text == "Product codes not in the register: MKJ, DQA."
    assert not ProductClass.objects.exists()


def test_classes_that_come_later_are_filled_in_and_the_departments_own_word_stays():
    models({}, {"device_identifier": "2"})
    DeviceModel.objects.filter(device_identifier="2").update(device_class="1")
    classes({})

    report = models({}, {"device_identifier": "2"})

    assert report.updated == 2
    assert DeviceModel.objects.get(device_identifier="00721902439926").device_class == "3"
    own = DeviceModel.objects.get(device_identifier="2")
    assert (own.device_class, own.life_sustaining, own.product_classes.count()) == ("1", False, 1)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"device_identifier": ""}, "device_identifier: missing"),
        ({"manufacturer": "NA"}, "manufacturer: missing"),
        ({"model": "x" * 201}, "at most 200"),
        ({"published": "2014-13-05"}, "not a day of the calendar"),
        ({"mri_safety": "MR Perhaps"}, "mri_safety: “MR Perhaps” is not a known value"),
        ({"product_codes": "MKJ;12"}, "product_codes: “12” is not three letters"),
        ({"brand": "=1+1"}, "brand: formula injection"),
        ({"device_identifier": "00721902439926"}, "“00721902439926” is in row 2 already"),
    ],
)
def test_a_wrong_device_model_is_rejected_with_its_number(cells, message):
    report = models({}, {"device_identifier": "2"} | cells)

    assert [(error.number, message in error.text) for error in report.errors] == [(3, True)]
    assert (report.created, report.rejected) == (1, 1)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"product_code": "mkj"}, "not three capital letters"),
        ({"product_code": "DQA", "device_class": "9"}, "not a known class"),
        ({"product_code": "DQA", "implant": "maybe"}, "implant: “maybe” is not a known value"),
    ],
)
def test_a_wrong_product_class_is_rejected_with_its_number(cells, message):
    report = classes({}, cells)

    assert [(error.number, message in error.text) for error in report.errors] == [(3, True)]


def test_all_or_nothing_and_dry_run_store_nothing():
    with pytest.raises(RowsRejected):
        classes({}, {"product_code": "1"}, all_or_nothing=True)
    assert classes({}, dry_run=True).created == 1
    assert models({}, dry_run=True).created == 1

    assert not ProductClass.objects.exists()
    assert not Manufacturer.objects.exists()
    assert not AuditLog.objects.filter(event_type=EventType.IMPORTED).exists()


def test_other_columns_are_refused():
    with pytest.raises(FileRefused, match=r"neither a list of product classes nor of device models.*Found: “Name”"):
        import_device_models(source=csv_file(["Name"], [{}]))


def test_queries_depend_on_batches_and_not_on_rows(monkeypatch):
    monkeypatch.setattr(limits, "BATCH_ROWS", 20)
    classes({})

    def queries(first, count):
        rows = [
            {"device_identifier": str(number), "manufacturer": f"M{number}"} for number in range(first, first + count)
        ]
        with CaptureQueriesContext(connection) as captured:
            assert models(*rows).created == count
        return len(captured)

    few, many, thrice = queries(0, 5), queries(100, 20), queries(200, 60)

    assert many - few <= 3  # SQLite takes at most 999 values a query
    assert thrice <= 3 * many
