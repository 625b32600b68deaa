"""Reads of analyses."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from locations.querysets import limit_paths, within_limits

if TYPE_CHECKING:
    from analyses.models import Analysis


class AnalysisQuerySet(models.QuerySet["Analysis"]):
    def visible_to(self, user: Any) -> "AnalysisQuerySet":
        """All, or for a limited user their own and those of a device or location inside their limits.

        An analysis of the whole fleet or of a model tells about devices outside of the limits; one that the user
        asked for was computed inside them.
        """
        if limit_paths(user) is None:
            return self
        if not user.is_authenticated:
            return self.none()
        inside = (Q(equipment__isnull=False) & within_limits(user, "equipment__location__")) | (
            Q(location__isnull=False) & within_limits(user, "location__")
        )
        return self.filter(Q(requested_by=user) | inside)

    def unfinished(self) -> "AnalysisQuerySet":
        return self.filter(status__in=("queued", "processing"))
