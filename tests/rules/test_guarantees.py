"""The page of guarantees names a test for every promise, situation and rule, and each of them exists."""

import ast
import re
from functools import cache

import pytest

from project.places import BASE_DIR
from tests.rules.removals import RULES

pytestmark = pytest.mark.once

SITUATIONS = range(1, 31)
# Of these a part is left to later, and the page says so.
LEFT_IN_PART = {10, 12, 14}
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


@cache
def functions_of(file):
    path = BASE_DIR / file
    nodes = ast.parse(path.read_text()).body if path.exists() else []
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def rows_of(heading):
    """The rows of the table under a heading, each as its cells."""
    page = (BASE_DIR / "docs" / "invalidation" / "guarantees.md").read_text()
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def named(cell):
    return [f"{file}::{name}" for file, name in NAMED_TEST.findall(cell)]


@pytest.mark.parametrize("heading", ["Promises", "Situations", "Rules"])
def test_every_line_names_tests_and_all_of_them_exist(heading):
    rows = rows_of(heading)

    missing = [
        f"{file}::{name}"
        for row in rows
        for file, name in NAMED_TEST.findall(row[-1])
        if name not in functions_of(file)
    ]

    assert rows
    assert [row[0] for row in rows if not named(row[-1])] == []
    assert missing == []


def test_every_situation_has_a_line_with_a_test_of_its_number():
    rows = {int(number): cell for number, _situation, cell in rows_of("Situations")}

    without = [number for number, cell in rows.items() if f"::test_{number:02d}_" not in cell]

    assert list(rows) == list(SITUATIONS)
    assert without == []


def test_what_is_left_to_later_is_said():
    left = {int(number) for number, situation, _tests in rows_of("Situations") if "Left to later" in situation}

    assert left == LEFT_IN_PART


def test_every_rule_has_a_line_with_its_tests():
    lines = {name: (sentence, set(named(cell))) for name, sentence, cell in rows_of("Rules")}

    assert lines == {
        rule.name: (rule.sentence, {test for removal in rule.removals for test in removal.tests}) for rule in RULES
    }
