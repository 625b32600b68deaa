"""What people do again and again in a browser."""

from playwright.sync_api import Page, expect

from tests.people import PASSWORD


def sign_in(page: Page, user: str) -> None:
    """Sign in through the form and wait for the home page."""
    page.goto("/accounts/sign-in/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Home")
