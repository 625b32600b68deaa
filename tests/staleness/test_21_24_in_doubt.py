"""21 and 24: nobody knows whether a commit went through; and a process that has only half a cache, or another's."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base as postgresql_base
from django.db.backends.sqlite3 import base as sqlite_base

from equipment.models import DeviceModel
from invalidation import epoch, home, keeper
from invalidation.exceptions import WriteRefusedError
from invalidation.testing import in_another_thread, leave_quarantine
from tests.servers import places
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.redis_trouble import forget_connections, troubled_server
from tests.staleness.makers import (
    assert_heals,
    committed,
    fenced_tags,
    fill,
    has_hit,
    is_usable,
    maker,
    name_of,
    read,
    read_name,
    rename,
    statements_of_read,
)

pytestmark = pytest.mark.django_db(transaction=True)

NEW = ("new", ["new"])
OLD = ("old", ["old"])


# What is called in other processes


def backend_pid():
    connection.ensure_connection()
    return connection.connection.info.backend_pid


def rename_in_a_transaction(*, pk, name):
    """With its record in the audit, which a save outside of a transaction commits separately."""
    with transaction.atomic():
        rename(pk=pk, name=name)


@transaction.atomic
def rename_and_break_a_constraint(*, pk):
    rename(pk=pk, name="new")
    DeviceModel.objects.bulk_create([DeviceModel(manufacturer_id=10**9, name="of nobody")])


def connect_through(*, host):
    connection.close()
    connection.settings_dict["HOST"] = host
    connection.ensure_connection()


def terminate(pid):
    with connection.cursor() as cursor:
        # With a timeout it returns once the other session is gone.
        cursor.execute("SELECT pg_terminate_backend(%s, 20000)", [pid])
        assert cursor.fetchone() == (True,)


@pytest.fixture
def postgresql(transactional_db):
    if connection.vendor != "postgresql":
        pytest.skip("a connection of SQLite cannot be lost")


@pytest.fixture
def proxy(postgresql, transactional_db):
    connection.ensure_connection()
    info = connection.connection.info
    # The path of a socket is short, and pytest's folders are not.
    with (
        tempfile.TemporaryDirectory(prefix="plumbline-", dir=places.temporary_place()) as folder,
        CuttingProxy(Path(folder), info.host, info.port) as cutting,
    ):
        yield cutting


# 21 Unknown commit


@pytest.mark.parametrize("outcome", ["committed", "lost"])
def test_21_unknown_commit_is_in_doubt_until_the_database_knows(process, watched, proxy, outcome):
    """
    Given a writer whose connection is lost as it commits, while the server has not been told to yet,
    when the COMMIT reaches the server after all, or never,
    then until then nobody reads from the cache, and from then on everybody reads what has happened.
    """
    pk = maker()
    fill(pk)
    writer, filler, reader = process("writer"), process("filler"), process("reader")
    writer.call(connect_through, host=proxy.host)
    proxy.cut_at_commit()
    saving = writer.begin(rename, pk=pk, name="new")
    proxy.wait_for_cut()
    error = saving.error()
    assert error is not None
    assert error.is_a(OperationalError)
    assert not error.is_a(WriteRefusedError)

    fences = fenced_tags()
    assert fences == [f"equipment_manufacturer:row:{pk}", "equipment_manufacturer:table"]
    for _look in range(20):
        assert reader.call(read, pk=pk) == OLD
        assert not has_hit(name_of, pk=pk)
        keeper.resolve_standing(at_once=True)
    assert fenced_tags() == fences
    filling = filler.run_to("after_compute", read_name, pk=pk)

    if outcome == "committed":
        proxy.deliver()
        expected = NEW
    else:
        proxy.drop()
        expected = OLD
    filler.go_on()

    assert filling.result() == "old"
    assert reader.call(read, pk=pk) == expected
    assert read(pk=pk) == expected
    assert_heals(pk)
    # The writer's own next transaction is one like any other.
    writer.call(rename, pk=pk, name="newer")
    assert reader.call(read, pk=pk) == ("newer", ["newer"])
    assert read(pk=pk) == ("newer", ["newer"])


@pytest.mark.parametrize(("point", "expected"), [("before_raise", OLD), ("after_raise", OLD), ("after_commit", NEW)])
def test_21_unknown_commit_by_a_session_that_is_terminated(process, watched, postgresql, point, expected):
    """
    Given a writer that stands before or behind its COMMIT,
    when another session terminates its backend and it goes on,
    then it reports a failure only if it has not committed, and everybody reads what is committed.
    """
    pk = maker()
    fill(pk)
    writer, reader = process("writer"), process("reader")
    pid = writer.call(backend_pid)
    saving = writer.run_to(point, rename_in_a_transaction, pk=pk, name="new")

    terminate(pid)
    writer.go_on()
    error = saving.error()

    assert (error is not None) == (expected == OLD)
    assert error is None or error.is_a(OperationalError)
    assert reader.call(read, pk=pk) == expected
    assert read(pk=pk) == expected
    assert committed(pk=pk) == expected[0]
    assert_heals(pk)
    assert fenced_tags() == []


@pytest.mark.parametrize(("happens", "expected"), [(True, NEW), (False, OLD)])
def test_21_unknown_commit_that_ends_in_an_error_of_no_meaning(watched, reader, monkeypatch, happens, expected):
    """
    Given a database that answers a COMMIT with an error and has no transaction afterwards, as after a failure of the
    disk or of the network, and has committed or has not,
    when everybody reads,
    then they read what is committed, and the cache comes into use by itself.
    """
    pk = maker()
    fill(pk)
    base = sqlite_base.DatabaseWrapper if connection.vendor == "sqlite" else postgresql_base.DatabaseWrapper
    end = BaseDatabaseWrapper._commit if happens else BaseDatabaseWrapper._rollback

    def commit_and_fail(self):
        end(self)
        raise OperationalError("disk I/O error" if self.vendor == "sqlite" else "server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr(base, "_commit", commit_and_fail, raising=False)
        with pytest.raises(OperationalError):
            rename(pk=pk, name="new")
    assert is_usable()

    assert reader.call(read, pk=pk) == expected
    assert read(pk=pk) == expected
    assert_heals(pk)


def test_21_unknown_commit_is_not_what_a_refusal_by_the_database_is(watched, reader, cache_in_use):
    """
    Given a constraint that the database checks at COMMIT,
    when a transaction breaks it,
    then it is rolled back, its fence is gone at once, and the connection goes on.
    """
    pk = maker()
    fill(pk)

    with pytest.raises(IntegrityError):
        rename_and_break_a_constraint(pk=pk)

    assert fenced_tags() == []
    assert is_usable()
    assert reader.call(read, pk=pk) == OLD
    rename(pk=pk, name="new")
    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW


# 24 Half a cache


@pytest.fixture
def elsewhere(settings):
    """The settings of a job whose REDIS_URL leads to another server."""
    with troubled_server() as server:
        ours = settings.CACHES["default"]
        yield {"CACHES": {**settings.CACHES, "default": {**ours, "LOCATION": server.url}}}
        forget_connections(server.url)


@pytest.fixture
def adopted(transactional_db, cache_prefix):
    """The site has made its Redis the one that has to be told of writes."""
    home.adopt()
    yield
    # Here, because the test database is emptied under other settings, for which that would be another's.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM invalidation_cachehome")


@contextmanager
def at(settings, changes):
    before = settings.CACHES
    settings.CACHES = changes["CACHES"]
    try:
        yield
    finally:
        settings.CACHES = before


def test_24_half_a_cache_a_process_without_it_fences_its_writes(process, watched):
    """
    Given a process with CACHE_ENABLED=0,
    when it writes,
    then its fence stands before it commits, and readers that have a cache see the write at once.
    """
    pk = maker()
    half, reader = process("half", CACHE_ENABLED=False), process("reader")
    fill(pk)
    reader.call(read, pk=pk)

    saving = half.run_to("after_raise", rename, pk=pk, name="new")
    assert fenced_tags() == [f"equipment_manufacturer:row:{pk}", "equipment_manufacturer:table"]
    assert reader.call(read, pk=pk) == OLD
    assert not has_hit(name_of, pk=pk)
    half.go_on()
    saving.result()

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_24_half_a_cache_a_process_without_it_neither_reads_nor_stores_entries(process, watched):
    """With CACHE_ENABLED=0 each read asks the database, and what it reads is not stored for those with a cache."""
    pk = maker()
    half = process("half", CACHE_ENABLED=False)
    leave_quarantine()

    assert half.call(statements_of_read, pk=pk) > 0
    assert half.call(statements_of_read, pk=pk) > 0
    assert in_another_thread(statements_of_read, pk=pk) > 0
    assert statements_of_read(pk=pk) == 0


@pytest.mark.parametrize("changes", [{}, {"CACHE_ENABLED": False}, {"INVALIDATION_ON_FAILURE": "proceed"}])
def test_24_half_a_cache_a_job_with_another_redis_may_not_write(process, watched, adopted, elsewhere, changes):
    """
    Given a site that has made its Redis the one to be told of writes,
    when a job with another REDIS_URL writes,
    then it is refused and nothing is committed, whatever else the job is set to; and its reads ask the database.
    """
    pk = maker()
    fill(pk)
    job, reader = process("job", **elsewhere, **changes), process("reader")

    error = job.begin(rename, pk=pk, name="new").error()

    assert error is not None
    assert error.is_a(WriteRefusedError)
    assert committed(pk=pk) == "old"
    assert job.call(statements_of_read, pk=pk) > 0
    rename(pk=pk, name="newest")
    assert job.call(read, pk=pk) == ("newest", ["newest"])
    assert job.call(statements_of_read, pk=pk) > 0
    assert reader.call(read, pk=pk) == ("newest", ["newest"])


def test_24_half_a_cache_a_job_without_redis_may_not_write(process, watched, adopted, settings):
    """
    Given a job without REDIS_URL, which takes a server of its own on this machine for the site's,
    when that is not even there,
    then its writes are refused, and its reads ask the database.
    """
    pk = maker()
    fill(pk)
    ours = settings.CACHES["default"]
    nowhere = {"CACHES": {**settings.CACHES, "default": {**ours, "LOCATION": "unix:///nowhere/redis.sock?db=0"}}}
    job = process("job", **nowhere)

    error = job.begin(rename, pk=pk, name="new").error()

    assert error is not None
    assert error.is_a(WriteRefusedError)
    assert committed(pk=pk) == "old"
    assert job.call(statements_of_read, pk=pk) > 0
    rename(pk=pk, name="new")
    assert job.call(read, pk=pk) == NEW


def test_24_half_a_cache_a_job_with_another_prefix_may_not_write(process, watched, adopted, settings):
    """The same Redis under other names is another cache: nobody of the site asks it."""
    pk = maker()
    other = {"CACHES": {**settings.CACHES, "default": {**settings.CACHES["default"], "KEY_PREFIX": "another"}}}
    job = process("job", **other)

    error = job.begin(rename, pk=pk, name="new").error()

    assert error is not None
    assert error.is_a(WriteRefusedError)
    assert committed(pk=pk) == "old"
    assert job.call(statements_of_read, pk=pk) > 0


def test_24_half_a_cache_the_home_is_kept_by_those_who_share_it(process, watched, adopted):
    """Processes with the same Redis and prefix as the site's write, and are read."""
    pk = maker()
    writer, reader = process("writer"), process("reader")
    fill(pk)

    writer.call(rename, pk=pk, name="new")

    assert reader.call(read, pk=pk) == NEW
    assert read(pk=pk) == NEW
    assert_heals(pk)


def test_24_half_a_cache_a_writer_under_way_while_the_home_moves(
    process, watched, adopted, settings, elsewhere, postgresql
):
    """
    Given a writer whose fence stands on the old Redis,
    when the site moves to another one,
    then nothing is read from the new one's entries before that writer has ended, and who writes at the old place is
    refused from then on.
    """
    pk = maker()
    fill(pk)
    writer = process("writer")
    saving = writer.run_to("after_raise", rename, pk=pk, name="new")

    with at(settings, elsewhere):
        home.adopt()
        for _look in range(20):
            assert read(pk=pk) == OLD
            assert not has_hit(name_of, pk=pk)
        assert epoch.is_quarantined(epoch.ensure())
        writer.go_on()
        saving.result()
        assert read(pk=pk) == NEW
        assert_heals(pk)

        error = writer.begin(rename, pk=pk, name="newer").error()
        assert error is not None
        assert error.is_a(WriteRefusedError)
        assert read(pk=pk) == NEW
