"""The Chromium of the machine, and pages in it that report what the browser complains about."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the site under test may be asked for.
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE: ViewportSize = {"width": 1440, "height": 900}

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium")
    # Playwright keeps an event loop running in this thread, and Django would then refuse to use the database here.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with contextlib.ExitStack() as stack:
            try:
                playwright = stack.enter_context(sync_playwright())
            except Exception as error:  # noqa: BLE001 - its driver lacks a library of the system, whichever it is
                pytest.skip(f"Playwright does not start: {error}")
            # As root Chromium's own sandbox does not start.
            unconfined = ("--no-sandbox",) if os.geteuid() == 0 else ()
            browser = playwright.chromium.launch(executable_path=program, args=[*QUIET, *unconfined])
            yield browser
            browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Errors of scripts, blocked content and warnings of the pages opened so far; a test fails if any are left."""
    return []


@pytest.fixture
def open_page(chromium: Browser, live_server: Any, complaints: list[str]) -> Iterator[OpenPage]:
    """Opens a window of its own on the site: `open_page(viewport=…, color_scheme=…)`."""
    contexts = []

    def opened(**options: Any) -> Page:
        context = chromium.new_context(**{"base_url": live_server.url, "viewport": WIDE} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: note(page, message))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        return page

    def note(page: Page, message: ConsoleMessage) -> None:
        # That a page itself is answered with 400, 403 or 404 is no complaint of that page.
        about_itself = message.location["url"] == page.url and "responded with a status of 4" in message.text
        if message.type in {"error", "warning"} and not about_itself:
            complaints.append(f"{page.url}: {message.text}")

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
