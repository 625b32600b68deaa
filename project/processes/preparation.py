"""Makes everything ready before the site starts: folders, migrations, demo data for an empty database, who can sign in.

A program of its own: the supervisor keeps no database connection, and a broken setting is reported by a process
that may fail. Run as `python -m project.processes.preparation REPORT`, it writes what it found to the file REPORT.
"""

import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import django
import redis
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from invalidation import epoch, home
from invalidation.exceptions import StoreError
from project import environment, places
from project.processes.supervisor import say

DEMO_USERS = ("admin", "editor", "viewer")
REDIS_SECONDS = 2.0


def make_folders() -> None:
    """Make the folders the site writes to; one that lies outside `var/` keeps the rights its owner gave it."""
    for folder in (Path(settings.STATIC_ROOT), Path(settings.MEDIA_ROOT)):
        folder.mkdir(parents=True, exist_ok=True)
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        folder = Path(database["NAME"]).parent
        if folder.is_relative_to(places.var_dir()):
            places.make_private(folder)
        else:
            folder.mkdir(parents=True, exist_ok=True)


def remove_leftovers() -> None:
    """Remove uploads that a killed web server left half-way or nobody confirmed, and sessions that have expired."""
    # An app's module: it can be imported only once the apps are loaded.
    from equipment.pending_imports import remove_expired

    remove_expired()
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"):
        path.unlink(missing_ok=True)
    call_command("clearsessions")


def database_in_words() -> str:
    """Which database it is; without its password."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        return f"SQLite, {database['NAME']}"
    return f"PostgreSQL, {database['NAME']} at {database['HOST'] or 'the local socket'}"


def migrate() -> None:
    """Bring the database to the state of this code, telling how far it is."""
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not waiting:
        say(f"Database: {database_in_words()}; up to date")
        return
    say(f"Database: {database_in_words()}; {len(waiting)} migrations to apply")
    call_command("migrate", interactive=False, verbosity=1)


def look_at_shared_redis() -> None:
    """Say whether the Redis of REDIS_URL or REDIS_HOST answers; the site starts either way."""
    parts = urlsplit(settings.REDIS_URL)
    place = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}{parts.path}"
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=REDIS_SECONDS, socket_timeout=REDIS_SECONDS
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        say(f"Redis: {place} does not answer ({error}); the cache is of no use until it does")
    else:
        say(f"Redis: {place} answers")
    finally:
        client.close()


def settle_the_cache() -> None:
    """Make the Redis of this site the one that every process of the database has to tell of its writes.

    Where the database is a file it may have been exchanged while the site was down, which nothing tells: entries end.
    """
    try:
        if home.is_elsewhere():
            home.adopt()
        elif connection.vendor == "sqlite":
            epoch.renew(in_quarantine=True)
    except StoreError as error:
        say(f"Cache: Redis does not answer ({error}); who reads asks the database, and writes wait for the next start")


def demo_passwords() -> list[str]:
    """The passwords demo users may have been made with: DEMO_PASSWORD, and the one generated once."""
    kept = places.var_dir() / "demo_password"
    found = [environment.text("DEMO_PASSWORD"), kept.read_text().strip() if kept.is_file() else ""]
    return [password for password in found if password]


def sign_ins() -> list[tuple[str, str | None]]:
    """The demo users that exist, each with the password that opens it, None if it was changed or is not known."""
    found: list[tuple[str, str | None]] = []
    passwords = demo_passwords()
    for user in get_user_model()._default_manager.filter(username__in=DEMO_USERS, is_active=True).order_by("username"):
        found.append((user.get_username(), next((word for word in passwords if user.check_password(word)), None)))
    return found


def has_superuser() -> bool:
    """Whether someone may do everything."""
    return get_user_model()._default_manager.filter(is_superuser=True, is_active=True).exists()


def main() -> int:
    """Prepare everything; 0 if the site can start."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        django.setup()
        make_folders()
        if settings.CACHE_ENABLED and (environment.text("REDIS_URL") or environment.text("REDIS_HOST")):
            look_at_shared_redis()
        migrate()
        settle_the_cache()
        remove_leftovers()
        report: dict[str, object] = {"demo": not settings.PRODUCTION, "sign_ins": [], "superuser": has_superuser()}
        if settings.PRODUCTION:
            if not settings.EMAIL_HOST:
                say("Mail: NONE. Nobody can ask for a new password, nothing is sent: set EMAIL_HOST")
        else:
            call_command("load_demo", if_empty=True)
            report["sign_ins"] = sign_ins()
    except (ImproperlyConfigured, CommandError, PermissionError) as error:
        print(f"Plumbline cannot start: {error}", file=sys.stderr)
        return 1
    except OperationalError as error:
        print(f"Plumbline cannot start: the database does not answer: {str(error).strip()}", file=sys.stderr)
        return 1
    except DatabaseError as error:
        print(f"Plumbline cannot start: the database refuses: {str(error).strip()}", file=sys.stderr)
        return 1
    Path(sys.argv[1]).write_text(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
