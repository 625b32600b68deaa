"""Parameters of a cached read as people write them on a command line: key=value."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from invalidation.exceptions import DeclarationError
from invalidation.reads import CachedRead


def of(read: CachedRead[Any], words: Sequence[str]) -> dict[str, Any]:
    """The parameters that the words give, each of the type that the read's function declares.

    A text is written as it is, everything else as JSON. Raises DeclarationError for an unknown, missing or unreadable
    parameter.
    """
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise DeclarationError(f"{word!r} is no parameter: one is written key=value")
        given[name] = value
    unknown = sorted(given.keys() - read.types.keys())
    if unknown:
        raise DeclarationError(
            f"{read.name} has no parameter {', '.join(unknown)}; it has {', '.join(read.types) or 'none'}"
        )
    missing = [name for name in read.types if name not in given and name not in read.defaults]
    if missing:
        raise DeclarationError(f"{read.name} needs {', '.join(f'{name}=…' for name in missing)}")
    return {name: _value(name, text, read.types[name]) for name, text in given.items()}


def _value(name: str, text: str, kind: Any) -> Any:
    try:
        plain = json.loads(text)
    except ValueError:
        plain = text
    for each in (text, plain) if kind is str else (plain, text):
        try:
            return msgspec.convert(each, kind, strict=False)
        except msgspec.ValidationError as found:
            error = found
    raise DeclarationError(f"{name}={text} cannot be read: {error}")
