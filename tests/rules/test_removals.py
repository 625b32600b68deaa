"""Every rule of the protocol has a test that fails when the rule is taken out, and that is tried."""

import ast
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from functools import cache

import pytest

from project.places import BASE_DIR
from tests.rules.removals import REMOVALS, RULES

LONGEST_RUN_SECONDS = 600
LEFT_OUT = shutil.ignore_patterns(".*", "var", "__pycache__", "node_modules", "*.sqlite3*")
# What points at the servers of this run: those of the copy are its own, or two runs would share a database.
OF_THIS_RUN = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PLUMBLINE_VAR", "PLUMBLINE_ENV"}


@cache
def functions_of(file):
    return {node.name for node in ast.parse((BASE_DIR / file).read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.once
def test_every_rule_is_taken_out_in_some_way_and_names_are_given_once():
    names = [rule.name for rule in RULES] + [removal.name for removal in REMOVALS]

    assert [rule.name for rule in RULES if not rule.removals] == []
    assert len(names) == len(set(names))


@pytest.mark.once
@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_what_is_taken_out_is_there_once_and_its_tests_exist(removal):
    counts = {edit: (BASE_DIR / edit.file).read_text().count(edit.old) for edit in removal.edits}
    missing = [test for test in removal.tests if test.partition("::")[2] not in functions_of(test.partition("::")[0])]

    assert set(counts.values()) == {1}, counts
    assert missing == []
    assert removal.tests


def pytest_generate_tests(metafunc):
    """The removals that the database of this run has to do with."""
    if "taken_out" in metafunc.fixturenames:
        database = metafunc.config.getoption("database")
        found = [removal for removal in REMOVALS if database in removal.databases]
        metafunc.parametrize("taken_out", found, ids=lambda removal: removal.name)


@pytest.fixture
def database(pytestconfig):
    return pytestconfig.getoption("database")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The project once more, to be changed; what it is run with is that of this run."""
    folder = tmp_path_factory.mktemp("copy") / "project"
    return shutil.copytree(BASE_DIR, folder, ignore=LEFT_OUT)


@pytest.fixture
def without_rule(copy, taken_out):
    """The copy without the rule; whole again afterwards."""
    before = {edit.file: (copy / edit.file).read_text() for edit in taken_out.edits}
    for edit in taken_out.edits:
        text = (copy / edit.file).read_text()
        assert text.count(edit.old) == 1
        (copy / edit.file).write_text(text.replace(edit.old, edit.new))
    yield copy
    for file, text in before.items():
        (copy / file).write_text(text)


def failures(folder, tests, report, database):
    """The tests that fail in the folder, without their parameters; raises AssertionError unless all of them ran."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_THIS_RUN and "PYTEST" not in name}
    run = subprocess.run(
        # Without migrations, which take longer than most of these tests; the tables are the same.
        [sys.executable, "-m", "pytest", "-q", "--show-capture=no", "-p", "no:cacheprovider", "--no-migrations",
         f"--junitxml={report}", f"--database={database}", *tests],
        cwd=folder, env={**kept, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, check=False,
        timeout=LONGEST_RUN_SECONDS,
    )  # fmt: skip
    assert run.returncode in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}, run.stdout + run.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    assert {name_of(case) for case in cases} == {test.partition("::")[2] for test in tests}
    return {name_of(case) for case in cases if case.find("failure") is not None}


def name_of(case):
    return case.get("name").partition("[")[0]


@pytest.mark.long
def test_with_all_rules_no_test_fails(copy, tmp_path, database):
    tests = sorted({test for removal in REMOVALS if database in removal.databases for test in removal.tests})

    assert failures(copy, tests, tmp_path / "report.xml", database) == set()


@pytest.mark.long
def test_without_its_rule_a_test_fails(without_rule, taken_out, tmp_path, database):
    failed = failures(without_rule, taken_out.tests, tmp_path / "report.xml", database)

    assert failed == {test.partition("::")[2] for test in taken_out.tests}
