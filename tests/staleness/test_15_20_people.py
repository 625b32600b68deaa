"""18: two people at one address, with other rights, limits, preferences and languages, and rights that are taken."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User

from dashboard.models import UserPreferences
from equipment.tests.recipes import device, maintenance, work_order
from invalidation.testing import assert_no_queries, in_another_thread
from locations.models import Location, LocationLimit
from tests.people import member
from tests.staleness import reads3
from tests.staleness.reads3 import Browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def site(monkeypatch, settings):
    yield from reads3.declared(monkeypatch, settings)


@pytest.fixture
def process(actors):
    return reads3.processes(actors)


@pytest.fixture
def register():
    """Two sites with a device each, in a department of each."""
    found = {}
    for name in ("North", "South"):
        top = Location.objects.create(name=name, kind="site")
        department = Location.objects.create(name=f"{name} surgery", kind="department", parent=top)
        pump = device.make(name=f"Pump of the {name.lower()}", location=department, department=department)
        maintenance.make(equipment=pump)
        work_order.make(equipment=pump, problem=f"Leaks in the {name.lower()}")
        found[name] = top, pump
    return found


def user_with(name: str, *codenames: str) -> User:
    """With these permissions and no others."""
    user = User.objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="equipment"))
    return user


def limited_to(location: Location) -> User:
    user = member("Viewer")
    User.objects.filter(pk=user.pk).update(username=f"of {location.name}")
    LocationLimit.objects.create(user=user, location=location)
    return User.objects.get(pk=user.pk)


def prefers(name: str, **chosen: Any) -> User:
    user = user_with(name, "view_equipment")
    UserPreferences.objects.create(user=user, **chosen)
    return user


# Pairs: how two people differ, an address of both, and what only the one of them may get to see.


def by_limits(register):
    people = [limited_to(register[name][0]) for name in ("North", "South")]
    return people, ["/", "/equipment/", "/equipment/?q=pump"], ["Pump of the north", "Pump of the south"]


def by_rights(register):
    pump = register["North"][1]
    people = [user_with("mechanic", "view_equipment", "view_workorder"), user_with("clerk", "view_equipment")]
    return people, [f"/equipment/{pump.pk}/"], ["Leaks in the north", None]


def by_language(register):
    return (
        [prefers("Ada", language="en"), prefers("Eva", language="de")],
        ["/", "/equipment/"],
        ['lang="en"', 'lang="de"'],
    )


def by_theme(register):
    people = [prefers("light", theme="light"), prefers("dark", theme="dark")]
    return people, ["/", "/equipment/"], ['data-theme="light"', 'data-theme="dark"']


def by_days_ahead(register):
    people = [prefers("near", dashboard_days=14), prefers("far", dashboard_days=99)]
    return people, ["/"], ["today to 14 days ahead", "today to 99 days ahead"]


def by_name(register):
    people = [user_with("Ada", "view_equipment"), user_with("Eva", "view_equipment")]
    return people, ["/", "/equipment/", "/shelf/"], ["Signed in as Ada", "Signed in as Eva"]


@pytest.mark.parametrize("differ", [by_limits, by_rights, by_language, by_theme, by_days_ahead, by_name])
def test_18_someone_elses_page_is_never_shown_at_the_same_address(process, client_of, register, differ):
    """
    Given two people who differ in one thing, and one address,
    when they ask in turns, from this process and another, until everything comes from the cache,
    then each has their own page every time, and neither's copy is confirmed to the other.
    """
    people, addresses, own = differ(register)
    reader = process("reader")
    browsers = [
        Browser(client_of(user), ask) for user in people for ask in (reads3.visit, partial(reader.call, reads3.visit))
    ]
    owners = [0, 0, 1, 1]

    for address in addresses:
        for _round in range(3):
            pages = [browser.get(address) for browser in browsers]
            for owner, page in zip(owners, pages, strict=True):
                assert page.status in {200, 304}, (address, page)
                shown = [text in page.text for text in own if text is not None]
                assert shown == [owner == number for number, text in enumerate(own) if text is not None], address
        assert [page.status for page in pages] == [304] * 4

        for browser, other in ((browsers[0], browsers[2]), (browsers[2], browsers[0])):
            stolen = reads3.visit(address=address, cookies=browser.cookies, etag=other.copies[address].etag)
            assert (stolen.status, stolen.etag) == (200, browser.copies[address].etag)


def test_18_someone_elses_page_by_the_number_of_rows(process, client_of):
    people = [prefers("short", page_size=10), prefers("long", page_size=20)]
    for _device in range(15):
        device.make()
    browsers = [Browser(client_of(user)) for user in people]

    rows = [len(re.findall('data-label="NO"', browser.get("/equipment/").text)) for browser in browsers * 3]

    assert rows == [10, 15] * 3


def test_18_someone_elses_page_in_a_browser_that_changes_hands(client_of, cache_in_use, register):
    """
    Given a browser with copies of one person's pages,
    when somebody else signs in with it, and then it is signed out,
    then not one copy is confirmed.
    """
    people, addresses, own = by_limits(register)
    browser, others = Browser(client_of(people[0])), Browser(client_of(people[1]))
    for address in addresses:
        browser.keep(address)

    # Everything else that it sends stays as it was.
    browser.cookies["sessionid"] = others.cookies["sessionid"]
    as_the_other = {address: browser.get(address) for address in addresses}
    del browser.cookies["sessionid"]
    signed_out = {address: browser.get(address) for address in addresses}

    for page in as_the_other.values():
        assert (page.status, own[0] in page.text, own[1] in page.text) == (200, False, True)
    assert all((page.status, "/accounts/sign-in/" in page.location) == (302, True) for page in signed_out.values())


def test_18_someone_elses_page_outside_the_limits_is_not_found_whoever_looked_before(client_of, cache_in_use, register):
    north, pump = register["North"]
    address = f"/equipment/{pump.pk}/"
    inside, outside = Browser(client_of(limited_to(north))), Browser(client_of(limited_to(register["South"][0])))
    etag = inside.keep(address).etag

    answers = [reads3.visit(address=address, cookies=outside.cookies, etag=each) for each in ("", etag, "*")]

    assert [(answer.status, "Pump of the north" in answer.text) for answer in answers] == [(404, False)] * 3


def test_18_someone_elses_page_of_those_with_the_same_rights_costs_no_query(client_of, cache_in_use, register):
    """Figures and lists are shared by all with the same limits: what keeps people apart is in the key, and no more."""
    first, second = (Browser(client_of(user_with(name, "view_equipment"))) for name in ("Ada", "Eva"))
    second.get("/accounts/preferences/")
    second.get("/equipment/ppm/")
    first.keep("/equipment/")

    with assert_no_queries():
        page = second.get("/equipment/")

    assert (page.status, "Signed in as Eva" in page.text) == (200, True)


# Rights that are taken, and limits that are set


def viewer_of_their_own() -> User:
    group = Group.objects.create(name="Lookers")
    group.permissions.set(Permission.objects.filter(codename__in=["view_equipment", "view_workorder"]))
    user = User.objects.create_user("looker")
    user.groups.add(group)
    return user


REVOCATIONS: dict[str, Callable[[User], object]] = {
    "taken out of the group": lambda user: user.groups.clear(),
    "taken from the group": lambda user: Group.objects.get(name="Lookers").permissions.clear(),
    "taken from the group by a query": lambda user: Group.permissions.through.objects.all().delete(),
    "the group deleted": lambda user: Group.objects.filter(name="Lookers").delete(),
    "the permission deleted": lambda user: Permission.objects.filter(codename="view_equipment").delete(),
}


@pytest.mark.parametrize("name", REVOCATIONS)
def test_18_someone_elses_page_is_what_it_becomes_when_a_right_is_taken(process, client_of, register, name):
    """
    Given a browser whose copies are confirmed by two processes,
    when the right to see them is taken,
    then the next request, the question whether a copy holds included, is forbidden in both.
    """
    user = viewer_of_their_own()
    reader = process("reader")
    addresses = ["/equipment/", f"/equipment/{register['North'][1].pk}/", "/"]
    browsers = [Browser(client_of(user), ask) for ask in (partial(reader.call, reads3.visit), reads3.visit)]
    for browser in browsers:
        for address in addresses:
            browser.keep(address)

    in_another_thread(REVOCATIONS[name], user)

    for browser in browsers:
        for address in addresses:
            page = browser.get(address)
            assert (page.status, "Pump of" in page.text) == (403, False), address


def test_18_someone_elses_page_a_section_goes_with_the_right_to_it(process, client_of, register):
    user = viewer_of_their_own()
    address = f"/equipment/{register['North'][1].pk}/"
    browser = Browser(client_of(user), partial(process("reader").call, reads3.visit))
    before = browser.keep(address).text

    Group.objects.get(name="Lookers").permissions.remove(Permission.objects.get(codename="view_workorder"))
    after = browser.get(address)

    assert "Leaks in the north" in before
    assert (after.status, "Leaks in the north" in after.text, "Pump of the north" in after.text) == (200, False, True)


LIMITINGS: dict[str, Callable[[User, Location, Location], object]] = {
    "a first limit": lambda user, north, south: LocationLimit.objects.create(user=user, location=south),
    "a limit moved": lambda user, north, south: LocationLimit.objects.filter(user=user).update(location=south),
    "the department moved": lambda user, north, south: move(department="North surgery", under=south),
}


def move(*, department: str, under: Location) -> None:
    found = Location.objects.get(name=department)
    found.parent = under
    found.save()


@pytest.mark.parametrize("name", LIMITINGS)
def test_18_someone_elses_page_is_what_it_becomes_when_limits_change(process, client_of, register, name):
    """
    Given a browser with copies of what one site shows,
    when its user is limited to another site, or the department goes to another,
    then the next request shows nothing of the first.
    """
    (north, pump), (south, _) = register["North"], register["South"]
    user = viewer_of_their_own() if name == "a first limit" else limited_to(north)
    browsers = [Browser(client_of(user), ask) for ask in (partial(process("reader").call, reads3.visit), reads3.visit)]
    for browser in browsers:
        assert "Pump of the north" in browser.keep("/equipment/").text
        browser.keep(f"/equipment/{pump.pk}/")
        browser.keep("/")

    in_another_thread(LIMITINGS[name], user, north, south)

    for browser in browsers:
        listed = browser.get("/equipment/")
        assert (listed.status, "North surgery" in listed.text) == (200, False)
        assert browser.get(f"/equipment/{pump.pk}/").status == 404
        assert browser.get("/").status == 200
