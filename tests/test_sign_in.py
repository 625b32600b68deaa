"""Signing in and out, guessing, and choosing a new password."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.people import PASSWORD

SIGN_IN = "/accounts/sign-in/"
WRONG = "not the password"
NEW = "quite another one, 1912"
MOST_FAILURES = 8


def sign_in(client: Client, user: str, password: str = PASSWORD, **more: Any) -> Any:
    return client.post(SIGN_IN, {"username": user, "password": password, **more.pop("fields", {})}, **more)


def lock_out(client: Client, user: str) -> list[int]:
    return [sign_in(client, user, WRONG).status_code for _attempt in range(MOST_FAILURES)]


def is_signed_in(client: Client) -> bool:
    return client.get("/accounts/preferences/").status_code == 200


def test_signing_in_leads_home(viewer: User, client: Client) -> None:
    answer = sign_in(client, "viewer")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert is_signed_in(client)


def test_signing_in_leads_to_the_page_asked_for_first(viewer: User, client: Client) -> None:
    asked = client.get("/equipment/?q=a b").headers["Location"]

    answer = client.post(asked, {"username": "viewer", "password": PASSWORD})

    assert answer.headers["Location"] == "/equipment/?q=a%20b"


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", "/\\elsewhere"]
)
def test_signing_in_never_leads_to_another_site(viewer: User, client: Client, target: str) -> None:
    answer = sign_in(client, "viewer", fields={"next": target})

    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    ("user", "password"), [("viewer", WRONG), ("nobody", PASSWORD), ("viewer", ""), ("x\x00y", "z")]
)
def test_a_wrong_name_or_password_signs_nobody_in(viewer: User, client: Client, user: str, password: str) -> None:
    answer = sign_in(client, user, password)

    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode() or "errorlist" in answer.content.decode()
    assert not is_signed_in(client)


def test_an_unknown_name_is_answered_like_a_wrong_password(viewer: User, client: Client) -> None:
    answers = [sign_in(client, name, WRONG).content.decode() for name in ("viewer", "nobody")]

    known, unknown = (re.sub(r'value="[^"]*"', "", answer) for answer in answers)
    assert known == unknown


def test_a_deactivated_user_cannot_sign_in_and_is_signed_out(viewer: User, client: Client) -> None:
    sign_in(client, "viewer")
    User.objects.filter(pk=viewer.pk).update(is_active=False)

    still_in = is_signed_in(client)
    again = sign_in(client, "viewer").status_code

    assert (still_in, again) == (False, 200)


def test_eight_failures_stop_signing_in_even_with_the_right_password(viewer: User, client: Client) -> None:
    failures = lock_out(client, "viewer")

    answer = sign_in(client, "viewer")

    assert failures == [200] * (MOST_FAILURES - 1) + [429]
    assert answer.status_code == 429
    assert "Too many attempts" in answer.content.decode()
    assert not is_signed_in(client)


def test_another_user_of_the_same_address_may_still_sign_in(viewer: User, editor: User, client: Client) -> None:
    lock_out(client, "viewer")

    answer = sign_in(client, "editor")

    assert answer.status_code == 302


def test_the_same_user_may_still_sign_in_from_another_address(viewer: User, client: Client) -> None:
    lock_out(client, "viewer")

    answer = sign_in(Client(REMOTE_ADDR="192.0.2.7"), "viewer")

    assert answer.status_code == 302


def test_a_success_forgives_the_failures_before_it(viewer: User, client: Client) -> None:
    for _attempt in range(MOST_FAILURES - 1):
        sign_in(client, "viewer", WRONG)
    sign_in(client, "viewer")

    answer = sign_in(Client(), "viewer", WRONG)

    assert answer.status_code == 200


def test_a_session_ends_after_twelve_hours(viewer: User, client: Client) -> None:
    sign_in(client, "viewer")

    assert client.session.get_expiry_age() == 12 * 60 * 60
    assert client.cookies["sessionid"]["httponly"]
    assert client.cookies["sessionid"]["samesite"] == "Lax"


def test_signing_in_begins_a_new_session(viewer: User, client: Client) -> None:
    session = client.session
    session["planted"] = True
    session.save()
    before = session.session_key

    sign_in(client, "viewer")

    assert client.session.session_key != before


def test_signing_out_is_a_post_and_ends_the_session(viewer: User, client: Client) -> None:
    sign_in(client, "viewer")
    key = client.session.session_key
    assert key is not None

    by_link = client.get("/accounts/sign-out/").status_code
    by_form = client.post("/accounts/sign-out/")
    client.cookies["sessionid"] = key

    assert by_link == 405
    assert (by_form.status_code, by_form.headers["Location"]) == (302, SIGN_IN)
    assert by_form.headers["Clear-Site-Data"] == '"cache"'
    assert not is_signed_in(client)


def test_signing_out_twice_does_no_harm(client: Client, db: None) -> None:
    assert client.post("/accounts/sign-out/").headers["Location"] == SIGN_IN


def test_changing_the_password_needs_the_old_one(viewer: User, client: Client) -> None:
    sign_in(client, "viewer")

    answer = client.post("/accounts/password/", {"old_password": WRONG, "new_password1": NEW, "new_password2": NEW})

    viewer.refresh_from_db()
    assert answer.status_code == 200
    assert viewer.check_password(PASSWORD)


def test_changing_the_password_ends_the_other_sessions_only(viewer: User, client: Client) -> None:
    other = Client()
    for browser in (client, other):
        sign_in(browser, "viewer")

    client.post("/accounts/password/", {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})

    assert (is_signed_in(client), is_signed_in(other)) == (True, False)


def test_a_weak_password_is_refused(viewer: User, client: Client) -> None:
    sign_in(client, "viewer")

    answer = client.post(
        "/accounts/password/", {"old_password": PASSWORD, "new_password1": "viewer1", "new_password2": "viewer1"}
    )

    assert answer.status_code == 200
    assert "too short" in answer.content.decode()


def test_the_rules_for_passwords_are_listed_beside_the_field(viewer: User, client: Client) -> None:
    sign_in(client, "viewer")

    html = client.get("/accounts/password/").content.decode()

    assert "<li>Your password must contain at least 10 characters.</li>" in html


def reset_link(client: Client, mailbox: list[Any], address: str) -> str:
    """The path in the mail that asking for a new password sends."""
    client.post("/accounts/password-reset/", {"email": address})
    found = re.search(r"http://testserver(/\S+)", mailbox[-1].body)
    assert found
    return found[1]


def test_a_forgotten_password_is_replaced_by_mail_once(viewer: User, client: Client, mailoutbox: list[Any]) -> None:
    User.objects.filter(pk=viewer.pk).update(email="viewer@example.org")
    link = reset_link(client, mailoutbox, "viewer@example.org")
    form = client.get(link, follow=True)

    done = client.post(form.redirect_chain[-1][0], {"new_password1": NEW, "new_password2": NEW}, follow=True)
    again = Client().get(link, follow=True).content.decode()

    assert mailoutbox[0].to == ["viewer@example.org"]
    assert "\n" not in mailoutbox[0].subject
    assert "Your password is changed" in done.content.decode()
    assert sign_in(Client(), "viewer", NEW).status_code == 302
    assert "This link has been used already" in again


def test_asking_for_a_new_password_never_tells_who_has_an_account(
    viewer: User, client: Client, mailoutbox: list[Any]
) -> None:
    User.objects.filter(pk=viewer.pk).update(email="viewer@example.org")

    answers = [
        client.post("/accounts/password-reset/", {"email": address}, follow=True)
        for address in ("viewer@example.org", "nobody@example.org")
    ]

    known, unknown = ((answer.redirect_chain, answer.content) for answer in answers)
    assert known == unknown
    assert len(mailoutbox) == 1


def test_an_invented_reset_link_is_refused(viewer: User, client: Client) -> None:
    answer = client.get("/accounts/password-reset/MQ/abc-def/")

    assert "This link has been used already or is too old" in answer.content.decode()


def test_the_pages_state_the_times_that_are_set(
    viewer: User, client: Client, settings: Any, mailoutbox: list[Any]
) -> None:
    User.objects.filter(pk=viewer.pk).update(email="viewer@example.org")

    sent = client.post("/accounts/password-reset/", {"email": "viewer@example.org"}, follow=True)
    lock_out(client, "viewer")
    locked_out = sign_in(client, "viewer")

    assert settings.PASSWORD_RESET_TIMEOUT == 60 * 60
    assert "one hour" in sent.content.decode()
    assert "one hour" in mailoutbox[0].body
    assert settings.AXES_COOLOFF_TIME * 60 == 15
    assert "15 minutes" in locked_out.content.decode()
