"""The readers of environment variables (project/environment.py)."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from project import environment

pytestmark = pytest.mark.once

VAR = Path("/var/lib/plumbline")


@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_text_that_is_unset_or_blank_is_the_default(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("PLUMBLINE_EXAMPLE", raising=False)
    else:
        monkeypatch.setenv("PLUMBLINE_EXAMPLE", value)

    assert environment.text("PLUMBLINE_EXAMPLE", "default") == "default"


def test_a_required_variable_that_is_missing_is_named_with_the_reason(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", " ")

    with pytest.raises(ImproperlyConfigured, match="PLUMBLINE_EXAMPLE is not set: nothing works without"):
        environment.required("PLUMBLINE_EXAMPLE", "nothing works without")


def test_a_choice_outside_the_list_is_refused_with_the_list(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", "staging")

    with pytest.raises(ImproperlyConfigured, match=r"PLUMBLINE_EXAMPLE='staging' is not one of testing, production"):
        environment.choice("PLUMBLINE_EXAMPLE", ("testing", "production"), "testing")


@pytest.mark.parametrize("word", ["1", "TRUE", " yes ", "On"])
def test_a_boolean_takes_the_usual_words_for_yes_in_any_case(monkeypatch, word):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", word)

    assert environment.boolean("PLUMBLINE_EXAMPLE", False) is True


@pytest.mark.parametrize("word", ["0", "False", " no ", "OFF"])
def test_a_boolean_takes_the_usual_words_for_no_in_any_case(monkeypatch, word):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", word)

    assert environment.boolean("PLUMBLINE_EXAMPLE", True) is False


def test_a_boolean_that_is_unset_is_the_default(monkeypatch):
    monkeypatch.delenv("PLUMBLINE_EXAMPLE", raising=False)

    assert environment.boolean("PLUMBLINE_EXAMPLE", True) is True
    assert environment.boolean("PLUMBLINE_EXAMPLE", False) is False


def test_a_word_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", "maybe")

    with pytest.raises(ImproperlyConfigured, match="PLUMBLINE_EXAMPLE='maybe'"):
        environment.boolean("PLUMBLINE_EXAMPLE", True)


@pytest.mark.parametrize("value", ["ten", "1.5", "1e3", "0x10"])
def test_a_number_that_is_no_whole_number_is_named(monkeypatch, value):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", value)

    with pytest.raises(ImproperlyConfigured, match=f"PLUMBLINE_EXAMPLE='{value}' is not a whole number"):
        environment.integer("PLUMBLINE_EXAMPLE", 5)


@given(number=st.integers(-50, 150))
def test_a_number_is_taken_within_its_bounds_and_named_with_them_outside(number):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLUMBLINE_EXAMPLE", str(number))

        if 1 <= number <= 100:
            assert environment.integer("PLUMBLINE_EXAMPLE", 5, 1, 100) == number
        else:
            with pytest.raises(ImproperlyConfigured, match=f"PLUMBLINE_EXAMPLE={number} is not between 1 and 100"):
                environment.integer("PLUMBLINE_EXAMPLE", 5, 1, 100)


def test_words_lose_blanks_and_empty_parts(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", " a.example, ,b.example,")

    assert environment.words("PLUMBLINE_EXAMPLE") == ["a.example", "b.example"]


def test_words_that_are_all_empty_are_the_default(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_EXAMPLE", " , ")

    assert environment.words("PLUMBLINE_EXAMPLE", ["localhost"]) == ["localhost"]


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///data/register.sqlite3", "/var/lib/plumbline/data/register.sqlite3"),
        ("sqlite:////srv/register.sqlite3", "/srv/register.sqlite3"),
        ("sqlite:///with%20blank.sqlite3", "/var/lib/plumbline/with blank.sqlite3"),
    ],
)
def test_an_sqlite_address_is_a_file_relative_to_var_or_absolute(url, file):
    database = environment.database(url, VAR)

    assert database["ENGINE"] == "django.db.backends.sqlite3"
    assert database["NAME"] == file


def test_a_postgresql_address_is_taken_apart():
    database = environment.database("postgresql://anna:s%40crt%2F@db.example:6432/register?sslmode=require", VAR)

    assert database == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "register",
        "USER": "anna",
        "PASSWORD": "s@crt/",
        "HOST": "db.example",
        "PORT": "6432",
        "OPTIONS": {"sslmode": "require"},
    }


def test_a_postgresql_address_may_name_a_unix_socket():
    database = environment.database("postgresql://anna@/register?host=/run/postgresql", VAR)

    assert (database["HOST"], database["USER"], database["NAME"]) == ("/run/postgresql", "anna", "register")
    assert database["OPTIONS"] == {}


@pytest.mark.parametrize(
    "url",
    [
        "mysql://anna:hunter2@db.example/register",
        "postgresql://anna:hunter2@db.example:5432",
        "postgresql://anna:hunter2@db.example:not-a-port/register",
        "postgresql://anna:hunter2@db.example:99999/register",
        "postgresql://anna:hunter2@[db.example/register",
        "sqlite://anna:hunter2@db.example/register",
        "sqlite:///",
        "anna:hunter2",
        "register.sqlite3",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_password(url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL") as refusal:
        environment.database(url, VAR)

    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("password", ["hunter2/x", "hunter2?x", "hunter2#x"])
def test_a_password_that_was_not_encoded_is_refused_and_not_shown_either(password):
    with pytest.raises(ImproperlyConfigured, match="%2F") as refusal:
        environment.database(f"postgresql://anna:{password}@db.example/register", VAR)

    assert "hunter2" not in str(refusal.value)


def test_redis_url_wins_over_host_port_and_number(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "rediss://cache.example:6380/2")
    monkeypatch.setenv("REDIS_HOST", "other.example")

    assert environment.redis_url(Path("/run/redis.sock")) == "rediss://cache.example:6380/2"


def test_redis_host_port_and_number_make_an_address(monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_HOST", "cache.example")
    monkeypatch.setenv("REDIS_PORT", "6380")
    monkeypatch.setenv("REDIS_DB", "3")

    assert environment.redis_url(Path("/run/redis.sock")) == "redis://cache.example:6380/3"


def test_without_an_address_redis_is_our_own_server(monkeypatch):
    for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_DB"):
        monkeypatch.delenv(name, raising=False)

    assert environment.redis_url(Path("/srv/a b/redis.sock")) == "unix:///srv/a%20b/redis.sock?db=0"


def test_a_redis_address_of_another_kind_is_refused_without_its_password(monkeypatch):
    monkeypatch.setenv("REDIS_URL", "http://:hunter2@cache.example")

    with pytest.raises(ImproperlyConfigured, match="REDIS_URL") as refusal:
        environment.redis_url(Path("/run/redis.sock"))

    assert "hunter2" not in str(refusal.value)
