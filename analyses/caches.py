"""What is cached of the analyses, and what makes it stale.

Progress, signs of life and results are never cached: who watches an analysis wants each of them as it is written.
"""

from collections.abc import Mapping
from typing import Any

from django.db.models import Count

from analyses.models import Analysis
from equipment.models import Equipment
from invalidation import cached_read, sometimes, table, watch
from invalidation.tags import Need
from locations.models import Location
from locations.querysets import Limits, paths_of


def declare() -> None:
    """Tell the engine whose writes end entries; called once, from `ready()`."""
    watch(Analysis, exclude=("progress", "heartbeat_at", "result", "attempt"))


def _counted(params: Mapping[str, Any]) -> list[Need]:
    if params["limits"] is None:
        return [table(Analysis)]
    return [sometimes(table(model)) for model in (Analysis, Equipment, Location)]


@cached_read("analysis:counts", needs=_counted, ttl="list")
def analysis_counts(*, user_id: int, limits: Limits) -> dict[str, int]:
    """How many analyses of each status the user may see; statuses without any are left out."""
    found = Analysis.objects.own_or_within(user_id, paths_of(limits))
    return dict(found.order_by().values_list("status").annotate(Count("pk")))
