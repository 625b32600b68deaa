"""What every test stands on: a database, a Redis and a folder of the run's own, made before Django's settings load.

`pytest` uses SQLite, `pytest --database=postgresql` a PostgreSQL that it starts (or the one DATABASE_URL names).
`python -m tests.run` runs both.
"""

import json
import os
import signal
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import django
import pytest
from django.conf import settings

from project.processes import redis_server
from tests.servers import places, postgresql

SERVERS = pytest.StashKey[ExitStack]()
BEGAN = pytest.StashKey[float]()
# Fixtures that need the settings, and so are loaded after them.
PLUGINS = ("tests.isolation", "tests.people", "invalidation.testing", "tests.actors", "tests.servers.redis_trouble")
# These would make a run depend on who starts it. Addresses of servers are meant: they are handed on on purpose.
SETTINGS_OF_THE_CALLER = ("DJANGO_SETTINGS_MODULE", "SECRET_KEY", "DEBUG", "CACHE_ENABLED", "LOG_LEVEL", "TIME_ZONE")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("plumbline")
    group.addoption("--database", choices=("sqlite", "postgresql"), default="sqlite", help="the database to test on")
    group.addoption("--long", action="store_true", help="run the tests marked `long` too")
    group.addoption("--report", type=Path, help="write counts and skips to this file as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers, once per run, and set Django up."""
    if config.option.help or config.option.version:
        return
    if settings.configured:
        raise pytest.UsageError("the tests choose their settings themselves: unset DJANGO_SETTINGS_MODULE, omit --ds")
    config.stash[BEGAN] = time.monotonic()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "") if hasattr(config, "workerinput") else ""
    if worker:
        os.environ["PLUMBLINE_VAR"] = str(Path(os.environ["PLUMBLINE_VAR"]) / worker)
    else:
        config.stash[SERVERS] = start_servers(config.option.database)
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    django.setup()
    for module in PLUGINS:
        config.pluginmanager.import_plugin(module)
    # Taken back, or the workers of xdist, which inherit it, would load the settings before their own folder is set.
    del os.environ["DJANGO_SETTINGS_MODULE"]


def start_servers(database: str) -> ExitStack:
    """Servers and folder of this run, with the environment pointing at them; the caller closes what is returned."""
    # What a supervisor or a CI sends to stop a run: leave in an orderly way, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        folder = stack.enter_context(places.run_folder())
        for name in SETTINGS_OF_THE_CALLER:
            os.environ.pop(name, None)
        os.environ["PLUMBLINE_ENV"] = "testing"
        os.environ["PLUMBLINE_VAR"] = str(folder / "var")
        try:
            if not os.environ.get("REDIS_URL"):
                socket = stack.enter_context(redis_server.running(folder / "redis"))
                os.environ["REDIS_URL"] = f"unix://{quote(str(socket))}?db=0"
            if database == "sqlite":
                os.environ["DATABASE_URL"] = "sqlite:///plumbline.sqlite3"
            elif not os.environ.get("DATABASE_URL", "").startswith("postgres"):
                os.environ["DATABASE_URL"] = stack.enter_context(postgresql.serving(folder))
        except (redis_server.NoRedis, postgresql.PostgresqlMissing) as error:
            raise pytest.UsageError(str(error)) from error
        return stack.pop_all()
    raise AssertionError("unreachable: nothing above swallows an error")


def pytest_unconfigure(config: pytest.Config) -> None:
    if SERVERS in config.stash:
        config.stash[SERVERS].close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the `long` tests unless asked for, and on PostgreSQL those that are the same on every database."""
    left_out = set()
    if not config.option.long:
        left_out.add("long")
    if config.option.database == "postgresql":
        left_out.add("once")
    dropped = [item for item in items if left_out & {mark.name for mark in item.iter_markers()}]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in set(dropped)]


def skips(config: pytest.Config) -> list[tuple[str, str]]:
    """Each skipped test with its reason; on a worker of xdist always empty, the run's own process knows them all."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return []
    return sorted(
        {(report.nodeid, report.longrepr[2].removeprefix("Skipped: ")) for report in reporter.stats.get("skipped", [])}
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With PLUMBLINE_NO_SKIPS=1 a skip is a failure: where everything is installed, nothing has to be skipped."""
    if os.environ.get("PLUMBLINE_NO_SKIPS") == "1" and session.exitstatus == 0 and skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    yield
    if config.option.report:
        counts = {
            word: len(terminalreporter.stats.get(word, []))
            for word in ("passed", "failed", "error", "xfailed", "skipped")
        }
        facts = {"counts": counts, "seconds": time.monotonic() - config.stash[BEGAN], "skips": skips(config)}
        config.option.report.write_text(json.dumps(facts))
    if os.environ.get("PLUMBLINE_NO_SKIPS") == "1" and skips(config):
        terminalreporter.write_line("PLUMBLINE_NO_SKIPS=1: a skipped test is a failure", red=True)
