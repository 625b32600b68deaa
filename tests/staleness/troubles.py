"""The ways in which a Redis fails a writer, each begun at one point of the engine and over at the end of a block."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from invalidation.testing import interleave
from tests.servers.redis_trouble import TroubledRedis

Trouble = Callable[[TroubledRedis], AbstractContextManager[None]]


@contextmanager
def cut_off(server: TroubledRedis) -> Iterator[None]:
    """Connections are killed and no new one is taken: for those who are outside it is as good as dead, and it lives."""
    # One connection for all of it: there will be no other.
    with server.admin as client:
        before = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", 1)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        try:
            yield
        finally:
            client.config_set("maxclients", before)


@contextmanager
def full(server: TroubledRedis) -> Iterator[None]:
    server.fill_up()
    try:
        yield
    finally:
        server.make_room()


@contextmanager
def read_only(server: TroubledRedis) -> Iterator[None]:
    server.become_read_only()
    try:
        yield
    finally:
        server.become_master()


@contextmanager
def busy(server: TroubledRedis) -> Iterator[None]:
    with server.busy():
        yield


@contextmanager
def hung(server: TroubledRedis) -> Iterator[None]:
    server.suspend()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def dead(server: TroubledRedis) -> Iterator[None]:
    """Nobody listens, so connections are refused; the next server is empty."""
    server.kill()
    try:
        yield
    finally:
        server.restart_empty()


TROUBLES: dict[str, Trouble] = {
    "killed connections": cut_off,
    "full": full,
    "read-only": read_only,
    "busy": busy,
    "hung": hung,
    "refused": dead,
}


@contextmanager
def trouble_at(point: str, trouble: Trouble, server: TroubledRedis, *, until: str | None = None) -> Iterator[None]:
    """The trouble begins when this thread comes to `point`, and ends at `until` or with the block."""
    with ExitStack() as stack, interleave(point, lambda: stack.enter_context(trouble(server))):
        if until is None:
            yield
        else:
            with interleave(until, stack.close):
                yield
