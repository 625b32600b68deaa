"""What a SELECT's condition pins down: the columns that equal a parameter in a top-level AND term.

A query whose condition says `"t"."id" = 5` at the top depends on that one row of t, whatever else it says. Only forms
that are recognised beyond doubt count; for all others the whole table has to be declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from invalidation.sql import NAME, QUOTED_TEXT, SELECT, _split, plain_name


@dataclass(frozen=True, slots=True)
class Term:
    """`table.column` equals one of the parameters at `positions`; with `constant` it equals that instead."""

    table: str
    column: str
    positions: tuple[int, ...] = ()
    constant: Any = None

    @property
    def is_null(self) -> bool:
        return not self.positions and self.constant is None

    def values(self, params: Any) -> tuple[Any, ...]:
        if not self.positions:
            return (self.constant,)
        given = tuple(params)
        return tuple(given[position] for position in self.positions)


COLUMN = rf"(?P<table>{NAME})\s*\.\s*(?P<column>{NAME})"
EQUALS = re.compile(rf"\s*{COLUMN}\s*(?:=\s*\(?\s*%s\s*\)?|IN\s*\(\s*%s(?:\s*,\s*%s)*\s*\))\s*$", re.IGNORECASE)
IS_NULL = re.compile(rf"\s*{COLUMN}\s+IS\s+NULL\s*$", re.IGNORECASE)
IS_TRUE = re.compile(rf"\s*{COLUMN}\s*$", re.IGNORECASE)
IS_FALSE = re.compile(rf"\s*NOT\s+{COLUMN}\s*$", re.IGNORECASE)
AFTER_WHERE = r"GROUP\s+BY|HAVING|ORDER\s+BY|LIMIT|OFFSET|FOR\s+(?:UPDATE|NO|SHARE|KEY)|WINDOW"
COMBINED = re.compile(r"\b(?:UNION|INTERSECT|EXCEPT)\b", re.IGNORECASE)


def sources(sql: str, table: str) -> int:
    """How often a table is named as one to read from."""
    name = re.escape(table)
    return len(re.findall(rf'(?:\bFROM|\bJOIN|,)\s+\(*\s*(?:"{name}"|\b{name}\b)(?!\s*\.)', sql, re.IGNORECASE))


@lru_cache(maxsize=2048)
def terms(sql: str) -> tuple[Term, ...]:
    """The terms of a SELECT's own condition; none where the text leaves a doubt."""
    if "%s" in "".join(QUOTED_TEXT.findall(sql)) or COMBINED.search(sql):
        return ()
    parts = _split(sql, "WHERE")
    if len(parts) != 2 or not SELECT.match(sql):
        return ()
    head, rest = parts
    for word in ("GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FOR", "WINDOW"):
        rest = _split(rest, word)[0]
    found = _terms(rest, head.count("%s"))
    # Under an outer join NULL also stands for a row that is not there.
    return tuple(term for term in found if not (term.is_null and _is_outer(head, term.table)))


def _is_outer(head: str, table: str) -> bool:
    name = re.escape(table)
    return re.search(rf'\bOUTER\s+JOIN\s+"?{name}"?(?!\w)', head, re.IGNORECASE) is not None


def _terms(condition: str, first: int) -> Iterator[Term]:
    if len(_split(condition, "OR")) > 1:
        return
    position = first
    for part in _split(condition, "AND"):
        inner = _without_brackets(part)
        if inner is not None:
            yield from _terms(inner, position)
        else:
            yield from _term(part, position)
        position += part.count("%s")


def _term(text: str, first: int) -> Iterator[Term]:
    for pattern, constant in ((EQUALS, None), (IS_NULL, None), (IS_TRUE, True), (IS_FALSE, False)):
        found = pattern.match(text)
        if found:
            positions = tuple(range(first, first + text.count("%s")))
            yield Term(plain_name(found["table"]), plain_name(found["column"]), positions, constant)
            return


def _without_brackets(text: str) -> str | None:
    """What stands inside brackets that enclose the whole text; None if none do."""
    text = text.strip()
    if not (text.startswith("(") and text.endswith(")")):
        return None
    depth = 0
    for found in re.finditer(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\(|\)", text):
        depth += {"(": 1, ")": -1}.get(found.group(), 0)
        if depth == 0 and found.end() < len(text):
            return None
    return text[1:-1]
