"""The one builder of Redis keys: typed, free of order, free of collisions, readable in `redis-cli`.

A key of an entry is `{prefix}:entry:{service}:{operation}:{scope}:{params}`. Every value is written with its type, so
that 1, "1" and True differ, and with every separator inside a text escaped, so that `('a:', 'b')` and `('a', ':b')`
differ.
"""

from collections.abc import Mapping, Set
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import singledispatch
from hashlib import blake2b
from typing import Any
from urllib.parse import quote
from uuid import UUID

from invalidation.exceptions import UnkeyableValueError

# What stays itself inside a text; all else, separators included, is percent-encoded.
PLAIN_IN_TEXT = " -_./@+"
LONGEST_READABLE = 160
DIGEST_BYTES = 16


@singledispatch
def text_of(value: Any) -> str:
    """`value` written with its type; equal values of one type give one text, all others differ.

    Takes None, bool, int, float, Decimal, str, bytes, date, datetime, time, timedelta, UUID, enum members, and lists,
    tuples, sets and mappings of these. Lists and tuples are one kind; an instant is the same in every time zone.
    Raises UnkeyableValueError for anything else: an object's default text would carry its address.
    """
    raise UnkeyableValueError(f"a {type(value).__name__} cannot be part of a key: pass its primary key or plain values")


@text_of.register
def _(value: None) -> str:
    return "null"


@text_of.register
def _(value: bool) -> str:
    return "true" if value else "false"


@text_of.register
def _(value: int) -> str:
    return str(int(value))


@text_of.register
def _(value: float) -> str:
    return f"f{value!r}"


@text_of.register
def _(value: Decimal) -> str:
    return f"d{value}"


@text_of.register
def _(value: str) -> str:
    return "'" + quote(value, safe=PLAIN_IN_TEXT, errors="surrogatepass") + "'"


@text_of.register
def _(value: bytes) -> str:
    return "b" + value.hex()


@text_of.register
def _(value: datetime) -> str:
    kind, value = ("n", value) if value.tzinfo is None else ("t", value.astimezone(UTC))
    return kind + value.strftime("%Y%m%dT%H%M%S.%f")


@text_of.register
def _(value: date) -> str:
    return "@" + value.isoformat()


@text_of.register
def _(value: time) -> str:
    return "h" + quote(value.isoformat(), safe="")


@text_of.register
def _(value: timedelta) -> str:
    return f"p{value.days}d{value.seconds}s{value.microseconds}"


@text_of.register
def _(value: UUID) -> str:
    return f"u{value.hex}"


@text_of.register
def _(value: Enum) -> str:
    return text_of(value.value)


@text_of.register(list)
@text_of.register(tuple)
def _(value: list[Any] | tuple[Any, ...]) -> str:
    return "[" + ",".join(text_of(part) for part in value) + "]"


@text_of.register
def _(value: Set) -> str:
    return "<" + ",".join(sorted(text_of(part) for part in value)) + ">"


@text_of.register
def _(value: Mapping) -> str:
    return "{" + _pairs(value) + "}"


def params_text(params: Mapping[str, Any]) -> str:
    """The parameters in the order of their names; long ones keep a readable beginning and a digest of the whole."""
    text = _pairs(params)
    if len(text) <= LONGEST_READABLE:
        return text
    digest = blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()
    return f"{text[: LONGEST_READABLE - 48]}#{digest}"


def _pairs(values: Mapping[Any, Any]) -> str:
    pairs = sorted((name if isinstance(name, str) and name.isidentifier() else text_of(name), text_of(value))
                   for name, value in values.items())  # fmt: skip
    return "&".join(f"{name}={value}" for name, value in pairs)


class Keyspace:
    """The names of all the engine's keys under one prefix; `prefix` is that of `CACHES["default"]`."""

    __slots__ = ("_tag_start", "dirty", "epoch", "fenced", "origin_start", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.epoch = f"{prefix}:epoch"
        # The keys of tags that bear a fence, and the indexes that still list dead entries: what a sweep looks at.
        self.fenced = f"{prefix}:fenced"
        self.dirty = f"{prefix}:dirty"
        self.origin_start = f"{prefix}:origin:"
        self._tag_start = f"{prefix}:tag:"

    def tag(self, tag: str) -> str:
        return self._tag_start + tag

    def tag_of(self, key: str) -> str:
        """The tag whose key this is."""
        return key[len(self._tag_start) :]

    def index(self, tag: str) -> str:
        """The set of keys of entries that depend on the tag, kept to remove dead ones early."""
        return f"{self.prefix}:index:{tag}"

    def origin(self, database: str) -> str:
        """Which physical database the entries were read from: a restored one has another."""
        return self.origin_start + database

    def entry(self, name: str, scope: str, params: str) -> str:
        """`name` is "service:operation"."""
        return f"{self.prefix}:entry:{name}:{scope}:{params}"

    def entries_of(self, family: str) -> str:
        """A pattern for SCAN that matches the entries of a family, or of all for ""."""
        return f"{self.prefix}:entry:{family}:*" if family else f"{self.prefix}:entry:*"

    def counters(self, family: str) -> str:
        return f"{self.prefix}:counters:{family}"


def lease_key(entry: str) -> str:
    return entry + "|lease"


def result_key(entry: str) -> str:
    return entry + "|result"


def wanted_key(entry: str) -> str:
    """Exists while somebody waits for the computation of the entry."""
    return entry + "|wanted"
