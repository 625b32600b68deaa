"""Runs every static check and sums up at the end; `python -m tests.check` is what `make check` starts.

One that fails does not keep the others from running.
"""

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BASE_DIR = Path(__file__).resolve().parent.parent
SCRIPTS = Path(sys.executable).parent

PINNED = re.compile(r"^(?P<name>[\w.-]+)(\[[\w,-]+\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def requirements(path: Path) -> dict[str, Requirement]:
    """What a requirements*.in asks for itself, by name; what it includes with -r is not among it."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    asked = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in asked}


def pins(path: Path) -> dict[str, set[str]]:
    """The versions a lock holds of each package; several where they differ by platform or Python."""
    found: dict[str, set[str]] = {}
    for pin in PINNED.finditer(path.read_text()):
        found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return found


def asked_by(path: Path, source: str) -> set[str]:
    """The packages a lock holds because the file `source` asks for them."""
    names: set[str] = set()
    name = ""
    for line in path.read_text().splitlines():
        pin = PINNED.match(line)
        if pin:
            name = canonicalize_name(pin["name"])
        elif re.search(rf"-r {re.escape(source)}\b", line):
            names.add(name)
    return names


def lock_faults(folder: Path) -> list[str]:
    """Where the locks in `folder` do not hold what its requirements*.in ask; needs no network."""
    faults = []
    run = pins(folder / "requirements.txt")
    develop = pins(folder / "requirements-dev.txt")
    for source, lock in (("requirements", run), ("requirements-dev", develop)):
        asked = requirements(folder / f"{source}.in")
        for name, requirement in asked.items():
            if name not in lock:
                faults.append(f"{source}.txt lacks {name}")
            for version in lock.get(name, ()):
                if not requirement.specifier.contains(version, prereleases=True):
                    faults.append(f"{source}.txt has {name} {version}, {source}.in asks {requirement}")
        for name in sorted(asked_by(folder / f"{source}.txt", f"{source}.in") - set(asked)):
            faults.append(f"{source}.txt has {name}, which {source}.in does not ask any more")
    for name, versions in run.items():
        if develop.get(name) != versions:
            faults.append(f"{name} is not the same in requirements.txt and requirements-dev.txt")
    return faults


def check_lock() -> int:
    """Print the faults of the lock; 0 if there is none."""
    faults = lock_faults(BASE_DIR)
    for fault in faults:
        print(fault)
    if faults:
        print("Run `make lock` and look at what it changed.")
    return 1 if faults else 0


def run(command: list[str], environment: Mapping[str, str]) -> int:
    """Run a check and return its exit code; what it says is shown."""
    return subprocess.run(command, cwd=BASE_DIR, env={**os.environ, **environment}, check=False).returncode


def main() -> int:
    """Run all checks; 0 if none failed."""
    python = [sys.executable, "-m"]
    manage = [sys.executable, "manage.py"]
    with tempfile.TemporaryDirectory(prefix="plumbline-check-") as var:
        (Path(var) / "data").mkdir()
        development = {"PLUMBLINE_ENV": "development", "PLUMBLINE_VAR": var, "DATABASE_URL": "", "DEBUG": "0"}
        production = {
            **development,
            "PLUMBLINE_ENV": "production",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ALLOWED_HOSTS": "plumbline.example",
        }
        checks: list[tuple[str, list[str], Mapping[str, str]]] = [
            ("style (ruff check)", [*python, "ruff", "check"], {}),
            ("layout (ruff format)", [*python, "ruff", "format", "--check"], {}),
            ("types (mypy)", [*python, "mypy"], development),
            ("imports (lint-imports)", [str(SCRIPTS / "lint-imports")], development),
            ("migrations", [*manage, "makemigrations", "--check", "--dry-run"], development),
            ("settings", [*manage, "check", "--fail-level", "WARNING"], development),
            (
                "settings of production",
                [*manage, "check", "--deploy", "--fail-level", "WARNING"],
                production,
            ),
            ("lock", [*python, "tests.check", "lock"], {}),
        ]
        results = []
        for name, command, environment in checks:
            print(f"--- {name}", flush=True)
            began = time.monotonic()
            code = run(command, environment)
            results.append((name, code, time.monotonic() - began))
    print("--- summary")
    for name, code, seconds in results:
        print(f"{'ok    ' if code == 0 else 'FAILED'} {name} ({seconds:.1f} s)")
    return 1 if any(code for _, code, _ in results) else 0


if __name__ == "__main__":
    sys.exit(check_lock() if sys.argv[1:] == ["lock"] else main())
