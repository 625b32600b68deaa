"""Pages of which a browser keeps no copy: what is personal or fleeting, and what was read past the cache."""

import json

import pytest
from django.contrib.messages import add_message
from django.contrib.messages.storage.base import BaseStorage, Message
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.template.response import SimpleTemplateResponse
from django.test import RequestFactory

from invalidation import fills, validators
from invalidation.exceptions import DeclarationError, UndeclaredDependencyError
from invalidation.middleware import VisitMiddleware
from invalidation.pages import cached_page
from invalidation.store import store
from invalidation.tests.rooms import Rooms, assert_not_kept, begin_epoch, etag_of, read

pytestmark = [pytest.mark.once, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def present_epoch():
    begin_epoch()


# What has no copy


def with_csrf(view):
    return CsrfViewMiddleware(view)


def token_page(request):
    return HttpResponse(f"<form>{get_token(request)}</form>")


def test_a_page_with_a_form_is_kept_as_long_as_its_csrf_cookie():
    rooms = Rooms(before=token_page)
    first = rooms.get(around=with_csrf)
    etag, cookie = etag_of(first), first.cookies["csrftoken"].value

    same = rooms.get(etag, around=with_csrf, HTTP_COOKIE=f"csrftoken={cookie}")
    other = rooms.get(etag, around=with_csrf, HTTP_COOKIE=f"csrftoken={'x' * len(cookie)}")

    assert same.status_code == 304
    assert etag_of(other) != etag


def test_a_page_with_a_form_leaves_no_token_in_redis():
    rooms = Rooms(before=token_page)
    secret = rooms.get(around=with_csrf).cookies["csrftoken"].value

    keys = store().command("KEYS", f"{store().names.prefix}*").value

    for key in keys:
        assert secret.encode() not in key + (store().command("DUMP", key).value or b"")


def sets_a_cookie(request):
    response = HttpResponse()
    response.set_cookie("sessionid", "new")
    return response


def uses_a_nonce(request):
    return HttpResponse(headers={"Content-Security-Policy": "script-src 'nonce-abc'"})


def uses_a_nonce_whose_header_comes_later(request):
    request._csp_nonce = "abc"


def varies_by_everything(request):
    return HttpResponse(headers={"Vary": "*"})


def was_read_past_the_cache(request):
    fills.current().refuse("bypassed")


def is_an_error(request):
    return HttpResponse(status=404)


@pytest.mark.parametrize(
    "before",
    [
        sets_a_cookie,
        uses_a_nonce,
        uses_a_nonce_whose_header_comes_later,
        varies_by_everything,
        was_read_past_the_cache,
        is_an_error,
    ],
)
def test_no_copy_is_kept_of_a_page_that(before):
    assert_not_kept(Rooms(before=before).get())


class Waiting(BaseStorage):
    """Messages that wait where no cookie tells, as in a session."""

    waiting = ()

    def _get(self, *args, **kwargs):
        return list(self.waiting), True

    def _store(self, messages, response, *args, **kwargs):
        Waiting.waiting = tuple(messages)
        return []


@pytest.fixture
def waiting():
    yield Waiting
    Waiting.waiting = ()


def with_messages(view):
    def around(request):
        request._messages = Waiting(request)
        response = view(request)
        request._messages.update(response)
        return response

    return around


def test_no_copy_is_kept_of_a_page_that_leaves_a_message(waiting):
    rooms = Rooms(before=lambda request: add_message(request, 20, "Saved."))

    assert_not_kept(rooms.get(around=with_messages))

    assert len(waiting.waiting) == 1


def test_a_message_that_waits_is_shown_although_nothing_changed(waiting):
    rooms = Rooms(before=lambda request: HttpResponse(", ".join(map(str, request._messages))))
    etag = etag_of(rooms.get(around=with_messages))
    waiting.waiting = (Message(20, "Saved."),)

    answer = rooms.get(etag, around=with_messages)

    assert answer.content == b"Saved."
    assert_not_kept(answer)
    assert rooms.get(etag, around=with_messages).status_code == 304


def test_a_page_of_which_nothing_was_read_through_the_cache_has_no_copy():
    view = cached_page(lambda request: HttpResponse("static"))

    assert_not_kept(VisitMiddleware(view)(RequestFactory().get("/")))


def test_a_page_without_redis_is_answered_and_asked_for_again(monkeypatch):
    rooms = Rooms()
    etag = etag_of(rooms.get())
    monkeypatch.setattr(store().breaker, "allows", lambda: False)

    assert validators.standing("any", "key") is None
    validators.remember("any", "key", validators.MadeOf((), b"run:1", {}, None))
    monkeypatch.undo()
    assert rooms.get(etag).status_code == 304


def test_with_the_cache_switched_off_no_copy_is_kept(settings):
    settings.CACHE_ENABLED = False
    rooms = Rooms()

    assert_not_kept(rooms.get())


def test_what_the_view_says_itself_is_left_alone():
    rooms = Rooms(before=lambda request: HttpResponse(headers={"Cache-Control": "private, max-age=60"}))

    answer = rooms.get()

    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert "ETag" not in answer.headers


def test_a_write_request_goes_through():
    rooms = Rooms()

    answer = rooms.get(method="post")

    assert (answer.status_code, rooms.runs) == (200, 1)
    assert not {"ETag", "Cache-Control"} & set(answer.headers)


# Queries outside of cached reads


def ask_database(request=None):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()


def test_a_query_of_the_view_outside_of_cached_reads_is_an_error(settings):
    settings.INVALIDATION_STRICT = True

    with pytest.raises(UndeclaredDependencyError, match="SELECT 1"):
        Rooms(before=ask_database).get()


def test_in_production_its_page_is_answered_and_has_no_copy(settings):
    settings.INVALIDATION_STRICT = False

    answer = Rooms(before=ask_database).get()

    assert answer.content == b"rooms"
    assert_not_kept(answer)


@pytest.mark.parametrize("strict", [True, False])
def test_a_middleware_that_asks_the_database_costs_the_copy_only(settings, strict):
    settings.INVALIDATION_STRICT = strict

    def asking(view):
        return lambda request: ask_database() or view(request)

    assert_not_kept(Rooms().get(around=asking))


def test_a_query_while_the_page_is_rendered_is_the_views_too(settings):
    settings.INVALIDATION_STRICT = True

    class Late(SimpleTemplateResponse):
        @property
        def rendered_content(self):
            ask_database()
            return "late"

    rooms = Rooms(before=lambda request: Late("unused.html"))

    def rendering(view):
        return lambda request: view(request).render()

    with pytest.raises(UndeclaredDependencyError):
        rooms.get(around=rendering)


def test_a_query_inside_of_a_fill_is_the_fills(settings):
    settings.INVALIDATION_STRICT = True

    def fill(request):
        with fills.opened(fills.Frame("fill", is_guarded=False)):
            ask_database()

    etag_of(Rooms(before=fill).get())


# Any callable


def test_a_method_is_decorated_as_a_function_is():
    class View:
        @cached_page
        def get(self, request):
            read()
            return HttpResponse("method")

    def answer(**extra):
        return VisitMiddleware(View().get)(RequestFactory().get("/", **extra))

    etag = etag_of(answer())

    assert answer(HTTP_IF_NONE_MATCH=etag).status_code == 304


def test_a_view_of_django_rest_framework_is_decorated_as_any_other():
    from rest_framework.response import Response
    from rest_framework.views import APIView

    runs = []

    class View(APIView):
        authentication_classes = permission_classes = ()

        @cached_page
        def get(self, request):
            runs.append(request)
            read()
            return Response({"rooms": [1]})

    def answer(**extra):
        # As Django's handler does.
        def rendered(request):
            response = View.as_view()(request)
            return response.render() if hasattr(response, "render") else response

        return VisitMiddleware(rendered)(RequestFactory().get("/", HTTP_ACCEPT="application/json", **extra))

    first = answer()
    etag = etag_of(first)

    assert json.loads(first.content) == {"rooms": [1]}
    assert answer(HTTP_IF_NONE_MATCH=etag).status_code == 304
    assert len(runs) == 1


def test_a_page_needs_the_middleware():
    with pytest.raises(ImproperlyConfigured, match="VisitMiddleware"):
        Rooms().view(RequestFactory().get("/"))


def test_what_is_no_view_is_refused():
    async def view(request):
        return HttpResponse()

    with pytest.raises(DeclarationError):
        cached_page(view)
    with pytest.raises(TypeError):
        cached_page(lambda number: number)(5)
