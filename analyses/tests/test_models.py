"""Analyses: the states they can be in, and who sees them."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from analyses.models import Analysis, AnalysisStatus
from equipment.tests import recipes
from equipment.tests.recipes import NOON
from tests.constraints import assert_accepted, assert_refused, constraints_of

pytestmark = pytest.mark.django_db

CONSTRAINTS = constraints_of("analyses")

QUEUED = {"kind": "cost"}
PROCESSING = {**QUEUED, "status": "processing", "started_at": NOON}
COMPLETED = {**PROCESSING, "status": "completed", "finished_at": NOON, "result": {"total": 1}}
FAILED = {**QUEUED, "status": "failed", "finished_at": NOON, "error": "no data"}

BROKEN = [
    ("analysis_kind_known", {**QUEUED, "kind": "astrology"}),
    ("analysis_scope_has_its_object", {**QUEUED, "scope": "equipment"}),
    ("analysis_scope_has_its_object", {**QUEUED, "scope": "planet"}),
    ("analysis_progress_percent", {**PROCESSING, "progress": 101}),
    ("analysis_times_follow_status", {**QUEUED, "started_at": NOON}),
    ("analysis_times_follow_status", {**QUEUED, "status": "processing"}),
    ("analysis_times_follow_status", {**PROCESSING, "finished_at": NOON}),
    ("analysis_times_follow_status", {**COMPLETED, "finished_at": None}),
    ("analysis_times_follow_status", {**COMPLETED, "started_at": None}),
    ("analysis_times_follow_status", {**COMPLETED, "finished_at": NOON - timedelta(seconds=1)}),
    ("analysis_times_follow_status", {**FAILED, "finished_at": None}),
    ("analysis_result_when_completed", {**COMPLETED, "result": None}),
    ("analysis_result_when_completed", {**PROCESSING, "result": {"half": True}}),
    ("analysis_failure_has_reason", {**FAILED, "error": ""}),
    ("analysis_failure_has_reason", {**QUEUED, "error": "no data"}),
]


def insert(values):
    return lambda: Analysis.objects.bulk_create([Analysis(**values)])


@pytest.mark.parametrize(("name", "values"), BROKEN)
def test_the_database_refuses_what_a_constraint_forbids(name, values):
    assert_refused(CONSTRAINTS[name], insert(values))


def test_an_unknown_status_is_refused():
    # Its times and result fit no status either: which constraint speaks first is the database's affair.
    with pytest.raises(IntegrityError, match="analysis_"), transaction.atomic():
        insert({**QUEUED, "status": "lost"})()


@pytest.mark.parametrize("values", [QUEUED, PROCESSING, COMPLETED, FAILED, {**FAILED, "started_at": NOON}])
def test_the_four_states_are_accepted(values):
    assert_accepted(insert(values))


def test_every_constraint_has_its_case():
    assert {name for name, _values in BROKEN} | {"analysis_status_known"} == set(CONSTRAINTS)


@pytest.mark.parametrize("status", AnalysisStatus.values)
def test_completed_and_failed_are_the_ends(status):
    assert Analysis(status=status).is_finished is (status in {"completed", "failed"})


def test_an_analysis_is_named_by_its_object():
    device = recipes.device.make()

    assert str(Analysis(kind="cost", scope="equipment", equipment=device)) == f"Cost of service: {device}"
    assert str(Analysis(kind="cost")) == "Cost of service: all equipment"
