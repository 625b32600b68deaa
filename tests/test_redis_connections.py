"""Connections know the run of the server they lead to, and lead to no replica."""

import tempfile
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from invalidation.connections import EnginePool, KnownServerSocketConnection
from invalidation.exceptions import StoreError, StoreUnavailableError
from invalidation.store import Store
from project.processes import redis_server

pytestmark = pytest.mark.once


@pytest.fixture
def own_server():
    # The path of a socket is short, and pytest's folders are not.
    with tempfile.TemporaryDirectory(prefix="plumbline-") as folder, redis_server.running(Path(folder)) as path:
        yield path


@pytest.fixture
def pool(own_server):
    pool = EnginePool(connection_class=KnownServerSocketConnection, path=str(own_server), socket_timeout=1)
    yield pool
    pool.disconnect()


def run_id_of(connection):
    connection.send_command("INFO", "server")
    answer = connection.read_response()
    text = answer.decode() if isinstance(answer, bytes) else answer
    return next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("run_id:"))


def test_a_new_connection_knows_the_run_of_its_server(pool):
    connection = pool.get_connection()

    assert connection.run_id
    assert connection.run_id == run_id_of(connection)


def test_a_connection_that_is_made_anew_asks_again(pool):
    connection = pool.get_connection()
    connection.disconnect()

    assert connection.run_id == ""
    connection.connect()
    assert connection.run_id == run_id_of(connection)


def test_a_replica_is_not_connected_to(pool):
    connection = pool.get_connection()
    connection.send_command("REPLICAOF", "127.0.0.1", "1")
    assert connection.read_response() == b"OK"
    connection.disconnect()

    with pytest.raises(RedisConnectionError, match="replica"):
        connection.connect()

    assert connection._sock is None


def test_an_error_that_is_none_of_redis_leaves_no_connection_behind(pool, monkeypatch):
    def fail(connection):
        raise ValueError("the answer cannot be read")

    monkeypatch.setattr(KnownServerSocketConnection, "_ask_run_id", fail)

    with pytest.raises(RedisConnectionError, match="could not be identified"):
        pool.get_connection()

    assert not any(connection._sock for connection in pool._available_connections)


def test_the_pool_tries_nothing_twice(pool):
    assert pool.get_connection().retry._retries == 0


def test_an_answer_says_which_run_gave_it():
    store = Store()

    first, second = store.pipeline([("SET", "{test}answer", "1", "PX", 1000), ("GET", "{test}answer")])

    assert second.value == b"1"
    assert first.run_id == second.run_id == store.command("PING").run_id


def test_an_error_of_one_command_is_told_and_leaves_the_next_answers_in_order():
    store = Store()

    with pytest.raises(StoreError):
        store.pipeline([("SET", "{test}text", "word", "PX", 1000), ("INCR", "{test}text"), ("GET", "{test}text")])

    assert store.command("ECHO", "mine").value == b"mine"


def test_an_interrupted_question_leaves_no_answer_for_the_next(monkeypatch):
    store = Store()
    reading = KnownServerSocketConnection.read_response

    def interrupted(connection, *args, **kwargs):
        raise KeyboardInterrupt

    store.command("PING")
    monkeypatch.setattr(KnownServerSocketConnection, "read_response", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.command("ECHO", "yours")
    monkeypatch.setattr(KnownServerSocketConnection, "read_response", reading)

    # The answer may still be on its way: redis-py's own look at what has arrived would not do.
    assert not any(connection._sock for connection in store.client.connection_pool._available_connections)
    assert store.command("ECHO", "mine").value == b"mine"


def test_a_server_that_fails_again_and_again_is_left_alone_for_a_while(settings, tmp_path):
    store = Store()
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": f"unix://{tmp_path}/nobody.sock"},
    }

    for _time in range(3):
        with pytest.raises(StoreError, match="ConnectionError"):
            store.command("PING")

    with pytest.raises(StoreUnavailableError):
        store.command("PING")
