"""Composed output for the situations: reads in reads, fragments in fragments, an API, and pages asked as browsers ask.

It is the URLconf of these tests too: the site's own addresses and a few more. What another process is to call stands
at the top; fragments have to be declared there first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from equipment.models import Equipment
from invalidation import cached_page, clock, fragments, lookups
from invalidation.reads import CachedRead
from invalidation.registry import registry
from invalidation.store import store
from invalidation.tags import row, scope, table
from invalidation.testing import MovableClock
from project.urls import urlpatterns as addresses_of_the_site
from tests.actors import Cast, ProcessActor
from tests.staleness.reads import unregistered

TEMPLATES = {
    "staleness/card.html": "<li>{{ name }}</li>",
    "staleness/shelf.html": (
        '{% load invalidation %}<ul>{% for pk in pks %}{% fragment "staleness:card" device=pk %}{% endfor %}</ul>'
    ),
    "staleness/page.html": (
        '{% extends "base.html" %}{% load invalidation %}{% block content %}'
        '{% fragment "staleness:shelf" devices=pks %}{% endblock %}'
    ),
    "staleness/nonce.html": '<script nonce="{{ request.csp_nonce }}"></script><p>{{ names }}</p>',
    "staleness/device.html": "<b>{{ device.name }}</b>",
    "staleness/passing.html": '{% load invalidation %}{% fragment "staleness:card" device=device %}',
}


# Reads


@unregistered("staleness:kept_name", needs=lambda p: [row(Equipment, p["pk"])], local=True)
def kept_name(*, pk: int) -> str:
    """Of which each process keeps a copy."""
    return Equipment.objects.values_list("name", flat=True).get(pk=pk)


@unregistered("staleness:line", needs=lambda p: [row(Equipment, p["pk"])])
def line(*, pk: int) -> str:
    return Equipment.objects.values_list("name", flat=True).get(pk=pk)


@unregistered("staleness:lines", needs=[])
def lines(*, pks: tuple[int, ...]) -> list[str]:
    """Needs nothing of its own: it goes with what it is made of."""
    return [line(pk=pk) for pk in pks]


@unregistered("staleness:kept_lines", needs=[], local=True)
def kept_lines(*, pks: tuple[int, ...]) -> list[str]:
    """A copy of something composed of something composed."""
    return lines(pks=pks)


@unregistered("staleness:keys", needs=[table(Equipment)])
def device_keys() -> list[int]:
    return list(Equipment.objects.order_by("pk").values_list("pk", flat=True))


@unregistered("staleness:in_service", needs=lambda p: [scope(Equipment, data_type=p["data_type"])], scope="data_type")
def in_service(*, data_type: str) -> list[str]:
    found = Equipment.objects.filter(data_type=data_type, status="in_service")
    return sorted(found.order_by().values_list("name", flat=True))


# Fragments


def _card(*, device: int) -> dict[str, Any]:
    return {"name": Equipment.objects.values_list("name", flat=True).get(pk=device)}


def _shelf(*, devices: tuple[int, ...]) -> dict[str, Any]:
    return {"pks": devices}


def declare() -> None:
    """Declare the fragments in this process."""
    was_closed, registry.is_closed = registry.is_closed, False
    of_device = lambda p: [row(Equipment, p["device"])]  # noqa: E731 - as in an app's caches.py
    fragments.fragment("staleness:card", template="staleness/card.html", needs=of_device)(_card)
    fragments.fragment("staleness:shelf", template="staleness/shelf.html")(_shelf)
    registry.is_closed = was_closed


def shelf(*, pks: tuple[int, ...]) -> str:
    """The fragment made of fragments, rendered."""
    return str(fragments.fragment_named("staleness:shelf").render(devices=pks))


# Pages


@cached_page
def shelf_page(request: HttpRequest) -> HttpResponse:
    return render(request, "staleness/page.html", {"pks": device_keys()})


@cached_page
def devices_api(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"devices": [line(pk=pk) for pk in device_keys()]})


@cached_page
def nonce_page(request: HttpRequest) -> HttpResponse:
    return render(request, "staleness/nonce.html", {"names": lines(pks=tuple(device_keys()))})


@cached_page
def cookie_page(request: HttpRequest) -> HttpResponse:
    answer = render(request, "staleness/page.html", {"pks": device_keys()})
    answer.set_cookie("visited", "cookie-of-one-browser")
    return answer


urlpatterns = [
    path("shelf/", shelf_page),
    path("api/devices/", devices_api),
    path("nonce/", nonce_page),
    path("cookie/", cookie_page),
    *addresses_of_the_site,
]


@dataclass(frozen=True)
class Visited:
    """What the site answered; `text` of a 304 is empty."""

    status: int
    text: str
    etag: str
    kept: str
    location: str
    cookies: dict[str, str]


def visit(*, address: str, cookies: dict[str, str], etag: str = "", language: str = "en") -> Visited:
    """Ask the site, here or in another process, as a browser with these cookies."""
    client = Client()
    for name, value in cookies.items():
        client.cookies[name] = value
    headers = {"accept-language": language} | ({"if-none-match": etag} if etag else {})
    answer = client.get(address, headers=headers)
    return Visited(
        status=answer.status_code,
        text=answer.content.decode(),
        etag=answer.headers.get("ETag", ""),
        kept=answer.headers.get("Cache-Control", ""),
        location=answer.headers.get("Location", ""),
        cookies={name: each.value for name, each in answer.cookies.items()},
    )


class Browser:
    """Keeps a copy of each page that has an ETag, asks whether it holds, and shows what it has then."""

    def __init__(self, client: Client, ask: Callable[..., Visited] = visit) -> None:
        self.cookies = {name: each.value for name, each in client.cookies.items()}
        self.copies: dict[str, Visited] = {}
        self.ask = ask

    def get(self, address: str, **more: Any) -> Visited:
        """The page as it is shown; its status is 304 if the copy was."""
        copy = self.copies.get(address)
        answer = self.ask(address=address, cookies=self.cookies, etag=copy.etag if copy else "", **more)
        self.cookies |= answer.cookies
        if answer.status == 304:
            assert copy is not None
            return replace(copy, status=304)
        self.copies.pop(address, None)
        if answer.etag:
            self.copies[address] = answer
        return answer

    def keep(self, address: str) -> Visited:
        """Visit until the copy is what is shown: the first answer may set a cookie that the page depends on."""
        self.get(address)
        self.get(address)
        shown = self.get(address)
        assert shown.status == 304, f"{address} is not answered from the browser's copy: {shown}"
        return shown


# What is looked at


def has_copy(*, name: str, **params: Any) -> bool:
    """Whether this process has a copy of the read that it would use now."""
    return lookups.copy_that_holds(READS[name].question(**params)) is not None


def statements_of(*, name: str, **params: Any) -> int:
    """How many statements the read sends to the database here: none for a hit."""
    with CaptureQueriesContext(connection) as queries:
        READS[name](**params)
    return len(queries)


def is_stored(read: CachedRead[Any], **params: Any) -> bool:
    """Whether Redis has an entry under the key, whether or not it holds."""
    return bool(store().command("EXISTS", read.key(**params)).value)


READS: dict[str, CachedRead[Any]] = {each.operation: each for each in (kept_name, line, lines, kept_lines)}


# What is changed


def rename(*, pk: int, name: str) -> None:
    Equipment.objects.filter(pk=pk).update(name=name)


def rename_by_saving(*, pk: int, name: str) -> None:
    found = Equipment.objects.get(pk=pk)
    found.name = name
    found.save()


def rename_in_bulk(*, pk: int, name: str) -> None:
    found = Equipment.objects.get(pk=pk)
    found.name = name
    Equipment.objects.bulk_update([found], ["name"])


def rename_by_cursor(*, pk: int, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE equipment_equipment SET name = %s WHERE id = %s", [name, pk])


def stop_clock_at(*, instant: datetime) -> None:
    """The engine's clock in this process stands at the instant."""
    clock.set_source(MovableClock(instant))


def with_templates(before: list[dict[str, Any]], templates: dict[str, str]) -> list[dict[str, Any]]:
    """The setting TEMPLATES with these in front of the site's own."""
    site = before[0]
    loaders = [
        ("django.template.loaders.locmem.Loader", templates),
        "django.template.loaders.filesystem.Loader",
        "django.template.loaders.app_directories.Loader",
    ]
    return [{**site, "APP_DIRS": False, "OPTIONS": {**site["OPTIONS"], "loaders": loaders}}]


def processes(actors: Cast) -> Callable[..., ProcessActor]:
    """Makes a process with these pages and fragments, for a fixture: `process("reader")`."""

    def make(name: str, **overrides: Any) -> ProcessActor:
        actor = actors.process(name, **overrides)
        actor.call(declare)
        return actor

    return make


def declared(monkeypatch: Any, test_settings: Any) -> Iterator[None]:
    """The site with these pages and fragments, for a fixture: `yield from declared(monkeypatch, settings)`."""
    monkeypatch.setattr(registry, "_reads", dict(registry._reads))
    monkeypatch.setattr(fragments, "_fragments", dict(fragments._fragments))
    test_settings.ROOT_URLCONF = __name__
    test_settings.TEMPLATES = with_templates(settings.TEMPLATES, TEMPLATES)
    # A digest of the files would differ from process to process while somebody edits them.
    test_settings.INVALIDATION_RELEASE = "1"
    declare()
    yield
