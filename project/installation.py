"""Makes the virtual environment `.venv` and installs the locked dependencies into it; does nothing when they are there.

    python3 project/installation.py run     what the site needs (requirements.txt)
    python3 project/installation.py develop what tests and checks need on top (requirements-dev.txt)

Runs with the Python the environment is to be made of, so it uses the standard library alone. What was installed is
noted in a stamp inside `.venv`, by the content of the lock and the version of Python; the stamp goes before an
installation begins and comes back when it has succeeded, so that an interrupted one is done again.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
VENV = BASE_DIR / ".venv"
PYTHON = VENV / "bin" / "python"
# The lock of `develop` holds all of `run`, in the same versions: installing it does for both.
LOCKS = {"run": BASE_DIR / "requirements.txt", "develop": BASE_DIR / "requirements-dev.txt"}
STAMPS = {"run": ("run",), "develop": ("run", "develop")}


class InstallationFailed(Exception):
    """Something the machine lacks, or an installer that gave up; the message says what to do."""


@contextlib.contextmanager
def alone() -> Iterator[int]:
    """Let one installation at a time work on this project; gives the descriptor that holds the others off.

    An installer that inherits it holds them off too, should it go on after we were killed.
    """
    descriptor = os.open(BASE_DIR, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another installation to finish", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def stamp(purpose: str) -> Path:
    """The file that says what is installed for `purpose`."""
    return VENV / f"installed-for-{purpose}"


def wanted(purpose: str, version: str) -> str:
    """What the stamp says when the lock of today is installed for this version of Python."""
    return f"{hashlib.sha256(LOCKS[purpose].read_bytes()).hexdigest()} {version}\n"


def python_version() -> str | None:
    """The version of the environment's Python as 3.11; None if there is none that works."""
    try:
        asked = subprocess.run(  # noqa: S603 - our own environment
            [str(PYTHON), "-I", "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()


def is_installed(purpose: str) -> bool:
    """Whether the lock of `purpose` is installed as it is today."""
    version = python_version()
    path = stamp(purpose)
    return version is not None and path.is_file() and path.read_text() == wanted(purpose, version)


def has_pip() -> bool:
    """Whether the environment brings pip."""
    asked = subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True, check=False)  # noqa: S603
    return asked.returncode == 0


def make_environment(uv: str | None) -> None:
    """Make `.venv` anew unless one is there that works with `uv`, or with its own pip where there is no uv."""
    if python_version() is not None and (uv or has_pip()):
        return
    print("Making the virtual environment .venv", flush=True)
    missing = [name for name in ("venv", "ensurepip") if not can_import(name)]
    if "venv" in missing or (missing and not uv):
        major, minor = sys.version_info[:2]
        raise InstallationFailed(
            f"this Python has no {' and no '.join(missing)}. On Debian and Ubuntu: "
            f"apt-get install python3-venv (or python{major}.{minor}-venv), then try again"
        )
    options = ["--without-pip"] if missing else []
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", *options, str(VENV)], check=False)  # noqa: S603
    if made.returncode:
        raise InstallationFailed("the virtual environment could not be made; the reason stands above")


def can_import(name: str) -> bool:
    """Whether this Python has the module; importing it is the only way to know on systems that split Python up."""
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def install(lock: Path, uv: str | None, held: int) -> None:
    """Install the lock, every file of it checked against its hash; raises InstallationFailed."""
    if uv:
        command = [uv, "pip", "install", "--python", str(PYTHON), "--require-hashes", "--requirement", str(lock)]
        if subprocess.run(command, check=False, pass_fds=(held,)).returncode == 0:  # noqa: S603 - uv from PATH
            return
        if not has_pip():
            raise InstallationFailed("uv could not install the dependencies; the reason stands above")
        print("uv could not install the dependencies, pip is tried", flush=True)
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--require-hashes", "--requirement", str(lock)]
    total = len(re.findall(r"^[\w.\[\],-]+==", lock.read_text(), re.MULTILINE))
    if run_pip(command, total, held) != 0:
        raise InstallationFailed("pip could not install the dependencies; the reason stands above")


def run_pip(command: list[str], total: int, held: int) -> int:
    """Run pip, showing how far it is instead of its hundreds of lines; shows all it said if it fails."""
    said: list[str] = []
    count = 0
    with subprocess.Popen(  # noqa: S603 - the pip of our own environment
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=(held,)
    ) as pip:
        for line in pip.stdout or ():
            said.append(line)
            if line.startswith("Collecting "):
                count += 1
                show_progress(f"Downloading {count} of at most {total}: {line.split()[1].split('==')[0]}")
            elif line.startswith("Installing collected"):
                show_progress(f"Installing {count} packages")
    if sys.stdout.isatty():
        print(flush=True)
    if pip.returncode:
        print("".join(said), file=sys.stderr)
    return pip.returncode


def show_progress(text: str) -> None:
    """Show one step: on a terminal in place of the last one, elsewhere as a line."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)
    else:
        print(text, flush=True)


def main() -> int:
    """Install for the purpose named on the command line; 0 when it is installed."""
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        print(f"usage: {sys.argv[0]} {'|'.join(LOCKS)}", file=sys.stderr)
        return 2
    purpose = sys.argv[1]
    try:
        if is_installed(purpose):
            return 0
        with alone() as held:
            if is_installed(purpose):
                return 0
            uv = shutil.which("uv")
            make_environment(uv)
            for name in STAMPS["develop"]:
                stamp(name).unlink(missing_ok=True)
            print(f"Installing {LOCKS[purpose].name}", flush=True)
            install(LOCKS[purpose], uv, held)
            for name in STAMPS[purpose]:
                draft = stamp(name).with_suffix(".new")
                draft.write_text(wanted(name, python_version() or ""))
                draft.replace(stamp(name))
    except InstallationFailed as error:
        print(f"Cannot install: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
