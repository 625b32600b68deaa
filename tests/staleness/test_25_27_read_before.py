"""27: an object is loaded, somebody else commits a change, and a fill with fresh stamps would render the old object."""

import inspect
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from django.template import TemplateSyntaxError
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils.functional import lazystr
from django.utils.translation import gettext_lazy

from equipment.models import Equipment, Manufacturer, WorkOrder
from equipment.tests.recipes import device, device_model
from invalidation import cached_page, fragments
from invalidation.exceptions import UndeclaredDependencyError, UnkeyableValueError
from invalidation.middleware import VisitMiddleware
from invalidation.reads import CachedRead
from invalidation.registry import registry
from invalidation.store import store
from invalidation.tags import row, scope, table
from invalidation.testing import assert_hits, in_another_thread
from tests.staleness import reads3
from tests.staleness.reads3 import is_stored, rename

pytestmark = pytest.mark.django_db(transaction=True)

# What somebody has loaded before the fill begins, by name: a fill can reach it although it is not handed to it.
loaded: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def site(monkeypatch, settings):
    loaded.clear()
    yield from reads3.declared(monkeypatch, settings)
    loaded.clear()


@pytest.fixture
def pump(cache_in_use):
    return device.make(name="old")


@pytest.fixture(params=[True, False], ids=["strict", "in production"])
def is_strict(request, settings):
    settings.INVALIDATION_STRICT = request.param
    return request.param


def of_device(function, name, *more):
    return CachedRead(function, f"staleness:{name}", needs=lambda p: [row(Equipment, p["pk"]), *more])


# What a fill might do with what was loaded before it


def _name_of_instance(*, pk: int) -> str:
    return loaded["device"].name


def _name_in_evaluated_queryset(*, pk: int) -> str:
    return next(each.name for each in loaded["devices"] if each.pk == pk)


def _name_by_prefetched(*, pk: int) -> str:
    return loaded["model"].equipment.all()[0].name


def _rendered_instance(*, pk: int) -> str:
    return fragments.rendered("staleness/device.html", {"device": loaded["device"]})


def _instance_and_maker(*, pk: int) -> str:
    return f"{loaded['device'].name} {Manufacturer.objects.count()}"


def name_now(*, pk: int) -> str:
    return Equipment.objects.values_list("name", flat=True).get(pk=pk)


def load(pump):
    """As a view does, before it comes to what is cached."""
    loaded["device"] = Equipment.objects.select_related("device_model").get(pk=pump.pk)
    loaded["devices"] = Equipment.objects.all()
    assert len(loaded["devices"]) == 1


READ_BEFORE = {
    "an instance": of_device(_name_of_instance, "instance"),
    "a queryset": of_device(_name_in_evaluated_queryset, "queryset"),
    "a template with an instance": of_device(_rendered_instance, "rendered"),
    "an instance and a table": of_device(_instance_and_maker, "both", table(Manufacturer)),
}


@pytest.mark.parametrize("what", READ_BEFORE)
def test_27_read_before_stored_after_is_found_by_the_guard_and_never_stored(pump, is_strict, what):
    """
    Given a device that was loaded, and renamed by somebody else since,
    when a fill, with stamps taken after that, uses the loaded one,
    then tests and development refuse it; in production whoever loaded it sees it, and nobody else ever does.
    """
    read = READ_BEFORE[what]
    load(pump)
    in_another_thread(rename, pk=pump.pk, name="new")

    if is_strict:
        with pytest.raises(UndeclaredDependencyError, match=r"equipment_equipment, .* was read earlier"):
            read(pk=pump.pk)
    else:
        assert "old" in read(pk=pump.pk)

    assert not is_stored(read, pk=pump.pk)
    load(pump)
    if not is_strict:
        assert "new" in read(pk=pump.pk)
        assert "new" in in_another_thread(read, pk=pump.pk)


def test_27_read_before_stored_after_is_nothing_that_a_fill_which_asks_itself_can_do(pump):
    """The same read, but for asking the database itself, is stored: the guard refuses what it is for and no more."""
    read = of_device(name_now, "asks")
    load(pump)
    in_another_thread(rename, pk=pump.pk, name="new")

    assert assert_hits(read, pk=pump.pk) == "new"


def test_27_read_before_stored_after_is_refused_for_a_prefetched_relation(pump, is_strict):
    read = CachedRead(_name_by_prefetched, "staleness:prefetched", needs=[table(Equipment)])
    model = device_model.make()
    Equipment.objects.filter(pk=pump.pk).update(device_model=model)
    loaded["model"] = type(model).objects.prefetch_related("equipment").get(pk=model.pk)
    in_another_thread(rename, pk=pump.pk, name="new")

    if is_strict:
        with pytest.raises(UndeclaredDependencyError, match="was read earlier"):
            read(pk=pump.pk)
    else:
        assert read(pk=pump.pk) == "old"

    assert not is_stored(read, pk=pump.pk)


# Reads and fragments inside others


def _outer(*, pk: int) -> str:
    return f"<{READ_BEFORE['an instance'](pk=pk)}>"


def _whole(*, pk: int) -> str:
    return f"{name_now(pk=pk)} {READ_BEFORE['an instance'](pk=pk)}"


def _whole_with_undeclared(*, pk: int) -> str:
    return f"{name_now(pk=pk)} {counts_orders(pk=pk)}"


def _orders(*, pk: int) -> str:
    return f"{name_now(pk=pk)} {WorkOrder.objects.count()}"


counts_orders = of_device(_orders, "orders")


def test_27_read_before_stored_after_inside_another_read_is_not_stored_outside_either(pump, is_strict):
    outer = CachedRead(_outer, "staleness:outer", needs=[])
    load(pump)
    in_another_thread(rename, pk=pump.pk, name="new")

    if is_strict:
        with pytest.raises(UndeclaredDependencyError, match="was read earlier"):
            outer(pk=pump.pk)
    else:
        assert outer(pk=pump.pk) == "<old>"

    assert not is_stored(outer, pk=pump.pk)


@pytest.mark.parametrize("function", [_whole, _whole_with_undeclared])
def test_27_read_before_stored_after_inside_a_read_of_one_state_is_not_stored_either(pump, is_strict, function):
    """
    Given a read with `snapshot`, in which the reads inside are parts of it,
    when one of these uses what was read before, or a table that nobody declared,
    then the whole is not stored.
    """
    whole = CachedRead(
        function, "staleness:whole", needs=lambda p: [row(Equipment, p["pk"])], snapshot=True
    )  # fmt: skip
    load(pump)
    in_another_thread(rename, pk=pump.pk, name="new")

    if is_strict:
        with pytest.raises(UndeclaredDependencyError):
            whole(pk=pump.pk)
    else:
        whole(pk=pump.pk)

    assert not is_stored(whole, pk=pump.pk)


# What is handed over


def test_27_read_before_stored_after_a_fragment_takes_no_instance(pump, viewer):
    """
    Given a view that hands a loaded device to a fragment,
    when its template is rendered,
    then that is an error of the template, whatever else happens; nor does a list or a queryset pass.
    """
    card = fragments.fragment_named("staleness:card")
    load(pump)

    with pytest.raises(TemplateSyntaxError, match="Equipment cannot be part of a key"):
        render_to_string("staleness/passing.html", {"device": loaded["device"]})
    for given in (loaded["device"], [loaded["device"]], {"a": loaded["device"]}, loaded["devices"], Equipment):
        with pytest.raises(UnkeyableValueError):
            card.render(device=given)

    assert not any("staleness:card" in key for key in keys_of_entries())
    assert card.render(device=pump.pk) == "<li>old</li>"


def test_27_read_before_stored_after_a_cached_read_takes_no_instance(pump):
    def name(*, pk: Any) -> str:
        return pk.name

    read = CachedRead(name, "staleness:taking", needs=[table(Equipment)])

    for given in (pump, Equipment.objects.all(), [pump], gettext_lazy("Home")):
        with pytest.raises(UnkeyableValueError):
            read(pk=given)


def test_27_read_before_stored_after_a_value_that_is_not_finished_is_no_value(pump):
    """A queryset or a lazy text would ask, or be translated, when it is used: with other stamps, for somebody else."""
    for unfinished in (
        lambda: Equipment.objects.all(),
        lambda: [Equipment.objects.get()],
        lambda: [lazystr(name_now(pk=pump.pk))],
        lambda: (each for each in Equipment.objects.all()),
    ):

        def value(*, given: int = 1, make: Any = unfinished) -> Any:
            return make()

        value.__signature__ = inspect.signature(lambda *, given=1: None)
        value.__annotations__ = {"given": int, "return": Any}
        read = CachedRead(value, "staleness:unfinished", needs=[table(Equipment)])
        with pytest.raises((TypeError, UndeclaredDependencyError)):
            read(given=1)
        assert not is_stored(read, given=1)


def test_27_read_before_stored_after_every_read_of_the_site_takes_plain_values():
    """So no view can hand a loaded row to one of them."""
    instances = [
        f"{read.name}: {name}"
        for read in registry.reads()
        for name, kind in read.types.items()
        if kind is Any or (isinstance(kind, type) and issubclass(kind, (Model, QuerySet)))
    ]

    assert instances == []
    assert len(registry.reads()) > 20


# Pages


def answer(view, **headers):
    return VisitMiddleware(view)(RequestFactory().get("/device/", headers=headers))


def test_27_read_before_stored_after_a_page_whose_view_loads_a_row_is_confirmed_to_nobody(pump, is_strict):
    """
    Given a page whose view loads a device itself, and shows it beside what is cached,
    when somebody asks for it,
    then tests and development refuse that; in production it has no ETag, and the next one is right.
    """

    @cached_page
    def page(request: Any) -> HttpResponse:
        found = Equipment.objects.get(pk=pump.pk)
        in_another_thread(rename, pk=pump.pk, name=f"{found.name}er")
        shown = fragments.fragment_named("staleness:card").render(device=found.pk)
        return HttpResponse(f"{found.name}: {shown}")

    if is_strict:
        with pytest.raises(UndeclaredDependencyError, match="query outside of cached reads"):
            answer(page)
        return
    first = answer(page)
    second = answer(page)

    assert [each.headers.get("ETag") for each in (first, second)] == [None, None]
    assert [each.headers["Cache-Control"] for each in (first, second)] == ["private, no-store"] * 2
    assert [each.content for each in (first, second)] == [b"old: <li>older</li>", b"older: <li>olderer</li>"]


def test_27_read_before_stored_after_a_page_needs_the_middleware_that_watches_it(pump):
    with pytest.raises(ImproperlyConfigured):
        cached_page(lambda request: HttpResponse(""))(RequestFactory().get("/"))


# In this order a page computes: keys of all devices, then the shelf, and inside it the card.
@pytest.mark.parametrize("passing", [0, 1, 2])
@pytest.mark.parametrize("point", ["before_compute", "after_compute"])
def test_27_read_before_stored_after_the_fragment_of_a_page_is_as_new_as_its_stamps(
    actors, viewer, client_of, pump, point, passing
):
    """
    Given another process that renders a page of fragments and stands at a step of it,
    when the device is renamed here, and the page goes on to its end,
    then whatever it shows, no fragment and no page with the old name is used afterwards, in any process.
    """
    reader = reads3.processes(actors)("reader")
    browser = reads3.Browser(client_of(viewer), partial(reader.call, reads3.visit))
    browser.keep("/")  # Session and rights are known: what is computed next is the page's own.

    visiting = reader.run_to(point, reads3.visit, passing=passing, address="/shelf/", cookies=browser.cookies)
    rename(pk=pump.pk, name="new")
    reader.go_on()
    browser.copies["/shelf/"] = visiting.result()
    there, here = browser.get("/shelf/"), reads3.visit(address="/shelf/", cookies=browser.cookies)

    assert ["<li>new</li>" in page.text for page in (there, here)] == [True, True]
    assert reader.call(reads3.shelf, pks=(pump.pk,)) == reads3.shelf(pks=(pump.pk,)) == "<ul><li>new</li></ul>"


def keys_of_entries() -> list[str]:
    names = store().names
    return [key.decode() for key in store().client.scan_iter(match=names.entries_of(""))]


def test_27_read_before_stored_after_scope_needs_are_checked_like_tables(pump, is_strict):
    """A declared scope that no query inside asks for was read before, like a declared table."""

    def names(*, data_type: str) -> list[str]:
        return [each.name for each in loaded["devices"]]

    read = CachedRead(names, "staleness:scope", needs=lambda p: [scope(Equipment, data_type=p["data_type"])])
    load(pump)
    in_another_thread(rename, pk=pump.pk, name="new")

    if is_strict:
        with pytest.raises(UndeclaredDependencyError, match="was read earlier"):
            read(data_type="ppm")
    else:
        assert read(data_type="ppm") == ["old"]

    assert not is_stored(read, data_type="ppm")
