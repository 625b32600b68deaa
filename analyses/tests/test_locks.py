"""Two workers at one analysis: one attempt holds it, and a late one writes nothing."""

import pytest

from analyses.exceptions import AnalysisTakenOverError
from analyses.models import AnalysisKind, AnalysisStatus
from analyses.services import begin_analysis, complete_analysis, fail_analysis, note_progress, request_analysis
from equipment.tests.two_writers import second_while_first_is_uncommitted

pytestmark = pytest.mark.django_db(transaction=True)

LATE_WRITES = {
    note_progress: {"progress": 50},
    complete_analysis: {"result": {"by": "the late one"}},
    fail_analysis: {"error": "late"},
}


def test_of_two_workers_who_begin_at_once_one_holds_the_analysis():
    pk = request_analysis(kind=AnalysisKind.COST).pk

    meeting = second_while_first_is_uncommitted(lambda: begin_analysis(pk=pk), lambda: begin_analysis(pk=pk))

    assert (meeting.errors, meeting.waited) == ([None, None], True)
    first, second = meeting.results
    assert (first.attempt, second.attempt) == (1, 2)
    with pytest.raises(AnalysisTakenOverError):
        complete_analysis(pk=pk, attempt=first.attempt, result={"by": "the first"})
    done = complete_analysis(pk=pk, attempt=second.attempt, result={"by": "the second"})
    assert done.result == {"by": "the second"}


@pytest.mark.parametrize("write", LATE_WRITES)
def test_a_worker_who_writes_while_another_takes_over_is_refused(write):
    analysis = begin_analysis(pk=request_analysis(kind=AnalysisKind.COST).pk)

    meeting = second_while_first_is_uncommitted(
        lambda: begin_analysis(pk=analysis.pk),
        lambda: write(pk=analysis.pk, attempt=analysis.attempt, **LATE_WRITES[write]),
    )

    analysis.refresh_from_db()
    assert (meeting.errors[0], type(meeting.errors[1]), meeting.waited) == (None, AnalysisTakenOverError, True)
    assert (analysis.status, analysis.attempt, analysis.progress) == (AnalysisStatus.PROCESSING, 2, 0)


def test_nobody_takes_over_what_is_being_completed():
    analysis = begin_analysis(pk=request_analysis(kind=AnalysisKind.COST).pk)

    meeting = second_while_first_is_uncommitted(
        lambda: complete_analysis(pk=analysis.pk, attempt=analysis.attempt, result={"total": 1}),
        lambda: begin_analysis(pk=analysis.pk),
    )

    analysis.refresh_from_db()
    assert meeting.waited
    assert "cannot be taken on" in str(meeting.errors[1])
    assert (analysis.status, analysis.attempt) == (AnalysisStatus.COMPLETED, 1)
