"""The commands that import, undo and export: what they print, how they end, who they act as."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import AuditLog, EventType
from equipment.imports.columns import PPM_COLUMNS
from equipment.models import Equipment, ImportRun
from equipment.tests.files import PPM_ROW, many_devices, ppm_file, xlsx_file

pytestmark = pytest.mark.django_db


@pytest.fixture
def register(tmp_path):
    """Writes a register file and returns its path."""

    def write(file, name="register.csv"):
        path = tmp_path / name
        path.write_bytes(file.getvalue())
        return path

    return write


def run(*arguments, **options):
    """What a command wrote to its output and its error stream, and the error it ended with."""
    out, err, failure = io.StringIO(), io.StringIO(), None
    try:
        call_command(*arguments, stdout=out, stderr=err, no_color=True, **options)
    except CommandError as error:
        failure = error
    return out.getvalue(), err.getvalue(), failure


@pytest.mark.parametrize("make", [lambda: ppm_file({}), lambda: xlsx_file(PPM_COLUMNS, [PPM_ROW])])
def test_a_register_is_imported_with_its_counts_at_the_end(register, make):
    out, err, failure = run("import_equipment", register(make()))

    assert failure is None
    assert err == ""
    assert "New departments: 1 (Cardiology)" in out
    assert "1 created, 0 updated, 0 unchanged, 0 rejected" in out
    assert f"manage.py undo_import {ImportRun.objects.get().pk}" in out


def test_rejected_rows_are_listed_and_end_with_status_3(register):
    out, err, failure = run("import_equipment", register(ppm_file({}, {"SERIAL": ""})))

    assert "row 3: Serial: missing." in err
    assert "1 created, 0 updated, 0 unchanged, 1 rejected" in out
    assert (failure.returncode, Equipment.objects.count()) == (3, 1)


def test_all_or_nothing_ends_with_status_1_and_stores_nothing(register):
    _out, err, failure = run("import_equipment", register(ppm_file({}, {"SERIAL": ""})), "--all-or-nothing")

    assert "row 3: Serial: missing." in err
    assert failure.returncode == 1
    assert "Nothing was imported" in str(failure)
    assert not Equipment.objects.exists()


def test_a_dry_run_tells_and_writes_nothing(register):
    out, _err, failure = run("import_equipment", register(ppm_file({})), "--dry-run")

    assert failure is None
    assert "Dry run, nothing was written: 1 created" in out
    assert not Equipment.objects.exists()
    assert not AuditLog.objects.filter(event_type=EventType.IMPORTED).exists()


@pytest.mark.parametrize(("rows", "status"), [([{}], None), ([{}, {"SERIAL": ""}], 1)])
def test_a_dry_run_of_all_or_nothing_ends_as_the_import_would(register, rows, status):
    _out, _err, failure = run("import_equipment", register(ppm_file(*rows)), "--dry-run", "--all-or-nothing")

    assert (failure.returncode if failure else None) == status


@pytest.mark.parametrize("command", ["import_equipment", "import_device_models"])
def test_a_wrong_file_ends_with_one_line_and_status_1(tmp_path, command):
    path = tmp_path / "wrong.csv"
    path.write_bytes(b"\x00\x01\x02")

    out, err, failure = run(command, path)

    assert (out, err, failure.returncode) == ("", "", 1)
    assert "neither CSV nor XLSX" in str(failure)


def test_columns_that_are_not_imported_are_named(register):
    from equipment.tests.files import csv_file

    out, _err, _failure = run("import_equipment", register(csv_file([*PPM_COLUMNS, "Colour"], [PPM_ROW])))

    assert "Column not imported: Colour" in out


def test_the_actor_is_the_command_or_the_user_named(register, editor):
    run("import_equipment", register(ppm_file({})))
    run("import_equipment", register(ppm_file({"Name": "Monitor"})), "--user", editor.username)

    actors = AuditLog.objects.filter(event_type=EventType.IMPORTED).order_by("pk").values_list("actor", "user")
    assert list(actors) == [("command import_equipment", None), (editor.username, editor.pk)]


def test_an_unknown_or_inactive_user_is_refused_before_anything_is_read(register, editor):
    editor.is_active = False
    editor.save()

    for name in ("nobody", editor.username):
        _out, _err, failure = run("import_equipment", register(ppm_file({})), "--user", name)
        assert "no active user" in str(failure)
    assert not Equipment.objects.exists()


def test_imports_are_listed_and_undone_by_number(register):
    run("import_equipment", register(ppm_file({})))
    number = ImportRun.objects.get().pk

    listed, _err, _failure = run("undo_import")
    out, _err, failure = run("undo_import", number)
    listed_after, _err, _failure = run("undo_import")

    assert listed.startswith(f"{number}  {timezone.now():%Y-%m-%d}")
    assert "register.csv (ppm): 1 created" in listed
    assert failure is None
    assert "1 deleted, 0 restored, 0 left as they are" in out
    assert ", undone " in listed_after


def test_what_hinders_an_undo_is_listed_and_can_be_skipped(register):
    run("import_equipment", register(ppm_file(*many_devices(2))))
    Equipment.objects.filter(serial="S/000000").update(name="Changed")
    number = ImportRun.objects.get().pk

    _out, err, failure = run("undo_import", number)
    out, err_skipping, _failure = run("undo_import", number, "--skip-changed")

    assert failure.returncode == 1
    assert "row 2: Changed since: name." in err
    assert "row 2: Changed since: name." in err_skipping
    assert "1 deleted, 0 restored, 1 left as they are" in out


def test_an_unknown_import_is_an_error():
    _out, _err, failure = run("undo_import", 99)

    assert "no import 99" in str(failure)


@pytest.mark.parametrize("as_", ["csv", "xlsx"])
def test_an_exported_file_is_imported_without_a_change(register, tmp_path, as_):
    run("import_equipment", register(ppm_file(*many_devices(3))))
    path = tmp_path / f"out.{as_}"

    _out, err, _failure = run("export_equipment", "--type", "ppm", "--as", as_, "-o", path)
    out, _err, _failure = run("import_equipment", path)

    assert f"3 rows in {path}" in err
    assert "0 created, 0 updated, 3 unchanged, 0 rejected" in out


def test_an_export_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    _out, _err, failure = run("export_equipment", "-o", tmp_path / "missing" / "out.csv")

    assert "cannot be written" in str(failure)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_breaks_leaves_the_old_file(tmp_path, monkeypatch, register):
    run("import_equipment", register(ppm_file({})))
    path = tmp_path / "out.csv"
    path.write_text("old")
    monkeypatch.setattr("equipment.exports._ppm_cells", lambda device, today: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        call_command("export_equipment", type="ppm", output=path)

    assert path.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.csv", "register.csv"]


def test_an_export_goes_to_standard_output(capfdbinary, register):
    run("import_equipment", register(ppm_file({})))

    run("export_equipment", "--type", "ppm")

    assert capfdbinary.readouterr().out.startswith(b"\xef\xbb\xbfNO,Department")
