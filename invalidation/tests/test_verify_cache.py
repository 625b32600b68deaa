"""manage.py verify_cache: tells what differs from the database, and touches nothing to find out."""

import io

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError

from invalidation import entries, verification
from invalidation.models import Probe
from invalidation.reads import CachedRead
from invalidation.store import store
from invalidation.tests.stored import falsify, no_redis, stored_probe
from invalidation.verification import DEAD, SAME, UNKNOWN

pytestmark = pytest.mark.usefixtures("cache_in_use")


def run(*arguments, **options):
    """The exit status and the output."""
    out = io.StringIO()
    try:
        call_command("verify_cache", *arguments, stdout=out, **options)
    except SystemExit as ended:
        return ended.code, out.getvalue()
    return 0, out.getvalue()


def outcomes(**which):
    return {verdict.key: verdict.outcome for verdict in verification.verify(**which)}


def test_entries_that_say_what_the_database_says_are_right():
    stored_probe("one")
    stored_probe("two")

    status, text = run()

    assert status == 0
    assert text == "2 entries are right, 0 differ; 0 are not read any more, 0 unknown.\n"


def test_a_difference_is_told_with_both_values_and_its_tags_and_ends_in_1():
    _row, key = stored_probe("one", value=1)
    falsify(key, [99])

    status, text = run()

    assert status == 1
    assert f"Different: {key}" in text
    assert "stored:   [99]" in text
    assert "database: [1]" in text
    assert ":invalidation_probe:scope:name='one'" in text
    assert "0 entries are right, 1 differ" in text


def test_a_difference_is_left_as_it_was_found():
    _row, key = stored_probe("one")
    falsify(key, [99])
    before = store().command("GET", key).value

    run()

    assert store().command("GET", key).value == before


@pytest.mark.parametrize("value", [1, 2])
def test_an_entry_that_a_write_has_ended_is_neither_right_nor_different(value):
    row, key = stored_probe("one", value=1)
    kept = store().command("GET", key).value
    Probe.objects.filter(pk=row.pk).update(value=value)
    store().command("SET", key, kept)

    assert outcomes() == {key: DEAD}


def test_a_write_while_it_is_compared_is_no_difference(monkeypatch):
    row, key = stored_probe("one", value=1)
    entry = entries.decode(store().command("GET", key).value)
    read = verification.registry.read("invalidation:probe")
    recompute = read.recompute

    def write_meanwhile(*arguments):
        Probe.objects.filter(pk=row.pk).update(value=2)
        store().command("SET", key, entries.encode(entry))
        return recompute(*arguments)

    monkeypatch.setattr(read, "recompute", write_meanwhile)

    assert verification.judge(key, entry).outcome == DEAD


def test_a_value_that_cannot_be_computed_any_more_is_a_difference(monkeypatch):
    stored_probe("one")
    read = verification.registry.read("invalidation:probe")

    def fail(*arguments):
        raise Probe.DoesNotExist("no such row")

    monkeypatch.setattr(read, "recompute", fail)

    status, text = run()

    assert status == 1
    assert "DoesNotExist('no such row')" in text


def test_entries_of_reads_that_are_not_declared_are_unknown():
    _row, key = stored_probe("one")
    entry = entries.decode(store().command("GET", key).value)
    other = entries.encode(type(entry)("gone:read", *[getattr(entry, name) for name in entry.__struct_fields__[1:]]))
    store().command("SET", key, other)

    assert outcomes() == {key: UNKNOWN}


def test_a_family_is_compared_alone():
    _row, key = stored_probe("one")

    assert outcomes(family="invalidation") == {key: SAME}
    assert outcomes(family="other") == {}
    with pytest.raises(CommandError, match=r"no family equipmnt; there are: .*invalidation"):
        run("--family", "equipmnt")


def test_only_the_entries_of_the_named_user_are_compared(monkeypatch):
    user = get_user_model().objects.create_user("ada")
    _row, mine = stored_probe("mine")
    _row, other = stored_probe("other")
    for key in (mine, other):
        falsify(key, [99])
    monkeypatch.setattr(
        verification.explanations,
        "params_of",
        lambda entry: {"user_id": user.pk} if b"mine" in entry.params else {"user_id": user.pk + 1},
    )

    status, text = run("--user", "ada")

    assert status == 1
    assert mine in text
    assert other not in text


def test_an_unknown_user_is_an_error():
    with pytest.raises(CommandError, match="no user nobody"):
        run("--user", "nobody")


def test_flow_shows_each_step_with_its_time():
    status, text = run("--flow")

    assert status == 0
    for words in ("first read", "hit", "write", "raise", "commit", "lift", "the database itself", " ms"):
        assert words in text


def test_visible_shows_every_way_of_writing():
    status, text = run("--visible")

    assert status == 0
    for what in ("save", "update", "bulk_create", "raw SQL", "delete"):
        assert f"read after {what}\n" in text
        assert f"read after {what}, elsewhere" in text


def test_a_stale_step_ends_in_1(monkeypatch):
    monkeypatch.setattr("invalidation.probing.probe_values", lambda *, name: [])

    status, text = run("--visible")

    assert status == 1
    assert "committed: [1], read: []" in text


def test_without_redis_the_comparison_fails_with_2(tmp_path):
    with no_redis(tmp_path), pytest.raises(CommandError) as error:
        run()

    assert error.value.returncode == 2


def test_a_database_that_does_not_answer_is_no_difference(monkeypatch):
    stored_probe("one")

    def fail(_self, _params, _varied):
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(CachedRead, "recompute", fail)
    with pytest.raises(CommandError) as refused:
        call_command("verify_cache", stdout=io.StringIO())

    assert refused.value.returncode == 2
    assert "server closed the connection" in str(refused.value)
