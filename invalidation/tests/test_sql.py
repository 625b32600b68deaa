"""What a statement does, told from its text: nothing is taken for less than it is."""

import pytest

from invalidation.sql import Kind, classify

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT "a"."id" FROM "a" WHERE "a"."name" LIKE %s ESCAPE \'\\\' ORDER BY 1',
        '(SELECT "a"."id" FROM "a") UNION (SELECT "b"."id" FROM "b")',
        "select 1",
        'SELECT COUNT(*) AS "__count" FROM "a" WHERE NOT ("a"."x" = %s AND "a"."y" IS NULL)',
        "SELECT 'INSERT INTO a; -- not'''  AS \"text\"".replace(";", "").replace("-- ", ""),
        'WITH RECURSIVE tree AS (SELECT "a"."id" FROM "a") SELECT COUNT(*) FROM tree',
        'SELECT COALESCE(SUM("a"."cost"), %s) FROM "a" WHERE EXISTS(SELECT %s AS "a" FROM "b" U0 LIMIT 1)',
    ],
)
def test_a_lone_select_is_a_read(sql):
    found = classify(sql)

    assert (found.kind, found.calls_function) == (Kind.READ, False)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT write_something(%s)",
        'SELECT "write_something"(%s)',
        "SELECT public.write_something(1)",
        'SELECT nextval(\'a_id_seq\'), "a"."id" FROM "a"',
    ],
)
def test_a_function_that_is_not_known_may_write(sql):
    assert classify(sql).calls_function


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DELETE FROM a",
        "SELECT * INTO b FROM a",
        "/* SELECT */ DELETE FROM a",
        "-- SELECT\nDELETE FROM a",
        "WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone",
        "TRUNCATE a",
        "DO $$ BEGIN DELETE FROM a; END $$",
        "REFRESH MATERIALIZED VIEW a",
        "MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE",
        "REPLACE INTO a (id) VALUES (1)",
        "CALL change_everything()",
        "EXPLAIN ANALYZE DELETE FROM a",
        "COPY a FROM STDIN",
        "ALTER TABLE a ADD COLUMN b int",
        "anything else",
        "SELECT $a$'$a$, nothing()",
        'INSERT INTO "a" ("n") SELECT 1 RETURNING "a"."id"; SELECT 1',
        "SELECT E'\\'; DELETE FROM a; --'",
    ],
)
def test_what_is_not_recognised_is_a_write_of_unknown_extent(sql):
    found = classify(sql)

    assert (found.kind, found.table, found.is_one_row) == (Kind.WRITE, None, False)


@pytest.mark.parametrize(
    ("sql", "verb", "table"),
    [
        ('INSERT INTO "a" ("id", "n") SELECT "b"."id", 1 FROM "b"', "insert", "a"),
        ('INSERT INTO "a" ("id") VALUES (%s), (%s)', "insert", "a"),
        ('INSERT INTO "a" ("id") VALUES (%s) ON CONFLICT ("id") DO UPDATE SET "id" = EXCLUDED."id"', "insert", "a"),
        ('INSERT OR REPLACE INTO "a" ("id") VALUES (%s)', "insert", "a"),
        ('UPDATE "a" SET "n" = %s', "update", "a"),
        ('UPDATE "a" SET "n" = %s WHERE "a"."id" IN (%s, %s)', "update", "a"),
        ('UPDATE "a" SET "n" = %s WHERE ("a"."id" = %s OR "a"."n" = %s)', "update", "a"),
        ('UPDATE "a" SET "n" = %s WHERE "a"."n" > %s AND "a"."id" = %s', "update", "a"),
        ('UPDATE "a" SET "n" = (SELECT U0."n" FROM "b" U0 WHERE U0."id" = %s)', "update", "a"),
        ('UPDATE "a" SET "n" = "b"."n" FROM "b" WHERE "a"."id" = %s', "update", "a"),
        ('UPDATE "a" SET "n" = %s WHERE "a"."id" = %s RETURNING "a"."n"', "update", "a"),
        ("UPDATE a SET n = 1 WHERE id = 5", "update", "a"),
        ('DELETE FROM "a"', "delete", "a"),
        ('DELETE FROM "a" WHERE "a"."id" IN (SELECT U0."id" FROM "b" U0 WHERE U0."id" = %s)', "delete", "a"),
        ('DELETE FROM "public"."a" WHERE "a"."id" > %s', "delete", "a"),
    ],
)
def test_a_write_of_more_or_fewer_rows_than_one_is_its_tables(sql, verb, table):
    found = classify(sql)

    assert (found.verb, found.table, found.is_one_row) == (verb, table, False)
    assert found.kind is Kind.WRITE


def test_an_insert_of_one_row_tells_its_columns_and_what_it_returns():
    found = classify('INSERT INTO "a" ("id", "x""y", "n") VALUES (%s, DEFAULT, %s::jsonb) RETURNING "a"."id", "a"."n"')

    assert (found.table, found.is_one_row, found.columns, found.returns) == ("a", True, ("id", 'x"y', "n"), "id")
    assert found.parameter_of("id", [7, "{}"]) == 7
    assert found.parameter_of("n", [7, "{}"]) == "{}"
    assert found.parameter_of('x"y', [7, "{}"]) is None


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ('UPDATE "a" SET "n" = %s, "m" = ("a"."m" + %s) WHERE "a"."id" = %s', ("n", "m")),
        ('UPDATE "a" SET "n" = (SELECT MAX(U0."n") FROM "b" U0 WHERE U0."m" = %s) WHERE "a"."id" = %s', ("n",)),
        ('DELETE FROM "a" WHERE "a"."id" IN (%s)', ()),
        ('DELETE FROM "a" WHERE "a"."id" = %s', ()),
        ("update a set n = %s where id = %s", ("n",)),
    ],
)
def test_a_write_whose_whole_condition_is_one_column_is_told(sql, columns):
    found = classify(sql)

    assert (found.is_one_row, found.key_column, found.columns) == (True, "id", columns)


def test_a_parameter_inside_a_quoted_text_is_not_counted_on():
    assert not classify("UPDATE a SET n = '%s' WHERE id = %s").is_one_row


@pytest.mark.parametrize(
    ("sql", "verb", "sets_snapshot", "for_session"),
    [
        ("BEGIN", "begin", True, False),
        ("BEGIN IMMEDIATE", "begin", False, False),
        ("BEGIN DEFERRED", "begin", True, False),
        ("COMMIT AND CHAIN", "commit", True, False),
        ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "", True, False),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "", True, True),
        ("SET default_transaction_isolation = 'repeatable read'", "", True, True),
        ("COMMIT", "commit", False, False),
        ("END", "commit", False, False),
        ("ROLLBACK", "rollback", False, False),
        ('ROLLBACK TO SAVEPOINT "s1"', "", False, False),
        ('SAVEPOINT "s1"', "", False, False),
        ('RELEASE SAVEPOINT "s1"', "", False, False),
        ("PRAGMA foreign_keys = ON", "", False, False),
        ("CREATE INDEX CONCURRENTLY i ON a (b)", "", False, False),
    ],
)
def test_what_steers_the_transaction_is_neither_read_nor_write(sql, verb, sets_snapshot, for_session):
    found = classify(sql)

    assert found.kind is Kind.CONTROL
    assert (found.verb, found.sets_snapshot, found.for_session) == (verb, sets_snapshot, for_session)


@pytest.mark.parametrize("sql", ["PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"])
def test_two_phase_commit_is_told_apart(sql):
    assert classify(sql).is_two_phase


def test_what_returning_computes_is_not_taken_for_the_key():
    assert not classify('INSERT INTO "a" ("n") VALUES (%s) RETURNING "a"."id" + 100').is_one_row
