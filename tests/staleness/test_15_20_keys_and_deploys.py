"""19 and 20: no two questions share an entry, and no two releases of the code misread each other's."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import product
from typing import Any

import msgspec
import pytest

from equipment.caches import equipment_count, equipment_rows
from equipment.models import Equipment, Manufacturer
from equipment.tests.recipes import device, manufacturer
from invalidation import entries, fragments
from invalidation.reads import CachedRead
from invalidation.store import store
from invalidation.tags import row, table
from invalidation.testing import assert_hits, assert_no_queries
from locations.caches import location_list
from locations.models import Location
from tests.staleness import reads3
from tests.staleness.reads import unregistered
from tests.staleness.reads3 import Browser

pytestmark = pytest.mark.django_db(transaction=True)

Plain = int | str | bool | None
EVERYTHING: dict[str, Any] = {"data_type": None, "status": None, "department": None, "text": "", "limits": None}
PAGE: dict[str, Any] = EVERYTHING | {"sort": "name", "page": 1, "page_size": 50}


@pytest.fixture(autouse=True)
def site(monkeypatch, settings):
    yield from reads3.declared(monkeypatch, settings)


# 19 Key collisions


@unregistered("staleness:pair", needs=[])
def pair(*, left: str, right: str) -> list[str]:
    return [left, right]


@unregistered("staleness:scoped_pair", needs=[], scope="left")
def scoped_pair(*, left: str, right: str) -> list[str]:
    return [left, right]


@unregistered("staleness:echo", needs=[])
def echo(*, value: Plain) -> str:
    return repr(value)


@unregistered("staleness:scoped_echo", needs=[], scope="value")
def scoped_echo(*, value: Plain) -> str:
    return repr(value)


@unregistered("staleness:chosen", needs=[])
def chosen(*, filters: dict[str, Plain | tuple[int, ...]], ids: tuple[int, ...] = ()) -> str:
    return repr((sorted(filters.items()), ids))


SPLITS = [
    ("a:", "b"), ("a", ":b"), ("a:b", ""), ("", "a:b"), ("a'", "'b"), ("a", "b"),
    ("a&right=b", ""), ("a", "b&right="), ("a:right=b", "c"), ("a", "b:right=c"), ("a|lease", "b"),
    ("a", "b|lease"), ("a%3A", "b"), ("a#", "b"), ("A", "b"), ("a ", "b"), ("ä", "b"), ("a\u0308", "b"), ("a\n", "b"),
    ("a\0", "b"), ("x" * 300 + "1", "b"), ("x" * 300 + "2", "b"), ("x" * 299, "1b"), ("x" * 299 + "1", "b"),
]  # fmt: skip
ALIKE: list[Plain] = [1, "1", True, "True", "true", 0, "0", False, "", None, "None", "null", "'None'", "all", "1.0"]


@pytest.mark.parametrize("read", [pair, scoped_pair], ids=lambda read: read.operation)
def test_19_key_collisions_texts_that_are_joined_alike_are_kept_apart(cache_in_use, read):
    """
    Given an entry for every way of cutting texts with separators in them,
    when each is asked for again,
    then each is a hit of its own, and no entry is a bookkeeping key of another.
    """
    asked = [{"left": left, "right": right} for left, right in SPLITS]
    for params in asked:
        read(**params)

    with assert_no_queries():
        found = [read(**params) for params in asked]

    assert found == [list(params.values()) for params in asked]
    assert len({read.key(**params) for params in asked}) == len(SPLITS)
    assert all(reads3.is_stored(read, **params) for params in asked)


@pytest.mark.parametrize("read", [echo, scoped_echo], ids=lambda read: read.operation)
def test_19_key_collisions_values_of_other_types_are_kept_apart(cache_in_use, read):
    for value in ALIKE:
        read(value=value)

    assert [read(value=value) for value in ALIKE] == [repr(value) for value in ALIKE]
    assert len({read.key(value=value) for value in ALIKE}) == len(ALIKE)


def test_19_key_collisions_filters_in_another_order_are_one_entry(cache_in_use):
    """The order in which filters and keyword arguments were given is no part of the question; that of a list is."""
    first = chosen.key(filters={"a": 1, "b": (1, 2)}, ids=(1, 2))

    assert chosen.key(ids=(1, 2), filters={"b": (1, 2), "a": 1}) == first
    assert chosen.key(filters={"a": 1, "b": (2, 1)}, ids=(1, 2)) != first
    assert chosen.key(filters={"a": 1, "b": (1, 2)}, ids=(12,)) != first
    assert chosen.key(filters={"b": 1, "a": (1, 2)}, ids=(1, 2)) != first
    assert chosen.key(filters={"a": 1}) == chosen.key(filters={"a": 1}, ids=())


def test_19_key_collisions_of_the_sites_own_reads_never_mix_answers(cache_in_use):
    """
    Given places and devices whose names are as awkward as the filters,
    when the site's reads are asked with every pair of such filters, twice,
    then each answer is the database's for just these filters.
    """
    top = Location.objects.create(name="None", kind="site")
    wards = [Location.objects.create(name=name, kind="department", parent=top) for name in ("1", "a:b")]
    for name, ward in product(("None", "1", "a:", ":b", "a", "&text='a'"), wards):
        device.make(name=name, location=ward, department=ward)
    kinds = [None, "None", "null", "", "site", "department"]
    limits = [None, (), (top.pk,), (wards[0].pk,), (wards[0].pk, wards[1].pk), (int(f"{wards[0].pk}{wards[1].pk}"),)]
    texts = ["", "None", "1", "a:", ":b", "a", "&text='a'", "null"]
    types = [None, "None", "ppm", "ocm", "ppm'&text='a"]
    questions = [(location_list, {"kind": kind, "limits": each}) for kind, each in product(kinds, limits)]
    questions += [
        (equipment_count, EVERYTHING | {"text": text, "data_type": data_type, "limits": each})
        for text, data_type, each in product(texts, types, limits[:4])
    ]
    questions += [
        (equipment_rows, PAGE | {"text": text, "department": ward, "page_size": size})
        for text, ward, size in product(texts, (None, wards[0].pk, wards[1].pk), (1, 11))
    ]
    for read, params in questions:
        read(**params)

    wrong = [(read.name, params) for read, params in questions if read(**params) != read.bypass(**params)]

    assert wrong == []
    assert len({read.key(**params) for read, params in questions}) == len(questions)


def test_19_key_collisions_of_fragments_never_mix_answers(cache_in_use):
    """A fragment takes what a template hands it: a number and the same number as a text are two questions."""
    keys = [fragments.fragment_named("staleness:shelf").read.key(devices=each) for each in ((1, 2), (12,), (2, 1), ())]

    assert len(set(keys)) == 4


def test_19_key_collisions_of_addresses_never_confirm_a_copy(viewer, client_of, cache_in_use):
    device.make(name="a&q=b")
    browser = Browser(client_of(viewer))
    addresses = ["/equipment/?q=a", "/equipment/?q=a%26q%3Db", "/equipment/?q=a&q=b", "/equipment/?q=A", "/equipment/"]
    etags = {address: browser.keep(address).etag for address in addresses}

    confirmed = [
        (asked, copy)
        for asked, copy in product(addresses, addresses)
        if reads3.visit(address=asked, cookies=browser.cookies, etag=etags[copy]).status == 304
    ]

    assert confirmed == [(address, address) for address in addresses]


# 20 Deploy: two releases beside each other


@dataclass(frozen=True)
class OldDevice:
    name: str
    serial: str


@dataclass(frozen=True)
class NewDevice:
    name: str
    serial: str
    risk: str


@dataclass(frozen=True)
class RenamedDevice:
    serial: str
    name: str
    kind: str


def _fields(pk, *names):
    return Equipment.objects.values_list(*names).get(pk=pk)


def _old(*, pk: int) -> OldDevice:
    return OldDevice(*_fields(pk, "name", "serial"))


def _new(*, pk: int) -> NewDevice:
    return NewDevice(*_fields(pk, "name", "serial", "risk_class"))


def _renamed(*, pk: int) -> RenamedDevice:
    return RenamedDevice(*_fields(pk, "serial", "name", "data_type"))


def _as_text(*, pk: int) -> str:
    return str(_fields(pk, "name")[0])


def _as_louder_text(*, pk: int) -> str:
    return str(_fields(pk, "name")[0]).upper()


def _as_list(*, pk: int) -> list[str]:
    return list(_fields(pk, "name", "serial"))


def _as_tuple(*, pk: int) -> tuple[str, str]:
    name, serial = _fields(pk, "serial", "name")
    return name, serial


def _as_number(*, pk: int) -> int:
    return len(_fields(pk, "name")[0])


def _as_perhaps_number(*, pk: int) -> int | None:
    return None


def _as_date(*, pk: int) -> date:
    return date(2024, 1, len(_fields(pk, "name")[0]))


def of_release(function: Any, version: int = 1) -> CachedRead[Any]:
    """What a release calls staleness:device."""
    return CachedRead(function, "staleness:device", needs=lambda p: [row(Equipment, p["pk"])], version=version)


RELEASES: dict[str, CachedRead[Any]] = {
    "old": of_release(_old),
    "new": of_release(_new),
    "renamed": of_release(_renamed),
    "text": of_release(_as_text),
    "text, another version": of_release(_as_louder_text, version=2),
    "list": of_release(_as_list),
    "tuple": of_release(_as_tuple),
    "number": of_release(_as_number),
    "date": of_release(_as_date),
}
# What was written by one of a pair could be taken for the other's by who looks at the bytes alone.
PAIRS = [
    ("old", "new"), ("new", "renamed"), ("text", "text, another version"), ("list", "tuple"), ("old", "list"),
    ("number", "text"), ("text", "date"),
]  # fmt: skip


def read_of_release(*, release: str, pk: int) -> Any:
    return RELEASES[release](pk=pk)


@pytest.mark.parametrize("turned", [False, True], ids=["forwards", "back"])
@pytest.mark.parametrize("releases", PAIRS, ids=" and ".join)
def test_20_deploy_two_releases_read_their_own_shape_from_one_cache(actors, releases, turned):
    """
    Given processes of two releases that mean different things by one read,
    when they read in turns, and one of them writes,
    then each has a value of its own, as the database has it, whoever has filled last.
    """
    names = releases[::-1] if turned else releases
    people = [(actors.process(name), name) for name in names]
    pk = device.make(name="Pump").pk

    before = [actor.call(read_of_release, release=name, pk=pk) for actor, name in people * 2]
    people[0][0].call(reads3.rename_by_saving, pk=pk, name="Ventilator")
    after = [actor.call(read_of_release, release=name, pk=pk) for actor, name in people[::-1] * 2]

    assert RELEASES[names[0]].key(pk=pk) == RELEASES[names[1]].key(pk=pk)
    assert after == [RELEASES[name].bypass(pk=pk) for name in names[::-1] * 2]
    assert after != before[::-1]
    assert [type(value) for value in before] == [type(RELEASES[name].bypass(pk=pk)) for name in names * 2]


def test_20_deploy_a_value_that_became_optional_is_another_shape(cache_in_use):
    pk = device.make(name="Pump").pk
    sure = of_release(_as_number)
    perhaps = CachedRead(_as_perhaps_number, "staleness:device", needs=[])

    assert [read(pk=pk) for read in (perhaps, sure, perhaps, sure)] == [None, 4, None, 4]


def _makers() -> list[str]:
    return [str(each) for each in Equipment.objects.values_list("name", flat=True)]


def _makers_too() -> list[str]:
    return [*_makers(), *(str(each) for each in Manufacturer.objects.values_list("name", flat=True))]


def test_20_deploy_an_entry_of_code_that_declared_less_is_not_used(cache_in_use):
    """
    Given an entry of a release whose read asked fewer tables, for a value of the same type,
    when the next release, whose read declares one more, reads it, and that table changes,
    then it never uses an entry that this table's changes do not end.
    """
    before = CachedRead(_makers, "staleness:makers", needs=[table(Equipment)])
    after = CachedRead(_makers_too, "staleness:makers", needs=[table(Equipment), table(Manufacturer)])
    device.make(name="Pump")
    manufacturer.make(name="Maker")
    assert_hits(before)

    first = after()
    Manufacturer.objects.update(name="Other maker")

    assert first == ["Pump", "Maker"]
    assert after() == ["Pump", "Other maker"]


# Another layout of the entries themselves


class ShorterEntry(msgspec.Struct, frozen=True, array_like=True):
    """As an earlier release of the engine might have."""

    name: str
    stamps: tuple[bytes, ...]
    value: bytes


FOREIGN = {
    "nothing": lambda entry: b"",
    "a pickle": lambda entry: b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x03old\x94.",
    "a text": lambda entry: b'{"value": "false"}',
    "half an entry": lambda entry: entries.encode(entry)[:-3],
    "a shorter layout": lambda entry: msgspec.msgpack.encode(ShorterEntry(entry.name, entry.stamps, entry.value)),
    "other types": lambda entry: msgspec.msgpack.encode([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    "fields by name": lambda entry: msgspec.msgpack.encode(
        {name: getattr(entry, name) for name in entry.__struct_fields__}
    ),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_20_deploy_an_entry_of_another_layout_is_a_miss_and_is_written_anew(cache_in_use, foreign):
    """
    Given what another release of the engine, or somebody else, left under the key of an entry,
    when it is read,
    then the database answers, and the next read is a hit of our own.
    """
    read = RELEASES["old"]
    pk = device.make(name="Pump").pk
    expected = assert_hits(read, pk=pk)
    key = read.key(pk=pk)
    entry = entries.decode(store().command("GET", key).value)
    assert entry is not None
    false = msgspec.structs.replace(entry, value=read.codec.encode(OldDevice("false", "false")))
    store().command("SET", key, FOREIGN[foreign](false))

    found = read(pk=pk)

    assert found == expected
    assert assert_hits(read, pk=pk) == expected


def test_20_deploy_an_entry_that_says_it_is_of_our_shape_and_is_not_gives_no_value(cache_in_use):
    read = RELEASES["old"]
    pk = device.make(name="Pump").pk
    expected = assert_hits(read, pk=pk)
    entry = entries.decode(store().command("GET", read.key(pk=pk)).value)
    assert entry is not None
    store().command("SET", read.key(pk=pk), entries.encode(msgspec.structs.replace(entry, value=b"\x01")))

    assert read(pk=pk) == expected
    reads3.rename(pk=pk, name="new")
    assert assert_hits(read, pk=pk).name == "new"


# Rendered things


def test_20_deploy_fragments_and_pages_of_two_releases_are_kept_apart(actors, viewer, client_of, settings):
    """
    Given two releases whose templates differ, before one cache, and a browser that meets both in turns,
    when each renders, and when its copies are asked for,
    then no release sends what the other has rendered, or confirms it.
    """
    make = reads3.processes(actors)
    pks = (device.make(name="Pump").pk,)
    before = settings.TEMPLATES
    old = make("old", INVALIDATION_RELEASE="1")
    settings.TEMPLATES = [{**before[0], "OPTIONS": {**before[0]["OPTIONS"], "loaders": new_loaders(before)}}]
    new = make("new", INVALIDATION_RELEASE="2")
    settings.TEMPLATES = before

    shelves = [each.call(reads3.shelf, pks=pks) for each in (old, new) * 2]
    browser = Browser(client_of(viewer))
    pages = []
    for each in (old, new) * 3:
        browser.ask = partial(each.call, reads3.visit)
        pages.append(browser.get("/shelf/"))

    assert shelves == ["<ul><li>Pump</li></ul>", "<ul><li><b>Pump</b></li></ul>"] * 2
    assert ["<b>Pump</b>" in page.text for page in pages] == [False, True] * 3
    assert {page.status for page in pages} == {200}


def new_loaders(before: Any) -> Any:
    """The loaders with the next release's card."""
    _locmem, *others = before[0]["OPTIONS"]["loaders"]
    changed = reads3.TEMPLATES | {"staleness/card.html": "<li><b>{{ name }}</b></li>"}
    return [("django.template.loaders.locmem.Loader", changed), *others]


def test_20_deploy_writes_of_each_release_are_seen_by_the_other(actors):
    old, new = actors.process("old", INVALIDATION_RELEASE="1"), actors.process("new", INVALIDATION_RELEASE="2")
    pk = device.make(name="Pump").pk
    seen = []

    for writer, reader, release, name in ((old, new, "new", "first"), (new, old, "old", "second")):
        for _time in range(2):
            reader.call(read_of_release, release=release, pk=pk)
        writer.call(reads3.rename, pk=pk, name=name)
        seen.append(reader.call(read_of_release, release=release, pk=pk).name)

    assert seen == ["first", "second"]
