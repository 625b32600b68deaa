"""What statements without a signal leave in the audit, and that nothing is recorded twice."""

import json
import threading

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, IntegrityError, connection, connections, migrations, transaction
from django.db.migrations.state import ProjectState
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.db.models.signals import m2m_changed, post_save, pre_save
from django.test.utils import isolate_apps
from django.utils import timezone, translation

from audit import statements
from audit.actors import Actor, acting_as
from audit.models import AuditLog, EventType
from audit.snapshots import CHANGED_NOT_RECORDED, NOT_RECORDED
from audit.statements import observe, recorded_by_caller
from equipment.models import Equipment, Manufacturer, Placement, ProductClass
from equipment.tests import recipes
from invalidation.sql import classify

pytestmark = pytest.mark.django_db

HASH = "md5$salt$0123456789abcdef"
LABEL = ProductClass._meta.label_lower
TABLE = ProductClass._meta.db_table
CREATED, UPDATED, DELETED = EventType.CREATED, EventType.UPDATED, EventType.DELETED


@pytest.fixture
def classes():
    """Two product classes."""
    return [ProductClass.objects.create(code=code, name=f"{code} pump") for code in ("FRN", "MEA")]


@pytest.fixture
def since(classes):
    """What was recorded since the test began, in order."""
    last = AuditLog.objects.latest("pk").pk
    return lambda: list(AuditLog.objects.filter(pk__gt=last).order_by("pk"))


def told(events):
    return [(event.event_type, event.object_type, event.object_id, event.before, event.after) for event in events]


def execute(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def test_an_update_is_recorded_row_by_row(classes, since):
    first, second = classes

    ProductClass.objects.update(name="Pump")

    assert told(since()) == [
        (UPDATED, LABEL, str(first.pk), {"name": "FRN pump"}, {"name": "Pump"}),
        (UPDATED, LABEL, str(second.pk), {"name": "MEA pump"}, {"name": "Pump"}),
    ]
    assert since()[0].description == "Product class FRN Pump changed by a statement"


def test_an_update_whose_condition_no_longer_holds_afterwards_is_recorded(classes, since):
    ProductClass.objects.filter(name__startswith="FRN", implant=False).update(name="Pump", implant=True)

    before, after = {"name": "FRN pump", "implant": False}, {"name": "Pump", "implant": True}
    assert told(since()) == [(UPDATED, LABEL, str(classes[0].pk), before, after)]


def test_what_the_database_computes_is_recorded_as_a_value(classes, since):
    ProductClass.objects.filter(pk=classes[0].pk).update(name=Concat(F("name"), Value("s at 100%")))

    assert since()[0].after == {"name": "FRN pumps at 100%"}


def test_an_update_through_a_relation_is_recorded(since):
    model = recipes.device_model.make(manufacturer__name="Aster")
    other = recipes.device_model.make(manufacturer__name="Birch")
    count = len(since())

    type(model).objects.filter(manufacturer__name="Aster").update(description="Pump")

    assert [event.object_id for event in since()[count:]] == [str(model.pk)]
    assert str(other.pk) != str(model.pk)


def test_an_update_that_changes_nothing_is_not_recorded(classes, since):
    ProductClass.objects.filter(pk=classes[0].pk).update(name="FRN pump")
    ProductClass.objects.filter(code="XXX").update(name="Pump")

    assert since() == []


def test_what_is_not_recorded_of_a_model_is_not_even_asked_for(viewer, since, django_assert_num_queries):
    count = len(since())

    with django_assert_num_queries(1):
        User.objects.filter(pk=viewer.pk).update(last_login=timezone.now())

    assert len(since()) == count


def test_more_rows_than_the_bound_leave_one_record(classes, since, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 1)

    ProductClass.objects.update(implant=True, name=Concat(F("code"), Value("!")))

    after = {"rows": 2, "set": {"implant": True, "name": "computed by the statement"}}
    assert told(since()) == [(UPDATED, LABEL, "", None, after)]
    assert since()[0].description == "Product class: 2 rows changed by one statement"


def test_as_many_rows_as_the_bound_are_recorded_one_by_one(classes, since, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 2)

    ProductClass.objects.update(implant=True)

    assert len(since()) == 2


@pytest.mark.parametrize("bound", [0, 200])
def test_no_secret_is_recorded_of_an_update(bound, viewer, since, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", bound)
    old = viewer.password

    User.objects.filter(pk=viewer.pk).update(password=HASH)

    event = since()[-1]
    changes = event.after if bound else event.after["set"]
    assert changes == {"password": CHANGED_NOT_RECORDED}
    assert event.before == ({"password": NOT_RECORDED} if bound else None)
    recorded = json.dumps([[each.description, each.before, each.after] for each in AuditLog.objects.all()])
    assert HASH not in recorded
    assert old not in recorded


def test_rows_added_in_bulk_are_recorded_with_their_keys(since):
    added = ProductClass.objects.bulk_create([ProductClass(code=code, name=code) for code in ("AAA", "BBB", "CCC")])

    events = since()
    assert [(event.event_type, event.object_id, event.after["code"]) for event in events] == [
        (CREATED, str(row.pk), row.code) for row in added
    ]
    assert events[0].description == "Product class AAA AAA added by a statement"


def test_one_row_added_in_bulk_is_recorded(since):
    ProductClass.objects.bulk_create([ProductClass(code="AAA", name="Pump")])

    assert [(event.event_type, event.after["code"]) for event in since()] == [(CREATED, "AAA")]


def test_rows_added_under_keys_of_ones_own_are_recorded(since):
    ProductClass.objects.bulk_create([ProductClass(pk=pk, code=code) for pk, code in ((901, "AAA"), (7, "BBB"))])

    assert {(event.object_id, event.after["code"]) for event in since()} == {("901", "AAA"), ("7", "BBB")}


def test_of_rows_that_were_there_already_nothing_is_recorded(since):
    ProductClass.objects.bulk_create(
        [ProductClass(code="FRN", name="Other"), ProductClass(code="AAA", name="Pump")], ignore_conflicts=True
    )

    assert [event.after["code"] for event in since()] == ["AAA"]


def test_an_upsert_by_key_is_recorded_as_the_addition_or_the_change_it_is(classes, since):
    rows = [ProductClass(pk=classes[0].pk, code="FRN", name="Pump"), ProductClass(pk=901, code="AAA", name="New")]
    ProductClass.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=["name"])

    changed, added = since()
    assert (changed.event_type, changed.object_id, changed.after) == (UPDATED, str(classes[0].pk), {"name": "Pump"})
    assert (added.event_type, added.object_id, added.after["code"]) == (CREATED, "901", "AAA")


def test_an_upsert_by_something_else_says_that_the_changed_rows_are_not_known(classes, since):
    rows = [ProductClass(code="FRN", name="Pump"), ProductClass(code="AAA", name="New")]
    ProductClass.objects.bulk_create(rows, update_conflicts=True, unique_fields=["code"], update_fields=["name"])

    added, unknown = since()
    assert (added.event_type, added.after["code"]) == (CREATED, "AAA")
    assert told([unknown]) == [(UPDATED, LABEL, "", None, {"rows": "not known", "statement": "update"})]


def test_an_addition_of_more_rows_than_the_bound_leaves_one_record(since, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", 1)

    ProductClass.objects.bulk_create([ProductClass(code="AAA"), ProductClass(code="BBB")])
    ProductClass.objects.bulk_create([ProductClass(pk=901, code="CCC"), ProductClass(pk=902, code="DDD")])

    assert told(since()) == [(CREATED, LABEL, "", None, {"rows": 2})] * 2


def test_a_change_in_bulk_is_recorded_row_by_row(classes, since):
    for row in classes:
        row.name = f"{row.code}!"
    ProductClass.objects.bulk_update(classes, ["name"])

    assert [(event.object_id, event.after) for event in since()] == [
        (str(row.pk), {"name": f"{row.code}!"}) for row in classes
    ]


def test_a_deletion_without_signals_is_recorded_with_what_the_rows_held(classes, since):
    rows = ProductClass.objects.filter(code="FRN")
    rows._raw_delete(rows.db)

    (event,) = since()
    assert (event.event_type, event.object_id, event.before["name"]) == (DELETED, str(classes[0].pk), "FRN pump")
    assert event.description == "Product class FRN FRN pump deleted by a statement"


def test_a_reference_emptied_by_a_deletion_is_recorded(viewer, since):
    device, key = recipes.device.make(custodian=viewer), viewer.pk
    count = len(since())

    viewer.delete()

    emptied = [event for event in since()[count:] if event.object_type == "equipment.equipment"]
    expected = (UPDATED, "equipment.equipment", str(device.pk), {"custodian_id": key}, {"custodian_id": None})
    assert told(emptied) == [expected]


def test_the_memberships_of_a_deleted_user_are_recorded(viewer, since):
    key, group = viewer.pk, viewer.groups.get()
    count = len(since())

    viewer.delete()

    gone = [event for event in since()[count:] if event.object_type == "auth.user_groups"]
    assert [(event.event_type, event.before["user_id"], event.before["group_id"]) for event in gone] == [
        (DELETED, key, group.pk)
    ]


def test_a_right_given_past_the_relation_is_recorded(viewer, since):
    group = Group.objects.get(name="Admin")
    count = len(since())

    User.groups.through.objects.bulk_create([User.groups.through(user=viewer, group=group)])

    (event,) = since()[count:]
    assert (event.event_type, event.object_type) == (CREATED, "auth.user_groups")
    assert (event.after["user_id"], event.after["group_id"]) == (viewer.pk, group.pk)


# Raw SQL


def test_raw_sql_in_a_plain_shape_is_recorded_row_by_row(classes, since):
    first, second = classes

    execute(f"update {TABLE} set name = %s where code = %s", "Pump", "FRN")
    execute(f"DELETE FROM {TABLE} WHERE id = %s", second.pk)

    changed, deleted = since()
    assert told([changed]) == [(UPDATED, LABEL, str(first.pk), {"name": "FRN pump"}, {"name": "Pump"})]
    assert (deleted.event_type, deleted.object_id, deleted.before["code"]) == (DELETED, str(second.pk), "MEA")


def test_raw_sql_with_named_parameters_or_none_is_recorded_row_by_row(classes, since):
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET name = %(name)s WHERE code = %(code)s", {"code": "FRN", "name": "100%"})
        cursor.execute(f"UPDATE {TABLE} SET name = 'Pump' WHERE name LIKE '%00%' OR code IN ('MEA')")

    assert [(event.object_id, event.after["name"]) for event in since()] == [
        (str(classes[0].pk), "100%"), (str(classes[0].pk), "Pump"), (str(classes[1].pk), "Pump"),
    ]  # fmt: skip


def test_rows_added_by_raw_sql_are_recorded(since):
    columns = "code, name, device_class, medical_specialty, regulation_number, implant, life_sustaining"
    execute(f"INSERT INTO {TABLE} ({columns}) SELECT 'AAA', name, '', '', '', implant, implant FROM {TABLE} LIMIT 1")
    with connection.cursor() as cursor:
        places = "%s, %s, '', '', '', %s, %s"
        rows = [("BBB", "b", False, False), ("CCC", "c", False, False)]
        cursor.executemany(f"INSERT INTO {TABLE} ({columns}) VALUES ({places})", rows)

    # Each of an `executemany` runs by itself on PostgreSQL, but is one statement to its caller.
    assert [event.after["code"] for event in since()] == ["AAA", "BBB", "CCC"]


@pytest.mark.parametrize(
    "sql",
    [
        f"WITH found AS (SELECT id FROM {TABLE}) UPDATE {TABLE} SET name = %s WHERE id IN (SELECT id FROM found)",
        f"UPDATE {TABLE} AS t SET name = %s WHERE t.code = 'FRN'",
        f"/* by hand */ UPDATE {TABLE} SET name = %s",
    ],
)
def test_raw_sql_whose_rows_cannot_be_told_is_recorded_as_that_and_without_its_parameters(sql, classes, since):
    execute(sql, "a secret")

    (event,) = since()
    assert (event.object_type, event.object_id, event.event_type) == (LABEL, "", UPDATED)
    assert event.after["rows"] == "not known"
    assert "rows that are not known may have been changed" in event.description
    assert "a secret" not in json.dumps([event.description, event.after])


def test_a_condition_that_cannot_be_asked_beforehand_does_not_end_the_transaction(classes, since, monkeypatch):
    monkeypatch.setattr(statements._Watch, "_meant", lambda self: self._rows().extra(where=["no_such_column = 1"]))

    execute(f"UPDATE {TABLE} SET name = %s WHERE code = %s", "Pump", "FRN")

    assert ProductClass.objects.filter(name="Pump").count() == 1
    assert [event.after for event in since()] == [{"rows": "not known", "statement": "update"}]


def test_raw_sql_on_other_tables_leaves_nothing(classes, since):
    execute("DELETE FROM django_session")
    execute(f"SELECT 1 FROM {TABLE} WHERE name LIKE '\\update'")
    execute(f"CREATE TABLE {TABLE}_kept (id integer)")

    assert since() == []


# What is recorded already


def test_a_save_and_a_deletion_are_recorded_once(since):
    row = ProductClass.objects.create(code="AAA", name="Pump")
    row.name = "Other"
    row.save()
    ProductClass.objects.update_or_create(code="AAA", defaults={"name": "Third"})
    row.delete()

    assert [event.event_type for event in since()] == [CREATED, UPDATED, UPDATED, DELETED]


def test_a_row_saved_under_a_key_of_its_own_is_recorded_once(since):
    ProductClass(pk=901, code="AAA", name="Pump").save()

    assert [event.event_type for event in since()] == [CREATED]


def test_many_deletions_with_what_hangs_on_them_are_recorded_once(since):
    plan = recipes.plan.make()
    count = len(since())

    Equipment.objects.filter(pk=plan.equipment_id).delete()

    assert sorted(event.object_type for event in since()[count:] if event.event_type == DELETED) == [
        "equipment.equipment", "equipment.maintenanceplan",
    ]  # fmt: skip


def test_members_of_a_relation_are_recorded_once(viewer, since):
    group = Group.objects.create(name="Auditors")
    permissions = list(Permission.objects.all()[:2])
    count = len(since())

    group.permissions.set(permissions)
    group.permissions.remove(permissions[0])
    group.permissions.clear()
    group.user_set.add(viewer)

    assert [event.object_type for event in since()[count:]] == ["auth.group"] * 4


def test_a_save_that_failed_hides_no_later_update(classes, since):
    row = classes[0]
    row.name = "Pump"

    def refuse(**kwargs):
        raise ValueError("no")

    pre_save.connect(refuse, sender=ProductClass)
    try:
        with pytest.raises(ValueError, match="no"):
            row.save(update_fields=["name"])
    finally:
        pre_save.disconnect(refuse, sender=ProductClass)
    ProductClass.objects.filter(pk=row.pk).update(name="Pump")

    assert told(since()) == [(UPDATED, LABEL, str(row.pk), {"name": "FRN pump"}, {"name": "Pump"})]


def test_a_save_that_the_database_refused_hides_no_later_update(classes, since):
    row = classes[0]
    row.code = "MEA"
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()

    ProductClass.objects.filter(pk=row.pk).update(name="Pump")

    assert [event.after for event in since()] == [{"name": "Pump"}]


@pytest.mark.parametrize("signal", [pre_save, post_save])
def test_what_a_receiver_writes_itself_is_recorded(signal, classes, since):
    first, second = classes

    def change_the_other(instance, **kwargs):
        ProductClass.objects.filter(pk=second.pk).update(name="changed along")

    signal.connect(change_the_other, sender=ProductClass)
    try:
        first.name = "Pump"
        first.save()
    finally:
        signal.disconnect(change_the_other, sender=ProductClass)

    assert {(event.object_id, event.after["name"]) for event in since()} == {
        (str(first.pk), "Pump"), (str(second.pk), "changed along"),
    }  # fmt: skip
    assert len(since()) == 2


def test_what_a_receiver_of_a_relation_writes_itself_is_recorded(viewer, since):
    group, other = Group.objects.create(name="Auditors"), Group.objects.create(name="Others")
    through = User.groups.through
    count = len(since())

    def add_another(action, **kwargs):
        if action == "post_add":
            through.objects.bulk_create([through(user=viewer, group=other)])

    m2m_changed.connect(add_another, sender=through)
    try:
        viewer.groups.add(group)
    finally:
        m2m_changed.disconnect(add_another, sender=through)

    assert {event.object_type for event in since()[count:]} == {"auth.user", "auth.user_groups"}


@isolate_apps()
def test_what_goes_through_a_proxy_which_nobody_watches_is_recorded(since):
    class Proxy(ProductClass):
        class Meta:
            proxy = True
            app_label = "equipment"

    row = Proxy.objects.create(code="AAA", name="Pump")
    row.name = "Other"
    row.save()
    row.delete()

    assert [(event.event_type, event.object_type) for event in since()] == [
        (CREATED, LABEL), (UPDATED, LABEL), (DELETED, LABEL),
    ]  # fmt: skip


def test_what_the_caller_records_is_left_to_it_and_nothing_after(classes, since):
    @recorded_by_caller()
    def write_and_fail():
        ProductClass.objects.update(name="Pump")
        raise LookupError

    with pytest.raises(LookupError):
        write_and_fail()
    assert since() == []

    ProductClass.objects.filter(pk=classes[0].pk).update(name="Other")

    assert len(since()) == 1


def test_signals_are_recorded_whoever_else_records(since):
    with recorded_by_caller():
        ProductClass.objects.create(code="AAA", name="Pump")

    assert len(since()) == 1


def test_tables_that_are_not_under_audit_leave_nothing_and_are_asked_nothing(since, django_assert_num_queries):
    with django_assert_num_queries(3):
        Session.objects.filter(session_key="x").update(session_data="y")
        Placement.objects.filter(pk=1).update(until=None)
        Session.objects.filter(session_key="x")._raw_delete("default")

    assert since() == []


# With the change, or not at all


def test_the_record_goes_with_its_change(classes, since):
    with transaction.atomic():
        ProductClass.objects.update(name="Pump")
        recorded = len(since())
        transaction.set_rollback(True)

    assert recorded == 2
    assert since() == []


def test_a_statement_that_fails_leaves_no_record(since):
    with pytest.raises(IntegrityError), transaction.atomic():
        ProductClass.objects.update(code="FRN")
    with pytest.raises(DatabaseError), transaction.atomic():
        ProductClass.objects.bulk_create([ProductClass(code="AAA"), ProductClass(code="FRN")])

    assert since() == []


def test_the_actor_is_whoever_acts(classes, since):
    with acting_as(Actor(name="command tidy")):
        ProductClass.objects.filter(pk=classes[0].pk).update(name="Pump")

    assert since()[0].actor == "command tidy"


@pytest.mark.parametrize(
    ("bound", "description"),
    [(0, "User: 1 rows changed by one statement"), (200, "User viewer changed by a statement")],
)
def test_the_record_speaks_one_language(bound, description, viewer, since, monkeypatch):
    monkeypatch.setattr(statements, "MOST_ROWS", bound)

    with translation.override("de"):
        User.objects.filter(pk=viewer.pk).update(first_name="Vera")

    assert since()[-1].description == description


def test_the_record_of_one_changed_row_takes_four_queries(classes, django_assert_num_queries):
    rows = ProductClass.objects.filter(pk=classes[0].pk)

    # The row before, the change, the row after, the record.
    with transaction.atomic(), django_assert_num_queries(4):
        rows.update(name="Pump")


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_the_record_is_committed_with_the_change(since):
    ProductClass.objects.filter(code="FRN").update(name="Pump")
    ProductClass.objects.bulk_create([ProductClass(code="AAA")])

    connection.close()
    assert [event.event_type for event in since()] == [UPDATED, CREATED]


@pytest.mark.django_db(transaction=True)
def test_what_others_add_meanwhile_is_not_taken_for_ones_own(since):
    if connection.vendor != "postgresql":
        return  # SQLite has one writer at a time: there is no meanwhile.
    statement = f"INSERT INTO {Manufacturer._meta.db_table} (name) SELECT 'ours'"

    def add():
        Manufacturer.objects.create(name="theirs")
        connections.close_all()

    with transaction.atomic():
        with transaction.atomic(), observe(connection, classify(statement), statement, None, False):
            other = threading.Thread(target=add)
            other.start()
            other.join()
            with connection.cursor() as cursor, recorded_by_caller():
                cursor.execute(statement)
        events = AuditLog.objects.filter(object_type=Manufacturer._meta.label_lower)
        assert sorted(event.description for event in events) == [
            "Manufacturer ours added by a statement", "Manufacturer theirs added",
        ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_migration_leaves_no_records(classes, since):
    def rename(apps, editor):
        ProductClass.objects.update(name="Pump")

    migration = migrations.Migration("0099_rename", "equipment")
    migration.operations = [migrations.RunPython(rename)]
    with connection.schema_editor() as editor:
        migration.apply(ProjectState(), editor)

    assert ProductClass.objects.filter(name="Pump").count() == 2
    assert since() == []


def test_emptying_the_database_leaves_no_records(since):
    connection.ops.execute_sql_flush([f"DELETE FROM {TABLE}"])

    assert not ProductClass.objects.exists()
    assert since() == []
