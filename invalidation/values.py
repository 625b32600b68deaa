"""Values as bytes and back: typed, and safe to read whoever wrote them.

A cached read declares the type of its value. The type's shape is part of each entry; an entry of another shape, older
code's or newer code's, is a miss. Nothing that is read can run code.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from invalidation.exceptions import DeclarationError

SHAPE_BYTES = 8


class ValueCodec:
    """Writes and reads values of one declared type.

    Takes what msgspec takes: None, bool, int, float, str, bytes, Decimal, dates and times, UUID, enums, dataclasses,
    Structs, TypedDicts and named tuples, and lists, tuples, sets and dicts of these. Raises DeclarationError for a type
    that is not one of them.
    """

    def __init__(self, kind: Any, version: int = 1) -> None:
        self.kind = kind
        self.shape = shape_of(kind, version)
        self._encoder = msgspec.msgpack.Encoder(decimal_format="string", enc_hook=_refuse)
        self._decoder = msgspec.msgpack.Decoder(kind)

    def encode(self, value: Any) -> bytes:
        """Raises TypeError for a value that is not of the declared type, lazy ones included."""
        data = self._encoder.encode(value)
        self._decoder.decode(data)
        return data

    def decode(self, data: bytes) -> Any:
        """Raises msgspec.DecodeError for bytes that are not of the declared type."""
        return self._decoder.decode(data)


def _refuse(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} is not a finished value: a cached read returns plain values")


@lru_cache(maxsize=1024)
def shape_of(kind: Any, version: int) -> bytes:
    """A digest of a type's structure: names and types of its fields, all the way down."""
    try:
        schema = msgspec.json.schema(kind)
    except TypeError as error:
        raise DeclarationError(f"{kind} cannot be the value of a cached read: {error}") from error
    text = msgspec.json.encode([schema, version], order="deterministic")
    return blake2b(text, digest_size=SHAPE_BYTES).digest()
