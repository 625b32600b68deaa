"""Runs the whole suite on SQLite and on PostgreSQL, side by side: `python -m tests.run [--long] [pytest arguments]`.

Ends with what each of the two did and with every test that was skipped, and fails if either did. With
PLUMBLINE_NO_SKIPS=1 a skip is a failure, a PostgreSQL that could not be started included.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import places, postgresql

BASE_DIR = Path(__file__).resolve().parent.parent
GUARD = Path(__file__).parent / "servers" / "guard.py"
TITLES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
NOTHING_TO_RUN = 5  # pytest's exit code
INTERRUPTED = 130


@dataclass
class Pass:
    """One run of pytest against one database; its output goes to `log`, or where ours goes when that is None."""

    database: str
    folder: Path
    log: Path | None
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    exit_code: int | None = None

    def start(self, arguments: list[str]) -> None:
        """Start pytest on every core; it ends, with all it started, when this process does."""
        command = [sys.executable, "-I", "-S", GUARD, "--signal", "SIGTERM", "--group", "--"]
        command += [sys.executable, "-m", "pytest", f"--database={self.database}", f"--report={self.report}"]
        command += ["--numprocesses", str(cores()), "--dist", "worksteal", *arguments]
        with ExitStack() as stack:
            output = stack.enter_context(self.log.open("wb")) if self.log else None
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                cwd=BASE_DIR,
                env={**os.environ, **self.environment},
                start_new_session=True,  # Ctrl-C reaches this process alone, which ends the passes in order
            )

    def stop(self) -> None:
        """End pytest in an orderly way, if it still runs."""
        if self.process and self.process.stdin:
            self.process.stdin.close()
            self.process.wait()

    @property
    def report(self) -> Path:
        return self.folder / f"{self.database}.json"

    def wait(self) -> None:
        """Return when pytest is done."""
        assert self.process is not None
        self.exit_code = self.process.wait()

    def outcome(self) -> tuple[dict[str, int], float, list[tuple[str, str]]]:
        """What pytest counted, its seconds and the skips; nothing where it did not get that far."""
        if not self.report.exists():
            return {}, 0.0, []
        facts = json.loads(self.report.read_text())
        return facts["counts"], facts["seconds"], [(test, reason) for test, reason in facts["skips"]]


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(places.run_folder())
            return run(arguments, folder, stack)
    except KeyboardInterrupt:
        print("\nInterrupted: the tests and their servers are stopped.")
        return INTERRUPTED


def run(arguments: list[str], folder: Path, stack: ExitStack) -> int:
    """Run both passes to their end and print; the exit code."""
    postgresql_url, missing = postgresql_address(folder, stack)
    passes = [Pass("sqlite", folder, log=None)]
    if postgresql_url:
        print("Testing on SQLite (below) and, beside it, on PostgreSQL (printed when it is done).", flush=True)
        log = folder / "postgresql.log"
        passes.append(Pass("postgresql", folder, log, {"DATABASE_URL": postgresql_url}))
    else:
        print(f"Testing on SQLite only: {missing}", flush=True)
    for one in passes:
        stack.callback(one.stop)
        one.start(arguments)
    for one in passes:
        one.wait()
        if one.log:
            print(f"\n{f' on {TITLES[one.database]} ':=^80}", flush=True)
            sys.stdout.buffer.write(one.log.read_bytes())
            sys.stdout.flush()
    return summarize(passes, missing)


def postgresql_address(folder: Path, stack: ExitStack) -> tuple[str, str]:
    """The PostgreSQL to test on, started if DATABASE_URL names none, or why there is none."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith("postgres"):
        return given, ""
    try:
        return stack.enter_context(postgresql.serving(folder)), ""
    except postgresql.PostgresqlMissing as error:
        return "", str(error)


def summarize(passes: list[Pass], missing: str) -> int:
    """Print what each pass did and every skip; the exit code of the run."""
    skips: dict[tuple[str, str], list[str]] = {}
    failed = False
    print(f"\n{' summary ':=^80}")
    for one in passes:
        counts, seconds, skipped = one.outcome()
        words = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no tests ran"
        failed |= one.exit_code not in (0, NOTHING_TO_RUN)
        ending = "" if one.exit_code in (0, NOTHING_TO_RUN) else f" - exit code {one.exit_code}"
        print(f"{TITLES[one.database]}: {words} in {seconds:.0f} s{ending}")
        for skip in skipped:
            skips.setdefault(skip, []).append(TITLES[one.database])
    if missing:
        print(f"PostgreSQL: SKIPPED, all of it: {missing}")
    if all(one.exit_code == NOTHING_TO_RUN for one in passes):
        print("No test was selected.")
        failed = True
    if skips:
        print("Skipped:")
    for (test, reason), databases in sorted(skips.items()):
        print(f"  {test} ({', '.join(databases)}): {reason}")
    if os.environ.get("PLUMBLINE_NO_SKIPS") == "1" and (skips or missing):
        print("PLUMBLINE_NO_SKIPS=1: a skip is a failure.")
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
