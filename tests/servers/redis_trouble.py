"""A Redis of one test's own, with a switch for every way in which a Redis fails.

    def test_a_flushed_server_is_noticed(troubled_redis):
        fill()
        troubled_redis.flush_all()
        ...

The fixture points `CACHES["default"]` at it, under a fresh prefix; actors started afterwards use it too.
"""

import dataclasses
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import pytest
import redis
from django_redis.pool import ConnectionFactory
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, OutOfMemoryError, RedisError, ResponseError
from redis.retry import Retry

from invalidation.breaker import Breaker
from invalidation.store import store
from project.processes import redis_server
from project.processes.programs import Child, ProgramFailed
from tests.servers import places

LONGEST_WAIT_SECONDS = 20.0
LOOK_AGAIN_SECONDS = 0.002
FILLER_BYTES = 64 * 1024
ROOM_BYTES = 1024 * 1024
BUSY_AFTER_MILLISECONDS = 10
IMMEDIATE_REPLICATION = ("--repl-diskless-sync-delay", "0")
# Writes nothing, so that SCRIPT KILL can end it.
ENDLESS_LOOP = "while true do end"


class RedisTrouble(Exception):
    """A switch did not do what it is for."""


class TroubledRedis:
    """A server on a private socket; every switch returns once its effect is there.

    `tcp` gives it a port of 127.0.0.1 as well, by which others can replicate it.
    """

    def __init__(self, folder: Path, *, tcp: bool = False) -> None:
        self.folder = folder
        self.path = folder / "redis.sock"
        self.port = 0
        self._tcp = tcp
        self._dump = folder / "data" / "dump.rdb"
        self._child: Child | None = None
        self._stack = ExitStack()
        self._second: TroubledRedis | None = None

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.path))}?db=0"

    @property
    def admin(self) -> redis.Redis:
        """A client for looking from outside, with a connection of its own that nobody else uses."""
        return self._client(timeout_seconds=LONGEST_WAIT_SECONDS)

    def _client(self, *, timeout_seconds: float | None) -> redis.Redis:
        # Without retries: what is asked of a server that is killed is not asked of the next one.
        return redis.Redis(
            unix_socket_path=str(self.path), socket_timeout=timeout_seconds, retry=Retry(NoBackoff(), retries=0)
        )

    def ask(self, *words: Any) -> Any:
        """What the server answers to one command, on a new connection; raises redis's errors."""
        with self.admin as client:
            return client.execute_command(*words)

    def info(self, name: str) -> Any:
        """One line of INFO, as redis-py reads it."""
        return self.ask("INFO", "everything")[name]

    # Life and death

    def start(self) -> Self:
        """Start the server with what its image holds; raises NoRedis."""
        reasons = []
        for binary in redis_server.candidates():
            reason = redis_server.why_unusable(binary)
            if reason is None:
                try:
                    self._child = self._start(binary)
                except (ProgramFailed, OSError) as error:
                    reason = str(error)
                else:
                    return self
            reasons.append(f"{binary}: {reason}")
        raise redis_server.NoRedis("; ".join(reasons) or "no server of this machine")

    def _start(self, binary: Path) -> Child:
        folder = self.folder
        program = redis_server.program(
            binary, path=self.path, lock=folder / "lock", data=folder / "data", log=folder / "log"
        )
        if self._tcp:
            # Chosen anew at each start: another program may have taken it meanwhile.
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            program = dataclasses.replace(
                program,
                # Without a delay: a master waits five seconds for more replicas.
                argv=(*program.argv, "--bind", "127.0.0.1", "--port", str(self.port), *IMMEDIATE_REPLICATION),
            )
        child = Child(program)
        try:
            child.start()
            child.wait_until_ready()
        except BaseException:
            child.kill()
            raise
        return child

    @property
    def pid(self) -> int:
        """The id of the server's process; raises RedisTrouble when it is dead."""
        if self._child is None or self._child.process is None:
            raise RedisTrouble("the server is dead")
        return self._child.process.pid

    def kill(self) -> None:
        """`kill -9`: connections break, new ones are refused, the memory is gone."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart_empty(self) -> None:
        """Kill the server and start it with nothing in it."""
        self.kill()
        self._dump.unlink(missing_ok=True)
        self.start()

    def save_image(self) -> Path:
        """Have the server write all it holds to a file, for `restart_from`."""
        self.ask("SAVE")
        image = self.folder / f"image-{uuid.uuid4().hex[:8]}.rdb"
        shutil.copy(self._dump, image)
        self._dump.unlink()
        return image

    def restart_from(self, image: Path) -> None:
        """Kill the server and start it with what it held when the image was saved."""
        self.kill()
        shutil.copy(image, self._dump)
        self.start()
        self._dump.unlink()

    def suspend(self) -> None:
        """SIGSTOP: connections are taken by the kernel, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise RedisTrouble("the server died of SIGSTOP")

    def resume(self) -> None:
        """SIGCONT: the server answers what has queued up meanwhile."""
        os.kill(self.pid, signal.SIGCONT)
        self._wait_until(lambda: redis_server.answers(self.path), "answers again")

    # Forgetting

    def flush_all(self) -> None:
        """Drop every key; `run_id` and connections stay."""
        self.ask("FLUSHALL")

    def flush_scripts(self) -> None:
        """Forget every script: the next EVALSHA fails with NOSCRIPT."""
        self.ask("SCRIPT", "FLUSH", "SYNC")

    def evict_volatile_keys(self) -> int:
        """Run out of memory under volatile-lru until every key with a TTL is evicted; how many went.

        Keys without a TTL stay, and there is room again afterwards.
        """
        before = int(self.info("evicted_keys"))
        self.configure("maxmemory-policy", "volatile-lru")
        self.configure("maxmemory", "1")
        try:
            # A write makes the server evict; it is refused itself, since what is left has no TTL.
            self._wait_until(self._nothing_volatile_is_left, "has evicted all keys with a TTL")
        finally:
            self.make_room()
        return int(self.info("evicted_keys")) - before

    def _nothing_volatile_is_left(self) -> bool:
        with suppress(OutOfMemoryError):
            self.ask("SET", "plumbline-pressure", "")
        return int(self.ask("INFO", "keyspace").get("db0", {"expires": 0})["expires"]) == 0

    # Refusing

    def fill_up(self) -> None:
        """Fill the memory under noeviction: every write is refused with OOM until `make_room`; reads go on."""
        self.configure("maxmemory-policy", "noeviction")
        self.configure("maxmemory", str(int(self.info("used_memory")) + ROOM_BYTES))
        with self.admin as client:
            for number in range(10 * ROOM_BYTES // FILLER_BYTES):
                try:
                    client.set(f"plumbline-filler-{number}", os.urandom(FILLER_BYTES))
                except OutOfMemoryError:
                    # Freed buffers of connections would make room for a small key again.
                    self.configure("maxmemory", str(int(self.info("used_memory")) - ROOM_BYTES // 2))
                    return
        raise RedisTrouble("the server took more than its memory")

    def make_room(self) -> None:
        """The memory and policy that it began with, and none of what filled it."""
        self.configure("maxmemory", redis_server.MAXIMUM_MEMORY)
        self.configure("maxmemory-policy", "volatile-lru")
        with self.admin as client:
            for key in client.scan_iter("plumbline-filler-*"):
                client.unlink(key)
            client.unlink("plumbline-pressure")

    def become_read_only(self) -> None:
        """Become a replica of a second real, empty server: it loses its keys and refuses every write (READONLY)."""
        if self._second is None:
            self._second = self._stack.enter_context(troubled_server(tcp=True))
        self.replicate(self._second)

    def replicate(self, master: "TroubledRedis") -> None:
        """Become a replica of another server, which has a `port`; returns once it holds what that one holds."""
        self.ask("REPLICAOF", "127.0.0.1", str(master.port))
        self._wait_until(lambda: self.info("master_link_status") == "up", "follows the other server")

    def become_master(self) -> None:
        """Follow nobody, and take writes again."""
        self.ask("REPLICAOF", "NO", "ONE")

    def refuse_unsaved(self) -> None:
        """A background save fails: every write is refused with MISCONF until `accept_unsaved`."""
        # A folder in the place of the image: root could write into any that is merely protected.
        self._dump.unlink(missing_ok=True)
        self._dump.mkdir()
        (self._dump / "occupied").touch()
        self.configure("stop-writes-on-bgsave-error", "yes")
        self.configure("save", "3600 1")
        self.ask("BGSAVE")
        self._wait_until(lambda: self.info("rdb_last_bgsave_status") == "err", "has failed to save")

    def accept_unsaved(self) -> None:
        self.configure("save", "")
        shutil.rmtree(self._dump)

    def kill_client_connections(self) -> int:
        """CLIENT KILL TYPE normal: every open connection breaks, and new ones are welcome; how many there were."""
        return int(self.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))

    @contextmanager
    def refusing_connections(self) -> Iterator[None]:
        """Inside the block no new connection is taken (maxclients), while those that are open go on working."""
        with self.admin as client:
            before = client.config_get("maxclients")["maxclients"]
            client.config_set("maxclients", 1)
            try:
                yield
            finally:
                client.config_set("maxclients", before)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Inside the block the server runs an endless script, and everything it is asked is refused with BUSY."""
        option = "lua-time-limit"  # its name on every version
        with self.admin as client:
            before = client.config_get(option)[option]
        self.configure(option, str(BUSY_AFTER_MILLISECONDS))
        ended: list[str] = []

        def run() -> None:
            try:
                with self._client(timeout_seconds=None) as client:
                    client.execute_command("EVAL", ENDLESS_LOOP, 0)
            except RedisError as error:
                ended.append(str(error))

        thread = threading.Thread(target=run, name="busy", daemon=True)
        thread.start()
        try:
            self._wait_until(lambda: bool(ended) or self._is_busy(), "is busy")
            yield
        finally:
            with suppress(ResponseError):  # it has ended: the server was killed or restarted in the block
                self.ask("SCRIPT", "KILL")
            thread.join(LONGEST_WAIT_SECONDS)
            self.configure(option, before)
        if thread.is_alive():
            raise RedisTrouble("the script does not end")

    def _is_busy(self) -> bool:
        try:
            self.ask("PING")
        except ResponseError as error:
            return "BUSY" in str(error)
        return False

    def configure(self, name: str, value: str) -> None:
        """CONFIG SET."""
        self.ask("CONFIG", "SET", name, value)

    def stop(self) -> None:
        """End the server and what it needed; a second time does nothing."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        self._stack.close()

    def _wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            with suppress(BusyLoadingError):
                if condition():
                    return
            if time.monotonic() > deadline:
                raise RedisTrouble(f"it is not so after {LONGEST_WAIT_SECONDS:.0f} s that the server {what}")
            time.sleep(LOOK_AGAIN_SECONDS)


@contextmanager
def troubled_server(*, tcp: bool = False) -> Iterator[TroubledRedis]:
    """A server that ends with the block. The main thread must start it: it dies with the one that does."""
    # The path of a socket is short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="plumbline-", dir=places.temporary_place()) as folder:
        server = TroubledRedis(Path(folder), tcp=tcp)
        try:
            yield server.start()
        finally:
            server.stop()


def forget_connections(url: str) -> None:
    """Close this process's connections to a server that is gone, and what is believed about it."""
    pool = ConnectionFactory._pools.pop(url, None)
    if pool is not None:
        pool.disconnect()
    store().breaker = Breaker()


@pytest.fixture
def troubled_redis(settings: Any, cache_prefix: str) -> Iterator[TroubledRedis]:
    """A server of this test's own, which the cache and the engine use under this test's prefix."""
    with troubled_server() as server:
        ours = settings.CACHES
        settings.CACHES = {**ours, "default": {**ours["default"], "LOCATION": server.url}}
        store().breaker = Breaker()
        try:
            yield server
        finally:
            settings.CACHES = ours
            forget_connections(server.url)
