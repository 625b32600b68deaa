"""Reads of analyses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from locations.querysets import limit_paths, within_paths

if TYPE_CHECKING:
    from analyses.models import Analysis


class AnalysisQuerySet(models.QuerySet["Analysis"]):
    def visible_to(self, user: Any) -> "AnalysisQuerySet":
        """All, or for a limited user their own and those of a device or location inside their limits.

        An analysis of the whole fleet or of a model tells about devices outside of the limits; one that the user
        asked for was computed inside them.
        """
        if not user.is_authenticated:
            return self.none()
        return self.own_or_within(user.pk, limit_paths(user))

    def own_or_within(self, user_id: int, paths: Sequence[str] | None) -> "AnalysisQuerySet":
        """What the user asked for, and what is about a device or location in these subtrees; all for None."""
        if paths is None:
            return self
        inside = (Q(equipment__isnull=False) & within_paths(paths, "equipment__location__")) | (
            Q(location__isnull=False) & within_paths(paths, "location__")
        )
        return self.filter(Q(requested_by=user_id) | inside)

    def unfinished(self) -> "AnalysisQuerySet":
        return self.filter(status__in=("queued", "processing"))
