"""A page for tests: a view that counts its runs, asked as a browser does, and reads that leave only their stamps."""

from django.http import HttpResponse
from django.test import RequestFactory

from invalidation import epoch, fills
from invalidation.middleware import VisitMiddleware
from invalidation.pages import cached_page
from invalidation.store import new_token, store


def begin_epoch():
    """An epoch out of quarantine, as on a site that has been up for a while."""
    present = epoch.ensure()
    store().run("settle", [store().names.epoch], (present, epoch.settled(present)))


def read(tag="rooms", until=None):
    """What a cached read leaves behind: its tag with the stamp it was validated by."""
    names = store().names
    store().command("SET", names.tag(tag), new_token(), "NX")
    value, present = store().command("MGET", names.tag(tag), names.epoch).value
    fills.current().add({tag: value}, until, present)


def write(tag="rooms"):
    store().command("SET", store().names.tag(tag), new_token())


class Rooms:
    """A view that counts its runs; `before` runs inside it."""

    def __init__(self, before=lambda request: None, body="rooms", **options):
        self.runs = 0
        self.before = before
        self.body = body
        self.view = cached_page(**options)(self.answer) if options else cached_page(self.answer)

    def answer(self, request):
        self.runs += 1
        read()
        changed = self.before(request)
        return changed if changed is not None else HttpResponse(self.body)

    def get(self, etag=None, path="/rooms/", around=lambda view: view, method="get", **extra):
        if etag is not None:
            extra["HTTP_IF_NONE_MATCH"] = etag
        request = getattr(RequestFactory(), method)(path, **extra)
        return VisitMiddleware(around(self.view))(request)


def etag_of(answer):
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-cache"
    return answer.headers["ETag"]


def assert_not_kept(answer):
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert "ETag" not in answer.headers
