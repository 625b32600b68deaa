"""Actors do what they are told, stop where they are told, and leave nothing behind."""

import os
import signal
import threading
import time
from contextlib import suppress

import psutil
import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction

from invalidation import points
from invalidation.exceptions import WriteRefusedError
from tests import actors as actors_module
from tests.actors import ActorDied, ActorSilent, CallFailed

KINDS = pytest.mark.parametrize("kind", ["process", "thread"])


@pytest.fixture
def actor(actors, kind):
    return getattr(actors, kind)("actor")


# What actors are told to call


def add(*, left, right):
    return left + right


def identity():
    return os.getpid(), threading.get_ident()


def setting(*, name):
    return getattr(settings, name)


def database():
    return str(connection.settings_dict["NAME"])


def remember(*, key, value):
    cache.set(key, value)


def recall(*, key):
    return cache.get(key)


def create_group(*, name):
    """Comes to the points of a write that the engine has around a commit."""
    with transaction.atomic():
        Group.objects.create(name=name)
        points.reach("before_raise")
        points.reach("after_raise")
    points.reach("after_commit")


def group_exists(*, name):
    return Group.objects.filter(name=name).exists()


def reach(*, names):
    for name in names:
        points.reach(name)
    return "done"


def refuse():
    raise WriteRefusedError("no fence")


def give_a_lock():
    return threading.Lock()


def sleep_for_ever():
    threading.Event().wait()


def end_at_once():
    os._exit(7)


def open_transaction():
    connection.set_autocommit(False)
    Group.objects.create(name="open")


# Calls


@KINDS
def test_a_call_gives_its_result(actor):
    assert actor.call(add, left=1, right=2) == 3
    assert actor.call("tests.test_actors:add", left="a", right="b") == "ab"


def test_a_process_is_another_process_and_a_thread_another_thread(actors):
    here = identity()

    assert actors.process().call(identity)[0] != here[0]
    process, thread = actors.thread().call(identity)
    assert (process == here[0], thread == here[1]) == (True, False)


@KINDS
def test_a_call_raises_what_was_raised_with_its_types_and_text(actor):
    with pytest.raises(CallFailed, match="no fence") as caught:
        actor.call(refuse)

    assert caught.value.type_name == "invalidation.exceptions.WriteRefusedError"
    assert caught.value.text == "no fence"
    assert caught.value.is_a(Exception)
    assert caught.value.is_a(WriteRefusedError)
    assert not caught.value.is_a(IntegrityError)
    assert "in refuse" in str(caught.value)


@KINDS
def test_an_actor_goes_on_after_a_failed_call(actor):
    assert actor.begin(refuse).error().text == "no fence"
    assert actor.begin(add, left=1, right=1).error() is None

    assert actor.call(add, left=1, right=2) == 3


@KINDS
def test_a_second_call_is_refused_while_the_first_runs(actor):
    first = actor.run_to("after_raise", reach, names=["after_raise"])

    with pytest.raises(RuntimeError, match="busy with actor: reach"):
        actor.begin(add, left=1, right=1)

    actor.go_on()
    assert first.result() == "done"


def test_a_process_says_that_a_result_cannot_be_sent(actors):
    process = actors.process()

    with pytest.raises(CallFailed, match="cannot be sent to another process"):
        process.call(give_a_lock)

    assert process.call(add, left=1, right=2) == 3


def test_a_function_within_another_is_refused_for_a_process(actors):
    def inner():
        pass

    with pytest.raises(ValueError, match="not at the top of its module"):
        actors.process().call(inner)


# One database, one Redis, the same settings


@KINDS
def test_an_actor_sees_what_is_committed_here_and_is_seen(actor):
    Group.objects.create(name="mine")
    assert actor.call(group_exists, name="mine")

    actor.call(create_group, name="theirs")
    assert group_exists(name="theirs")


def test_a_process_uses_the_test_database(actors):
    assert actors.process().call(database) == str(connection.settings_dict["NAME"])


@KINDS
def test_an_actor_uses_the_redis_and_prefix_of_the_test(actor):
    cache.set("here", "1")
    assert actor.call(recall, key="here") == "1"

    actor.call(remember, key="there", value="2")
    assert cache.get("there") == "2"


def test_a_process_has_the_settings_of_the_test_and_its_own(actors, settings):
    settings.CACHE_DEFAULT_TTL = 12

    process = actors.process(CACHE_ENABLED=False)

    assert process.call(setting, name="CACHE_DEFAULT_TTL") == 12
    assert process.call(setting, name="CACHE_ENABLED") is False
    assert settings.CACHE_ENABLED is True
    assert actors.process().call(setting, name="CACHE_ENABLED") is True


def test_a_process_uses_the_redis_that_is_in_trouble(actors, troubled_redis, cache_prefix):
    process = actors.process()

    process.call(remember, key="name", value="value")

    assert f"{cache_prefix}:1:name".encode() in troubled_redis.ask("KEYS", "*")
    troubled_redis.kill()
    with pytest.raises(CallFailed, match="Connection"):
        process.call(recall, key="name")


# Points


@KINDS
def test_an_actor_stands_at_a_point_until_it_may_go_on(actor):
    creating = actor.run_to("after_raise", create_group, name="new")

    assert actor.standing == "after_raise"
    assert not creating.ends_within(0.05)

    actor.go_on(to="after_commit")
    assert group_exists(name="new")
    actor.go_on()
    assert creating.result() is None


@KINDS
def test_two_actors_stand_at_points_of_their_own(actor, actors):
    other = actors.thread("other")
    actor.run_to("after_raise", reach, names=["before_raise", "after_raise"])
    second = other.run_to("before_raise", reach, names=["before_raise", "after_raise"])

    other.go_on()
    assert second.result() == "done"
    assert actor.standing == "after_raise"
    actor.go_on()


@KINDS
def test_an_actor_passes_a_point_as_often_as_it_is_told(actor):
    call = actor.run_to("after_raise", reach, names=["after_raise", "after_raise", "before_proof"], passing=1)

    actor.stop_at("before_proof")
    actor.go_on(to="before_proof")
    actor.go_on()
    assert call.result() == "done"


@KINDS
def test_a_stop_holds_once(actor):
    first = actor.run_to("after_raise", reach, names=["after_raise", "after_raise"])
    actor.go_on()
    assert first.result() == "done"

    assert actor.call(reach, names=["after_raise"]) == "done"


@KINDS
def test_a_call_that_never_comes_to_the_point_is_told_at_once(actor):
    began = time.monotonic()

    with pytest.raises(AssertionError, match="without coming to after_raise"):
        actor.run_to("after_raise", reach, names=["before_raise"])

    assert time.monotonic() - began < actors_module.LONGEST_WAIT_SECONDS / 2


@KINDS
def test_a_call_that_fails_before_the_point_tells_why(actor):
    with pytest.raises(CallFailed, match="no fence"):
        actor.run_to("after_raise", refuse)


@KINDS
def test_standing_elsewhere_is_told(actor):
    actor.stop_at("before_raise")

    with pytest.raises(AssertionError, match="stands at before_raise, not at after_raise"):
        actor.run_to("after_raise", reach, names=["before_raise", "after_raise"])


@KINDS
def test_a_point_that_the_engine_does_not_have_is_refused(actor):
    with pytest.raises(ValueError, match="no point 'after_rise'"):
        actor.stop_at("after_rise")


@KINDS
def test_who_stands_nowhere_cannot_go_on(actor):
    with pytest.raises(RuntimeError, match="stands at no point"):
        actor.go_on()


def test_the_thread_of_the_test_stops_nowhere(actors):
    actors.thread().stop_at("after_raise")

    assert reach(names=["after_raise"]) == "done"


@KINDS
def test_a_silent_actor_is_told_with_the_place_where_it_is(actor, monkeypatch):
    monkeypatch.setattr(actors_module, "LONGEST_WAIT_SECONDS", 0.1)
    call = actor.run_to("after_raise", reach, names=["after_raise"])

    with pytest.raises(ActorSilent, match=r"(?s)has not ended .*stands at after_raise.*in reach"):
        call.result()


# Signals


def test_a_process_killed_before_its_commit_has_committed_nothing(actors):
    process = actors.process()
    creating = process.run_to("after_raise", create_group, name="new")

    assert process.kill() == -signal.SIGKILL

    assert not group_exists(name="new")
    assert not psutil.pid_exists(process.pid)
    with pytest.raises(ActorDied, match="ended with -9"):
        creating.result()


def test_a_process_killed_after_its_commit_has_committed(actors):
    process = actors.process()
    process.run_to("after_commit", create_group, name="new")

    process.kill()

    assert group_exists(name="new")


def test_a_process_that_ends_by_itself_is_told(actors):
    process = actors.process()

    with pytest.raises(ActorDied, match="ended with 7"):
        process.call(end_at_once)


def test_a_suspended_process_does_nothing_until_it_is_resumed(actors):
    process = actors.process()

    process.suspend()
    assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    call = process.begin(add, left=1, right=2)
    assert not call.ends_within(0.05)

    process.resume()
    assert call.result() == 3


def test_a_dead_process_cannot_be_suspended(actors):
    process = actors.process()
    process.kill()

    with pytest.raises((ActorDied, ProcessLookupError)):
        process.suspend()


# The end


def test_processes_are_gone_after_the_test_whatever_they_were_doing(nursery, transactional_db):
    cast = actors_module.Cast(nursery, __name__)
    idle, busy, suspended, standing = (cast.process(name) for name in ["idle", "busy", "suspended", "standing"])
    busy.begin(sleep_for_ever)
    suspended.suspend()
    with actors_module.listening(actors_module.stop_if_asked):
        standing.run_to("after_raise", reach, names=["after_raise"])

        cast.end()

    assert not any(psutil.pid_exists(actor.pid) for actor in (idle, busy, suspended, standing))


def test_threads_are_gone_after_the_test_and_so_are_their_connections(nursery, transactional_db):
    cast = actors_module.Cast(nursery, __name__)
    _idle, standing, holding = (cast.thread(name) for name in ["idle", "standing", "holding"])
    with actors_module.listening(actors_module.stop_if_asked):
        standing.run_to("after_raise", reach, names=["after_raise", "after_raise"])
        holding.call(open_transaction)

        cast.end()

    assert not {thread.name for thread in threading.enumerate()} & {"idle", "standing", "holding"}
    # Not committed, and nobody holds a lock that would keep this from being done.
    assert not group_exists(name="open")
    Group.objects.create(name="open")


def test_processes_are_gone_with_the_run_that_wanted_them(tmp_path, transactional_db):
    nursery = actors_module.Nursery(tmp_path / "log")
    cast = actors_module.Cast(nursery, __name__)
    idle, busy, suspended = (cast.process(name) for name in ["idle", "busy", "suspended"])
    busy.begin(sleep_for_ever)
    suspended.suspend()

    # As when the run is killed: the other end of the pipe closes, and nobody asks for anything any more.
    nursery.stop()

    for actor in (idle, busy, suspended):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(actor.pid).wait(10)
        actor._pipe.close()
    assert not any(psutil.pid_exists(actor.pid) for actor in (idle, busy, suspended))


def test_django_is_set_up_once_for_all_processes(actors):
    first, second = actors.process("first"), actors.process("second")

    assert psutil.Process(first.pid).ppid() == psutil.Process(second.pid).ppid() != os.getpid()
    assert first.pid != second.pid
