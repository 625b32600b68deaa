"""`static/history.js`: "back" shows what the site says now, and not what the browser has kept."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.once]

# Without it the browser asks for one when it likes.
NO_ICON = '<link rel="icon" href="data:,">'


class Site(ThreadingHTTPServer):
    """Two pages with the headers of a page that may be answered with 304, and the script; counts what it is asked."""

    def __init__(self, *, with_script: bool) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.content = "first"
        self.with_script = with_script
        self.asked: list[str] = []

    def __enter__(self) -> "Site":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.shutdown()
        self.server_close()


class Answers(BaseHTTPRequestHandler):
    server: Site

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/history.js":
            self.answer((settings.BASE_DIR / "static" / "history.js").read_bytes(), "text/javascript", "script")
            return
        self.server.asked.append(self.path)
        script = '<script src="/history.js" defer></script>' if self.server.with_script else ""
        page = f"<!doctype html><title>page</title>{NO_ICON}{script}<p>{self.server.content}</p>"
        self.answer(page.encode(), "text/html", self.server.content)

    def answer(self, body: bytes, kind: str, name: str) -> None:
        self.send_response(200)
        self.send_header("ETag", f'W/"{name}"')
        self.send_header("Cache-Control", "private, no-cache")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def window(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def leave_and_come_back(window: Page, site: Site) -> None:
    address = f"http://127.0.0.1:{site.server_port}"
    window.goto(f"{address}/")
    window.goto(f"{address}/other")
    site.content = "second"
    site.asked.clear()
    window.go_back()


def test_back_shows_what_the_site_says_now(window: Page) -> None:
    with Site(with_script=True) as site:
        leave_and_come_back(window, site)

        expect(window.locator("p")).to_have_text("second")
        assert site.asked == ["/"]


def test_without_the_script_the_browser_would_not_ask(window: Page) -> None:
    with Site(with_script=False) as site:
        leave_and_come_back(window, site)

        expect(window.locator("p")).to_have_text("first")
        assert site.asked == []


def test_every_page_of_the_site_has_the_script() -> None:
    assert '{% static "history.js" %}' in (settings.BASE_DIR / "templates" / "base.html").read_text()
