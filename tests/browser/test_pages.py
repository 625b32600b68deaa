"""The pages as people meet them: by mouse and keyboard, on a desk and on a phone, in light and dark."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from playwright.sync_api import Page, ViewportSize, expect

from dashboard.models import UserPreferences
from equipment.models import (
    DeviceModel,
    Document,
    Equipment,
    Manufacturer,
    ScheduledMaintenance,
    WorkOrder,
)
from locations.models import Location
from tests.browser.people import sign_in
from tests.people import PASSWORD

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]
PHONE: ViewportSize = {"width": 360, "height": 740}
LONG = "Anaesthesiaworkstationwithoutanyplacetobreakthelineanywhereinthisname"

# What a contrast of 4.5 is measured on: the text's colour against the first solid background behind it.
CONTRAST = """
(selector) => {
  const context = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
    .getContext("2d", {willReadFrequently: true});
  const over = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) layers.unshift(getComputedStyle(node).backgroundColor);
    const below = over(["white", ...layers]);
    const text = over(["white", ...layers, getComputedStyle(element).color]);
    const [light, dark] = [luminance(below), luminance(text)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  return [...document.querySelectorAll(selector)]
    .filter((element) => element.offsetParent !== null && element.textContent.trim())
    .map((element) => [element.textContent.trim().slice(0, 40), Math.round(ratio(element) * 100) / 100]);
}
"""


@pytest.fixture
def pump(live_server: Any) -> Equipment:
    """A device that has something in every table of its page, with long words in it."""
    site = Location.objects.create(name=f"North {LONG}", kind="site")
    maker = Manufacturer.objects.create(name=LONG)
    model = DeviceModel.objects.create(manufacturer=maker, name=LONG)
    device = Equipment.objects.create(
        name=LONG, serial=LONG, asset_tag="EQ-1", device_model=model, location=site, data_type="ppm", notes=LONG
    )
    for status in ("out_of_service", "in_storage", "on_loan", "missing"):
        Equipment.objects.create(name="Ventilator", serial=status, status=status, data_type="ppm")
    ScheduledMaintenance.objects.create(equipment=device, scheduled_date=date(2020, 1, 1))
    ScheduledMaintenance.objects.create(equipment=device, scheduled_date=date(2999, 1, 1))
    ScheduledMaintenance.objects.create(
        equipment=device, scheduled_date=date(2020, 1, 1), status="completed", completed_on=date(2020, 2, 1)
    )
    WorkOrder.objects.create(equipment=device, problem=LONG)
    Document.objects.create(equipment=device, title=LONG, file=ContentFile(b"text", "a.txt"))
    return device


def addresses(pump: Equipment) -> Iterator[str]:
    yield from ("/", "/equipment/", "/equipment/ppm/?sort=-status", "/equipment/ocm/", pump.get_absolute_url())
    yield from ("/equipment/?q=nothing", "/equipment/?status=lost", "/nowhere/")
    yield from ("/accounts/preferences/", "/accounts/password/")


def test_from_signing_in_to_signing_out(
    viewer: User, pump: Equipment, open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page()

    sign_in(page, "viewer")
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Equipment", exact=True).click()
    page.get_by_label("Search").fill("EQ-1")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=LONG).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(LONG)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.go_back()

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert complaints == []


def test_a_wrong_password_is_told_and_keeps_the_name(viewer: User, open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/accounts/sign-in/")

    page.get_by_label("Username").fill("viewer")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("correct username and password")
    expect(page.get_by_label("Username")).to_have_value("viewer")
    expect(page.get_by_label("Password")).to_have_value("")


def test_no_page_makes_the_browser_complain(
    viewer: User, pump: Equipment, open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page()
    for address in ("/accounts/sign-in/", "/accounts/password-reset/", "/accounts/password-reset/sent/"):
        page.goto(address)
    sign_in(page, "viewer")

    for address in addresses(pump):
        page.goto(address)

    assert complaints == []


def test_the_browser_refuses_script_and_style_that_a_page_did_not_bring(
    viewer: User, open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page()
    sign_in(page, "viewer")

    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<p id=p style=\"color: red\" onclick=\"x = 1\">x</p>')"
    )
    page.evaluate("document.getElementById('p').click()")

    assert len(complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in complaints)
    complaints.clear()


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_is_wider_than_the_screen(editor: User, pump: Equipment, open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 740})
    sign_in(page, "editor")

    too_wide = {}
    for address in addresses(pump):
        page.goto(address)
        too_wide[address] = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")

    assert {address: excess for address, excess in too_wide.items() if excess > 0} == {}


def test_the_menu_of_a_phone_opens_and_closes(viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewport=PHONE)
    sign_in(page, "viewer")
    button = page.get_by_role("button", name="Menu")
    link = page.locator("#menu").get_by_role("link", name="PPM equipment")

    expect(link).to_be_hidden()
    button.click()
    expect(link).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    link.focus()
    page.keyboard.press("Escape")

    expect(link).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(button).to_be_focused()


def test_without_scripts_the_menu_of_a_phone_is_open(viewer: User, open_page: OpenPage) -> None:
    page = open_page(viewport=PHONE, java_script_enabled=False)

    sign_in(page, "viewer")

    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_the_site_can_be_used_without_a_mouse(viewer: User, pump: Equipment, open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/accounts/sign-in/?next=/equipment/")
    expect(page.get_by_label("Username")).to_be_focused()

    page.keyboard.type("viewer")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Equipment")
    page.wait_for_load_state()
    page.keyboard.press("Tab")
    skip_link = page.get_by_role("link", name="Skip to the content")
    expect(skip_link).to_be_focused()
    expect(skip_link).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")

    expect(page.get_by_label("Search")).to_be_focused()


@pytest.mark.parametrize(
    ("device", "chosen", "theme"),
    [("dark", "", "dark"), ("light", "", "light"), ("light", "dark", "dark"), ("dark", "light", "light")],
)
def test_the_theme_is_the_one_chosen_else_the_devices(
    viewer: User, open_page: OpenPage, device: str, chosen: str, theme: str
) -> None:
    if chosen:
        UserPreferences.objects.create(user=viewer, theme=chosen)
    page = open_page(color_scheme=device)

    sign_in(page, "viewer")

    expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
    red, green, blue = page.evaluate(
        "(() => { const c = document.createElement('canvas').getContext('2d');"
        " c.fillStyle = getComputedStyle(document.body).backgroundColor; c.fillRect(0, 0, 1, 1);"
        " return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); })()"
    )
    assert (max(red, green, blue) < 64) == (theme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_told_from_what_is_behind_it(
    editor: User, pump: Equipment, open_page: OpenPage, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    sign_in(page, "editor")

    measured = []
    for address in addresses(pump):
        page.goto(address)
        measured += page.evaluate(
            CONTRAST, "a, button, th, td, dt, dd, label, h1, h2, p, .status, .text-secondary, li > span"
        )

    assert len(measured) > 100
    assert sorted({(ratio, text) for text, ratio in measured if ratio < 4.5}) == []
