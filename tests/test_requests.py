"""What is decided about a request before any page sees it (project/requests.py)."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.test import Client

from audit.models import AuditLog
from equipment.exports import export_equipment
from equipment.imports.limits import FILE_BYTES
from equipment.models import Equipment
from project.requests import UPLOAD_PAGES
from tests.people import PASSWORD

ClientOf = Callable[[User], Client]

SIGN_IN = "/accounts/sign-in/"
IMPORT = "/admin/equipment/equipment/import/"
PROXY = "127.0.0.1"
MEGABYTE = 2**20


class Unread:
    """A body that must not be asked for."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def announce(client: Client, address: str, size: object, **more: Any) -> Any:
    """The answer to a form said to have `size` bytes, whose body fails the test when it is read."""
    sent = {"CONTENT_LENGTH": str(size), "wsgi.input": Unread(), "CONTENT_TYPE": "multipart/form-data; boundary=x"}
    return client.generic("POST", address, **{**sent, **more})


def recorded_address(client: Client, **headers: Any) -> str | None:
    """The address the audit notes for a sign-in that fails."""
    client.post(SIGN_IN, {"username": "viewer", "password": "not it"}, REMOTE_ADDR=PROXY, **headers)
    address: str | None = AuditLog.objects.latest("pk").address
    return address


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, unknown", PROXY),
        ("192.0.2.7:1234", PROXY),
        ("fe80::1%eth0", PROXY),
        ("192.0.2.7,", PROXY),
        ("", PROXY),
    ],
)
def test_behind_a_proxy_the_client_is_whom_the_proxy_saw_last(
    db: None, client: Client, settings: Any, forwarded: str, address: str
) -> None:
    settings.BEHIND_TLS_PROXY = True

    assert recorded_address(client, HTTP_X_FORWARDED_FOR=forwarded) == address


def test_without_a_proxy_nobody_chooses_their_own_address(db: None, client: Client) -> None:
    assert recorded_address(client, HTTP_X_FORWARDED_FOR="192.0.2.7") == PROXY


def test_a_stranger_behind_the_same_proxy_locks_nobody_else_out(viewer: User, settings: Any) -> None:
    settings.BEHIND_TLS_PROXY = True
    stranger, owner = (Client(REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=f"192.0.2.{number}") for number in (1, 2))
    failures = [stranger.post(SIGN_IN, {"username": "viewer", "password": "not it"}) for _attempt in range(8)]

    answer = owner.post(SIGN_IN, {"username": "viewer", "password": PASSWORD})

    assert failures[-1].status_code == 429
    assert answer.status_code == 302


@pytest.mark.parametrize("host", ["10.1.2.3", "no_host_at_all!"])
@pytest.mark.parametrize("method", ["get", "head"])
def test_the_sign_of_life_is_answered_under_whatever_host_and_without_tls(
    client: Client, settings: Any, host: str, method: str
) -> None:
    settings.ALLOWED_HOSTS = ["register.example"]
    settings.SECURE_SSL_REDIRECT = True

    answer = getattr(client, method)("/health/", HTTP_HOST=host)

    assert (answer.status_code, answer.content) == (200, b"ok" if method == "get" else b"")
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_the_sign_of_life_takes_nothing(client: Client, method: str) -> None:
    answer = getattr(client, method)("/health/")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("address", [SIGN_IN, IMPORT, "/nowhere/"])
def test_a_stranger_cannot_send_more_than_a_form_holds(db: None, client: Client, settings: Any, address: str) -> None:
    answer = announce(client, address, settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)

    assert answer.status_code == 413
    assert "5 MB" in answer.content.decode()


def test_a_form_of_the_largest_size_is_not_refused_for_its_size(db: None, client: Client, settings: Any) -> None:
    with pytest.raises(AssertionError, match="the body was read"):
        announce(client, SIGN_IN, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def test_a_page_without_files_takes_no_more_from_those_who_work_here(administrator: User, client_of: ClientOf) -> None:
    assert announce(client_of(administrator), "/accounts/preferences/", 6 * MEGABYTE).status_code == 413


def test_a_page_for_files_takes_no_more_from_those_who_may_not_open_it(viewer: User, client_of: ClientOf) -> None:
    assert announce(client_of(viewer), IMPORT, 6 * MEGABYTE).status_code == 413


def test_a_page_for_files_takes_the_largest_register_and_no_more(
    administrator: User, client_of: ClientOf, settings: Any
) -> None:
    client = client_of(administrator)
    limit = FILE_BYTES + settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    with pytest.raises(AssertionError, match="the body was read"):
        announce(client, IMPORT, limit)
    answer = announce(client, IMPORT, limit + 1)

    assert answer.status_code == 413
    assert "55 MB" in answer.content.decode()


def test_a_larger_limit_for_files_counts_for_the_request_too(
    administrator: User, client_of: ClientOf, settings: Any
) -> None:
    settings.UPLOAD_MAX_BYTES = 2 * FILE_BYTES

    with pytest.raises(AssertionError, match="the body was read"):
        announce(client_of(administrator), IMPORT, 2 * FILE_BYTES)


@pytest.mark.parametrize(
    "sent",
    [
        {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": "many"},
    ],
)
def test_a_body_that_does_not_tell_its_length_is_refused(db: None, client: Client, sent: dict[str, str]) -> None:
    assert announce(client, SIGN_IN, 10, **sent).status_code == 411


def test_every_page_of_the_administration_that_takes_files_is_known() -> None:
    expected = {"admin:equipment_equipment_import"}
    for model, model_admin in site._registry.items():
        holders = [model, *(inline.model for inline in model_admin.inlines)]
        if any(isinstance(field, models.FileField) for holder in holders for field in holder._meta.get_fields()):
            label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            expected |= {f"{label}_add", f"{label}_change"}

    assert expected == UPLOAD_PAGES


def test_uploads_wait_in_a_private_folder_of_the_installation(settings: Any) -> None:
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR)

    assert folder.parent == Path(settings.MEDIA_ROOT).parent
    assert folder.stat().st_mode & 0o077 == 0


def test_a_workbook_is_written_in_the_private_folder_too(
    db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    make = tempfile.TemporaryFile

    def noted(**given: Any) -> Any:
        folders.append(given.get("dir"))
        return make(**given)

    monkeypatch.setattr("equipment.exports.tempfile.TemporaryFile", noted)

    b"".join(export_equipment(queryset=Equipment.objects.all(), data_type="all", as_="xlsx").chunks)

    assert folders == [settings.FILE_UPLOAD_TEMP_DIR]


def test_a_large_register_still_arrives(administrator: User, client_of: ClientOf) -> None:
    file = SimpleUploadedFile("ppm.csv", b"x" * (6 * MEGABYTE), "text/csv")

    answer = client_of(administrator).post(IMPORT, {"file": file})

    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(IMPORT)
