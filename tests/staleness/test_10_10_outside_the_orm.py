"""Situation 10, as far as it happens in our processes: SQL of our own, and what the database does by itself."""

import pytest
from django.contrib.auth.models import Group
from django.db import NotSupportedError, connection, transaction

from equipment.models import Equipment
from equipment.tests.recipes import device
from invalidation.probing import probe_values
from invalidation.testing import assert_hits
from invalidation.tests.stored import stored_probe
from tests.staleness.reads import count_of_programme, device_names, group_names, names_of_programme

pytestmark = pytest.mark.django_db(transaction=True)


def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(*statement) if isinstance(statement, tuple) else cursor.execute(statement)


@pytest.fixture(autouse=True)
def nothing_is_left_open(transactional_db):
    """A test of a transaction by hand that fails within it would take the others with it."""
    yield
    connection.close()


@pytest.fixture
def renamed(everywhere):
    """`renamed(write)`: asserts that everybody sees how it makes the group "old", read just before, the group "new"."""
    Group.objects.create(name="old")

    def check(write):
        assert "old" in assert_hits(group_names)
        write()
        names = everywhere(group_names)
        assert "new" in names
        assert "old" not in names

    return check


# 10. Writers outside the ORM: statements through a cursor

UPDATES = [
    "UPDATE auth_group SET name = 'new' WHERE name = 'old'",
    "update  Auth_Group\n  set NAME = 'new'\n  where name = 'old';",
    "/* SELECT */ UPDATE auth_group SET name = 'new' WHERE name = 'old'",
    "-- SELECT\nUPDATE auth_group SET name = 'new' WHERE name = 'old'",
    'UPDATE "auth_group" AS g SET "name" = \'new\' WHERE "name" = \'old\'',
    (
        "WITH kept AS (SELECT id FROM auth_group WHERE name = 'old') "
        "UPDATE auth_group SET name = 'new' WHERE id IN (SELECT id FROM kept)"
    ),
    ("UPDATE auth_group SET name = %s WHERE name = %s", ["new", "old"]),
    ("UPDATE auth_group SET name = (SELECT %s) WHERE name = 'old'", ["new"]),
]


@pytest.mark.parametrize("statement", UPDATES)
def test_10_a_cursor_update_is_seen(renamed, statement):
    renamed(lambda: run(statement))


@pytest.mark.parametrize("statement", UPDATES)
def test_10_a_cursor_update_in_a_transaction_is_seen(renamed, statement):
    def write():
        with transaction.atomic():
            run(statement)

    renamed(write)


def test_10_a_cursor_update_of_one_row_by_its_key_is_seen(renamed):
    def write():
        run(("UPDATE auth_group SET name = 'new' WHERE id = %s", [Group.objects.get(name="old").pk]))

    renamed(write)


def test_10_a_cursor_update_that_exchanges_the_key_is_seen(renamed):
    def write():
        run(("UPDATE auth_group SET id = id + 1000, name = 'new' WHERE id = %s", [Group.objects.get(name="old").pk]))

    renamed(write)


def test_10_a_cursor_with_many_sets_of_parameters_is_seen(renamed):
    def write():
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE auth_group SET name = %s WHERE name = %s", [["x", "y"], ["new", "old"]])

    renamed(write)


def test_10_a_cursor_insert_from_a_select_is_seen(renamed):
    renamed(
        lambda: run(
            "INSERT INTO auth_group (name) SELECT 'new' FROM auth_group WHERE name = 'old'",
            "DELETE FROM auth_group WHERE name = 'old'",
        )
    )


@pytest.mark.parametrize("end", ["COMMIT", "END", "commit transaction"])
def test_10_a_cursor_transaction_by_hand_is_seen(everywhere, end):
    """Of a table that is not under audit: an audit record wants a transaction that Django knows of."""
    stored_probe("by hand", 1)

    # Not in one statement: several are a write of unknown extent anyway.
    run("BEGIN", "UPDATE invalidation_probe SET value = 2 WHERE name = 'by hand'")
    inside = probe_values(name="by hand")
    run(end)

    assert inside == [2]
    assert everywhere(probe_values, name="by hand") == [2]


def test_10_a_cursor_transaction_rolled_back_by_hand_leaves_nothing_behind(everywhere):
    stored_probe("by hand", 1)

    run("BEGIN", "UPDATE invalidation_probe SET value = 2 WHERE name = 'by hand'")
    inside = probe_values(name="by hand")
    run("ROLLBACK")

    assert inside == [2]
    assert everywhere(probe_values, name="by hand") == [1]


def test_10_a_cursor_update_of_a_row_moves_it_between_scopes(everywhere):
    pk = device.make(name="Pump", data_type="ppm").pk
    for programme in ("ppm", "ocm"):
        assert_hits(names_of_programme, data_type=programme)
        assert_hits(count_of_programme, data_type=programme)

    run(("UPDATE equipment_equipment SET data_type = %s WHERE id = %s", ["ocm", pk]))

    assert everywhere(names_of_programme, data_type="ppm") == []
    assert everywhere(names_of_programme, data_type="ocm") == ["Pump"]
    assert everywhere(count_of_programme, data_type="ppm") == 0
    assert everywhere(count_of_programme, data_type="ocm") == 1


def test_10_a_raw_queryset_that_writes_is_seen(renamed):
    def write():
        returned = Group.objects.raw("UPDATE auth_group SET name = 'new' WHERE name = 'old' RETURNING id, name")
        assert [group.name for group in returned] == ["new"]

    renamed(write)


def test_10_a_cursor_update_of_a_chosen_column_moves_rows_written_in_bulk(everywhere):
    for number in range(3):
        device.make(name=f"Pump {number}", data_type="ppm")
    assert_hits(names_of_programme, data_type="ocm")
    assert_hits(device_names)

    run("UPDATE equipment_equipment SET data_type = 'ocm', name = 'X' || name WHERE serial <> ''")

    assert everywhere(names_of_programme, data_type="ocm") == ["XPump 0", "XPump 1", "XPump 2"]
    assert everywhere(device_names) == ["XPump 0", "XPump 1", "XPump 2"]


# 10. Emptying a table


def empty_the_table():
    if connection.vendor == "postgresql":
        run("TRUNCATE auth_group CASCADE")
    else:
        run("DELETE FROM auth_group_permissions", "DELETE FROM auth_user_groups", "DELETE FROM auth_group")


def empty_the_table_in_a_transaction():
    with transaction.atomic():
        empty_the_table()


@pytest.mark.parametrize("empty", [empty_the_table, empty_the_table_in_a_transaction])
def test_10_truncate_is_seen(everywhere, empty):
    Group.objects.create(name="old")
    assert "old" in assert_hits(group_names)

    empty()

    assert everywhere(group_names) == []


def test_10_truncate_of_a_table_that_others_refer_to_is_seen_in_those(everywhere, postgresql):
    device.make()
    assert_hits(device_names)

    run("TRUNCATE locations_location CASCADE")

    assert everywhere(device_names) == []


# 10. COPY


def copy_a_group():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM auth_group WHERE name = 'old'")
        with cursor.copy("COPY auth_group (name) FROM STDIN") as copying:
            copying.write("new\n")


def test_10_copy_through_django_is_seen(renamed, postgresql):
    def write():
        with transaction.atomic():
            copy_a_group()

    renamed(write)


def test_10_copy_alone_in_its_transaction_is_seen(everywhere, postgresql):
    assert "copied" not in assert_hits(group_names)

    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy("COPY auth_group (name) FROM STDIN") as copying:
            copying.write("copied\n")
        inside = group_names()

    assert "copied" in inside
    assert "copied" in everywhere(group_names)


def test_10_copy_outside_of_a_transaction_is_refused_and_writes_nothing(everywhere, postgresql):
    assert_hits(group_names)

    with connection.cursor() as cursor, pytest.raises(Exception, match="atomic"):
        cursor.copy("COPY auth_group (name) FROM STDIN").__enter__()

    assert "copied" not in everywhere(group_names)


# 10. Triggers and views

MAKE_TRIGGER = {
    "sqlite": [
        "CREATE TABLE staleness_source (id integer)",
        (
            "CREATE TRIGGER staleness_trigger AFTER INSERT ON staleness_source "
            "BEGIN UPDATE auth_group SET name = 'new' WHERE name = 'old'; END"
        ),
        (
            "CREATE TRIGGER staleness_watched AFTER UPDATE ON equipment_equipment "
            "BEGIN UPDATE auth_group SET name = 'new' WHERE name = 'old'; END"
        ),
        "CREATE VIEW staleness_view AS SELECT id, name FROM auth_group",
        (
            "CREATE TRIGGER staleness_instead INSTEAD OF UPDATE ON staleness_view "
            "BEGIN UPDATE auth_group SET name = NEW.name WHERE id = OLD.id; END"
        ),
    ],
    "postgresql": [
        "CREATE TABLE staleness_source (id integer)",
        (
            "CREATE FUNCTION staleness_rename() RETURNS integer LANGUAGE sql AS "
            "$$ UPDATE auth_group SET name = 'new' WHERE name = 'old'; SELECT 1 $$"
        ),
        (
            "CREATE PROCEDURE staleness_procedure() LANGUAGE sql AS "
            "$$ UPDATE auth_group SET name = 'new' WHERE name = 'old' $$"
        ),
        (
            "CREATE FUNCTION staleness_by_trigger() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN UPDATE auth_group SET name = 'new' WHERE name = 'old'; RETURN NULL; END $$"
        ),
        (
            "CREATE TRIGGER staleness_trigger AFTER INSERT ON staleness_source "
            "FOR EACH ROW EXECUTE FUNCTION staleness_by_trigger()"
        ),
        (
            "CREATE TRIGGER staleness_watched AFTER UPDATE ON equipment_equipment "
            "FOR EACH ROW EXECUTE FUNCTION staleness_by_trigger()"
        ),
        "CREATE VIEW staleness_view AS SELECT id, name FROM auth_group",
    ],
}
REMOVE_TRIGGER = {
    "sqlite": [
        "DROP VIEW IF EXISTS staleness_view",
        "DROP TRIGGER IF EXISTS staleness_watched",
        "DROP TABLE IF EXISTS staleness_source",
    ],
    "postgresql": [
        "DROP VIEW IF EXISTS staleness_view",
        "DROP TRIGGER IF EXISTS staleness_watched ON equipment_equipment",
        "DROP TABLE IF EXISTS staleness_source",
        "DROP FUNCTION IF EXISTS staleness_by_trigger, staleness_rename",
        "DROP PROCEDURE IF EXISTS staleness_procedure",
    ],
}


@pytest.fixture
def code_in_the_database(transactional_db):
    run(*MAKE_TRIGGER[connection.vendor])
    yield
    if connection.vendor == "postgresql":
        connection.rollback()
    run(*REMOVE_TRIGGER[connection.vendor])


def test_10_a_trigger_of_a_table_that_nobody_watches_is_seen(code_in_the_database, renamed):
    renamed(lambda: run("INSERT INTO staleness_source VALUES (1)"))


def test_10_a_trigger_of_a_table_that_nobody_watches_is_seen_with_parameters(code_in_the_database, renamed):
    renamed(lambda: run(("INSERT INTO staleness_source (id) VALUES (%s)", [1])))


def update_device(pk):
    Equipment.objects.filter(pk=pk).update(name="written")


def save_device(pk):
    found = Equipment.objects.get(pk=pk)
    found.name = "written"
    found.save()


@pytest.mark.parametrize("write", [update_device, save_device])
def test_10_a_trigger_of_a_watched_row_is_seen_in_the_other_table(code_in_the_database, renamed, write):
    pk = device.make().pk
    renamed(lambda: write(pk))


def test_10_a_trigger_is_seen_inside_the_transaction_too(sqlite, code_in_the_database, watched, cache_in_use):
    """PostgreSQL tells of a trigger's writes at the commit only: until then its transaction may use older entries."""
    Group.objects.create(name="old")
    pk = device.make().pk
    assert_hits(group_names)

    with transaction.atomic():
        update_device(pk)
        inside = group_names()

    assert "new" in inside


def test_10_a_write_through_a_view_is_seen(code_in_the_database, renamed):
    renamed(lambda: run("UPDATE staleness_view SET name = 'new' WHERE name = 'old'"))


# 10. Functions and other ways of PostgreSQL


def in_a_transaction(*statements):
    with transaction.atomic():
        run(*statements)


def call_by_callproc():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.callproc("staleness_rename")


def compose():
    from psycopg import sql

    table, column = sql.Identifier("auth_group"), sql.Identifier("name")
    run(sql.SQL("UPDATE {} SET {} = 'new' WHERE {} = 'old'").format(table, column, column))


def stream():
    with transaction.atomic(), connection.cursor() as cursor:
        list(cursor.stream("UPDATE auth_group SET name = 'new' WHERE name = 'old' RETURNING id"))


def declare_and_fetch():
    in_a_transaction("DECLARE staleness_cursor CURSOR FOR SELECT staleness_rename()", "FETCH ALL FROM staleness_cursor")


def iterate_with_a_server_side_cursor():
    with transaction.atomic():
        list(Group.objects.extra(select={"one": "staleness_rename()"}).filter(name="old").iterator())


def copy_out():
    query = "COPY (SELECT staleness_rename()) TO STDOUT"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(query) as copying:
        list(copying)


def prepare_and_execute():
    run("PREPARE staleness_plan AS UPDATE auth_group SET name = 'new' WHERE name = 'old'")
    try:
        run("EXECUTE staleness_plan")
    finally:
        run("DEALLOCATE staleness_plan")


@pytest.mark.parametrize(
    "write",
    [
        lambda: run("SELECT staleness_rename()"),
        lambda: in_a_transaction("SELECT staleness_rename()"),
        lambda: in_a_transaction("SELECT 1 FROM auth_user, staleness_rename() UNION SELECT staleness_rename()"),
        lambda: run("CALL staleness_procedure()"),
        lambda: run("DO $$ BEGIN PERFORM staleness_rename(); END $$"),
        lambda: run(
            "WITH done AS (UPDATE auth_group SET name = 'new' WHERE name = 'old' RETURNING id) SELECT * FROM done"
        ),
        lambda: run("SELECT 1; UPDATE auth_group SET name = 'new' WHERE name = 'old'"),
        lambda: run(
            "MERGE INTO auth_group USING (SELECT 'old' AS was) AS w ON name = w.was "
            "WHEN MATCHED THEN UPDATE SET name = 'new'"
        ),
        lambda: run("EXPLAIN ANALYZE UPDATE auth_group SET name = 'new' WHERE name = 'old'"),
        lambda: run("EXPLAIN (ANALYZE) SELECT staleness_rename()"),
        lambda: run("CREATE TEMPORARY TABLE staleness_made AS SELECT staleness_rename()"),
        call_by_callproc,
        compose,
        stream,
        declare_and_fetch,
        iterate_with_a_server_side_cursor,
        copy_out,
        prepare_and_execute,
    ],
    ids=[
        "SELECT function",
        "SELECT function in a transaction",
        "UNION of functions",
        "CALL",
        "DO",
        "WITH",
        "several statements",
        "MERGE",
        "EXPLAIN ANALYZE",
        "EXPLAIN (ANALYZE)",
        "CREATE TABLE AS",
        "callproc",
        "composed",
        "stream",
        "DECLARE and FETCH",
        "server-side cursor",
        "COPY TO",
        "PREPARE and EXECUTE",
    ],
)
def test_10_code_that_writes_on_the_server_is_seen(postgresql, code_in_the_database, renamed, write):
    renamed(write)


@pytest.mark.parametrize(
    "call",
    [
        lambda cursor: cursor.callproc("staleness_rename"),
        lambda cursor: list(cursor.stream("UPDATE auth_group SET name = 'new' WHERE name = 'old' RETURNING id")),
    ],
    ids=["callproc", "stream"],
)
def test_10_what_passes_by_the_gate_in_autocommit_is_refused(postgresql, code_in_the_database, everywhere, call):
    Group.objects.create(name="old")
    assert_hits(group_names)

    with connection.cursor() as cursor, pytest.raises(Exception, match="atomic"):
        call(cursor)

    assert "old" in everywhere(group_names)


# 10. Ways of SQLite


@pytest.mark.parametrize("verb", ["REPLACE", "INSERT OR REPLACE"])
def test_10_a_replacement_is_seen(sqlite, renamed, verb):
    renamed(lambda: run(f"{verb} INTO auth_group (id, name) SELECT id, 'new' FROM auth_group WHERE name = 'old'"))


def test_10_a_script_is_refused_and_writes_nothing(sqlite, everywhere):
    """It would commit what is open, and itself, without asking anybody."""
    Group.objects.create(name="old")
    assert_hits(group_names)

    with connection.cursor() as cursor, pytest.raises(NotSupportedError, match="executescript"):
        cursor.executescript("UPDATE auth_group SET name = 'new' WHERE name = 'old'")

    assert "old" in everywhere(group_names)
