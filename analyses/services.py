"""Writes of analyses: requested, taken on by a worker, completed or failed."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from analyses.exceptions import AnalysisTakenOverError, AnalysisTransitionError
from analyses.models import Analysis, AnalysisKind, AnalysisScope, AnalysisStatus
from equipment.models import DeviceModel, Equipment
from locations.models import Location

SCOPE_OF: dict[type, str] = {
    Equipment: AnalysisScope.EQUIPMENT,
    DeviceModel: AnalysisScope.DEVICE_MODEL,
    Location: AnalysisScope.LOCATION,
}


@transaction.atomic
def request_analysis(
    *,
    kind: AnalysisKind,
    about: Equipment | DeviceModel | Location | None = None,
    requested_by: Any = None,
    parameters: dict[str, Any] | None = None,
) -> Analysis:
    """Queue an analysis of one device, model or location, or of the whole fleet (`about=None`)."""
    scope = AnalysisScope.FLEET if about is None else SCOPE_OF[type(about)]
    target = {} if about is None else {str(scope): about}
    analysis = Analysis(kind=kind, scope=scope, requested_by=requested_by, parameters=parameters or {}, **target)
    analysis.full_clean(exclude=["result"])
    analysis.save()
    return analysis


@transaction.atomic
def begin_analysis(*, pk: int) -> Analysis:
    """Take a queued analysis on, or one whose worker is presumed dead; returns it with its new attempt number.

    Raises AnalysisTransitionError for one that is finished.
    """
    analysis = Analysis.objects.select_for_update().get(pk=pk)
    if analysis.is_finished:
        raise AnalysisTransitionError(f"analysis {pk} is {analysis.status} and cannot be taken on")
    now = timezone.now()
    analysis.status = AnalysisStatus.PROCESSING
    analysis.attempt += 1
    analysis.progress = 0
    analysis.started_at = analysis.heartbeat_at = now
    analysis.save()
    return analysis


@transaction.atomic
def note_progress(*, pk: int, attempt: int, progress: int) -> None:
    """Tell how far the attempt is, 0 to 100 percent, which is a sign of life too."""
    analysis = _held(pk, attempt)
    analysis.progress = progress
    analysis.heartbeat_at = timezone.now()
    analysis.save()


@transaction.atomic
def complete_analysis(*, pk: int, attempt: int, result: dict[str, Any]) -> Analysis:
    """Store the result of an attempt."""
    analysis = _held(pk, attempt)
    analysis.status = AnalysisStatus.COMPLETED
    analysis.result = result
    analysis.progress = 100
    analysis.finished_at = timezone.now()
    analysis.save()
    return analysis


@transaction.atomic
def fail_analysis(*, pk: int, attempt: int, error: str) -> Analysis:
    """Store why an attempt could not be finished; `error` is told to the user and never empty."""
    analysis = _held(pk, attempt)
    analysis.status = AnalysisStatus.FAILED
    analysis.error = error or "The analysis failed without giving a reason."
    analysis.finished_at = timezone.now()
    analysis.save()
    return analysis


def _held(pk: int, attempt: int) -> Analysis:
    """The analysis under lock, if this attempt still holds it; raises AnalysisTakenOverError otherwise.

    A worker that was presumed dead and wakes up finds its number outdated and writes nothing.
    """
    analysis = Analysis.objects.select_for_update().get(pk=pk)
    if analysis.status != AnalysisStatus.PROCESSING or analysis.attempt != attempt:
        raise AnalysisTakenOverError(f"attempt {attempt} no longer holds analysis {pk}")
    return analysis
