"""`Server-Timing`: counts of this request and nobody else's, for staff and in development."""

import re
from types import SimpleNamespace

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from invalidation import metrics, timing
from invalidation.middleware import VisitMiddleware
from invalidation.pages import cached_page
from invalidation.testing import in_another_thread

STAFF = SimpleNamespace(pk=1, is_staff=True)
VISITOR = SimpleNamespace(pk=2, is_staff=False)


def visit(view, user=None):
    request = RequestFactory().get("/")
    if user is not None:
        request.user = user
    return VisitMiddleware(view)(request)


def plain(_request):
    return HttpResponse("page")


def ask_database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()


def test_outcomes_and_durations_of_a_request_are_told_in_milliseconds():
    def view(request):
        for outcome in ("hit", "hit", "adopted", "miss", "fill"):
            metrics.note("list", outcome, 0.002)
        return plain(request)

    answer = visit(view, STAFF)

    assert answer.headers["Server-Timing"] == 'cache;desc="hit=3 miss=1 bypass=0";dur=8.00, db;desc="0";dur=0.00'


@pytest.mark.django_db
def test_queries_are_counted_and_timed():
    def view(request):
        ask_database()
        ask_database()
        return plain(request)

    header = visit(view, STAFF).headers["Server-Timing"]

    found = re.search(r'db;desc="(\d+)";dur=([\d.]+)$', header)
    assert found is not None
    assert found[1] == "2"
    assert float(found[2]) > 0


@pytest.mark.django_db
def test_the_next_request_counts_from_zero_and_nothing_is_left_on_the_connection():
    before = list(connection.execute_wrappers)
    visit(lambda request: ask_database() or plain(request), STAFF)

    header = visit(plain, STAFF).headers["Server-Timing"]

    assert 'db;desc="0"' in header
    assert connection.execute_wrappers == before


def test_what_another_thread_reads_is_not_this_requests():
    def view(request):
        in_another_thread(metrics.note, "list", "hit", 1.0)
        return plain(request)

    assert "hit=0" in visit(view, STAFF).headers["Server-Timing"]


def test_a_page_is_not_counted_among_the_reads_it_is_made_of():
    assert "hit=0 miss=0 bypass=0" in visit(cached_page(plain), STAFF).headers["Server-Timing"]


def test_outside_of_requests_nothing_is_kept():
    timing.note("hit", 1.0)

    with timing.recording() as log:
        pass
    timing.note("hit", 1.0)

    assert log.header().startswith('cache;desc="hit=0')


@pytest.mark.parametrize("user", [None, VISITOR])
def test_visitors_are_not_told(user):
    assert "Server-Timing" not in visit(plain, user).headers


def test_in_development_everybody_is_told(settings):
    settings.DEBUG = True

    assert "Server-Timing" in visit(plain, VISITOR).headers


def test_a_user_nobody_has_looked_up_is_not_looked_up_for_it():
    def look_up():
        raise AssertionError("the user was looked up")

    answer = visit(plain, SimpleLazyObject(look_up))

    assert "Server-Timing" not in answer.headers


def test_wrappers_that_were_added_meanwhile_stay(settings):
    def other(execute, *arguments):
        return execute(*arguments)

    with timing.recording():
        connection.execute_wrappers.append(other)

    assert connection.execute_wrappers.count(other) == 1
    connection.execute_wrappers.remove(other)
