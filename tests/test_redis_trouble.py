"""Every switch of the troubled Redis does what it says, seen through the store that the engine uses."""

import os

import pytest
import redis
from django.core.cache import cache
from redis.exceptions import ConnectionError as RedisConnectionError

from invalidation.exceptions import StoreError
from invalidation.store import store
from tests.servers.redis_trouble import troubled_server

pytestmark = pytest.mark.once


def failure(*words):
    """What the store says when it asks; fails when it is answered."""
    with pytest.raises(StoreError) as caught:
        store().command(*words)
    return str(caught.value)


def test_cache_and_store_use_the_server_of_the_test(troubled_redis, cache_prefix):
    cache.set("name", "value")

    assert store().client.connection_pool.connection_kwargs["path"] == str(troubled_redis.path)
    assert [key.decode() for key in troubled_redis.ask("KEYS", "*")] == [f"{cache_prefix}:1:name"]


def test_a_killed_server_refuses_connections_and_comes_back_empty(troubled_redis):
    store().command("SET", "name", "value")
    first = troubled_redis.info("run_id")

    troubled_redis.kill()
    assert "ConnectionError" in failure("GET", "name")

    troubled_redis.restart_empty()
    answer = store().command("GET", "name")
    assert answer.value is None
    assert answer.run_id == troubled_redis.info("run_id") != first


def test_a_server_restarted_from_an_old_image_knows_the_old_and_not_the_new(troubled_redis):
    store().command("SET", "old", "value")
    image = troubled_redis.save_image()
    store().command("SET", "new", "value")

    troubled_redis.restart_from(image)

    assert troubled_redis.ask("GET", "old") == b"value"
    assert troubled_redis.ask("GET", "new") is None

    troubled_redis.ask("SAVE")
    troubled_redis.restart_empty()
    assert troubled_redis.ask("GET", "old") is None


def test_a_suspended_server_is_silent_until_it_goes_on(troubled_redis):
    store().command("SET", "name", "value")

    troubled_redis.suspend()
    assert "TimeoutError" in failure("GET", "name")

    troubled_redis.resume()
    assert store().command("GET", "name").value == b"value"


def test_a_flushed_server_has_no_keys_and_the_same_run(troubled_redis):
    before = store().command("SET", "name", "value")

    troubled_redis.flush_all()

    after = store().command("GET", "name")
    assert after.value is None
    assert after.run_id == before.run_id


def test_a_server_whose_scripts_are_flushed_knows_none(troubled_redis):
    digest = store().command("SCRIPT", "LOAD", "return 1").value

    troubled_redis.flush_scripts()

    assert "NoScriptError" in failure("EVALSHA", digest, 0)


def test_a_full_server_refuses_writes_and_answers_reads_until_there_is_room(troubled_redis):
    store().command("SET", "name", "value")

    troubled_redis.fill_up()
    assert "OutOfMemoryError" in failure("SET", "x", "")
    assert store().command("GET", "name").value == b"value"

    troubled_redis.make_room()
    store().command("SET", "x", "")
    assert sorted(troubled_redis.ask("KEYS", "*")) == [b"name", b"x"]


def test_under_pressure_keys_with_a_ttl_are_evicted_and_others_stay(troubled_redis):
    store().command("SET", "entry", "value", "PX", 60_000)
    store().command("SET", "fence", "token")

    evicted = troubled_redis.evict_volatile_keys()

    assert evicted == 1
    assert troubled_redis.ask("KEYS", "*") == [b"fence"]
    store().command("SET", "entry", "value")


def test_a_replica_refuses_writes_and_new_connections_of_the_engine(troubled_redis):
    store().command("SET", "name", "value")

    troubled_redis.become_read_only()
    assert troubled_redis.info("master_link_status") == "up"
    assert "ReadOnlyError" in failure("SET", "name", "other")
    assert troubled_redis.ask("ROLE")[0] == b"slave"
    assert troubled_redis.ask("GET", "name") is None

    troubled_redis.become_master()
    store().command("SET", "name", "other")


def test_a_server_that_cannot_save_refuses_writes_until_it_need_not(troubled_redis):
    troubled_redis.refuse_unsaved()
    assert "MISCONF" in failure("SET", "name", "value")

    troubled_redis.accept_unsaved()
    store().command("SET", "name", "value")


def test_killed_connections_break_and_new_ones_are_welcome(troubled_redis):
    pool = store().client.connection_pool
    connection = pool.get_connection()

    killed = troubled_redis.kill_client_connections()

    assert killed == 1
    with pytest.raises(RedisConnectionError):
        connection.read_response()
    pool.release(connection)
    assert store().command("PING").value == b"PONG"


def test_a_server_may_refuse_new_connections_and_keep_the_old(troubled_redis):
    old = redis.Redis(unix_socket_path=str(troubled_redis.path), single_connection_client=True)
    old.ping()

    with troubled_redis.refusing_connections():
        assert "ConnectionError" in failure("PING")
        assert old.ping()

    assert store().command("PING").value == b"PONG"
    old.close()


def test_a_busy_server_says_so_until_it_is_no_longer(troubled_redis):
    store().command("SET", "name", "value")

    with troubled_redis.busy():
        assert "BUSY" in failure("GET", "name")

    assert store().command("GET", "name").value == b"value"


def test_a_server_killed_while_it_is_busy_leaves_no_thread_waiting(troubled_redis):
    with troubled_redis.busy():
        troubled_redis.kill()
        troubled_redis.restart_empty()

    assert store().command("PING").value == b"PONG"


def test_nothing_is_left_of_a_server_after_its_block():
    with troubled_server() as server:
        server.become_read_only()
        pids = [server.pid, server._second.pid]
        folder = server.folder
        server.suspend()

    assert not folder.exists()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    with pytest.raises(RedisConnectionError):
        server.ask("PING")


@pytest.fixture
def breaker_left_open():
    for _time in range(3):
        store().breaker.note_failure(1)
    assert store().breaker.is_open


def test_what_other_servers_did_is_not_held_against_this_one(breaker_left_open, troubled_redis):
    assert store().command("PING").value == b"PONG"


@pytest.mark.parametrize("turn", ["first", "second"])
def test_a_test_that_left_the_breaker_open_does_not_reach_the_next(troubled_redis, turn):
    store().command("PING")

    troubled_redis.kill()
    for _time in range(5):
        failure("PING")

    assert store().breaker.is_open
