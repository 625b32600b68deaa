"""The engine's own scratch row: every way of writing is visible at once, and nothing is left behind."""

import pytest

from invalidation import probing
from invalidation.models import Probe

pytestmark = pytest.mark.usefixtures("cache_in_use")


def test_every_way_of_writing_is_visible_at_once_here_and_elsewhere():
    steps = list(probing.visibility())

    assert [step.what for step in steps if not step.is_right] == []
    assert [step.expected for step in steps[1::2]] == [(1,), (2,), (2, 3, 4), (12, 13, 14), ()]
    assert len(steps) == 1 + 2 * len(probing.WRITES)


def test_a_cycle_goes_from_a_computation_over_a_hit_and_a_write_to_a_computation():
    steps = {step.what: step for step in probing.cycle()}

    assert {what: step.outcome for what, step in steps.items()} == {
        "first read": "computed",
        "second read": "hit",
        "write": "committed",
        "read after the write": "computed",
        "read elsewhere": "hit",
        "the database itself": "bypass",
    }
    assert [name for name, _seconds in steps["write"].parts] == ["raise", "commit", "lift"]
    assert all(step.is_right for step in steps.values())


@pytest.mark.parametrize("steps", [probing.visibility, probing.cycle])
def test_no_row_is_left_behind_when_somebody_stops_in_the_middle(steps):
    running = steps()
    for _number in range(2):
        next(running)
    assert Probe.objects.exists()

    running.close()

    assert not Probe.objects.exists()


def test_a_read_that_is_stale_is_told(monkeypatch):
    monkeypatch.setattr(probing, "probe_values", lambda *, name: [])

    wrong = [step for step in probing.visibility() if not step.is_right]

    assert [step.what for step in wrong][:2] == ["read after save", "read after save, elsewhere"]
    assert (wrong[0].expected, wrong[0].found) == ((1,), ())


def test_what_the_other_thread_raises_is_raised_here(monkeypatch):
    def fail(*, name):
        raise ValueError("broken")

    monkeypatch.setattr(probing, "probe_values", fail)

    with pytest.raises(ValueError, match="broken"):
        probing._in_another_thread("read", "name", ())
