"""Entries: when one holds, and when it does not."""

from datetime import UTC, datetime, timedelta

import pytest

from invalidation.entries import Entry, TagState, decode, encode, holds, missing_tags, read_tag

pytestmark = pytest.mark.once

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENTRY = Entry(b"shape", "run:1", "token", ("a", "b"), ("s1", "s2"), NOW, None, b"value")
STATES = {"a": TagState("s1"), "b": TagState("s2"), "c": TagState("s3", ("fence",))}


def test_an_entry_whose_stamps_and_epoch_are_equal_holds():
    assert holds(ENTRY, epoch="run:1", states=STATES, now=NOW)


@pytest.mark.parametrize(
    ("what", "epoch", "states"),
    [
        ("another epoch", "run:2", STATES),
        ("another stamp", "run:1", {**STATES, "b": TagState("s9")}),
        ("stamps of the two tags exchanged", "run:1", {"a": TagState("s2"), "b": TagState("s1")}),
        ("a fence, whatever the stamp", "run:1", {**STATES, "a": TagState("s1", ("fence",))}),
        ("a tag that Redis has forgotten", "run:1", {**STATES, "a": None}),
        ("a tag that was not asked for", "run:1", {"a": TagState("s1")}),
    ],
)
def test_an_entry_does_not_hold_under(what, epoch, states):
    assert not holds(ENTRY, epoch=epoch, states=states, now=NOW)


def test_an_entry_ends_at_the_instant_from_which_the_clock_makes_it_wrong():
    entry = Entry(b"", "run:1", "", (), (), NOW, NOW + timedelta(seconds=1), b"")

    assert holds(entry, epoch="run:1", states={}, now=NOW)
    assert not holds(entry, epoch="run:1", states={}, now=NOW + timedelta(seconds=1))


def test_a_fence_on_a_tag_the_entry_does_not_need_does_no_harm():
    assert STATES["c"].fences
    assert holds(ENTRY, epoch="run:1", states=STATES, now=NOW)


def test_an_entry_comes_back_as_it_was():
    assert decode(encode(ENTRY)) == ENTRY


@pytest.mark.parametrize("data", [None, b"", b"garbage", b"\x80\x04K\x01.", encode(ENTRY)[:-3], b"\xc1" * 40])
def test_bytes_that_are_no_entry_are_a_miss(data):
    assert decode(data) is None


def test_a_tag_is_read_with_its_fences():
    assert read_tag(b"stamp") == TagState("stamp")
    assert read_tag(b"stamp one two") == TagState("stamp", ("one", "two"))
    assert read_tag(None) is None


def test_tags_of_nested_reads_are_asked_for_afterwards():
    assert missing_tags(ENTRY, ("a",)) == ("b",)
    assert missing_tags(ENTRY, ("a", "b", "c")) == ()
