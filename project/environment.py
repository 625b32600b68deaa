"""Typed readers of environment variables; a bad value is an error that names the variable."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from zoneinfo import available_timezones

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})


def text(name: str, default: str = "") -> str:
    """The variable without surrounding blanks; unset and empty both give `default`."""
    return os.environ.get(name, "").strip() or default


def required(name: str, why: str) -> str:
    """The variable, or ImproperlyConfigured telling why it is needed."""
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set: {why}")
    return value


def choice(name: str, choices: tuple[str, ...], default: str) -> str:
    """One of `choices`."""
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(choices)}")
    return value


def boolean(name: str, default: bool) -> bool:
    """1, true, yes, on and 0, false, no, off, in any letter case."""
    if name not in os.environ:
        return default
    word = os.environ[name].strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(f"{name}={word!r} is neither 1 nor 0")


def integer(name: str, default: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    """A whole number between `minimum` and `maximum`, both included."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number") from None
    if not minimum <= number <= maximum:
        raise ImproperlyConfigured(f"{name}={number} is not between {minimum} and {maximum}")
    return number


def words(name: str, default: list[str] | None = None) -> list[str]:
    """A list separated by commas; empty parts are dropped."""
    parts = [part.strip() for part in os.environ.get(name, "").split(",")]
    return [part for part in parts if part] or list(default or [])


def time_zone(name: str, default: str) -> str:
    """The name of a time zone that this system knows."""
    value = text(name, default)
    if value not in available_timezones():
        raise ImproperlyConfigured(f"{name}={value!r} is no time zone; one is written like Europe/Berlin")
    return value


def database(url: str, var: Path) -> dict[str, Any]:
    """Django's settings for a database address.

    `sqlite:///relative/to/var.sqlite3`, `sqlite:////absolute/path.sqlite3` or
    `postgresql://user:password@host:port/name?sslmode=require`. A unix socket is given as
    `postgresql://user@/name?host=/path/to/folder`, as libpq writes it. Values after `?` are
    handed to libpq. Raises ImproperlyConfigured for anything else; the message never shows
    the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # What urlsplit says may quote the password, where one that holds / ? or # was not encoded.
        raise ImproperlyConfigured(
            "DATABASE_URL cannot be read: write / ? # @ and % within a name or password as %2F %3F %23 %40 %25"
        ) from None
    name = unquote(parts.path[1:])
    if parts.scheme in {"sqlite", "sqlite3"}:
        if parts.netloc or not name:
            raise ImproperlyConfigured("DATABASE_URL for SQLite is sqlite:///file or sqlite:////absolute/file")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(var / name)}
    if parts.scheme in {"postgres", "postgresql"}:
        if not name:
            raise ImproperlyConfigured("DATABASE_URL names no database: postgresql://user:password@host:5432/name")
        options = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": unquote(parts.username or "") or options.pop("user", ""),
            "PASSWORD": unquote(parts.password or "") or options.pop("password", ""),
            "HOST": unquote(parts.hostname or "") or options.pop("host", ""),
            "PORT": str(port or options.pop("port", "")),
            "OPTIONS": dict(options),
        }
    raise ImproperlyConfigured(f"DATABASE_URL begins with {parts.scheme!r}; sqlite and postgresql are supported")


def redis_url(embedded_socket: Path) -> str:
    """The address of Redis: REDIS_URL, else REDIS_HOST, REDIS_PORT and REDIS_DB, else our own server's socket.

    Raises ImproperlyConfigured for one that cannot be used; the message never shows the password.
    """
    url = text("REDIS_URL")
    if url:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ImproperlyConfigured("REDIS_URL begins with redis://, rediss:// or unix://")
        check_redis_url(url)
        return url
    number = integer("REDIS_DB", 0)
    host = text("REDIS_HOST")
    if host:
        return f"redis://{host}:{integer('REDIS_PORT', 6379, 1, 65535)}/{number}"
    return f"unix://{quote(str(embedded_socket))}?db={number}"


def uses_embedded_redis() -> bool:
    """Whether no Redis is named, so that the site uses its own."""
    return not text("REDIS_URL") and not text("REDIS_HOST")


def check_redis_url(url: str) -> None:
    """Raise ImproperlyConfigured where the address names no host or socket, or a port that is none."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.path) if parts.scheme == "unix" else bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # What urlsplit says may quote the password, where one that holds / ? or # was not encoded.
        raise ImproperlyConfigured(
            "REDIS_URL cannot be read: it is redis://user:password@host:6379/0 or unix:///path/to/socket?db=0, "
            "with / ? # @ and % within a name or password written as %2F %3F %23 %40 %25"
        )
