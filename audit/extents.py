"""Which rows a write means, read from its text: the condition of an UPDATE or DELETE, the keys an INSERT gives.

Only statements of one table in a plain shape are read. Everything else has no extent (None), whatever it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Taking a longer text to pieces would cost more than the statement itself.
LONGEST_TEXT_CHARACTERS = 500_000

TOKEN = re.compile(
    r"""(?P<string>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")+")|(?P<place>%s|%\(\w+\)s)|(?P<percent>%%)
    |(?P<word>[A-Za-z_][\w$]*)|(?P<strange>--|/\*|\$\w*\$|[%'"`])|(?P<other>[^\s])""",
    re.VERBOSE,
)
# In the way Django writes it: VALUES (%s, %s), (%s, %s)
FIRST_ROW = re.compile(r"INSERT [^()']*\([^()']*\) VALUES (?P<row>\([^()'{}]*\))")
# After the condition of an UPDATE or DELETE these say more about which rows it means.
FURTHER_CONDITIONS = frozenset({"ORDER", "LIMIT", "CURRENT", "UNION"})


@dataclass(frozen=True, slots=True)
class Extent:
    """What a write of one table says about its rows.

    `where` is the condition of an UPDATE or DELETE with `params` for it; "" means all rows. `assigned` are the columns
    an UPDATE sets, with the value of those that are set to a parameter and COMPUTED for the others; `columns` those of
    an INSERT, and `rows` what it gives for them, None where it does not list its rows. `may_update` says that an
    INSERT may change rows that are there.
    """

    verb: str
    table: str
    where: str = ""
    params: tuple[Any, ...] = ()
    assigned: tuple[tuple[str, Any], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] | None = None
    may_update: bool = False

    def values_of(self, column: str) -> list[Any] | None:
        """What an INSERT gives for `column`, one value for each row; None where that is not known."""
        if self.rows is None or column not in self.columns:
            return None
        position = self.columns.index(column)
        values = [row[position] for row in self.rows]
        return None if COMPUTED in values else values


class Computed:
    """Stands for a value that the statement lets the database compute."""

    def __repr__(self) -> str:
        return "computed by the statement"


COMPUTED = Computed()


class _Unreadable(Exception):
    """The statement has another shape than those that are read."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int
    depth: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.depth == 0 and self.text.upper() in words


def extent_of(sql: str, params: Any, many: bool) -> Extent | None:
    """The extent of the statement `sql`; None where its text does not tell it for certain."""
    if len(sql) > LONGEST_TEXT_CHARACTERS:
        return None
    try:
        # Besides its shape, the number or names of its parameters may not fit: then the statement will fail itself.
        return _Reader(sql, params, many).read()
    except (_Unreadable, IndexError, KeyError, TypeError, ValueError):
        return None


class _Reader:
    """Goes through one statement from its start to its end."""

    def __init__(self, sql: str, params: Any, many: bool) -> None:
        self._sql, self._repeats = (sql, 1) if many else _without_repeats(sql)
        self._many, self._given = many, params
        self._tokens = list(_tokens(self._sql, params))
        self._at = 0
        self._places_read = 0
        if self._tokens and self._tokens[-1].text == ";":
            self._tokens.pop()
        if any(token.text == ";" for token in self._tokens):
            raise _Unreadable

    def read(self) -> Extent:
        if self._take("INSERT"):
            return self._insert()
        if self._many:
            raise _Unreadable
        if self._take("UPDATE"):
            return self._update()
        if self._take("DELETE") and self._take("FROM"):
            return Extent("delete", self._name(), *self._condition())
        raise _Unreadable

    def _update(self) -> Extent:
        table = self._name()
        self._require("SET")
        start = self._at
        while self._at < len(self._tokens) and not self._sees("WHERE", "RETURNING"):
            if self._sees("FROM"):
                raise _Unreadable
            self._at += 1
        parts = _split(self._tokens[start : self._at])
        if not all(len(part) > 2 and part[0].kind in {"name", "word"} and part[1].text == "=" for part in parts):
            raise _Unreadable
        values = self._values([token for part in parts for token in part])
        assigned = []
        for part in parts:
            taken = [next(values) for token in part if token.kind == "place"]
            assigned.append((_plain(part[0]), taken[0] if _is_plain_parameter(part[2:]) else COMPUTED))
        where, params = self._condition()
        return Extent("update", table, where, params, tuple(assigned))

    def _condition(self) -> tuple[str, tuple[Any, ...]]:
        """The rest of the statement from WHERE on: its text with %s for each parameter, and the parameters."""
        if self._at == len(self._tokens) or self._take("RETURNING"):
            return "", ()
        self._require("WHERE")
        start = self._at
        while self._at < len(self._tokens) and not self._sees("RETURNING"):
            if self._sees(*FURTHER_CONDITIONS):
                raise _Unreadable
            self._at += 1
        tokens = self._tokens[start : self._at]
        text, end = [], tokens[0].start
        for token in tokens:
            text.append(self._sql[end : token.start])
            if token.kind == "place":
                text.append("%s")
            else:
                text.append(token.text if self._given is not None else token.text.replace("%", "%%"))
            end = token.end
        return "".join(text), tuple(self._values(tokens))

    def _insert(self) -> Extent:
        if self._take("OR") and not self._take("IGNORE"):
            raise _Unreadable  # OR REPLACE deletes whatever is in its way
        self._require("INTO")
        table = self._name()
        columns = tuple(_plain(part[0]) for part in _split(self._bracket(), depth=1))
        # ON CONFLICT … DO UPDATE
        may_update = any(token.is_word("UPDATE") for token in self._tokens[self._at :])
        return Extent("insert", table, columns=columns, rows=self._rows(len(columns)), may_update=may_update)

    def _rows(self, width: int) -> tuple[tuple[Any, ...], ...] | None:
        """What the statement gives for each row; None where it does not list its rows."""
        if self._take("SELECT"):
            # SELECT * FROM UNNEST(…): one parameter for each column, with the values of all rows.
            if not (self._tokens[self._at].text == "*" and self._tokens[self._at + 2].is_word("UNNEST")):
                return None
            self._at += 3
            columns = self._filled(self._shape(width))
            return None if COMPUTED in columns else tuple(zip(*columns, strict=True))
        if not self._take("VALUES"):
            return None
        if self._many:
            return self._rows_of_many(width)
        shape = self._shape(width)
        rows = [self._filled(shape) for _repeat in range(self._repeats)]
        while self._at < len(self._tokens) and self._tokens[self._at].text == ",":
            self._at += 1
            rows.append(self._filled(self._shape(width)))
        return tuple(rows)

    def _rows_of_many(self, width: int) -> tuple[tuple[Any, ...], ...] | None:
        """The same for a statement that runs once for each of its parameters."""
        if not isinstance(self._given, Sequence):
            return None  # reading an iterator would take it from the statement
        rows, shape, given = [], self._shape(width), self._given
        for self._given in given:
            self._places_read = 0
            rows.append(self._filled(shape))
        return tuple(rows)

    def _shape(self, width: int) -> list[tuple[list[_Token], bool]]:
        """For each value in the bracket that opens here: its places, and whether it is simply a parameter."""
        parts = _split(self._bracket(), depth=1)
        if len(parts) != width:
            raise _Unreadable
        return [([token for token in part if token.kind == "place"], _is_plain_parameter(part)) for part in parts]

    def _filled(self, shape: list[tuple[list[_Token], bool]]) -> tuple[Any, ...]:
        """The next row's values; COMPUTED for what is not simply a parameter."""
        values = []
        for places, is_plain in shape:
            values.append(self._parameter(places[0], self._places_read) if is_plain else COMPUTED)
            self._places_read += len(places)
        return tuple(values)

    def _parameter(self, token: _Token, position: int) -> Any:
        if isinstance(self._given, Mapping):
            return self._given[token.text[2:-2]]
        return self._given[position]

    def _values(self, tokens: list[_Token]) -> Iterator[Any]:
        """The parameters that stand for the places among `tokens`."""
        if not tokens:
            return
        position = sum(token.kind == "place" and token.start < tokens[0].start for token in self._tokens)
        for token in tokens:
            if token.kind == "place":
                yield self._parameter(token, position)
                position += 1

    def _bracket(self) -> list[_Token]:
        """What stands in the bracket that opens here."""
        if self._tokens[self._at].text != "(":
            raise _Unreadable
        start = self._at + 1
        self._at = start
        while self._tokens[self._at].depth > 0:
            self._at += 1
        self._at += 1
        return self._tokens[start : self._at - 1]

    def _name(self) -> str:
        token = self._tokens[self._at]
        self._at += 1
        is_qualified = self._at < len(self._tokens) and self._tokens[self._at].text == "."
        if token.kind not in {"name", "word"} or is_qualified:
            raise _Unreadable
        return _plain(token)

    def _sees(self, *words: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].is_word(*words)

    def _take(self, *words: str) -> bool:
        if not self._sees(*words):
            return False
        self._at += 1
        return True

    def _require(self, word: str) -> None:
        if not self._take(word):
            raise _Unreadable


def _tokens(sql: str, params: Any) -> Iterator[_Token]:
    """The tokens of `sql`; a bracket has the depth of what is around it. Raises _Unreadable for anything ambiguous."""
    depth, end = 0, -1
    for found in TOKEN.finditer(sql):
        kind, text = str(found.lastgroup), found.group()
        if kind in {"percent", "place"} and params is None:
            kind = "other"  # without parameters a per cent sign is nothing but itself
        if kind == "strange" and not (text == "%" and params is None):
            raise _Unreadable
        if kind == "string" and (found.start() == end or (params is not None and "%" in text.replace("%%", ""))):
            raise _Unreadable  # E'…' and the like have rules of their own; a place within a text is one all the same
        if text == ")":
            depth -= 1
        yield _Token(kind, text, found.start(), found.end(), depth)
        if text == "(":
            depth += 1
        end = found.end() if kind in {"word", "string"} or text == "&" else -1


def _without_repeats(sql: str) -> tuple[str, int]:
    """The statement with only the first of the equal brackets that follow VALUES, and how many there are.

    A bulk INSERT has hundreds: reading one is enough.
    """
    found = FIRST_ROW.match(sql)
    if found is None:
        return sql, 1
    row = found["row"]
    repeated = re.compile(rf"(?:, {re.escape(row)})*").match(sql, found.end())
    end = repeated.end() if repeated is not None else found.end()
    return sql[: found.end()] + sql[end:], 1 + (end - found.end()) // (len(row) + 2)


def _split(tokens: list[_Token], depth: int = 0) -> list[list[_Token]]:
    """The tokens between commas of this depth."""
    parts: list[list[_Token]] = [[]]
    for token in tokens:
        if token.text == "," and token.depth == depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _is_plain_parameter(tokens: list[_Token]) -> bool:
    """Whether this is one parameter, at most with the name of its type behind it."""
    rest = [token for token in tokens if token.text not in {"(", ")", "[", "]", ":"}]
    return bool(rest) and rest[0].kind == "place" and all(token.kind == "word" for token in rest[1:])


def _plain(token: _Token) -> str:
    """A table's or column's name as the database has it."""
    return token.text[1:-1].replace('""', '"') if token.kind == "name" else token.text.lower()
