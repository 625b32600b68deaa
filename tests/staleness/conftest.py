"""What the situations share: watched models, entries that outlive every test, and readers in other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from invalidation.reads import CachedRead
    from tests.actors import Cast, ProcessActor

# What needs Django's settings is imported in the fixtures: pytest may load this file before they are there.
A_DAY_SECONDS = 24 * 3600


@pytest.fixture(autouse=True)
def entries_live_long(settings: Any) -> None:
    """An entry that expired would be right for the wrong reason."""
    settings.CACHE_DEFAULT_TTL = A_DAY_SECONDS
    settings.CACHE_CLASS_TTLS = dict.fromkeys(settings.CACHE_CLASS_TTLS, A_DAY_SECONDS)
    settings.CACHE_FAMILY_TTLS = {}


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The models of `reads` are watched in this process, whatever the apps watch, until the test ends."""
    from invalidation.registry import registry
    from tests.staleness import reads

    monkeypatch.setattr(registry, "_watched", dict(registry._watched))
    new = reads.watch(reads.WATCHED)
    yield
    reads.disconnect(new)


@pytest.fixture
def process(watched: None, actors: Cast) -> Callable[..., ProcessActor]:
    """Makes a process in which the models of `reads` are watched: `process("writer")`."""
    from tests.staleness import reads

    def make(name: str = "process", **overrides: Any) -> ProcessActor:
        actor = actors.process(name, **overrides)
        actor.call(reads.watch_all)
        return actor

    return make


@pytest.fixture
def reader(process: Callable[..., ProcessActor]) -> ProcessActor:
    """Another process that reads."""
    return process("reader")


@pytest.fixture
def everywhere(reader: ProcessActor) -> Callable[..., Any]:
    """`everywhere(read, **params)`: what another process, another thread and this one read: what the database says."""
    from invalidation.testing import in_another_thread

    def ask(read: CachedRead[Any], **params: Any) -> Any:
        # This thread comes last: it may know what it wrote itself.
        there, beside, here = reader.call(read, **params), in_another_thread(read, **params), read(**params)
        expected = read.bypass(**params)
        assert (there, beside, here) == (expected, expected, expected)
        return expected

    return ask


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the situations that the database of this run does not know: they are no skips."""
    other = "postgresql" if config.option.database == "sqlite" else "sqlite"
    here = Path(__file__).parent
    dropped = [item for item in items if here in item.path.parents and other in getattr(item, "fixturenames", ())]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in set(dropped)]


@pytest.fixture
def postgresql() -> None:
    """The test is of PostgreSQL alone."""


@pytest.fixture
def sqlite() -> None:
    """The test is of SQLite alone."""
