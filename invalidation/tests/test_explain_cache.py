"""manage.py explain_cache: what a read depends on, which write ended it, and what a change of a row would end."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from invalidation import explanations
from invalidation.exceptions import DeclarationError
from invalidation.models import CacheHome, Probe
from invalidation.probing import probe_values
from invalidation.resetting import reset
from invalidation.store import store
from invalidation.tests.stored import no_redis, stored_probe

pytestmark = pytest.mark.usefixtures("cache_in_use")


def run(*arguments):
    out = io.StringIO()
    call_command("explain_cache", *arguments, stdout=out)
    return out.getvalue()


def test_an_entry_that_holds_is_told_with_its_tags():
    _row, key = stored_probe("one")

    found = probe_values.explain(name="one")

    assert (found.key, found.name, found.params, found.is_stored) == (key, "invalidation:probe", {"name": "one"}, True)
    assert found.holds
    assert found.reason == ""
    assert found.ended_by is None
    assert all(state.is_same for state in found.tags)
    assert {state.tag for state in found.tags} == set(probe_values.tags(name="one"))


def test_the_write_that_ended_an_entry_is_named():
    row, key = stored_probe("one")
    kept = store().command("GET", key).value
    Probe.objects.filter(pk=row.pk).update(value=2)
    row.delete()
    store().command("SET", key, kept)

    found = probe_values.explain(name="one")

    assert not found.holds
    assert "was changed after it was stored" in found.reason
    # The first write after the fill, not the last one.
    assert found.ended_by is not None
    assert "update invalidation_probe" in found.ended_by.what


def test_an_entry_that_is_gone_has_the_last_write_of_its_tags():
    row, _key = stored_probe("one")
    Probe.objects.filter(pk=row.pk).update(value=2)
    row.delete()

    found = probe_values.explain(name="one")

    assert (found.is_stored, found.reason) == (False, "nothing is stored")
    assert found.ended_by is not None
    assert "delete" in found.ended_by.what


def test_a_fence_is_told_with_its_token():
    _row, _key = stored_probe("one")
    tag = next(tag for tag in probe_values.tags(name="one") if ":scope:" in tag)
    store().run("raise", [store().names.fenced, store().names.tag(tag)], ("postgresql!db!9!token", "new", ""))

    found = probe_values.explain(name="one")

    assert found.reason == f"a write of {tag} is being committed"
    assert [state.fences for state in found.tags if state.fences] == [("postgresql!db!9!token",)]


def test_an_evicted_stamp_is_told():
    _row, _key = stored_probe("one")
    tag = next(tag for tag in probe_values.tags(name="one") if ":scope:" in tag)
    store().command("DEL", store().names.tag(tag))

    assert probe_values.explain(name="one").reason == f"the stamp of {tag} is gone (evicted or expired)"


def test_a_reset_is_told():
    _row, _key = stored_probe("one")
    reset()

    assert "everything was reset" in probe_values.explain(name="one").reason


def test_a_server_without_memory_is_told():
    _row, _key = stored_probe("one")
    store().command("DEL", store().names.epoch)

    assert "lost its memory" in probe_values.explain(name="one").reason


def test_other_bytes_under_the_key_are_told():
    _row, key = stored_probe("one")
    store().command("SET", key, "something else")

    assert "another type of value" in probe_values.explain(name="one").reason


@pytest.mark.parametrize("pieces", [["invalidation:probe", "name=one"], ["--key"]])
def test_a_read_is_named_by_its_parameters_or_by_its_key(pieces):
    _row, key = stored_probe("one")

    text = run(*pieces, *([key] if pieces == ["--key"] else []))

    assert f"Key: {key}" in text
    assert "The next read is a hit." in text
    assert "invalidation_probe:scope:name='one'" in text


def test_a_key_may_be_given_without_the_prefix(cache_prefix):
    _row, key = stored_probe("one")

    assert "The next read is a hit." in run("--key", key.removeprefix(f"{cache_prefix}:"))


def test_the_entries_that_a_change_would_end_are_listed():
    row, key = stored_probe("one")
    _other, other_key = stored_probe("two")

    text = run("--object", "invalidation.Probe", str(row.pk))

    assert key in text
    assert other_key not in text
    assert "It would end 1 stored entry:" in text
    assert "insert invalidation_probe" in text


def test_an_entry_that_an_index_lists_and_that_is_gone_is_not_listed():
    row, key = stored_probe("one")
    store().command("DEL", key)

    assert explanations.entries_depending_on(explanations.tags_of_object(row)) == ()


def test_what_is_listed_is_what_a_write_ends():
    row, key = stored_probe("one")
    tags = explanations.tags_of_object(row)
    before = {state.tag: state.present for state in explanations.tag_states(tags)}

    row.value = 7
    row.save()

    after = {state.tag: state.present for state in explanations.tag_states(tags)}
    assert all(before[tag] != after[tag] for tag in tags if before[tag])
    assert store().command("EXISTS", key).value == 0


def test_as_json_it_can_be_read_by_programs():
    row, key = stored_probe("one")

    assert json.loads(run("invalidation:probe", "name=one", "--json"))["holds"] is True
    assert json.loads(run("--object", "invalidation.Probe", str(row.pk), "--json"))["entries"] == [key]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give one of"),
        (["invalidation:probe", "name=one", "--key", "x"], "Give one of"),
        (["no:such"], "no cached read named 'no:such'"),
        (["invalidation:probe"], "needs name="),
        (["invalidation:probe", "name=one", "page=1"], "has no parameter page; it has name"),
        (["invalidation:probe", "name"], "written key=value"),
        (["--object", "invalidation.Nothing", "1"], "is no model"),
        (["--object", "invalidation.Probe", "0"], "no row with the key 0"),
        (["--object", "invalidation.Probe", "x"], "no row with the key x"),
    ],
)
def test_what_cannot_be_explained_is_an_error_that_says_why(arguments, message):
    with pytest.raises(CommandError, match=message):
        run(*arguments)


def test_a_model_that_nobody_watches_is_an_error():
    home = CacheHome(pk=1, place="here")

    with pytest.raises(DeclarationError, match="not watched"):
        explanations.tags_of_object(home)


def test_an_error_names_what_redis_did(tmp_path):
    with no_redis(tmp_path), pytest.raises(CommandError, match="does not answer"):
        run("invalidation:probe", "name=one")
