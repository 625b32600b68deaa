"""Entries: when one holds, and when it does not."""

from datetime import UTC, datetime, timedelta

import pytest

from invalidation.entries import Entry, decode, encode, fences_of, holds, missing_tags, stamp_of

pytestmark = pytest.mark.once

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENTRY = Entry("a:b", b"", b"shape", b"run:1", b"token", ("a", "b"), (b"s1", b"s2"), NOW, None, b"value")
STATES = {"a": b"s1", "b": b"s2", "c": b"s3 fence"}


def test_an_entry_whose_stamps_and_epoch_are_equal_holds():
    assert holds(ENTRY, epoch=b"run:1", states=STATES, now=NOW)


@pytest.mark.parametrize(
    ("what", "epoch", "states"),
    [
        ("another epoch", b"run:2", STATES),
        ("another stamp", b"run:1", {**STATES, "b": b"s9"}),
        ("stamps of the two tags exchanged", b"run:1", {"a": b"s2", "b": b"s1"}),
        ("a fence, whatever the stamp", b"run:1", {**STATES, "a": b"s1 fence"}),
        ("a tag that Redis has forgotten", b"run:1", {**STATES, "a": None}),
        ("a tag that was not asked for", b"run:1", {"a": b"s1"}),
    ],
)
def test_an_entry_does_not_hold_under(what, epoch, states):
    assert not holds(ENTRY, epoch=epoch, states=states, now=NOW)


def test_an_entry_ends_at_the_instant_from_which_the_clock_makes_it_wrong():
    entry = Entry("a:b", b"", b"", b"run:1", b"", (), (), NOW, NOW + timedelta(seconds=1), b"")

    assert holds(entry, epoch=b"run:1", states={}, now=NOW)
    assert not holds(entry, epoch=b"run:1", states={}, now=NOW + timedelta(seconds=1))


def test_a_fence_on_a_tag_the_entry_does_not_need_does_no_harm():
    assert fences_of(STATES["c"])
    assert holds(ENTRY, epoch=b"run:1", states=STATES, now=NOW)


def test_an_entry_comes_back_as_it_was():
    assert decode(encode(ENTRY)) == ENTRY


@pytest.mark.parametrize("data", [None, b"", b"garbage", b"\x80\x04K\x01.", encode(ENTRY)[:-3], b"\xc1" * 40])
def test_bytes_that_are_no_entry_are_a_miss(data):
    assert decode(data) is None


def test_a_tag_is_read_with_its_fences():
    assert stamp_of(b"stamp one two") == stamp_of(b"stamp") == b"stamp"
    assert fences_of(b"stamp one two") == (b"one", b"two")
    assert fences_of(b"stamp") == fences_of(None) == ()


def test_tags_of_nested_reads_are_asked_for_afterwards():
    assert missing_tags(ENTRY, ("a",)) == ("b",)
    assert missing_tags(ENTRY, ("a", "b", "c")) == ()
