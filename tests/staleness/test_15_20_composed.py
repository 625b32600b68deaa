"""15: what is composed of other things, or copied elsewhere, goes when one of them changes."""

from functools import partial

import pytest

from equipment.models import Equipment
from equipment.tests.recipes import device
from invalidation import epoch
from invalidation.store import store
from invalidation.testing import assert_hits, assert_no_queries, in_another_thread, interleave
from locations.models import ProductionRun
from tests.staleness import reads3
from tests.staleness.reads3 import (
    Browser,
    has_copy,
    kept_lines,
    kept_name,
    lines,
    rename,
    rename_by_cursor,
    rename_by_saving,
    rename_in_bulk,
    shelf,
    statements_of,
)

pytestmark = pytest.mark.django_db(transaction=True)

WAYS = [rename, rename_by_saving, rename_in_bulk, rename_by_cursor]
STEPS_OF_A_COMMIT = ["before_raise", "after_raise", "after_commit", "after_lift"]


@pytest.fixture(autouse=True)
def site(monkeypatch, settings):
    yield from reads3.declared(monkeypatch, settings)


@pytest.fixture
def process(actors):
    return reads3.processes(actors)


@pytest.fixture
def pks():
    return tuple(device.make(name=name).pk for name in ("old one", "other"))


def addresses(pks):
    """The site's own pages that show the first device, and those of these tests."""
    return ["/equipment/", "/equipment/ppm/", f"/equipment/{pks[0]}/", "/shelf/", "/api/devices/"]


@pytest.mark.parametrize("way", WAYS)
def test_15_composed_pages_and_the_browsers_copies_of_them_go_with_one_item(process, viewer, client_of, pks, way):
    """
    Given the list, the page of a device, a page of nested fragments and an answer of an API, each with a copy in a
    browser that is told that it holds, by this process and by another,
    when a third process renames the device,
    then no copy is confirmed by either process, and what is sent in its place has the new name.
    """
    reader, writer = process("reader"), process("writer")
    here, there = Browser(client_of(viewer)), Browser(client_of(viewer), partial(reader.call, reads3.visit))
    for address in addresses(pks):
        assert all("old one" in browser.keep(address).text for browser in (here, there)), address

    writer.call(way, pk=pks[0], name="new one")

    for address in addresses(pks):
        for browser in (there, here):
            shown = browser.get(address)
            assert (shown.status, "new one" in shown.text, "old one" in shown.text) == (200, True, False), address
            assert browser.keep(address).status == 304


def test_15_composed_pages_go_when_an_item_is_added_or_taken_away(process, viewer, client_of, pks):
    browser = Browser(client_of(viewer), partial(process("reader").call, reads3.visit))
    shown = ["/equipment/", "/shelf/", "/api/devices/", "/"]
    for address in shown:
        browser.keep(address)

    added = device.make(name="added").pk
    with_it = {address: browser.get(address) for address in shown}
    for address in shown:
        browser.keep(address)
    Equipment.objects.filter(pk=added).delete()
    without_it = {address: browser.get(address) for address in shown}

    assert {answer.status for answer in (*with_it.values(), *without_it.values())} == {200}
    assert ["added" in with_it[address].text for address in shown] == [True, True, True, False]
    assert ["added" in without_it[address].text for address in shown] == [False] * 4
    counted = 'id="figure-equipment" aria-labelledby="figure-equipment-label">'
    assert f"{counted}3<" in with_it["/"].text
    assert f"{counted}2<" in without_it["/"].text


def test_15_composed_pages_stay_when_nothing_of_them_changes(viewer, client_of, cache_in_use, pks):
    """
    Given copies of every page in a browser,
    when something is written that none of them shows,
    then every copy is confirmed, and without a query: the tests above do not pass because nothing is ever kept.
    """
    browser = Browser(client_of(viewer))
    shown = addresses(pks)
    for address in shown:
        browser.keep(address)

    ProductionRun.objects.create(code="R1", name="Spring delivery")

    with assert_no_queries():
        assert [browser.get(address).status for address in shown] == [304] * len(shown)


@pytest.mark.parametrize("step", STEPS_OF_A_COMMIT)
def test_15_composed_pages_under_a_commit_confirm_no_copy_of_an_older_state(process, viewer, client_of, pks, step):
    """
    Given a browser with a copy of the list, and a writer that stands at a step of its commit,
    when the browser asks whether its copy holds, during the commit and afterwards,
    then what it shows is what was committed when it asked, and under a fence nothing is kept.
    """
    browser = Browser(client_of(viewer), partial(process("reader").call, reads3.visit))
    writer = process("writer")
    browser.keep("/shelf/")

    writing = writer.run_to(step, rename, pk=pks[0], name="new one")
    during = browser.get("/shelf/")
    writer.go_on()
    writing.result()
    afterwards = browser.get("/shelf/")

    committed = step in {"after_commit", "after_lift"}
    assert ("new one" in during.text) == committed
    assert (during.status == 304) == (step == "before_raise")
    assert (during.kept == "private, no-store") == (step in {"after_raise", "after_commit"})
    assert "new one" in afterwards.text
    assert afterwards.status == (304 if step == "after_lift" else 200)


@pytest.mark.parametrize("passing", [0, 1, 2, 3])
def test_15_composed_pages_made_during_a_change_are_confirmed_to_nobody(process, viewer, client_of, pks, passing):
    """
    Given a page made of several reads,
    when an item changes between two of them,
    then whatever the page shows, no browser is told later that it is right.
    """
    browser = Browser(client_of(viewer))
    browser.get("/accounts/preferences/")  # gives it the cookie of the forms, on which pages depend
    change = partial(in_another_thread, rename, pk=pks[0], name="new one")

    with interleave("after_compute", change, passing=passing):
        browser.get("/shelf/")
    afterwards = browser.get("/shelf/")

    assert "new one" in afterwards.text
    assert "old one" not in afterwards.text
    assert "new one" in browser.keep("/shelf/").text


# Reads in reads, fragments in fragments


@pytest.mark.parametrize("way", [rename, rename_by_saving])
def test_15_composed_reads_and_fragments_go_with_the_item_they_never_declared(process, pks, way):
    """
    Given a read and a fragment that need nothing themselves and are made of others that need one row each,
    when one row changes,
    then both are right at once, in every process, and hit again afterwards.
    """
    reader, writer = process("reader"), process("writer")
    assert assert_hits(lines, pks=pks) == reader.call(lines, pks=pks) == ["old one", "other"]
    before = shelf(pks=pks)
    assert before == reader.call(shelf, pks=pks) == "<ul><li>old one</li><li>other</li></ul>"
    with assert_no_queries():
        shelf(pks=pks)

    writer.call(way, pk=pks[0], name="new one")

    assert reader.call(lines, pks=pks) == lines(pks=pks) == ["new one", "other"]
    assert reader.call(shelf, pks=pks) == shelf(pks=pks) == "<ul><li>new one</li><li>other</li></ul>"
    assert assert_hits(lines, pks=pks) == ["new one", "other"]
    with assert_no_queries():
        shelf(pks=pks)


@pytest.mark.parametrize("passing", [0, 1, 2])
def test_15_composed_reads_of_two_states_are_not_stored(process, pks, passing):
    """
    Given an outer read under way,
    when an item changes after one of the reads inside (the last time: just before the outer one is stored),
    then the outer value is not stored as if it were of one state.
    """
    reader = process("reader")
    assert_hits(reads3.line, pk=pks[1])

    with interleave("after_compute", partial(in_another_thread, rename, pk=pks[0], name="new one"), passing=passing):
        kept_lines(pks=pks)

    assert reader.call(kept_lines, pks=pks) == ["new one", "other"]
    assert kept_lines(pks=pks) == lines(pks=pks) == ["new one", "other"]


# Copies in other processes


def test_15_composed_copies_in_another_process_are_used_while_they_hold_and_never_longer(process, pks):
    """
    Given another process that answers from copies of its own, with the entries gone from Redis and no query made,
    when the item changes,
    then its next read is right, and so is that of what is composed of it.
    """
    reader, writer = process("reader"), process("writer")
    for _time in range(2):
        reader.call(kept_name, pk=pks[0])
        reader.call(kept_lines, pks=pks)
    store().command("UNLINK", kept_name.key(pk=pks[0]), kept_lines.key(pks=pks))
    from_copies = (
        reader.call(statements_of, name="kept_name", pk=pks[0]),
        reader.call(statements_of, name="kept_lines", pks=pks),
        reader.call(kept_name, pk=pks[0]),
        reader.call(kept_lines, pks=pks),
    )

    writer.call(rename, pk=pks[0], name="new one")

    assert from_copies == (0, 0, "old one", ["old one", "other"])
    assert not reader.call(has_copy, name="kept_name", pk=pks[0])
    assert not reader.call(has_copy, name="kept_lines", pks=pks)
    assert reader.call(kept_name, pk=pks[0]) == "new one"
    assert reader.call(kept_lines, pks=pks) == ["new one", "other"]


@pytest.mark.parametrize("step", STEPS_OF_A_COMMIT)
def test_15_composed_copies_are_not_used_under_a_fence(process, pks, step):
    reader, writer = process("reader"), process("writer")
    for _time in range(2):
        reader.call(kept_name, pk=pks[0])
    assert reader.call(has_copy, name="kept_name", pk=pks[0])

    writing = writer.run_to(step, rename, pk=pks[0], name="new one")
    during = reader.call(has_copy, name="kept_name", pk=pks[0]), reader.call(kept_name, pk=pks[0])
    writer.go_on()
    writing.result()

    committed = step in {"after_commit", "after_lift"}
    assert during == (step == "before_raise", "new one" if committed else "old one")
    assert reader.call(kept_name, pk=pks[0]) == "new one"


@pytest.mark.parametrize("ending", ["flush_all", "restart_empty", "evict_volatile_keys"])
def test_15_composed_copies_end_with_the_redis_that_vouched_for_them(troubled_redis, process, pks, ending):
    """
    Given a process with a copy of its own,
    when Redis loses what it held, and the item changes as the first thing afterwards,
    then the copy is not used.
    """
    reader, writer = process("reader"), process("writer")
    for _time in range(2):
        reader.call(kept_name, pk=pks[0])
    assert reader.call(has_copy, name="kept_name", pk=pks[0])

    getattr(troubled_redis, ending)()
    still_used = reader.call(has_copy, name="kept_name", pk=pks[0])
    writer.call(rename, pk=pks[0], name="new one")

    assert not still_used
    assert reader.call(kept_name, pk=pks[0]) == "new one"


def test_15_composed_copies_are_not_used_when_redis_vouches_for_them_from_an_old_image(troubled_redis, process, pks):
    """
    Given a process with a copy of its own, and a Redis that is killed after a change of the item,
    when it comes back with the epoch and the stamps that the copy was made with,
    then the copy is not used.
    """
    reader, writer = process("reader"), process("writer")
    for _time in range(2):
        reader.call(kept_name, pk=pks[0])
    image = troubled_redis.save_image()
    writer.call(rename, pk=pks[0], name="new one")

    troubled_redis.restart_from(image)

    assert not reader.call(has_copy, name="kept_name", pk=pks[0])
    assert reader.call(kept_name, pk=pks[0]) == "new one"


def test_15_composed_copies_end_with_the_epoch(process, pks):
    reader = process("reader")
    for _time in range(2):
        reader.call(kept_name, pk=pks[0])
    assert reader.call(has_copy, name="kept_name", pk=pks[0])

    epoch.renew()

    assert not reader.call(has_copy, name="kept_name", pk=pks[0])
