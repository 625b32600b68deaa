"""Where this installation keeps its files. Needs no Django, so that processes can use it before settings load."""

import hashlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# sun_path holds 104 bytes on macOS and 108 on Linux, the closing NUL included.
LONGEST_SOCKET_PATH = 103


def var_dir() -> Path:
    """The folder of everything that changes while the site runs: PLUMBLINE_VAR, else `var/` of the project."""
    return Path(os.environ.get("PLUMBLINE_VAR", "").strip() or BASE_DIR / "var").absolute()


def socket_dir() -> Path:
    """A folder, for this user alone, whose sockets have paths short enough for the kernel.

    `var/run`, or where that is too long a folder under the system's temporary one whose name follows from the
    project's path, so that every process of this installation finds the same. The caller makes it with
    `make_private`.
    """
    wanted = var_dir() / "run"
    if len(os.fsencode(wanted / "postgresql.sock")) <= LONGEST_SOCKET_PATH:
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"plumbline-{os.getuid()}-{digest}"


def redis_socket() -> Path:
    """The socket of the embedded Redis."""
    return socket_dir() / "redis.sock"


def redis_lock() -> Path:
    """The file that the embedded Redis holds locked for as long as it lives."""
    return var_dir() / "run" / "redis.lock"


def make_private(folder: Path) -> Path:
    """Make `folder` (and its parents) so that only this user can enter it; raises PermissionError if it is another's.

    A folder in a shared temporary place could have been put there by someone else, a link included.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else: remove it or set PLUMBLINE_VAR to another folder")
    if facts.st_mode & stat.S_ISVTX:
        raise PermissionError(f"{folder} is shared with others: set PLUMBLINE_VAR to a folder of its own")
    if stat.S_IMODE(facts.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def kept_secret(name: str, random_bytes: int = 48) -> str:
    """The secret kept in the file `name` under `var/`, made at first use; readable by this user alone.

    Two processes that make it at once agree: the file is created whole, under a name of its own, and linked into
    place by whoever is first.
    """
    path = make_private(var_dir()) / name
    if not path.exists():
        draft = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(random_bytes))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
