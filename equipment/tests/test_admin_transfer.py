"""Import and export in the admin: preview, confirmation, undo, download."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from audit.models import AuditLog
from equipment import pending_imports
from equipment.models import Equipment, ImportedRow, ImportRun
from equipment.tests import recipes
from equipment.tests.admin_pages import act, address, messages_of

pytestmark = pytest.mark.django_db

PPM_HEADER = (
    "NO,Department,Name,MODEL,SERIAL,MANUFACTURER,LOG_Number,Installation_Date,Warranty_End,"
    "PPM_Q_I_date,PPM_Q_I_engineer,PPM_Q_II_date,PPM_Q_II_engineer,PPM_Q_III_date,PPM_Q_III_engineer,"
    "PPM_Q_IV_date,PPM_Q_IV_engineer\n"
)
PPM_ROW = "1,Cardiology,Infusion pump,P-100,{serial},Acme,LOG-{serial},01/02/2024,01/02/2026,,,,,,,,\n"


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


def upload(client, content, name="ppm.csv"):
    return client.post(
        reverse("admin:equipment_equipment_import"), {"file": SimpleUploadedFile(name, content.encode())}, follow=True
    )


def test_a_register_is_previewed_before_anything_is_stored(editor, client_of):
    recipes.device.make(serial="B2", data_type="ppm", name="Old name")
    content = PPM_HEADER + PPM_ROW.format(serial="A1") + PPM_ROW.format(serial="B2") + PPM_ROW.format(serial="")

    page = upload(client_of(editor), content)

    report = page.context["report"]
    assert (report.created, report.updated, report.rejected) == (1, 1, 1)
    assert [message.number for message in page.context["errors"]] == [4]
    assert report.new_departments == ["Cardiology"]
    assert Equipment.objects.count() == 1
    assert not ImportRun.objects.exists()


def test_a_confirmed_import_is_stored_and_leads_to_its_record(editor, client_of, media):
    client = client_of(editor)
    page = upload(client, PPM_HEADER + PPM_ROW.format(serial="A1"))

    answer = client.post(page.request["PATH_INFO"], {"confirm": "1"}, follow=True)

    run = ImportRun.objects.get()
    assert answer.request["PATH_INFO"] == address(ImportRun, "change", run.pk)
    assert (run.created_count, run.user, run.file_name) == (1, editor, "ppm.csv")
    assert Equipment.objects.get().serial == "A1"
    assert list((media / "imports").iterdir()) == []


def test_all_or_nothing_stores_nothing_and_lets_choose_again(editor, client_of):
    client = client_of(editor)
    page = upload(client, PPM_HEADER + PPM_ROW.format(serial="A1") + PPM_ROW.format(serial=""))
    where = page.request["PATH_INFO"]

    refused = client.post(where, {"confirm": "1", "all_or_nothing": "on"}, follow=True)
    assert "Nothing was imported" in " ".join(messages_of(refused))
    assert not Equipment.objects.exists()

    client.post(where, {"confirm": "1"})
    assert Equipment.objects.count() == 1


@pytest.mark.parametrize(("name", "content"), [("a.csv", "\x00\x01\x02"), ("a.csv", "a,b\n1,2\n"), ("a.csv", "")])
def test_a_file_that_is_no_register_is_refused_and_removed(name, content, editor, client_of, media):
    page = upload(client_of(editor), content, name)

    assert messages_of(page) or page.context["form"].errors
    assert "report" not in page.context
    assert not (media / "imports").exists() or list((media / "imports").iterdir()) == []


def test_an_upload_is_its_owners_alone(editor, administrator, client_of):
    page = upload(client_of(editor), PPM_HEADER + PPM_ROW.format(serial="A1"))
    where = page.request["PATH_INFO"]

    answer = client_of(administrator).post(where, {"confirm": "1"}, follow=True)

    assert "no longer there" in messages_of(answer)[0]
    assert not Equipment.objects.exists()


def test_an_upload_that_was_altered_or_is_too_old_is_not_imported(editor, client_of, media, monkeypatch):
    client = client_of(editor)
    first = upload(client, PPM_HEADER + PPM_ROW.format(serial="A1")).request["PATH_INFO"]
    second = upload(client, PPM_HEADER + PPM_ROW.format(serial="B2")).request["PATH_INFO"]
    stored = media / "imports" / Path(first).name
    stored.write_bytes(stored.read_bytes() + b"x")

    client.post(first, {"confirm": "1"})
    monkeypatch.setattr(pending_imports, "KEPT_SECONDS", -1)
    client.post(second, {"confirm": "1"})

    assert not Equipment.objects.exists()


def test_uploads_nobody_confirmed_go_with_the_next_one(editor, client_of, media, monkeypatch):
    client = client_of(editor)
    upload(client, PPM_HEADER + PPM_ROW.format(serial="A1"))
    monkeypatch.setattr(pending_imports, "KEPT_SECONDS", -1)

    assert pending_imports.remove_expired() == 2
    assert list((media / "imports").iterdir()) == []


def test_uploads_nobody_confirmed_go_with_a_visit_of_the_page(editor, client_of, media, monkeypatch):
    client = client_of(editor)
    upload(client, PPM_HEADER + PPM_ROW.format(serial="A1"))
    monkeypatch.setattr(pending_imports, "KEPT_SECONDS", -1)

    client.get(reverse("admin:equipment_equipment_import"))

    assert list((media / "imports").iterdir()) == []


def test_uploads_are_readable_by_the_site_alone(editor, client_of, media):
    upload(client_of(editor), PPM_HEADER + PPM_ROW.format(serial="A1"))

    for path in (media / "imports").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_name_from_the_address_reaches_no_other_file(editor, client_of, media):
    client = client_of(editor)

    for token in ("..", "%2e%2e%2fsecret_key", "a" * 32, "A" * 32, "x"):
        answer = client.get(f"/admin/equipment/equipment/import/{token}/", follow=True)
        assert answer.status_code in {200, 404}
        assert "report" not in (answer.context or {})


def test_an_import_is_undone_after_asking(editor, client_of):
    client = client_of(editor)
    page = upload(client, PPM_HEADER + PPM_ROW.format(serial="A1"))
    client.post(page.request["PATH_INFO"], {"confirm": "1"})
    run = ImportRun.objects.get()
    where = reverse("admin:equipment_importrun_undo", args=[run.pk])

    asked = client.get(where)
    assert asked.status_code == 200
    assert Equipment.objects.exists()

    answer = client.post(where, follow=True)
    assert "Undone: 1 deleted" in messages_of(answer)[0]
    assert not Equipment.objects.exists()
    assert "undone already" in messages_of(client.post(where, follow=True))[0]


def test_an_undo_that_would_take_work_back_is_refused_with_its_rows(editor, client_of):
    client = client_of(editor)
    page = upload(client, PPM_HEADER + PPM_ROW.format(serial="A1") + PPM_ROW.format(serial="B2"))
    client.post(page.request["PATH_INFO"], {"confirm": "1"})
    recipes.work_order.make(equipment=Equipment.objects.get(serial="A1"))
    where = reverse("admin:equipment_importrun_undo", args=[ImportRun.objects.get().pk])

    refused = client.post(where)
    assert refused.context["kept_count"] == 1
    assert Equipment.objects.count() == 2

    client.post(where, {"skip_changed": "on"})
    assert [device.serial for device in Equipment.objects.all()] == ["A1"]


def test_the_record_of_an_import_lists_its_rows_and_errors(editor, client_of):
    client = client_of(editor)
    page = upload(client, PPM_HEADER + PPM_ROW.format(serial="A1") + PPM_ROW.format(serial=""))
    client.post(page.request["PATH_INFO"], {"confirm": "1"})
    run = ImportRun.objects.get()

    record = client.get(address(ImportRun, "change", run.pk)).content.decode()
    rows = client.get(address(ImportedRow, "changelist"), {"run__id__exact": run.pk})

    assert "Undo this import" in record
    assert ImportedRow.objects.get(action="rejected").errors[0] in record
    assert rows.context["cl"].result_count == 2


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_an_export_holds_the_chosen_or_the_listed(kind, editor, client_of):
    for serial in ("A1", "B2"):
        recipes.device.make(serial=serial, data_type="ppm")
    recipes.device.make(serial="C3", data_type="ocm")
    client = client_of(editor)
    chosen = Equipment.objects.filter(serial="A1")

    selected = act(client, Equipment, "export_selected", chosen, confirmed="1", data_type="ppm", as_=kind)
    listed = client.post(
        reverse("admin:equipment_equipment_export") + "?data_type__exact=ppm", {"data_type": "all", "as_": kind}
    )

    for answer, wanted in ((selected, {"A1"}), (listed, {"A1", "B2"})):
        assert "attachment" in answer["Content-Disposition"]
        body = b"".join(answer.streaming_content)
        if kind == "csv":
            assert {serial for serial in ("A1", "B2", "C3") if serial in body.decode()} == wanted
        else:
            assert body.startswith(b"PK")
    assert AuditLog.objects.filter(event_type="exported", user=editor).count() == 2


@pytest.mark.parametrize("page", ["equipment_equipment_import", "equipment_equipment_export"])
def test_import_and_export_need_their_permissions(page, viewer, client_of):
    viewer.is_staff = True
    viewer.save()
    client = client_of(viewer)

    assert client.get(reverse(f"admin:{page}")).status_code == 403
    assert client.post(reverse(f"admin:{page}")).status_code == 403
    run = recipes.import_run.make()
    assert client.post(reverse("admin:equipment_importrun_undo", args=[run.pk])).status_code == 403
