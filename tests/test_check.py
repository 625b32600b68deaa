"""The check of the lock finds each way in which it can be wrong."""

import shutil

import pytest

from project.places import BASE_DIR
from tests import check

pytestmark = pytest.mark.once


@pytest.fixture
def folder(tmp_path):
    for path in BASE_DIR.glob("requirements*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_lock_of_the_project_has_no_fault():
    assert check.lock_faults(BASE_DIR) == []


def test_a_requirement_that_is_not_in_the_lock_is_a_fault(folder):
    with (folder / "requirements.in").open("a") as file:
        file.write("a-package-nobody-locked>=1\n")

    assert check.lock_faults(folder) == ["requirements.txt lacks a-package-nobody-locked"]


def test_a_requirement_that_the_lock_does_not_meet_is_a_fault(folder):
    replace(folder / "requirements.in", "django>=5.2,<5.3", "django>=4.2,<5")

    assert any("django" in fault and "asks" in fault for fault in check.lock_faults(folder))


def test_a_requirement_that_was_dropped_but_is_still_locked_is_a_fault(folder):
    replace(folder / "requirements.in", "whitenoise\n", "")

    assert "requirements.txt has whitenoise, which requirements.in does not ask any more" in check.lock_faults(folder)


def test_locks_that_differ_from_each_other_are_a_fault(folder):
    replace(folder / "requirements-dev.txt", "tqdm==", "tqdm==9")

    assert "tqdm is not the same in requirements.txt and requirements-dev.txt" in check.lock_faults(folder)


def test_one_check_that_fails_does_not_hide_the_others(monkeypatch, capsys):
    asked = []

    def run(command, environment):
        asked.append(command)
        return 1 if len(asked) == 1 else 0

    monkeypatch.setattr(check, "run", run)

    assert check.main() == 1
    lines = capsys.readouterr().out.partition("--- summary\n")[2].splitlines()
    assert len(lines) == len(asked) > 1
    assert [line.startswith("FAILED") for line in lines] == [True] + [False] * (len(asked) - 1)
