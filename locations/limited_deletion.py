"""What a deletion takes along, told within the limits of who asks: the rest is counted, not named."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin.utils import NestedObjects, quote
from django.db import models, router
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import ngettext

from locations.querysets import limit_paths

KEYS_AT_ONCE = 5_000


class DeletionWithinLimits:
    """For admins: the delete page names only what the user may see, of what goes along and of what is in the way."""

    admin_site: Any

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, set[str], Any]:
        deleted, counts, lacking, protected = super().get_deleted_objects(objs, request)  # type: ignore[misc]
        if objs and limit_paths(request.user) is not None:
            deleted, protected = _Names(self.admin_site, request).of(objs)
        return deleted, counts, lacking, protected


class _Names:
    """The two lists of a delete page, as Django nests them, without the names of what the user may not see."""

    def __init__(self, admin_site: Any, request: HttpRequest) -> None:
        self.admin_site = admin_site
        self.request = request
        self.shown: dict[type[models.Model], set[Any]] = {}
        self.hidden = 0

    def of(self, objs: Any) -> tuple[list[Any], list[Any]]:
        collector = NestedObjects(using=router.db_for_write(objs[0]._meta.model), origin=objs)
        collector.collect(objs)
        self._find_shown([row for rows in collector.model_objs.values() for row in rows])
        deleted = self._with_others(self._without_hidden(collector.nested(self._name)))
        self._find_shown(collector.protected)
        protected = self._with_others([name for row in collector.protected if (name := self._name(row))])
        return deleted, protected

    def _find_shown(self, rows: Iterable[models.Model]) -> None:
        keys: dict[type[models.Model], list[Any]] = {}
        for row in rows:
            keys.setdefault(type(row), []).append(row.pk)
        for model, wanted in keys.items():
            allowed = self._allowed(model)
            found = self.shown.setdefault(model, set())
            for start in range(0, len(wanted), KEYS_AT_ONCE):
                part = wanted[start : start + KEYS_AT_ONCE]
                found.update(part if allowed is None else allowed.filter(pk__in=part).values_list("pk", flat=True))

    def _allowed(self, model: type[models.Model]) -> "models.QuerySet[Any] | None":
        """The rows of the model that the user may see; None where a row's name tells nothing."""
        if model._meta.auto_created:
            return None
        if self.admin_site.is_registered(model):
            return self.admin_site.get_model_admin(model).get_queryset(self.request)
        rows = model._default_manager.all()
        visible_to = getattr(rows, "visible_to", None)
        return rows.none() if visible_to is None else visible_to(self.request.user)

    def _name(self, row: models.Model) -> str:
        """The row with a link to its page; "" for one that is not shown."""
        model = type(row)
        if row.pk not in self.shown[model]:
            self.hidden += 1
            return ""
        meta = model._meta
        kind = capfirst(str(meta.verbose_name))
        try:
            page = f"{self.admin_site.name}:{meta.app_label}_{meta.model_name}_change"
            address = reverse(page, args=[quote(row.pk)])
        except NoReverseMatch:
            return f"{kind}: {row}"
        return format_html('{}: <a href="{}">{}</a>', kind, address, row)

    def _without_hidden(self, nested: list[Any]) -> list[Any]:
        """What hangs on a row that is not shown takes its place."""
        kept: list[Any] = []
        above_is_shown = False
        for entry in nested:
            if not isinstance(entry, list):
                above_is_shown = bool(entry)
                kept += [entry] if entry else []
            elif below := self._without_hidden(entry):
                kept += [below] if above_is_shown else below
        return kept

    def _with_others(self, names: list[Any]) -> list[Any]:
        count, self.hidden = self.hidden, 0
        return [*names, ngettext("… and %d other", "… and %d others", count) % count] if count else names
