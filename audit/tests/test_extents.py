"""Which rows a statement means, read from its text."""

import pytest

from audit.extents import COMPUTED, extent_of


@pytest.mark.parametrize(
    ("sql", "params", "where", "rest"),
    [
        ('UPDATE "t" SET "a" = %s WHERE "t"."id" = %s', (1, 2), '"t"."id" = %s', (2,)),
        ("update t set a = %s, b = b + %s", (1, 2), "", ()),
        ("UPDATE t SET a = %s WHERE b IN (%s, %s) AND c = 'SET';", (1, 2, 3), "b IN (%s, %s) AND c = 'SET'", (2, 3)),
        ("UPDATE t SET a = (SELECT max(a) FROM s WHERE z = %s) WHERE b = %s", (1, 2), "b = %s", (2,)),
        ("UPDATE t SET a = %s WHERE b = %s RETURNING c || %s", (1, 2, 3), "b = %s ", (2,)),
        ("UPDATE t SET a = %(x)s WHERE b = %(y)s OR c = %(x)s", {"x": 1, "y": 2}, "b = %s OR c = %s", (2, 1)),
        ("UPDATE t SET a = 1 WHERE b LIKE '5%' AND c % 2 = 0", None, "b LIKE '5%%' AND c %% 2 = 0", ()),
        ("UPDATE t SET a = 1 WHERE b LIKE '5%%' AND c = %s", (1,), "b LIKE '5%%' AND c = %s", (1,)),
        ("DELETE FROM t WHERE a = %s", (1,), "a = %s", (1,)),
        ("DELETE FROM t", (), "", ()),
    ],
)  # fmt: skip
def test_the_condition_is_found_with_its_parameters(sql, params, where, rest):
    extent = extent_of(sql, params, False)

    assert (extent.table, extent.where.rstrip(), extent.params) == ("t", where.rstrip(), rest)


def test_what_an_update_sets_is_told_apart_from_what_it_computes():
    sql = 'UPDATE "t" SET "a" = %s, b = %s::text, "c" = c + %s, d = \'x\', e = coalesce(%s, %s) WHERE "t"."id" = %s'

    extent = extent_of(sql, (1, 2, 3, 4, 5, 6), False)

    assert extent.assigned == (("a", 1), ("b", 2), ("c", COMPUTED), ("d", COMPUTED), ("e", COMPUTED))
    assert extent.params == (6,)


@pytest.mark.parametrize(
    ("sql", "params", "many", "values"),
    [
        ("INSERT INTO t (id, a) VALUES (%s, %s), (%s, %s)", (1, "x", 2, "y"), False, [1, 2]),
        ("INSERT INTO t (a, id) VALUES (upper(%s), %s), ('y', %s)", ("x", 1, 2), False, [1, 2]),
        ("INSERT OR IGNORE INTO t (id) VALUES (%s)", (1,), False, [1]),
        ("INSERT INTO t (a, id) SELECT * FROM UNNEST((%s)::text[], (%s)::bigint[])", ("xy", [1, 2]), False, [1, 2]),
        ("INSERT INTO t (id, a) VALUES (%s, %s)", [(1, "x"), (2, "y")], True, [1, 2]),
        ("INSERT INTO t (id, a) VALUES (%s + 1, %s)", (1, "x"), False, None),
        ("INSERT INTO t (id) SELECT id FROM s", None, False, None),
        ("INSERT INTO t (a) VALUES (%s)", (1,), False, None),
        ('INSERT INTO "t" ("a", "id") VALUES (%s, %s), (%s, %s) RETURNING "id"', "x1y2", False, ["1", "2"]),
        ("INSERT INTO t (a, id) VALUES (%s, %s), (%s, %s), (NULL, %s)", "x1y23", False, ["1", "2", "3"]),
        ("INSERT INTO t (id) VALUES (%s)", iter([(1,)]), True, None),
    ],
)  # fmt: skip
def test_the_keys_an_insert_gives_are_found(sql, params, many, values):
    assert extent_of(sql, params, many).values_of("id") == values


@pytest.mark.parametrize(
    ("end", "may_update"),
    [
        ("", False),
        (" ON CONFLICT DO NOTHING", False),
        (" ON CONFLICT (a) DO UPDATE SET a = EXCLUDED.a RETURNING id", True),
    ],
)
def test_an_insert_that_may_update_is_told(end, may_update):
    assert extent_of(f"INSERT INTO t (a) VALUES (%s){end}", (1,), False).may_update is may_update


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET a = 1; DELETE FROM t",
        "UPDATE t SET a = 1 -- all of it",
        "UPDATE t /* all */ SET a = 1",
        "UPDATE t AS x SET a = 1",
        "UPDATE ONLY t SET a = 1",
        "UPDATE other.t SET a = 1",
        "UPDATE t SET a = s.a FROM s WHERE s.id = t.id",
        "UPDATE t SET (a, b) = (1, 2)",
        "UPDATE t SET a = 1 WHERE CURRENT OF c",
        "UPDATE t SET a = 1 WHERE b = E'\\''",
        "UPDATE t SET a = $$x$$",
        "UPDATE t SET a = 1 WHERE b = 'un",
        "DELETE FROM t USING s WHERE s.id = t.id",
        "DELETE FROM t WHERE a = 1 ORDER BY a LIMIT 1",
        "DELETE FROM t AS x",
        "REPLACE INTO t (id) VALUES (1)",
        "INSERT OR REPLACE INTO t (id) VALUES (1)",
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t (a) VALUES (1",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "TRUNCATE t",
        "",
    ],
)
def test_other_shapes_have_no_extent(sql):
    assert extent_of(sql, None, False) is None


@pytest.mark.parametrize(
    ("sql", "params", "many"),
    [
        ("UPDATE t SET a = '%s' WHERE b = %s", (1, 2), False),
        ("UPDATE t SET a = %s WHERE b = %s", (1,), False),
        ("UPDATE t SET a = %(x)s", {}, False),
        ("UPDATE t SET a = %s", [(1,), (2,)], True),
        ("UPDATE t SET a = 1" + " " * 600_000, None, False),
    ],
)
def test_what_does_not_fit_its_parameters_or_runs_many_times_has_no_extent(sql, params, many):
    assert extent_of(sql, params, many) is None
