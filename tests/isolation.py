"""What keeps one test from seeing another's data: loaded by conftest.py once the settings are there."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.db.backends.postgresql.creation import DatabaseCreation as PostgresqlCreation
from django.test import TransactionTestCase, override_settings

from audit import triggers

KEPT_BY_BARE_ENVIRONMENT = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT"})


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite in a file of the worker's own folder: threads of a test then meet as they do on a site.

    In memory they would share one lock. Durability is not tested here, so nothing waits for the disk.
    """
    for database in django_settings.DATABASES.values():
        if database["ENGINE"].endswith("sqlite3"):
            Path(database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
            database["TEST"]["NAME"] = f"{database['NAME']}.test"
            database["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"


@pytest.fixture(scope="session", autouse=True)
def test_database_goes_whatever_hangs_on_to_it() -> Iterator[None]:
    """PostgreSQL drops no database while a connection that a thread closed a moment ago is still being wound up."""

    def drop(self: PostgresqlCreation, name: str, verbosity: int) -> None:
        with self._nodb_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(f"DROP DATABASE {self.connection.ops.quote_name(name)} WITH (FORCE)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresqlCreation, "_destroy_test_db", drop)
        yield


@pytest.fixture(scope="session", autouse=True)
def folder_of_static_files() -> None:
    """Whitenoise warns where it is missing, and a warning fails a test."""
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Argon2 is slow by design, and most tests have users. A test of passwords sets the real hashers back."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def audit_opens_for_the_flush() -> Iterator[None]:
    """A test with real transactions is followed by emptying every table, which the audit's triggers forbid.

    On SQLite that is DELETE; PostgreSQL's TRUNCATE passes them by.
    """
    empty_tables = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def opened(self: Any) -> None:
        connection = connections["default"]
        if connection.vendor != "sqlite":
            empty_tables(self)
            return
        triggers.remove(connection)
        try:
            empty_tables(self)
        finally:
            triggers.install(connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", opened)
        yield


@pytest.fixture(autouse=True)
def cache_prefix(settings: Any) -> str:
    """A fresh prefix for the keys of this test in the Redis that the whole run shares."""
    prefix = f"plumbline-{uuid.uuid4().hex[:12]}"
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "KEY_PREFIX": prefix}}
    return prefix


@pytest.fixture
def bare_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that knows nothing of this run: no variable of ours but a folder of its own."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT_BY_BARE_ENVIRONMENT}
    return {**kept, "PLUMBLINE_VAR": str(tmp_path / "var"), "PYTHONDONTWRITEBYTECODE": "1"}
