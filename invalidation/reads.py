"""Cached reads: how one is declared, and how it is read through the cache."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec
from django.db import connections
from django.utils import timezone, translation

from invalidation import answers, clock, computations, explanations
from invalidation.exceptions import DeclarationError
from invalidation.keys import params_text, text_of
from invalidation.lookups import Question
from invalidation.registry import registry
from invalidation.release import release
from invalidation.store import store
from invalidation.tags import Need, family_tag, tags_of
from invalidation.values import ValueCodec

P = ParamSpec("P")
T = TypeVar("T")

Params = dict[str, Any]
Needs = Iterable[Need] | Callable[[Params], Iterable[Need]]
Until = Callable[[Params], datetime | None]

# What a value may vary by besides its parameters; read where the cached read is called.
VARIATIONS: dict[str, Callable[[], str]] = {
    "language": translation.get_language,
    "day": lambda: clock.today().isoformat(),
    "time_zone": timezone.get_current_timezone_name,
    "release": release,
}

_bypassing: ContextVar[bool] = ContextVar("invalidation_bypassing", default=False)


@contextmanager
def bypassing() -> Iterator[None]:
    """Inside the block every cached read asks the database and stores nothing."""
    token = _bypassing.set(True)
    try:
        yield
    finally:
        _bypassing.reset(token)


class CachedRead(Generic[T]):
    """A function whose answers are kept in Redis and are never older than the database.

    Call it with keyword arguments that are plain values. Inside, nothing may be used that was read earlier: it gets
    keys and filters, never instances.
    """

    def __init__(
        self,
        function: Callable[..., T],
        name: str,
        *,
        needs: Needs,
        ttl: str = "list",
        scope: str | None = None,
        varies: Iterable[str] = (),
        until: Until | None = None,
        local: bool = False,
        snapshot: bool = False,
        version: int = 1,
        using: str = "default",
    ) -> None:
        """Raises DeclarationError for a name, a signature or a type that cannot be cached."""
        self.function = function
        self.name = name
        self.family, _colon, self.operation = name.partition(":")
        if not self.family or not self.operation:
            raise DeclarationError(f"{name!r} is not of the form 'service:operation'")
        self.needs = needs if callable(needs) else tuple(needs)
        self.ttl = ttl
        self.varies = tuple(varies)
        unknown = set(self.varies) - set(VARIATIONS)
        if unknown:
            raise DeclarationError(f"{name} varies by {sorted(unknown)}; known are {sorted(VARIATIONS)}")
        self.until = until
        self.is_local = local
        self.is_snapshot = snapshot
        self.using = using
        self.defaults, self.types = _parameters(function, name)
        if scope is not None and scope not in self.types:
            raise DeclarationError(f"{name} has no parameter {scope!r} to be its scope")
        self.scope = scope
        self.codec = ValueCodec(_hints(function, name)["return"], version)
        self._params = msgspec.msgpack.Decoder(
            msgspec.defstruct("Params", [*self.types.items(), ("_varied", dict[str, str])], kw_only=True)
        )
        update_wrapper(self, function)

    def __call__(self, **params: Any) -> T:
        """The value, never older than what the database had committed when the call began."""
        return self._answer(params)

    def force_refresh(self, **params: Any) -> T:
        """The value computed anew, by us or by somebody who began after this call, and stored."""
        return self._answer(params, refreshes=True)

    def bypass(self, **params: Any) -> T:
        """The value from the database; nothing is stored."""
        with bypassing():
            return self._answer(params)

    def key(self, **params: Any) -> str:
        """The key of the entry for these parameters."""
        return self._key(self._complete(params), self._varied())

    def tags(self, **params: Any) -> tuple[str, ...]:
        """The declared tags of the entry for these parameters; reads nested in it add theirs."""
        return self._tags(self._needs(self._complete(params)))

    def question(self, *, refreshes: bool = False, **params: Any) -> Question:
        """What is asked of Redis and the database for these parameters."""
        return self._question(self._complete(params), refreshes=refreshes)

    def decode_params(self, data: bytes) -> tuple[Params, dict[str, str]]:
        """The parameters, and what else the value varied by, as they are in an entry.

        Raises msgspec.DecodeError for those of an older signature.
        """
        found = self._params.decode(data)
        return {name: getattr(found, name) for name in self.types}, getattr(found, "_varied")  # noqa: B009

    def recompute(self, params: Params, varied: Mapping[str, str]) -> T:
        """The value from the database in the language and time zone that an entry was filled with."""
        language = varied.get("language", translation.get_language())
        zone = varied.get("time_zone", timezone.get_current_timezone_name())
        with translation.override(language), timezone.override(zone):
            return self.bypass(**params)

    def explain(self, **params: Any) -> Any:
        """What the entry depends on, whether it holds, and which write ended it."""
        return explanations.explain_read(self, params)

    def _answer(self, given: Params, *, refreshes: bool = False) -> T:
        question = self._question(self._complete(given), refreshes=refreshes)
        if _bypassing.get():
            return typing.cast(T, computations.bypass(question, "asked for"))
        return typing.cast(T, answers.answer(question))

    def _question(self, params: Params, *, refreshes: bool) -> Question:
        needs = self._needs(params)
        # Read once: the date in the key is the date that the value is computed for.
        now = clock.now()
        with clock.frozen(now):
            varied = self._varied()
        until = self.until
        return Question(
            name=self.name,
            family=self.family,
            key=self._key(params, varied),
            tags=self._tags(needs),
            needs=needs,
            using=self.using,
            codec=self.codec,
            ttl_class=self.ttl,
            compute=lambda: self.function(**params),
            params=lambda: msgspec.msgpack.encode({**params, "_varied": varied}),
            until=lambda: until(params) if until is not None else None,
            keeps_copy=self.is_local,
            is_snapshot=self.is_snapshot,
            refreshes=refreshes,
            now=now,
        )

    def _complete(self, given: Params) -> Params:
        if given.keys() != self.types.keys():
            params = {**self.defaults, **given}
            if params.keys() != self.types.keys():
                wrong = sorted(set(params) ^ set(self.types))
                raise TypeError(f"{self.name} takes {sorted(self.types)} by name; missing or unknown: {wrong}")
            return params
        return given

    def _needs(self, params: Params) -> tuple[Need, ...]:
        if not callable(self.needs):
            return self.needs
        needs = tuple(self.needs(params))
        registry.require_watched(needs)
        return needs

    def _tags(self, needs: tuple[Need, ...]) -> tuple[str, ...]:
        database = connections[self.using].database_name  # type: ignore[attr-defined]
        return (family_tag(self.family), *tags_of(needs, database))

    def _varied(self) -> dict[str, str]:
        return {each: VARIATIONS[each]() or "" for each in self.varies}

    def _key(self, params: Params, varied: Mapping[str, str]) -> str:
        parts = {name: value for name, value in params.items() if name != self.scope}
        parts |= {f"_{each}": value for each, value in varied.items()}
        scope = "all" if self.scope is None else text_of(params[self.scope])
        return store().names.entry(self.name, scope, params_text(parts))


def cached_read(
    name: str,
    *,
    needs: Needs,
    ttl: str = "list",
    scope: str | None = None,
    varies: Iterable[str] = (),
    until: Until | None = None,
    local: bool = False,
    snapshot: bool = False,
    version: int = 1,
    using: str = "default",
) -> Callable[[Callable[P, T]], CachedRead[T]]:
    """Declare a cached read: `name` is "service:operation", `needs` what its value depends on.

    `ttl` is a class of CACHE_CLASS_TTLS; `scope` the parameter that becomes the third part of the key; `varies` what
    the value varies by besides its parameters ("language", "day", "time_zone"); `until` tells the instant from which
    the clock alone makes it wrong. With `local` each process keeps copies, used only while Redis says that they hold.
    With `snapshot` all queries inside see one state of the database. Count `version` up when the meaning of the value
    changes and its type does not.
    """

    def declare(function: Callable[P, T]) -> CachedRead[T]:
        read: CachedRead[T] = CachedRead(
            function, name, needs=needs, ttl=ttl, scope=scope, varies=varies, until=until, local=local,
            snapshot=snapshot, version=version, using=using,
        )  # fmt: skip
        registry.add_read(read)
        return read

    return declare


def _parameters(function: Callable[..., Any], name: str) -> tuple[Params, dict[str, Any]]:
    """Defaults and types of the parameters; raises DeclarationError unless all are keyword-only and typed."""
    defaults, types = {}, {}
    hints = _hints(function, name)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY or parameter.name.startswith("_"):
            raise DeclarationError(f"{name}: the parameter {parameter.name} is not keyword-only (or begins with _)")
        if parameter.name not in hints:
            raise DeclarationError(f"{name}: the parameter {parameter.name} has no type")
        types[parameter.name] = hints[parameter.name]
        if parameter.default is not inspect.Parameter.empty:
            defaults[parameter.name] = parameter.default
    return defaults, types


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    hints = typing.get_type_hints(function, include_extras=True)
    if "return" not in hints:
        raise DeclarationError(f"{name}: the type of its value is not annotated")
    return hints
