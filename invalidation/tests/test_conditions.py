"""What a query's condition pins down: one row or scope, or nothing."""

import pytest

from invalidation.conditions import sources, terms

pytestmark = pytest.mark.once

SELECT = (
    'SELECT "a"."id", (SELECT MAX(U0."x") FROM "c" U0 WHERE U0."y" = %s) '
    'FROM "a" INNER JOIN "b" ON ("a"."b_id" = "b"."id")'
)
OUTER = 'SELECT "a"."id" FROM "a" LEFT OUTER JOIN "b" ON ("a"."id" = "b"."a_id")'


def pinned(condition, params, head=SELECT):
    return {(term.table, term.column, term.values(params)) for term in terms(f"{head} WHERE {condition}")}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('"a"."id" = %s', {("a", "id", (1,))}),
        ('"a"."id" IN (%s, %s)', {("a", "id", (1, 2))}),
        ('("a"."id" = %s AND "b"."n" = %s)', {("a", "id", (1,)), ("b", "n", (2,))}),
        ('("a"."x" > %s AND ("a"."id" = %s AND "a"."y" = %s)) ORDER BY "a"."id" ASC LIMIT 5',
         {("a", "id", (2,)), ("a", "y", (3,))}),
        ('"a"."b_id" IS NULL', {("a", "b_id", (None,))}),
        ('("a"."flag" AND NOT "a"."other")', {("a", "flag", (True,)), ("a", "other", (False,))}),
        ('(("a"."n" = %s OR "a"."m" = %s) AND "a"."id" = %s) GROUP BY "a"."id"', {("a", "id", (3,))}),
    ],
)  # fmt: skip
def test_columns_that_equal_a_parameter_at_the_top_are_told(condition, expected):
    assert pinned(condition, ["in the head", 1, 2, 3]) == expected


@pytest.mark.parametrize(
    "condition",
    [
        '("a"."id" = %s OR "a"."n" = %s)',
        'NOT ("a"."id" = %s)',
        '"a"."id" >= %s',
        '"a"."id" = "b"."id"',
        '"a"."id" = (%s + 1)',
        '"a"."id" IN (SELECT U0."id" FROM "c" U0 WHERE U0."id" = %s)',
        'EXISTS(SELECT 1 AS "a" FROM "c" U0 WHERE U0."id" = %s)',
        '"a"."id" = %s OR "a"."n" = %s',
        '"a"."id" = %s UNION SELECT "a"."id" FROM "a"',
    ],
)
def test_what_is_no_such_equality_pins_nothing(condition):
    assert pinned(condition, [0, 1, 2, 3]) == set()


def test_a_query_without_a_condition_pins_nothing():
    assert terms('SELECT "a"."id" FROM "a"') == ()


def test_a_table_that_is_read_twice_is_counted_twice():
    sql = 'SELECT "a"."id" FROM "a" LEFT OUTER JOIN "b" ON (1 = 1) INNER JOIN "a" T3 ON ("b"."a_id" = T3."id")'

    assert (sources(sql, "a"), sources(sql, "b"), sources(sql, "c")) == (2, 1, 0)


def test_null_of_a_table_under_an_outer_join_may_be_a_row_that_is_not_there():
    assert pinned('"b"."n" IS NULL', [], head=OUTER) == set()
    assert pinned('"a"."n" IS NULL', [], head=OUTER) == {("a", "n", (None,))}
    assert pinned('"b"."n" = %s', [1], head=OUTER) == {("b", "n", (1,))}
