"""What a rule of the protocol is made of here: its sentence, and the changes of the code that take it out."""

from dataclasses import dataclass, field

READS = "tests/rules/test_reads.py"
WRITES = "tests/rules/test_writes.py"
REDIS = "tests/rules/test_redis.py"
STATES = "tests/rules/test_transactions_and_time.py"
CONNECTIONS = "tests/test_redis_connections.py"
CHECKS = "invalidation/tests/test_checks.py"

SQLITE = ("sqlite",)
POSTGRESQL = ("postgresql",)
BOTH = SQLITE + POSTGRESQL


@dataclass(frozen=True, slots=True)
class Edit:
    """In `file` the text `old`, which stands there once, is replaced by `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Removal:
    """One way to take a rule out, and the tests of which every one fails then, on each of the databases."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    databases: tuple[str, ...] = SQLITE


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    sentence: str
    removals: tuple[Removal, ...] = field(default_factory=tuple)


def removal(name: str, *edits: tuple[str, str, str], tests: list[str], databases: tuple[str, ...] = SQLITE) -> Removal:
    return Removal(name, tuple(Edit(*edit) for edit in edits), tuple(tests), databases)
