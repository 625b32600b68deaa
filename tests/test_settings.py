"""What the settings refuse, and what they are in production; each in a process of its own."""

import string
import subprocess
import sys

import pytest

from project.places import BASE_DIR

pytestmark = pytest.mark.once

PRODUCTION = {
    "PLUMBLINE_ENV": "production",
    "SECRET_KEY": f"for-tests-only-{string.ascii_letters}",
    "ALLOWED_HOSTS": "register.example",
}


@pytest.fixture
def manage(bare_environment):
    """Runs a management command with only the variables given."""

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env=bare_environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_without_any_variable_the_settings_load(manage):
    assert manage("check").returncode == 0


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ALLOWED_HOSTS"])
def test_production_names_the_variable_it_cannot_do_without(manage, missing):
    outcome = manage("check", **{**PRODUCTION, missing: ""})

    assert outcome.returncode != 0
    assert f"{missing} is not set" in outcome.stderr


@pytest.mark.parametrize("key", ["short", "a" * 60, "abcd" * 20])
def test_production_refuses_a_key_that_can_be_guessed(manage, key):
    outcome = manage("check", **{**PRODUCTION, "SECRET_KEY": key})

    assert outcome.returncode != 0
    assert "SECRET_KEY is too easy to guess" in outcome.stderr


def test_production_keeps_no_secret_of_its_own(manage, bare_environment, tmp_path):
    manage("check", **{**PRODUCTION, "SECRET_KEY": "", "PLUMBLINE_VAR": str(tmp_path / "var")})

    assert not (tmp_path / "var" / "secret_key").exists()


def test_production_refuses_debug_pages(manage):
    outcome = manage("check", **PRODUCTION, DEBUG="1")

    assert outcome.returncode != 0
    assert "DEBUG=1" in outcome.stderr


def test_production_passes_every_check_of_a_deployment(manage):
    outcome = manage("check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)

    assert outcome.returncode == 0, outcome.stderr
    # The two about hosts below ours; the settings tell why. No Redis runs here, which is told and is no fault.
    assert "identified 1 issue (2 silenced)" in outcome.stderr
    assert "invalidation.I001" in outcome.stderr


def test_hosts_below_ours_are_left_out_of_strict_transport_unless_wanted(manage):
    program = "from django.conf import settings as s; print(s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.SECURE_HSTS_PRELOAD)"
    wanted = {"SECURE_HSTS_INCLUDE_SUBDOMAINS": "1", "SECURE_HSTS_PRELOAD": "1"}

    by_default = manage("shell", "--no-imports", "--command", program, **PRODUCTION)
    asked_for = manage("shell", "--no-imports", "--command", program, **PRODUCTION, **wanted)

    assert by_default.stdout.split() == ["False", "False"]
    assert asked_for.stdout.split() == ["True", "True"]


@pytest.mark.parametrize(
    ("variables", "backend"),
    [
        ({}, "console"),
        (PRODUCTION, "dummy"),
        ({**PRODUCTION, "EMAIL_HOST": "mail.example"}, "smtp"),
    ],
    ids=["development", "production without a mail server", "production"],
)
def test_production_prints_no_mail_where_others_could_read_it(manage, variables, backend):
    program = "from django.conf import settings; print(settings.EMAIL_BACKEND)"

    outcome = manage("shell", "--no-imports", "--command", program, **variables)

    assert outcome.stdout.strip() == f"django.core.mail.backends.{backend}.EmailBackend"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PLUMBLINE_ENV", "staging"),
        ("DEBUG", "maybe"),
        ("CACHE_ENABLED", "perhaps"),
        ("CACHE_DEFAULT_TTL", "soon"),
        ("CACHE_DEFAULT_TTL", "-1"),
        ("DB_POOL_MAX_SIZE", "0"),
        ("DB_POOL_MIN_SIZE", "31"),
        ("DB_POOL_TIMEOUT", "1.5"),
        ("EMAIL_PORT", "65536"),
        ("UPLOAD_MAX_MEGABYTES", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("DATABASE_URL", "mysql://db.example/register"),
        ("REDIS_URL", "cache.example:6379"),
        ("REDIS_URL", "redis://cache.example:port/0"),
        ("REDIS_URL", "redis://cache.example:65536/0"),
        ("TIME_ZONE", "Europe/Atlantis"),
        ("TIME_ZONE", "../etc/passwd"),
        ("LANGUAGE_CODE", "fr"),
        ("BEHIND_TLS_PROXY", "nginx"),
        ("SECURE_HSTS_PRELOAD", "soon"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(manage, variable, value):
    outcome = manage("check", **{variable: value})

    assert outcome.returncode != 0
    assert f"ImproperlyConfigured: {variable}" in outcome.stderr


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("DATABASE_URL", "mysql://anna:hunter2@db.example/register"),
        ("REDIS_URL", "redis://:hunter2@cache.example:port/0"),
        ("REDIS_URL", "redis://:hunter2/x@cache.example:6379/0"),
        ("REDIS_URL", "redis://:12#hunter2@cache.example:6379/0"),
    ],
)
def test_a_password_is_not_in_the_message_about_a_bad_address(manage, variable, address):
    outcome = manage("check", **{variable: address})

    assert outcome.returncode != 0
    assert "hunter2" not in outcome.stdout + outcome.stderr


def test_cookies_transport_and_content_are_strict_in_production(manage):
    program = (
        "from django.conf import settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE,"
        " s.SECURE_SSL_REDIRECT, s.SECURE_HSTS_SECONDS, s.DEBUG)"
    )

    outcome = manage("shell", "--no-imports", "--command", program, **PRODUCTION)

    assert outcome.stdout.split() == ["True", "True", "True", "31536000", "False"]


@pytest.mark.parametrize(("environment", "seconds"), [("development", 10), ("testing", 5), ("production", 300)])
def test_the_default_ttl_follows_the_environment(manage, environment, seconds):
    program = "from django.conf import settings; print(settings.CACHES['default']['TIMEOUT'])"

    outcome = manage("shell", "--no-imports", "--command", program, **{**PRODUCTION, "PLUMBLINE_ENV": environment})

    assert outcome.stdout.strip() == str(seconds)


def test_only_the_web_server_keeps_a_pool_of_connections(manage):
    program = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'].get('pool'))"
    url = "postgresql://anna@/register?host=/run/postgresql"

    command = manage("shell", "--no-imports", "--command", program, DATABASE_URL=url)
    server = manage("shell", "--no-imports", "--command", program, DATABASE_URL=url, DB_POOL="1")

    assert command.stdout.strip() == "None"
    assert server.stdout.strip() == "{'min_size': 10, 'max_size': 30, 'timeout': 30}"


@pytest.mark.parametrize(("threads", "sizes"), [("4", (4, 4)), ("20", (10, 20)), ("64", (10, 30))])
def test_a_worker_opens_no_more_connections_than_it_has_threads(manage, threads, sizes):
    program = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS']['pool'])"
    variables = {"DATABASE_URL": "postgresql://anna@/register?host=/run/postgresql", "DB_POOL": "1"}

    outcome = manage("shell", "--no-imports", "--command", program, **variables, WEB_THREADS=threads)

    assert outcome.stdout.strip() == str({"min_size": sizes[0], "max_size": sizes[1], "timeout": 30})


def test_the_web_server_tells_its_workers_how_many_threads_they_have(bare_environment):
    program = "import os; from project import gunicorn_conf as c; print(os.environ['WEB_THREADS'] == str(c.threads))"

    outcome = subprocess.run(
        [sys.executable, "-c", program], cwd=BASE_DIR, env=bare_environment, capture_output=True, text=True, timeout=60
    )

    assert outcome.stdout.strip() == "True"


def test_the_cache_can_be_switched_off(manage):
    program = (
        "from django.conf import settings; from invalidation import conf; "
        "print(conf.is_enabled(), settings.CACHES['default']['BACKEND'])"
    )

    outcome = manage("shell", "--no-imports", "--command", program, CACHE_ENABLED="0")

    # Reads ask the database; writes are still fenced for the processes that do read through the cache.
    assert outcome.stdout.split() == ["False", "django_redis.cache.RedisCache"]
