"""A refused write is answered with 503: nothing was saved, and the request may be sent again."""

import json

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from invalidation.exceptions import WriteRefusedError
from invalidation.middleware import RefusedWriteMiddleware

pytestmark = pytest.mark.once


def refuse(request):
    raise WriteRefusedError("nothing was committed")


def test_a_refused_write_of_a_view_is_a_503_that_may_be_tried_again():
    middleware = RefusedWriteMiddleware(lambda request: HttpResponse())

    answer = middleware.process_exception(RequestFactory().post("/"), WriteRefusedError("no"))

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Nothing was saved" in answer.content.decode()
    assert middleware.process_exception(RequestFactory().post("/"), ValueError("another")) is None


def test_an_error_raised_on_account_of_a_refused_write_counts_as_one():
    middleware = RefusedWriteMiddleware(lambda request: HttpResponse())
    try:
        try:
            refuse(None)
        except WriteRefusedError as error:
            raise ValueError("wrapped") from error
    except ValueError as error:
        answer = middleware.process_exception(RequestFactory().post("/"), error)

    assert answer.status_code == 503


def test_who_takes_no_pages_gets_json():
    middleware = RefusedWriteMiddleware(lambda request: HttpResponse())

    answer = middleware.process_exception(
        RequestFactory().post("/", HTTP_ACCEPT="application/json"), WriteRefusedError("no")
    )

    assert answer.status_code == 503
    assert json.loads(answer.content)["detail"].startswith("Nothing was saved")


def test_without_the_template_the_text_is_enough(settings):
    settings.INVALIDATION_REFUSED_TEMPLATE = "there/is/none.html"

    answer = RefusedWriteMiddleware(lambda request: HttpResponse()).process_exception(
        RequestFactory().post("/"), WriteRefusedError("no")
    )

    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")


def test_a_refused_write_of_a_middleware_is_a_503_too(settings, client):
    settings.MIDDLEWARE = [
        "invalidation.middleware.RefusedWriteMiddleware",
        "invalidation.tests.test_middleware.RefusingMiddleware",
    ]
    client.raise_request_exception = False

    answer = client.get("/")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


class RefusingMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        refuse(request)
