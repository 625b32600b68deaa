"""manage.py cache_stats: what is stored, what was counted, and what stands in the way."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from invalidation import metrics, statistics
from invalidation.models import OutboxEntry
from invalidation.probing import probe_values
from invalidation.store import store
from invalidation.tests.stored import no_redis, stored_probe

pytestmark = pytest.mark.usefixtures("cache_in_use")


@pytest.fixture(autouse=True)
def nothing_counted_yet(cache_in_use):
    metrics.forget()
    yield
    metrics.forget()


def run(*arguments):
    out = io.StringIO()
    call_command("cache_stats", *arguments, stdout=out)
    return out.getvalue()


def figures_of(family):
    return next(found for found in statistics.gather().families if found.family == family)


def test_a_family_has_its_entries_and_what_was_counted():
    stored_probe("one")
    probe_values(name="one")
    probe_values(name="one")
    probe_values.bypass(name="one")

    found = figures_of("invalidation")

    assert (found.entries, found.hits, found.misses, found.bypasses, found.fills) == (1, 2, 1, 1, 1)
    assert found.bytes > 100
    assert found.hit_rate == 0.5
    assert found.hit_seconds > 0
    assert found.fill_seconds > 0


def test_a_write_counts_for_the_families_that_depend_on_its_table():
    stored_probe("one")
    stored_probe("two")

    figures = statistics.gather()

    assert figures.tables == {"invalidation_probe": 2}
    assert {family.family: family.invalidations for family in figures.families if family.invalidations} == {
        "invalidation": 2
    }


def test_a_family_that_was_never_read_has_no_rate():
    found = figures_of("invalidation")

    assert (found.hit_rate, found.hit_seconds, found.entries) == (None, None, 0)


def test_the_table_names_families_memory_epoch_fences_and_outbox():
    stored_probe("one")
    store().run("raise", [store().names.fenced, store().names.tag("db:t:table")], ("sqlite!db!!dead", "stamp", ""))
    OutboxEntry.objects.create(tags=["db:t:table"], written_at=timezone.now())

    text = run()

    lines = text.splitlines()
    assert lines[0].split()[:4] == ["family", "entries", "KiB", "hits"]
    assert next(line for line in lines if line.startswith("invalidation ")).split()[1] == "1"
    assert "Memory of Redis:" in text
    assert "(in use)" in text
    assert "Fences standing: 1" in text
    assert "db:t:table: sqlite!db!!dead" in text
    assert "Outbox of default: 1." in text


def test_as_json_it_has_histograms_with_their_bounds():
    stored_probe("one")
    probe_values(name="one")

    found = json.loads(run("--json"))

    family = next(each for each in found["families"] if each["family"] == "invalidation")
    assert family["hits"] == sum(family["latencies"]["hit"]["buckets"]) == 1
    assert len(family["latencies"]["hit"]["buckets"]) == len(found["bucket_bounds_seconds"]) + 1
    assert found["is_quarantined"] is False


def test_another_day_has_its_own_counters():
    stored_probe("one")

    found = json.loads(run("--json", "--day", "2001-01-01"))

    assert [family["hits"] + family["misses"] for family in found["families"]] == [0] * len(found["families"])


def test_a_quarantine_is_told():
    store().command("DEL", store().names.epoch)

    assert "in quarantine" in run()


def test_without_redis_it_is_an_error(tmp_path):
    with no_redis(tmp_path), pytest.raises(CommandError, match="does not answer"):
        run()


def test_without_the_cache_it_is_an_error(settings):
    settings.CACHE_ENABLED = False

    with pytest.raises(CommandError, match="CACHE_ENABLED is off"):
        run()
