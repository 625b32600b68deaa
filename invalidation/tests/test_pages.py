"""Pages: a 304 only while everything they were made of stands, and never one for somebody else or another state."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.http import HttpResponse
from django.utils import timezone, translation

from invalidation import clock, epoch, fills, validators
from invalidation.kept import Kept
from invalidation.store import Store, store
from invalidation.tests.rooms import Rooms, assert_not_kept, begin_epoch, etag_of, read, write

pytestmark = [pytest.mark.once, pytest.mark.django_db]

FENCE = "sqlite!db!!token"


@pytest.fixture(autouse=True)
def present_epoch():
    begin_epoch()


# A 304 while everything stands


def test_an_unchanged_page_is_a_304_without_running_the_view():
    rooms = Rooms()
    etag = etag_of(rooms.get())

    answer = rooms.get(etag)

    assert (answer.status_code, answer.content, rooms.runs) == (304, b"", 1)
    assert answer.headers["ETag"] == etag
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {"Cookie", "Accept-Language"} <= {name.strip() for name in answer.headers["Vary"].split(",")}


def test_a_304_costs_one_round_trip_where_the_page_is_known(monkeypatch):
    rooms = Rooms()
    etag = etag_of(rooms.get())
    asked = []
    ask = Store._ask

    def noting(self, commands, **how):
        asked.extend(commands)
        return ask(self, commands, **how)

    monkeypatch.setattr(Store, "_ask", noting)

    assert rooms.get(etag).status_code == 304

    assert [command[0] for command in asked] == ["MGET"]


def test_a_process_that_never_met_the_page_answers_304_too(monkeypatch):
    rooms = Rooms()
    etag = etag_of(rooms.get())
    monkeypatch.setattr(validators, "tags_met", Kept(10))

    assert rooms.get(etag).status_code == 304


def test_a_head_request_is_answered_alike():
    rooms = Rooms()
    etag = etag_of(rooms.get())

    assert etag_of(rooms.get(method="head")) == etag
    assert rooms.get(etag, method="head").status_code == 304


def test_a_page_made_again_of_the_same_stamps_has_the_same_etag():
    rooms = Rooms()

    assert etag_of(rooms.get()) == etag_of(rooms.get())


# What ends it


@pytest.mark.parametrize("known", [True, False])
def test_a_write_ends_the_browsers_copy(known, monkeypatch):
    rooms = Rooms()
    etag = etag_of(rooms.get())
    write()
    if not known:
        monkeypatch.setattr(validators, "tags_met", Kept(10))

    answer = rooms.get(etag)

    assert etag_of(answer) != etag
    assert rooms.runs == 2


def test_a_write_ends_it_although_only_a_middleware_read_that():
    rooms = Rooms()

    def rights(view):
        def around(request):
            read("rights")
            return view(request)

        return around

    etag = etag_of(rooms.get(around=rights))
    assert rooms.get(etag, around=rights).status_code == 304
    write("rights")

    assert rooms.get(etag, around=rights).status_code == 200


def test_an_older_copy_is_not_taken_for_the_one_that_was_answered_since():
    rooms = Rooms()
    old = etag_of(rooms.get())
    write()
    new = etag_of(rooms.get())

    assert etag_of(rooms.get(old)) == new
    assert rooms.get(new).status_code == 304


def test_there_is_no_304_under_a_fence():
    rooms = Rooms()
    etag = etag_of(rooms.get())
    names = store().names
    stamp = store().command("GET", names.tag("rooms")).value
    store().command("SET", names.tag("rooms"), stamp + b" " + FENCE.encode())

    rooms.get(etag)

    assert rooms.runs == 2


def test_a_new_epoch_ends_it():
    rooms = Rooms()
    etag = etag_of(rooms.get())
    epoch.renew()

    assert etag_of(rooms.get(etag)) != etag


def test_there_is_no_304_in_quarantine():
    store().command("APPEND", store().names.epoch, epoch.QUARANTINE)
    rooms = Rooms()
    etag = etag_of(rooms.get())

    rooms.get(etag)

    assert rooms.runs == 2


def test_there_is_no_304_for_a_request_that_was_read_past_the_cache():
    rooms = Rooms()
    etag = etag_of(rooms.get())

    def bypassing(view):
        def around(request):
            fills.current().refuse("rights were read past the cache")
            return view(request)

        return around

    assert_not_kept(rooms.get(etag, around=bypassing))
    assert rooms.runs == 2


def test_the_word_of_another_server_is_not_believed():
    store().command("SET", store().names.epoch, "another-run:x")
    rooms = Rooms()

    rooms.get(etag_of(rooms.get()))

    assert rooms.runs == 2


def test_a_tag_that_redis_forgot_ends_it():
    rooms = Rooms()
    etag = etag_of(rooms.get())
    store().command("DEL", store().names.tag("rooms"))

    assert etag_of(rooms.get(etag)) != etag


def test_midnight_ends_it(movable_clock):
    movable_clock.move_to(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    rooms = Rooms()
    etag = etag_of(rooms.get())
    movable_clock.advance(seconds=1)

    assert etag_of(rooms.get(etag)) != etag


def test_a_page_made_over_midnight_has_no_copy(movable_clock):
    movable_clock.move_to(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))

    assert_not_kept(Rooms(before=lambda request: movable_clock.advance(seconds=1)).get())


def test_the_instant_from_which_a_read_is_wrong_ends_it(movable_clock):
    movable_clock.move_to(datetime(2026, 3, 1, 12, tzinfo=UTC))
    ends = [clock.now() + timedelta(minutes=1), None]
    rooms = Rooms(before=lambda request: read("due", ends[0]))
    etag = etag_of(rooms.get())
    assert rooms.get(etag).status_code == 304
    movable_clock.advance(minutes=1)
    ends.reverse()

    # No stamp has changed, but the page has.
    assert etag_of(rooms.get(etag)) != etag


def test_another_release_ends_it(settings):
    rooms = Rooms()
    settings.INVALIDATION_RELEASE = "1"
    etag = etag_of(rooms.get())
    settings.INVALIDATION_RELEASE = "2"

    assert etag_of(rooms.get(etag)) != etag


# Whose it is


@pytest.mark.parametrize(
    "other",
    [
        {"path": "/rooms/?floor=2"},
        {"path": "/other/"},
        {"HTTP_COOKIE": "sessionid=theirs"},
        {"HTTP_HOST": "localhost"},
        {"HTTP_ACCEPT": "application/json"},
        {"HTTP_ACCEPT_LANGUAGE": "de"},
        {"HTTP_AUTHORIZATION": "Token theirs"},
        {"REMOTE_USER": "theirs"},
        {"secure": True},
    ],
    ids=str,
)
def test_another_request_is_never_told_that_nothing_changed(other):
    rooms = Rooms()
    etag = etag_of(rooms.get(HTTP_COOKIE="sessionid=mine"))
    assert rooms.get(etag, HTTP_COOKIE="sessionid=mine").status_code == 304

    answer = rooms.get(etag, **{"HTTP_COOKIE": "sessionid=mine", **other})

    assert etag_of(answer) != etag


def test_another_user_is_never_told_that_nothing_changed():
    rooms = Rooms()

    def signed_in(pk):
        def around(view):
            def inner(request):
                request.user = SimpleNamespace(pk=pk)
                return view(request)

            return inner

        return around

    etag = etag_of(rooms.get(around=signed_in(1)))

    assert rooms.get(etag, around=signed_in(1)).status_code == 304
    assert etag_of(rooms.get(etag, around=signed_in(2))) != etag


def test_another_language_has_another_copy():
    rooms = Rooms()
    etag = etag_of(rooms.get())

    with translation.override("de"):
        assert etag_of(rooms.get(etag)) != etag


def test_another_time_zone_has_another_copy():
    rooms = Rooms()
    etag = etag_of(rooms.get())

    with timezone.override("Asia/Tokyo"):
        assert etag_of(rooms.get(etag)) != etag


def test_a_header_that_the_answer_varies_by_is_compared_too():
    def by_theme(request):
        response = HttpResponse(request.headers.get("X-Theme", ""))
        response.headers["Vary"] = "X-Theme"
        return response

    rooms = Rooms(before=by_theme)
    etag = etag_of(rooms.get(HTTP_X_THEME="dark"))

    assert rooms.get(etag, HTTP_X_THEME="dark").status_code == 304
    assert rooms.get(etag, HTTP_X_THEME="light").content == b"light"


def test_plain_values_of_the_views_own_are_compared_too():
    limits = {"floors": (1, 2)}
    rooms = Rooms(varies=lambda request: limits)
    etag = etag_of(rooms.get())
    assert rooms.get(etag).status_code == 304
    limits["floors"] = (1,)

    assert etag_of(rooms.get(etag)) != etag


def test_redis_learns_no_cookie_and_no_address():
    rooms = Rooms()
    rooms.get(path="/rooms/?patient=miller", HTTP_COOKIE="sessionid=verysecret")

    keys = store().command("KEYS", f"{store().names.prefix}*").value
    kept = b" ".join(keys + [value for value in (store().command("DUMP", key).value for key in keys) if value])

    assert b":entry:page:" in kept
    assert b"verysecret" not in kept
    assert b"miller" not in kept
