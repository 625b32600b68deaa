"""25 and 26: what is one person's never gets into an entry, and who was signed out stays signed out.

What the back button shows is the browser's: `tests/browser/test_history.py` has
`test_back_shows_what_the_site_says_now` in a real one. Here is the site's part of it.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.utils import timezone

from dashboard.sessions import SessionStore
from equipment.tests.recipes import device, maintenance, work_order
from invalidation.store import store
from invalidation.testing import assert_no_queries, in_another_thread, leave_quarantine
from tests.people import PASSWORD
from tests.staleness import reads3
from tests.staleness.reads3 import Browser

pytestmark = pytest.mark.django_db(transaction=True)

SIGN_IN = "/accounts/sign-in/"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
SAVED = "Your preferences are saved."
PREFERENCES = {"theme": "dark", "page_size": "20", "dashboard_days": "14"}


@pytest.fixture(autouse=True)
def site(monkeypatch, settings):
    yield from reads3.declared(monkeypatch, settings)


@pytest.fixture
def process(actors):
    return reads3.processes(actors)


@pytest.fixture
def pump():
    found = device.make(name="Pump")
    maintenance.make(equipment=found)
    work_order.make(equipment=found)
    return found


def everything_in_redis() -> Iterator[bytes]:
    """Every key of the server and all that it holds, whatever its kind."""
    client = store().client
    parts: dict[bytes, Callable[[bytes], Any]] = {
        b"string": lambda key: [client.get(key) or b""],
        b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"hash": lambda key: [part for pair in client.hgetall(key).items() for part in pair],
    }
    for key in client.scan_iter(match=f"*{store().names.prefix}*"):
        kind = cast(bytes, client.type(key))
        if kind == b"none":  # a lease that has run out meanwhile
            continue
        yield key
        yield from parts[kind](key)


def traces(secret: str) -> list[bytes]:
    """The secret as it is, and as it looks inside something written in base 64, wherever it begins there."""
    found = [secret.encode()]
    for shift, first in enumerate((0, 2, 3)):
        text = b64encode(b"\0" * shift + secret.encode())
        # What lies between depends on the secret alone, and not on its neighbours.
        whole = text[first : (shift + len(secret.encode())) * 8 // 6]
        found += [whole, whole.replace(b"+", b"-").replace(b"/", b"_")]
    return found


def found_in_redis(secrets: dict[str, str]) -> list[str]:
    """The names of those that are anywhere in Redis."""
    assert all(len(secret) >= 10 for secret in secrets.values()), f"too short to look for: {secrets}"
    kept = list(everything_in_redis())
    assert len(kept) > 20, "hardly anything is in Redis: nothing would be found in it"
    return [name for name, secret in secrets.items() if any(trace in each for trace in traces(secret) for each in kept)]


def signed_in(user: User) -> Client:
    """By the form, as people do, with the check of its token on."""
    client = Client(enforce_csrf_checks=True)
    token = TOKEN.search(client.get(SIGN_IN).content.decode())
    assert token
    given = {"username": user.username, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    assert client.post(SIGN_IN, given).status_code == 302
    return client


def token_in(text: str) -> str:
    found = TOKEN.search(text)
    assert found
    return found[1]


# 25 What must not be shared


def test_25_what_must_not_be_shared_is_nowhere_in_redis_after_a_visit_of_the_site(administrator, cache_in_use, pump):
    """
    Given people who sign in, look at every page twice, save, are told so and ask for a link to a new password,
    when everything in Redis is read,
    then no token, message, cookie, password or link is in it; names of devices are, so the pages were cached.
    """
    User.objects.filter(pk=administrator.pk).update(email="admin@example.org")
    client = signed_in(administrator)
    addresses = [
        "/", "/equipment/", "/equipment/ppm/", f"/equipment/{pump.pk}/", "/accounts/preferences/",
        "/accounts/password/", "/admin/", "/admin/equipment/equipment/", "/shelf/", "/api/devices/",
    ]  # fmt: skip
    secrets: dict[str, str] = {}
    for number in range(2):
        for address in addresses:
            answer = client.get(address)
            assert answer.status_code == 200, address
            secrets |= {f"token of {address} {number}": token for token in TOKEN.findall(answer.content.decode())}
    token = client.cookies["csrftoken"].value
    saving = client.post("/accounts/preferences/", PREFERENCES | {"csrfmiddlewaretoken": token})
    assert saving.status_code == 302
    secrets["message cookie"] = client.cookies["messages"].value
    assert SAVED in client.get("/equipment/").content.decode()
    stranger = Client()
    stranger.post("/accounts/password-reset/", {"email": "admin@example.org"})
    link = re.search(r"/accounts/password-reset/(\S+?)/(\S+?)/", mail.outbox[0].body)
    assert link
    assert stranger.get(link[0], follow=True).status_code == 200
    administrator.refresh_from_db()

    secrets |= {
        "token cookie": token,
        "session cookie": client.cookies["sessionid"].value,
        "session of the link": stranger.cookies["sessionid"].value,
        "link": link[2],
        "message": SAVED,
        "password": PASSWORD,
        "stored password": administrator.password,
    }
    public = {"device": "Infusion pump of all", "heading": "Needs attention"}
    pump.name = public["device"]
    pump.save()
    client.get("/equipment/")

    assert found_in_redis(secrets) == []
    assert found_in_redis(public) == ["device"]


def test_25_what_must_not_be_shared_a_scan_finds_what_is_there(cache_in_use, viewer, client_of, pump):
    """The scan above can fail: a secret put into an entry, plainly or in base 64, is found."""
    secret = "a-secret-that-nobody-may-see"
    for address in ("/", "/equipment/", "/shelf/"):
        client_of(viewer).get(address)
    assert found_in_redis({"secret": secret}) == []

    for value in (secret.encode(), b64encode(b"x" + secret.encode()), b64encode(b"xy" + secret.encode() + b"z")):
        store().command("HSET", f"{store().names.prefix}:entry:leak", "field", value)
        assert found_in_redis({"secret": secret}) == ["secret"], value


def test_25_what_must_not_be_shared_a_message_is_shown_once_and_by_no_copy(client_of, viewer, cache_in_use, pump):
    """
    Given a browser with a copy of the list,
    when its user has saved something, and asks whether the copy holds,
    then the list comes anew with the message, nothing of it is kept, and the next one is without it.
    """
    client = client_of(viewer)
    browser = Browser(client)
    before = browser.keep("/equipment/")
    client.cookies.load(browser.cookies)

    browser.cookies["messages"] = client.post("/accounts/preferences/", PREFERENCES).cookies["messages"].value
    told = browser.get("/equipment/")
    browser.cookies.pop("messages")
    after = browser.get("/equipment/")
    later = browser.keep("/equipment/")

    assert [SAVED in page.text for page in (before, told, after, later)] == [False, True, False, False]
    assert (told.status, told.etag, told.kept) == (200, "", "private, no-store")
    assert after.status == 200


def test_25_what_must_not_be_shared_forms_of_a_confirmed_copy_work_and_of_another_session_do_not(
    administrator, viewer, cache_in_use
):
    """
    Given pages with forms, in the copies of two browsers,
    when the copies are confirmed and their forms are sent,
    then each works in its own browser, and in no other.
    """
    User.objects.update(password=administrator.password)
    first, second = signed_in(administrator), signed_in(viewer)
    pages = []
    for client in (first, second):
        page = client.get("/")
        token = token_in(page.content.decode())
        again = client.get("/", headers={"if-none-match": page.headers["ETag"]})
        assert again.status_code == 304
        assert not again.cookies
        pages.append(token)

    crossed = first.post("/accounts/sign-out/", {"csrfmiddlewaretoken": pages[1]}).status_code
    own = first.post("/accounts/sign-out/", {"csrfmiddlewaretoken": pages[0]}).status_code

    assert (crossed, own) == (403, 302)
    assert second.get("/").status_code == 200


def test_25_what_must_not_be_shared_a_copy_with_a_token_of_before_is_not_confirmed(viewer, client_of, cache_in_use):
    """The token changes with every sign-in: a copy whose forms would be refused is worth nothing."""
    browser = Browser(client_of(viewer))
    browser.keep("/")
    before = browser.cookies.pop("csrftoken")

    page = browser.get("/")

    assert page.status == 200
    assert browser.cookies["csrftoken"] != before


@pytest.mark.parametrize(("address", "secret"), [("/nonce/", r'nonce="(\S+)"'), ("/cookie/", None)])
def test_25_what_must_not_be_shared_a_page_with_a_nonce_or_a_cookie_is_not_kept(
    viewer, client_of, cache_in_use, pump, address, secret
):
    browser = Browser(client_of(viewer))
    pages = [browser.get(address) for _time in range(3)]
    reads = [browser.keep(each) for each in ("/", "/equipment/", "/shelf/")]

    assert len(reads) == 3
    assert [(page.status, page.etag, page.kept) for page in pages] == [(200, "", "private, no-store")] * 3
    if secret is None:
        assert found_in_redis({"cookie": "cookie-of-one-browser"}) == []
    else:
        nonces = [re.findall(secret, page.text)[0] for page in pages]
        assert len(set(nonces)) == 3
        assert found_in_redis({nonce: nonce for nonce in nonces}) == []


ADDRESSES = ["/", "/equipment/", "/shelf/", "/accounts/preferences/", "/admin/"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_25_what_must_not_be_shared_the_back_button_shows_no_private_page(
    administrator, client_of, cache_in_use, address
):
    """
    Given a private page in the browser, of which the back button asks anew (tests/browser/test_history.py),
    when its user has signed out, and the page is asked for with the cookies of before and the copy's ETag,
    then the answer is the sign-in page and no confirmation; and nothing was ever kept for others.
    """
    client = client_of(administrator)
    client.get(address)
    page = client.get(address)
    cookies = {name: each.value for name, each in client.cookies.items()}
    assert page.status_code == 200
    kept = set(page.headers["Cache-Control"].replace(" ", "").split(","))
    assert "private" in kept
    assert kept & {"no-cache", "no-store"}
    if address != "/admin/":
        assert 'src="/static/history.js"' in page.content.decode()

    assert client.post("/accounts/sign-out/").status_code == 302
    again = reads3.visit(address=address, cookies=cookies, etag=page.headers.get("ETag", "*"))

    assert (again.status, SIGN_IN in again.location or "/admin/login/" in again.location) == (302, True)


# 26 Logged out

ENDS: dict[str, Callable[[User, str], object]] = {
    "signed out": lambda user, key: SessionStore(key).flush(),
    "sessions cleared": lambda user, key: Session.objects.all().delete(),
    "session expired": lambda user, key: Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1)),
    "deactivated": lambda user, key: deactivate(user),
    "deactivated by a query": lambda user, key: User.objects.filter(pk=user.pk).update(is_active=False),
    "deleted": lambda user, key: User.objects.filter(pk=user.pk).delete(),
    "password changed": lambda user, key: change_password(user),
}


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def change_password(user: User) -> None:
    user.set_password("quite another one, 1912")
    user.save()


def is_dead(answer: reads3.Visited) -> bool:
    return answer.status == 302 and SIGN_IN in answer.location and not answer.etag


@pytest.mark.parametrize("end", ENDS)
def test_26_logged_out_is_dead_on_the_next_request_in_every_process(process, viewer, client_of, pump, end):
    """
    Given a signed-in browser whose pages come from the cache without a query, with copies that are confirmed,
    when the session ends, or its user is deactivated, elsewhere,
    then the next request is answered with the sign-in page, in this process and in another.
    """
    client = client_of(viewer)
    reader = process("reader")
    browsers = [Browser(client, ask) for ask in (partial(reader.call, reads3.visit), reads3.visit)]
    for browser in browsers:
        browser.keep("/")
        browser.keep("/equipment/")
    with assert_no_queries():
        browsers[1].get("/")

    in_another_thread(ENDS[end], viewer, client.session.session_key)

    for browser in browsers:
        assert is_dead(browser.get("/equipment/"))
        assert is_dead(browser.get("/"))
        assert is_dead(reads3.visit(address="/", cookies=browser.cookies))


@pytest.mark.parametrize("step", ["after_raise", "after_commit"])
def test_26_logged_out_counts_from_the_commit_on(process, viewer, client_of, step):
    client = client_of(viewer)
    reader, writer = process("reader"), process("writer")
    browser = Browser(client, partial(reader.call, reads3.visit))
    browser.keep("/")

    ending = writer.run_to(step, sign_out, key=client.session.session_key)
    during = browser.get("/")
    writer.go_on()
    ending.result()

    assert is_dead(during) == (step == "after_commit")
    assert is_dead(browser.get("/"))


def sign_out(*, key: str) -> None:
    SessionStore(key).flush()


@pytest.mark.parametrize("end", ENDS)
def test_26_logged_out_stays_so_when_redis_comes_back_from_an_old_image(
    troubled_redis, process, viewer, client_of, pump, end
):
    """
    Given an image of a Redis in which a session and its user live,
    when the session ends, and Redis is killed and comes back with what it held before that,
    then the session is dead all the same, at the first request and when the cache is in use again.
    """
    client = client_of(viewer)
    reader = process("reader")
    browser = Browser(client, partial(reader.call, reads3.visit))
    browser.keep("/")
    browser.keep("/equipment/")
    cookies, copy = dict(browser.cookies), browser.copies["/"].etag
    image = troubled_redis.save_image()
    in_another_thread(ENDS[end], viewer, client.session.session_key)
    assert is_dead(browser.get("/"))

    troubled_redis.restart_from(image)

    assert troubled_redis.info("db0")["keys"] > 20
    for etag in (copy, ""):
        for ask in (partial(reader.call, reads3.visit), reads3.visit):
            assert is_dead(ask(address="/", cookies=cookies, etag=etag))
    again = Browser(signed_in_anew())
    again.keep("/")
    assert is_dead(reads3.visit(address="/", cookies=cookies, etag=copy))
    assert is_dead(reader.call(reads3.visit, address="/", cookies=cookies, etag=copy))


def signed_in_anew() -> Client:
    """A browser of somebody else, for whom the cache comes into use again."""
    user = User.objects.create_user("somebody else")
    user.user_permissions.add(Permission.objects.get(codename="view_equipment"))
    client = Client()
    client.force_login(user, backend="dashboard.authentication.CachedRightsBackend")
    leave_quarantine()
    return client


@pytest.mark.parametrize("losing", ["flush_all", "restart_empty", "evict_volatile_keys"])
def test_26_logged_out_stays_so_when_redis_forgets(troubled_redis, process, viewer, client_of, losing):
    client = client_of(viewer)
    browser = Browser(client, partial(process("reader").call, reads3.visit))
    browser.keep("/")
    in_another_thread(sign_out, key=client.session.session_key)

    getattr(troubled_redis, losing)()

    assert is_dead(browser.get("/"))
    assert is_dead(reads3.visit(address="/", cookies=browser.cookies))


def test_26_logged_out_while_redis_is_away_is_dead_without_it(troubled_redis, process, viewer, client_of):
    """
    Given a session that ends, and a Redis that is gone at once,
    when the next request comes, with nothing to ask but the database,
    then it is dead.
    """
    client = client_of(viewer)
    browser = Browser(client, partial(process("reader").call, reads3.visit))
    browser.keep("/")
    in_another_thread(sign_out, key=client.session.session_key)

    troubled_redis.kill()
    try:
        dead = [is_dead(browser.get("/")), is_dead(reads3.visit(address="/", cookies=browser.cookies))]
    finally:
        troubled_redis.restart_empty()

    assert dead == [True, True]
