"""Each system check finds the misconfiguration it is for, says what to do, and is silent where all is well."""

import re
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Group
from django.core.checks import registry as django_checks
from django.core.checks import run_checks
from django.db import connections
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import cache_page, never_cache

from invalidation import statistics
from invalidation.checks import TAG, cache, databases, project, servers
from invalidation.exceptions import StoreError
from invalidation.reads import CachedRead
from invalidation.registry import Registry
from invalidation.store import store
from invalidation.tags import table

FOLDER = Path(cache.__file__).parent


def ids(messages):
    return sorted({message.id.removeprefix("invalidation.") for message in messages})


def cache_settings(**changes):
    default = {**django_settings.CACHES["default"], "KEY_PREFIX": "site"}
    options = {**default["OPTIONS"], **changes.pop("OPTIONS", {})}
    kept = {name: value for name, value in options.items() if value is not None}
    return override_settings(CACHES={"default": {**default, **changes, "OPTIONS": kept}})


def plain_view(request):
    return HttpResponse()


class PlainView(View):
    pass


@method_decorator(cache_page(60), name="dispatch")
class CachedClassView(View):
    pass


# All is well


def test_this_site_passes_all_checks():
    messages = run_checks(tags=[TAG])

    assert messages == []


def test_the_checks_are_registered():
    registered = {check.__name__ for check in django_checks.registry.registered_checks}
    deployment = {check.__name__ for check in django_checks.registry.deployment_checks}

    assert {"check_cache", "check_databases", "check_project", "check_reads", "check_database_servers"} <= registered
    assert "check_redis" in deployment


def test_every_check_is_listed_in_the_documentation_and_every_listed_one_exists():
    written = set(re.findall(r'"invalidation\.([EWI]\d{3})"', "".join(p.read_text() for p in FOLDER.glob("*.py"))))
    page = (django_settings.BASE_DIR / "docs" / "invalidation" / "operations.md").read_text()

    assert written == set(re.findall(r"^\| `invalidation\.([EWI]\d{3})` \|", page, re.MULTILINE))


# The cache


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, ["E001"]),
        ({"BACKEND": "no.such.Backend"}, ["E001"]),
        ({"OPTIONS": {"CONNECTION_POOL_CLASS": None}}, ["E002"]),
        ({"OPTIONS": {"CONNECTION_POOL_CLASS": "redis.connection.ConnectionPool"}}, ["E002"]),
        ({"LOCATION": ["redis://one/0", "redis://two/0"]}, ["E003"]),
        ({"LOCATION": "redis://one/0,redis://two/0"}, ["E003"]),
        ({"OPTIONS": {"CLIENT_CLASS": "django_redis.client.SentinelClient"}}, ["E003"]),
        ({"OPTIONS": {"REDIS_CLIENT_CLASS": "redis.cluster.RedisCluster"}}, ["E003"]),
        ({"OPTIONS": {"SERIALIZER": None}}, ["E004"]),
        ({"OPTIONS": {"SERIALIZER": "django_redis.serializers.pickle.PickleSerializer"}}, ["E004"]),
        ({"KEY_PREFIX": ""}, ["W001"]),
        ({"OPTIONS": {"SOCKET_TIMEOUT": None}}, ["W002"]),
    ],
)
@pytest.mark.once
def test_the_cache(changes, found):
    with cache_settings(**changes):
        messages = cache.check_cache()

    assert ids(messages) == found
    assert all(message.hint for message in messages)


@pytest.mark.once
def test_a_second_alias_must_not_bring_a_pool_of_its_own(settings):
    default = settings.CACHES["default"]
    other = {**default, "OPTIONS": {"SERIALIZER": default["OPTIONS"]["SERIALIZER"]}}
    settings.CACHES = {"default": default, "other": other}
    assert ids(cache.check_cache()) == ["E005"]

    settings.CACHES = {"default": default, "other": {**other, "LOCATION": "redis://elsewhere:6379/0"}}

    assert cache.check_cache() == []


@pytest.mark.once
def test_the_cache_is_checked_where_only_writes_use_it(settings):
    settings.CACHE_ENABLED = False
    with cache_settings(BACKEND="django.core.cache.backends.dummy.DummyCache"):
        assert ids(cache.check_cache()) == ["E001"]


# Databases


@pytest.fixture
def database(monkeypatch):
    """Change what a connection says of itself."""

    def change(**values):
        connection = connections["default"]
        monkeypatch.setattr(connection, "settings_dict", {**connection.settings_dict, **values})

    return change


def test_a_backend_that_is_not_fenced(monkeypatch):
    plain = SimpleNamespace(vendor="mysql", settings_dict={"ENGINE": "django.db.backends.mysql", "OPTIONS": {}})
    monkeypatch.setattr(databases, "connections", {"default": plain})

    messages = databases.check_databases()

    assert ids(messages) == ["E010"]
    assert "Only SQLite and PostgreSQL" in messages[0].hint


@pytest.mark.once
@pytest.mark.parametrize("mode", [None, "", "DEFERRED"])
def test_sqlite_with_deferred_transactions(database, mode):
    database(OPTIONS={"transaction_mode": mode})

    assert ids(databases.check_databases()) == ["E011"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("second", "found"),
    [
        ({}, []),
        ({"NAME": "archive", "HOST": "two"}, []),
        ({"HOST": "two"}, ["E012"]),
        ({"PORT": "6432"}, ["E012"]),
        ({"HOST": "two", "TEST": {"MIRROR": "default"}}, []),
    ],
)
def test_two_servers_with_databases_of_one_name(monkeypatch, second, found):
    first = {"ENGINE": "postgresql", "NAME": "plumbline", "HOST": "one", "PORT": ""}
    monkeypatch.setattr(
        databases,
        "connections",
        {
            alias: SimpleNamespace(vendor="postgresql", database_name=values["NAME"], settings_dict=values)
            for alias, values in {"default": first, "other": {**first, **second}}.items()
        },
    )

    assert ids(databases.check_databases()) == found


class ReplicaRouter:
    def db_for_read(self, model, **hints):
        return "replica"

    def db_for_write(self, model, **hints):
        return "default"


def test_a_router_that_reads_from_a_replica(settings):
    settings.DATABASE_ROUTERS = [ReplicaRouter()]

    messages = databases.check_databases()

    assert ids(messages) == ["E013"]
    assert len(messages) == len(databases.registry.watched_models())


# The project


@pytest.mark.once
@pytest.mark.parametrize("name", ["UpdateCacheMiddleware", "FetchFromCacheMiddleware", "CacheMiddleware"])
def test_djangos_page_cache_as_middleware(settings, name):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"django.middleware.cache.{name}"]

    assert ids(project.check_project()) == ["E020"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{% load cache %}", ["E021"]),
        ("{% load i18n cache %}", ["E021"]),
        ("{%cache 60 sidebar %}x{%endcache%}", ["E021"]),
        ("{% load i18n %}{% comment %}{% load cache %}{% endcomment %}", []),
        ("{# {% cache 60 x %} #}{% load invalidation %}{% fragment 'a:b' %} cache of fields", []),
    ],
)
def test_djangos_fragments_in_a_template(settings, tmp_path, text, found):
    (tmp_path / "page.html").write_text(text)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    assert ids(project.check_project()) == found


@pytest.mark.once
@pytest.mark.parametrize(
    ("view", "found"),
    [
        (plain_view, []),
        (never_cache(plain_view), []),
        (PlainView.as_view(), []),
        (cache_page(60)(plain_view), ["E022"]),
        (never_cache(cache_page(60)(plain_view)), ["E022"]),
        (cache_page(60)(PlainView.as_view()), ["E022"]),
        (CachedClassView.as_view(), ["E022"]),
    ],
)
def test_a_view_behind_cache_page(settings, view, found):
    settings.ROOT_URLCONF = ModuleType("urls_of_one_test")
    settings.ROOT_URLCONF.urlpatterns = [path("plain/", plain_view), path("below/", include([path("page/", view)]))]

    assert ids(project.check_project()) == found


def hidden(*, name: str) -> int:
    return 0


@pytest.mark.once
@pytest.mark.parametrize(
    "needs",
    [[table(Group)], lambda params: [table(Group)], lambda params: [table(Group) for _number in range(1)]],
    ids=["written out", "function", "comprehension"],
)
def test_a_read_of_a_model_that_nobody_watches(monkeypatch, needs):
    empty = Registry()
    empty.add_read(CachedRead(hidden, "test:hidden", needs=needs))
    monkeypatch.setattr(project, "registry", empty)
    messages = project.check_reads()
    assert ids(messages) == ["E023"]
    assert "auth.Group" in messages[0].msg

    empty.watch(Group)

    assert project.check_reads() == []


# Servers


def answers(**settings_of_redis):
    """A Redis that answers CONFIG GET so."""

    def setting(name):
        return settings_of_redis.get(name.replace("-", "_"), "")

    return setting


GOOD = {"role": "master", "cluster_enabled": "0", "redis_version": "7.2.4", "maxmemory_policy": "volatile-lru"}


@pytest.mark.once
@pytest.mark.parametrize(
    ("info", "config", "found"),
    [
        ({}, {}, []),
        ({"maxmemory_policy": "noeviction"}, {}, []),
        ({"maxmemory_policy": "allkeys-lru"}, {}, ["E030"]),
        ({}, {"save": "3600 1", "stop_writes_on_bgsave_error": "yes"}, ["E031"]),
        ({}, {"save": "3600 1", "stop_writes_on_bgsave_error": "no"}, []),
        ({}, {"save": "", "stop_writes_on_bgsave_error": "yes"}, []),
        ({"role": "slave"}, {}, ["E032"]),
        ({"cluster_enabled": "1"}, {}, ["E003"]),
        ({"redis_version": "6.0.16"}, {}, ["E033"]),
    ],
)
def test_the_redis_server(monkeypatch, info, config, found):
    monkeypatch.setattr(servers, "server_info", lambda *sections: {**GOOD, **info})
    monkeypatch.setattr(servers, "_setting", answers(**config))

    messages = servers.check_redis()

    assert ids(messages) == found
    assert all(message.hint for message in messages)


@pytest.mark.once
def test_the_server_of_this_run_is_asked_and_is_well():
    assert servers.check_redis() == []
    assert statistics.server_info("server")["redis_version"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("setting", "value", "found"), [("maxmemory-policy", "allkeys-lru", "E030"), ("save", "3600 1", "E031")]
)
def test_a_setting_of_the_real_server_is_noticed(setting, value, found):
    before = servers._setting(setting)
    store().command("CONFIG", "SET", setting, value)
    try:
        messages = servers.check_redis()
    finally:
        store().command("CONFIG", "SET", setting, before)

    assert ids(messages) == [found]


@pytest.mark.once
def test_a_redis_that_is_away_is_told_and_fails_nothing(monkeypatch):
    def away(*sections):
        raise StoreError("away")

    monkeypatch.setattr(servers, "server_info", away)

    messages = servers.check_redis()

    assert ids(messages) == ["I001"]
    assert not messages[0].is_serious()


def test_an_ordinary_check_asks_no_server(monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("a server was asked")

    monkeypatch.setattr(servers, "server_info", never)
    monkeypatch.setattr(servers, "_postgresql", never)
    monkeypatch.setattr(servers, "_sqlite", never)

    assert run_checks(tags=[TAG]) == []


@pytest.mark.django_db
def test_a_database_that_may_lose_commits(django_db_blocker):
    """The tests' own databases do, so that nothing waits for the disk."""
    messages = servers.check_database_servers(databases=["default"])

    assert ids(messages) == ["E040"]
    assert servers.check_database_servers(databases=None) == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("row", "found"),
    [
        (("on", "on", False), []),
        (("remote_apply", "on", False), []),
        (("off", "on", False), ["E040"]),
        (("on", "off", False), ["E040"]),
        (("on", "on", True), ["E041"]),
    ],
)
def test_a_postgresql_server(monkeypatch, row, found):
    class Cursor:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def execute(self, sql):
            self.sql = sql

        def fetchone(self):
            return row

    monkeypatch.setattr(servers, "connections", {"other": SimpleNamespace(vendor="postgresql", cursor=Cursor)})

    assert ids(servers.check_database_servers(databases=["other"])) == found


@pytest.mark.once
def test_a_database_that_is_away_is_a_warning(monkeypatch):
    def away():
        raise servers.DatabaseError("away")

    monkeypatch.setattr(servers, "connections", {"other": SimpleNamespace(vendor="postgresql", cursor=away)})

    assert ids(servers.check_database_servers(databases=["other"])) == ["W003"]
