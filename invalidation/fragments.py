"""Template fragments: a template and the plain values it is rendered with, read through the cache as one.

A fragment is rendered in a context of its own. It sees the values that its function returns for its parameters, and
nothing of the page it stands in: neither a row that was read before its stamps were taken, nor whose request it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Set
from datetime import UTC, datetime
from enum import Enum
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from typing import Any, get_type_hints

from django.template import Context, loader
from django.utils.safestring import SafeString, mark_safe

from invalidation.exceptions import DeclarationError, UnkeyableValueError, WithheldNameError
from invalidation.keys import text_of
from invalidation.reads import CachedRead, Needs, Until
from invalidation.registry import registry

# What a fragment's template would expect of the page around it. A token, a message or a nonce in an entry would be
# handed to somebody else; and what a template takes from the user varies by the user, which the key does not.
NEVER_GIVEN = ("csrf_token", "csp_nonce", "messages")
WITHHELD = (*NEVER_GIVEN, "perms", "request", "user")
# Texts are translated and instants written in local time wherever they stand in a template; and the shape of a text
# does not tell an older template from a newer one.
ALWAYS_VARIES = ("language", "time_zone", "release")

_fragments: dict[str, Fragment] = {}


class Fragment:
    """A declared fragment: `render(**params)` gives its content, safe to put into a page."""

    def __init__(self, function: Callable[..., Mapping[str, Any]], template: str, read: CachedRead[str]) -> None:
        self.function = function
        self.template = template
        self.read = read
        self._signature = inspect.signature(function)

    @property
    def name(self) -> str:
        return self.read.name

    def render(self, **params: Any) -> SafeString:
        """The content, from the cache or rendered now.

        Takes what a key takes (`invalidation.keys.text_of`); raises UnkeyableValueError, a TypeError, for the rest:
        pass a row's key instead of the row. Raises WithheldNameError if the template asks for the request.
        """
        return mark_safe(self.read(**self._given(params)))  # noqa: S308 - a template rendered it, with escaping on

    def bypass(self, **params: Any) -> SafeString:
        """The content as the database has it now, nothing stored."""
        return mark_safe(self.read.bypass(**self._given(params)))  # noqa: S308 - as above

    def check(self, names: Iterable[str]) -> None:
        """Raises TypeError unless the fragment can be rendered with parameters of these names."""
        self._signature.bind(**dict.fromkeys(names))

    def _given(self, params: dict[str, Any]) -> dict[str, Any]:
        given = {name: plain(value) for name, value in params.items()}
        for name, value in given.items():
            try:
                text_of(value)
            except UnkeyableValueError as error:
                # Before the needs are asked for, which would be the first to stumble over an instance.
                raise UnkeyableValueError(f"{self.name}, {name}: {error}") from None
        return given


def fragment(
    name: str,
    *,
    template: str,
    needs: Needs = (),
    ttl: str = "static",
    scope: str | None = None,
    varies: Iterable[str] = (),
    until: Until | None = None,
    snapshot: bool = False,
    using: str = "default",
) -> Callable[[Callable[..., Mapping[str, Any]]], Fragment]:
    """Declare a fragment in an app's caches.py, on the function that gives the template its values.

        @fragment("equipment:card", template="equipment/card.html", needs=lambda p: [row(Equipment, p["device"])])
        def equipment_card(*, device: int) -> dict[str, Any]:
            return {"name": Equipment.objects.values_list("name", flat=True).get(pk=device)}

    The function's parameters are keyword-only; it and the template run inside the fill, so both may query what `needs`
    names. Language and time zone are always part of the key, and so is the release: another version of the template
    is another entry. The rest is as for `cached_read`.
    """

    def declare(function: Callable[..., Mapping[str, Any]]) -> Fragment:
        read = CachedRead(
            _rendering(function, template), name, needs=needs, ttl=ttl, scope=scope,
            varies=dict.fromkeys((*ALWAYS_VARIES, *varies)), until=until, snapshot=snapshot, using=using,
        )  # fmt: skip
        registry.add_read(read)
        made = _fragments[name] = Fragment(function, template, read)
        return made

    return declare


def fragment_named(name: str) -> Fragment:
    """Raises DeclarationError if there is none."""
    try:
        return _fragments[name]
    except KeyError:
        raise DeclarationError(f"there is no fragment named {name!r}: declare it in the app's caches.py") from None


def _rendering(function: Callable[..., Mapping[str, Any]], template: str) -> Callable[..., str]:
    """The function of the cached read: takes what `function` takes, and returns the text instead of the values."""

    def render(**params: Any) -> str:
        return rendered(template, function(**params))

    update_wrapper(render, function, assigned=WRAPPER_ASSIGNMENTS[:4], updated=())
    del render.__dict__["__wrapped__"]
    render.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    render.__annotations__ = {**get_type_hints(function, include_extras=True), "return": str}
    return render


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """The template's text with these values and nothing else; raises WithheldNameError if it wants the request."""
    found: Any = loader.get_template(template)
    context = FragmentContext(values, autoescape=found.backend.engine.autoescape)
    text: str = found.template.render(context)
    if context.asked:
        # `{% if %}` takes an exception for "no"; without this look its answer would be stored.
        raise WithheldNameError(f"{template}: {context.asked[0]}")
    return str.__str__(text)


class FragmentContext(Context):
    """A context with stand-ins for what only a request has: to use one is an error, and is remembered in `asked`."""

    def __init__(self, values: Mapping[str, Any], *, autoescape: bool) -> None:
        taken = sorted(set(NEVER_GIVEN) & set(values))
        if taken:
            raise WithheldNameError(f"a fragment cannot be given {taken[0]}: it would be stored for others to see")
        self.asked: list[str] = []
        self._stand_ins = {name: StandIn(name, self.asked) for name in WITHHELD}
        super().__init__(dict(values), autoescape=autoescape)

    def _reset_dicts(self, value: Any = None) -> None:
        """Also for the context of an inclusion tag and of `{% include … only %}`."""
        super()._reset_dicts(value)  # type: ignore[misc]
        self.dicts.insert(1, self._stand_ins)


class StandIn:
    """Stands where a request's value would be. May be passed on, as inclusion tags do, but not be looked at."""

    __slots__ = ("_asked", "_name")

    def __init__(self, name: str, asked: list[str]) -> None:
        self._name = name
        self._asked = asked

    def _refuse(self, *_arguments: Any) -> Any:
        reason = f"a fragment is the same for everybody and cannot use {self._name!r}; pass it plain values instead"
        self._asked.append(reason)
        raise WithheldNameError(reason)

    __bool__ = __str__ = __len__ = __iter__ = __getitem__ = __contains__ = __eq__ = __ne__ = __call__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __format__ = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        self._refuse(name)

    def __repr__(self) -> str:
        return f"<withheld {self._name}>"


def plain(value: Any) -> Any:
    """`value` reduced to what its key tells of it, so that two values of one key cannot be rendered differently.

    A text that is marked safe and one that is not have the same key, and so have a list and a tuple, a member of an
    enumeration and its value. Anything a key cannot hold is returned as it is, and refused where the key is built.
    """
    match value:
        case Enum():
            return plain(value.value)
        case bool() | None:
            return value
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC)
        case list() | tuple():
            return tuple(plain(part) for part in value)
        case Set():
            return frozenset(plain(part) for part in value)
        case Mapping():
            return {plain(key): plain(part) for key, part in sorted(value.items(), key=repr)}
    return value
