"""The list, the page of one device, and its files."""

import io
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client
from PIL import Image

from equipment.models import (
    DeviceModel,
    Document,
    Equipment,
    EquipmentPhoto,
    Manufacturer,
    ScheduledMaintenance,
    TrainingRecord,
    WorkOrder,
)
from equipment.tables import SORTS
from invalidation import clock
from locations.models import Location, LocationLimit

ClientOf = Callable[[User], Client]
Prefer = Callable[..., object]


@pytest.fixture
def north(db: None) -> Location:
    return Location.objects.create(name="North", kind="site")


@pytest.fixture
def south(db: None) -> Location:
    return Location.objects.create(name="South", kind="site")


def department(site: Location, name: str) -> Location:
    return Location.objects.create(name=name, kind="department", parent=site)


def device(serial: str, **fields: Any) -> Equipment:
    return Equipment.objects.create(serial=serial, **({"name": "Infusion pump"} | fields))


def numbers(html: str) -> list[int]:
    """The NO column as shown."""
    return [int(number) for number in re.findall(r'data-label="NO">(\d+)<', html)]


def serials(html: str) -> list[str]:
    """The serial numbers as shown."""
    return re.findall(r'data-label="Serial number">([^<]*)<', html)


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


# The list


def test_numbers_count_positions_and_go_on_over_the_pages(viewer: User, client_of: ClientOf, prefer: Prefer) -> None:
    prefer(viewer, page_size=10)
    for number in range(23):
        device(f"S{number:02}")
    Equipment.objects.filter(serial__in=["S00", "S11"]).delete()

    pages = [shown(client_of(viewer), f"/equipment/?page={page}") for page in (1, 2, 3)]

    assert [numbers(page) for page in pages] == [list(range(1, 11)), list(range(11, 21)), [21]]


@pytest.mark.parametrize(("address", "expected"), [("/equipment/ppm/", ["P"]), ("/equipment/ocm/", ["O"])])
def test_the_list_of_a_programme_holds_only_its_own(
    viewer: User, client_of: ClientOf, address: str, expected: list[str]
) -> None:
    for serial, data_type in (("P", "ppm"), ("O", "ocm"), ("N", "none")):
        device(serial, data_type=data_type)

    html = shown(client_of(viewer), address)

    assert (serials(html), numbers(html)) == (expected, [1])


def test_filters_narrow_by_each_of_their_fields(viewer: User, client_of: ClientOf, north: Location) -> None:
    surgery = department(north, "Surgery")
    device("A", department=surgery, data_type="ppm", status="missing", asset_tag="LOG-7")
    device("B", department=surgery, data_type="ocm")
    device("C", data_type="ppm")
    client = client_of(viewer)

    narrowed = {
        query: serials(shown(client, f"/equipment/?{query}"))
        for query in ("q=log-7", f"department={surgery.pk}", "type=ppm", "status=missing", "q=surgery+pump&type=ocm")
    }

    assert list(narrowed.values()) == [["A"], ["A", "B"], ["A", "C"], ["A"], ["B"]]


@pytest.mark.parametrize("key", SORTS)
def test_every_order_lists_every_row_once_over_the_pages(
    viewer: User, client_of: ClientOf, prefer: Prefer, key: str
) -> None:
    prefer(viewer, page_size=10)
    model = DeviceModel.objects.create(manufacturer=Manufacturer.objects.create(name="Borealis"), name="B1")
    for number in range(15):
        device(f"S{number:02}", device_model=model if number % 2 else None)
    client = client_of(viewer)

    listed = [
        *serials(shown(client, f"/equipment/?sort={key}")),
        *serials(shown(client, f"/equipment/?sort={key}&page=2")),
    ]

    assert sorted(listed) == [f"S{number:02}" for number in range(15)]


def test_rows_that_are_equal_in_an_order_are_told_apart_in_both_directions(viewer: User, client_of: ClientOf) -> None:
    for number in range(5):
        device(f"S{number}")
    client = client_of(viewer)

    up, down = (serials(shown(client, f"/equipment/?sort={key}")) for key in ("location", "-location"))

    assert down == list(reversed(up))


def test_orders_sort_and_rows_without_the_value_come_last(viewer: User, client_of: ClientOf) -> None:
    for serial, maker in (("1", "Beta"), ("2", None), ("3", "Alpha")):
        model = (
            DeviceModel.objects.create(manufacturer=Manufacturer.objects.create(name=maker), name="X")
            if maker
            else None
        )
        device(serial, device_model=model)
    client = client_of(viewer)

    orders = {
        key: serials(shown(client, f"/equipment/?sort={key}")) for key in ("manufacturer", "-manufacturer", "-serial")
    }

    assert orders == {"manufacturer": ["3", "1", "2"], "-manufacturer": ["1", "3", "2"], "-serial": ["3", "2", "1"]}


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "type=xyz",
        "department=999999",
        "department=abc",
        f"department={10**30}",
        "sort=pk",
        "q=%00",
        f"q={'x' * 201}",
    ],
)
def test_a_filter_that_cannot_be_read_is_told_and_lists_nothing(viewer: User, client_of: ClientOf, query: str) -> None:
    device("S")

    answer = client_of(viewer).get(f"/equipment/?{query}")

    assert answer.status_code == 400
    assert "This filter could not be read" in answer.content.decode()
    assert serials(answer.content.decode()) == []


def test_a_page_beyond_the_end_is_the_last_one(viewer: User, client_of: ClientOf, prefer: Prefer) -> None:
    prefer(viewer, page_size=10)
    for number in range(11):
        device(f"S{number:02}")

    html = shown(client_of(viewer), "/equipment/?page=99")

    assert numbers(html) == [11]


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", ""])
def test_what_is_no_page_number_has_no_page(viewer: User, client_of: ClientOf, page: str) -> None:
    answer = client_of(viewer).get(f"/equipment/?page={page}")

    assert answer.status_code == 404
    assert "This page does not exist" in answer.content.decode()


def test_text_of_the_register_is_shown_as_text(viewer: User, client_of: ClientOf) -> None:
    device('<script>alert("s")</script>', name="<img src=x onerror=alert(1)>")

    html = shown(client_of(viewer), "/equipment/?q=<script>")

    assert "<img src=x" not in html
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_the_list_asks_as_many_queries_for_many_rows_as_for_one(
    viewer: User, client_of: ClientOf, north: Location, django_assert_num_queries: Any
) -> None:
    def add(serial: str) -> None:
        maker = Manufacturer.objects.create(name=f"Maker {serial}")
        place = department(north, f"Ward {serial}")
        model = DeviceModel.objects.create(manufacturer=maker, name="M")
        device(serial, device_model=model, department=place, location=place)

    client = client_of(viewer)
    for number in range(30):
        add(str(number))

    # Nothing is stored in a transaction that wrote: session, user, preferences; permissions of user and groups; limits;
    # departments; count, keys of the page, rows
    with django_assert_num_queries(10):
        html = shown(client, "/equipment/?q=M")

    assert len(numbers(html)) == 30


def test_what_lies_outside_ones_limits_is_neither_listed_nor_named(
    viewer: User, client_of: ClientOf, north: Location, south: Location
) -> None:
    hidden = department(south, "Oncology South")
    LocationLimit.objects.create(user=viewer, location=north)
    device("IN", location=department(north, "Surgery"), department=hidden)
    device("OUT", location=hidden, department=hidden)
    device("NOWHERE")

    html = shown(client_of(viewer), "/equipment/")

    assert serials(html) == ["IN"]
    assert "Oncology South" not in html
    assert "Elsewhere" in html


# The page of one device


def test_a_device_outside_ones_limits_does_not_exist(
    viewer: User, client_of: ClientOf, north: Location, south: Location
) -> None:
    LocationLimit.objects.create(user=viewer, location=north)
    inside, outside = device("IN", location=north), device("OUT", location=south)
    client = client_of(viewer)

    answers = [client.get(row.get_absolute_url()).status_code for row in (inside, outside)]

    assert answers == [200, 404]


@pytest.mark.parametrize("key", [0, 10**30])
def test_a_device_that_never_was_has_no_page(viewer: User, client_of: ClientOf, key: int) -> None:
    assert client_of(viewer).get(f"/equipment/{key}/").status_code == 404


def test_the_page_shows_maintenance_as_it_stands_on_the_local_date(
    viewer: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    pump = device("S")
    ScheduledMaintenance.objects.create(equipment=pump, scheduled_date=date(2026, 3, 1))
    settings.TIME_ZONE = "Pacific/Auckland"
    midnight = datetime(2026, 3, 2, tzinfo=ZoneInfo("Pacific/Auckland"))
    client = client_of(viewer)

    states = []
    for now in (midnight - timedelta(seconds=1), midnight):
        monkeypatch.setattr(clock, "_source", lambda now=now: now)
        states.append("Overdue" in shown(client, pump.get_absolute_url()))

    assert states == [False, True]


def test_the_page_tells_everything_about_the_device(viewer: User, client_of: ClientOf, north: Location) -> None:
    model = DeviceModel.objects.create(
        manufacturer=Manufacturer.objects.create(name="Borealis"), name="B1", end_of_support_on=date(2020, 1, 1)
    )
    pump = device("S-1", device_model=model, location=north, warranty_until=date(2020, 1, 1), notes="Keep dry.")
    WorkOrder.objects.create(equipment=pump, problem="Battery does not last")
    TrainingRecord.objects.create(person=viewer, device_model=model, trained_on=date(2020, 1, 1))
    Document.objects.create(device_model=model, title="Manual", file=ContentFile(b"x", "m.txt"))

    html = shown(client_of(viewer), pump.get_absolute_url())

    for part in ("S-1", "Borealis", "North", "Keep dry.", "Battery does not last", "not supported", "Manual", "Valid"):
        assert part in html


def test_the_page_asks_as_many_queries_whatever_the_device_has(
    viewer: User, client_of: ClientOf, north: Location, django_assert_num_queries: Any
) -> None:
    maker = Manufacturer.objects.create(name="Borealis")
    pump = device("S", device_model=DeviceModel.objects.create(manufacturer=maker, name="B1"), location=north)
    for number in range(12):
        WorkOrder.objects.create(equipment=pump, assigned_to=viewer)
        ScheduledMaintenance.objects.create(equipment=pump, scheduled_date=date(2026, 1, 1) + timedelta(days=number))
        pump.location = department(north, f"Ward {number}")
        pump.save()
    client = client_of(viewer)

    # As above but for the list: device; contracts; dates coming and done, plans; orders and their count; placements,
    # photos, documents, training
    with django_assert_num_queries(17):
        shown(client, pump.get_absolute_url())


# Files


@pytest.fixture
def picture(north: Location) -> EquipmentPhoto:
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "PNG")
    pump = device("S", location=north)
    return EquipmentPhoto.objects.create(
        equipment=pump, caption='Front "view"\n', file=ContentFile(content.getvalue(), "../../evil.png")
    )


def read(answer: Any) -> bytes:
    """The whole of a streamed answer; reading to the end is what closes the file."""
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def of_file(title: str, name: str, content: bytes, owner: Equipment) -> Document:
    return Document.objects.create(equipment=owner, title=title, file=ContentFile(content, name))


def test_a_photo_is_shown_but_never_trusted(viewer: User, client_of: ClientOf, picture: EquipmentPhoto) -> None:
    answer = client_of(viewer).get(f"/files/photos/{picture.pk}/")

    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"].startswith("inline;")
    assert "\n" not in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].endswith("sandbox")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert read(answer).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("a.pdf", "inline"),
        ("a.txt", "attachment"),
        ("a.docx", "attachment"),
        ("a.html", "attachment"),
        ("a", "attachment"),
    ],
)
def test_only_pictures_and_pdf_are_shown_in_the_browser(
    viewer: User, client_of: ClientOf, north: Location, name: str, way: str
) -> None:
    row = of_file("Manual", name, b"<script>", device("S", location=north))

    answer = client_of(viewer).get(f"/files/documents/{row.pk}/")

    assert read(answer) == b"<script>"
    assert answer.headers["Content-Disposition"].split(";")[0] == way
    assert answer.headers["Content-Type"] in {"application/pdf", "application/octet-stream"}


def test_files_of_a_device_outside_ones_limits_do_not_exist(
    viewer: User, client_of: ClientOf, picture: EquipmentPhoto, south: Location
) -> None:
    LocationLimit.objects.create(user=viewer, location=south)
    paper = of_file("Manual", "a.pdf", b"%PDF-", picture.equipment)
    client = client_of(viewer)

    answers = [
        client.get(f"/files/{kind}/{row.pk}/").status_code for kind, row in (("photos", picture), ("documents", paper))
    ]

    assert answers == [404, 404]


def test_a_file_that_is_gone_from_the_disk_is_not_found(
    viewer: User, client_of: ClientOf, picture: EquipmentPhoto
) -> None:
    Path(picture.file.path).unlink()

    answer = client_of(viewer).get(f"/files/photos/{picture.pk}/")

    assert answer.status_code == 404


def test_a_kept_copy_is_shown_again_only_after_asking(
    viewer: User, client_of: ClientOf, picture: EquipmentPhoto, south: Location
) -> None:
    client = client_of(viewer)
    address = f"/files/photos/{picture.pk}/"
    first = client.get(address)
    read(first)
    kept = {"If-None-Match": first.headers["ETag"]}

    allowed = client.get(address, headers=kept)
    LocationLimit.objects.create(user=viewer, location=south)
    forbidden = client.get(address, headers=kept)

    assert (allowed.status_code, forbidden.status_code) == (304, 404)
    assert allowed.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


# Who may see them


PAGES = [
    "/equipment/",
    "/equipment/ppm/",
    "/equipment/ocm/",
    "/equipment/1/",
    "/files/photos/1/",
    "/files/documents/1/",
]


@pytest.mark.parametrize("address", PAGES)
def test_who_is_not_signed_in_is_sent_to_the_sign_in_page(db: None, client: Client, address: str) -> None:
    answer = client.get(address)

    assert (answer.status_code, answer.headers["Location"]) == (302, f"/accounts/sign-in/?next={address}")


@pytest.mark.parametrize("address", PAGES)
def test_who_is_in_no_group_is_told_so(db: None, client_of: ClientOf, address: str) -> None:
    answer = client_of(User.objects.create_user("nobody")).get(address)

    assert answer.status_code == 403
    assert "An administrator can add you to a group" in answer.content.decode()


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_only_for_reading(viewer: User, client_of: ClientOf, address: str) -> None:
    assert client_of(viewer).post(address).status_code == 405
