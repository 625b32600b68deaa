"""Analyses on their way from the request to the end."""

import pytest
from django.core.exceptions import ValidationError

from analyses.exceptions import AnalysisTakenOverError, AnalysisTransitionError
from analyses.models import AnalysisKind, AnalysisScope, AnalysisStatus
from analyses.services import begin_analysis, complete_analysis, fail_analysis, note_progress, request_analysis
from equipment.tests import recipes

pytestmark = pytest.mark.django_db


def test_a_request_is_queued_for_what_it_is_about():
    device = recipes.device.make()

    about_device = request_analysis(kind=AnalysisKind.COST, about=device)
    about_fleet = request_analysis(kind=AnalysisKind.RELIABILITY)

    assert (about_device.scope, about_device.equipment) == (AnalysisScope.EQUIPMENT, device)
    assert (about_fleet.scope, about_fleet.status) == (AnalysisScope.FLEET, AnalysisStatus.QUEUED)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValidationError, match="astrology"):
        request_analysis(kind="astrology")


def test_a_completed_analysis_holds_its_result():
    analysis = begin_analysis(pk=request_analysis(kind=AnalysisKind.COST).pk)
    note_progress(pk=analysis.pk, attempt=analysis.attempt, progress=40)

    complete_analysis(pk=analysis.pk, attempt=analysis.attempt, result={"total": 1})

    analysis.refresh_from_db()
    assert (analysis.status, analysis.progress, analysis.result) == (AnalysisStatus.COMPLETED, 100, {"total": 1})


def test_a_failed_analysis_always_says_why():
    analysis = begin_analysis(pk=request_analysis(kind=AnalysisKind.COST).pk)

    fail_analysis(pk=analysis.pk, attempt=analysis.attempt, error="")

    analysis.refresh_from_db()
    assert analysis.status == AnalysisStatus.FAILED
    assert analysis.error


@pytest.mark.parametrize("finish", [complete_analysis, fail_analysis])
def test_a_worker_that_wakes_up_late_overwrites_nothing(finish):
    slow = begin_analysis(pk=request_analysis(kind=AnalysisKind.COST).pk)
    quick = begin_analysis(pk=slow.pk)
    complete_analysis(pk=quick.pk, attempt=quick.attempt, result={"by": "the quick one"})

    with pytest.raises(AnalysisTakenOverError):
        finish(pk=slow.pk, attempt=slow.attempt, **{"result": {}} if finish is complete_analysis else {"error": "late"})

    quick.refresh_from_db()
    assert quick.result == {"by": "the quick one"}


def test_a_late_sign_of_life_of_an_older_attempt_is_refused():
    older = begin_analysis(pk=request_analysis(kind=AnalysisKind.COST).pk)
    begin_analysis(pk=older.pk)

    with pytest.raises(AnalysisTakenOverError):
        note_progress(pk=older.pk, attempt=older.attempt, progress=90)


def test_a_finished_analysis_is_not_taken_on_again():
    analysis = begin_analysis(pk=request_analysis(kind=AnalysisKind.COST).pk)
    fail_analysis(pk=analysis.pk, attempt=analysis.attempt, error="no data")

    with pytest.raises(AnalysisTransitionError, match="failed"):
        begin_analysis(pk=analysis.pk)
