"""manage.py reset_cache: what was stored is not read again, and what is no entry stays."""

import io

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection

from invalidation import home, metrics, scanning
from invalidation.exceptions import WriteRefusedError
from invalidation.models import CacheHome, Probe
from invalidation.probing import probe_values
from invalidation.store import store
from invalidation.tests.stored import falsify, no_redis, stored_probe

pytestmark = pytest.mark.usefixtures("cache_in_use")


def run(*arguments, **options):
    out = io.StringIO()
    call_command("reset_cache", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.mark.parametrize("scope", ["", "invalidation", "tag:{tag}"])
def test_nothing_of_before_is_read_again(scope):
    _row, key = stored_probe("one", value=1)
    falsify(key, [99])
    assert probe_values(name="one") == [99]
    tag = next(tag for tag in probe_values.tags(name="one") if ":scope:" in tag)

    run(*(["--scope", scope.format(tag=tag)] if scope else []))

    assert probe_values(name="one") == [1]


@pytest.mark.parametrize("scope", [[], ["--scope", "invalidation"]])
def test_the_entries_are_removed(scope):
    for number in range(3):
        stored_probe(f"row {number}")

    text = run(*scope)

    assert list(scanning.entry_keys()) == []
    assert "was reset in" in text


def test_more_entries_than_one_step_takes_are_removed():
    names = store().names
    for number in range(1200):
        store().command("SET", names.entry("invalidation:probe", "all", f"name='{number}'"), "x")

    run()

    assert list(scanning.entry_keys()) == []


def test_a_reset_of_one_tag_leaves_other_entries():
    _row, one = stored_probe("one")
    _row, two = stored_probe("two")
    tag = next(tag for tag in probe_values.tags(name="one") if ":scope:" in tag)

    run("--scope", f"tag:{tag}")

    assert (store().command("EXISTS", one).value, store().command("EXISTS", two).value) == (0, 1)


def test_what_is_no_entry_stays(cache_prefix):
    stored_probe("one")
    cache.set("axes", 5)
    metrics.note("equipment", "hit")
    metrics.flush()
    elsewhere = f"another-{cache_prefix}:entry:equipment:list:all:"
    store().command("SET", elsewhere, "theirs", "PX", 60_000)
    counters = store().names.counters(f"{metrics.datetime.now(metrics.UTC).date().isoformat()}:equipment")

    run()

    assert cache.get("axes") == 5
    assert store().command("EXISTS", counters).value == 1
    assert store().command("GET", elsewhere).value == b"theirs"


def test_a_prefix_with_signs_of_patterns_removes_its_own_keys_alone(settings, cache_prefix):
    odd = f"{cache_prefix}[a-z]*?"
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "KEY_PREFIX": odd}}
    own, other = f"{odd}:entry:a:b:all:", f"{cache_prefix}xxy:entry:a:b:all:"
    for key in (own, other):
        store().command("SET", key, "x", "PX", 60_000)

    assert list(scanning.entry_keys()) == [own]


@pytest.mark.parametrize("scope", ["equipmnt", "tag:db:equipmnt_equipment:table"])
def test_a_misspelt_scope_is_an_error(scope):
    _row, key = stored_probe("one")

    with pytest.raises(CommandError, match="equipmnt"):
        run("--scope", scope)

    assert store().command("EXISTS", key).value == 1


def test_moving_here_lets_this_environment_write_again():
    stored_probe("one")
    CacheHome.objects.update_or_create(pk=1, defaults={"place": home.place()})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE invalidation_cachehome SET place = 'another Redis'")
    with pytest.raises(WriteRefusedError, match="another Redis"):
        Probe.objects.create(name="two", value=2)

    run("--move-here")

    assert CacheHome.objects.get().place == home.place()
    Probe.objects.create(name="two", value=2)
    assert list(scanning.entry_keys()) == []


def test_moving_here_takes_no_scope():
    with pytest.raises(CommandError, match="takes no --scope"):
        run("--move-here", "--scope", "invalidation")


def test_without_redis_it_says_that_nothing_was_reset(tmp_path, caplog):
    with no_redis(tmp_path), pytest.raises(CommandError, match="may still be read"):
        run()

    assert [(record.levelname, record.name) for record in caplog.records if record.levelname == "ERROR"] == [
        ("ERROR", "invalidation.operations")
    ]


def test_quietly_it_says_nothing():
    assert run(verbosity=0) == ""
