"""Changing many rows in a few queries: under lock, with an audit record and an answer for each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit.models import EventType
from audit.receivers import excluded_fields
from audit.services import Event, record_many
from audit.snapshots import differences, snapshot
from audit.statements import recorded_by_caller

BATCH_ROWS = 500
LARGEST_SELECTION = 10_000

Row = TypeVar("Row", bound=models.Model)


class SelectionTooLarge(ValidationError):
    """More rows were chosen than one transaction should hold."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was left as it is, and why."""

    pk: Any
    name: str
    reason: str


@dataclass(slots=True)
class BulkResult:
    """What became of each row: changed, as wanted already, or refused."""

    done: list[Any] = field(default_factory=list)
    unchanged: list[Any] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, row: models.Model, reason: str) -> None:
        self.refused.append(Refusal(row.pk, str(row), str(reason)))


@transaction.atomic
def change_rows(
    *,
    rows: "models.QuerySet[Row]",
    change: Callable[[Row], str | None],
    fields: tuple[str, ...],
    prepare: Callable[[list[Row]], None] | None = None,
    after: Callable[[list[Row]], None] | None = None,
) -> BulkResult:
    """Apply `change` to each of `rows` and store `fields`.

    `prepare` gets each batch as soon as it is locked, `after` those of it that were stored. `change` alters the row it
    is given, or returns why it cannot; each row is read under lock, so it is judged by what it is now. Raises
    SelectionTooLarge for more than LARGEST_SELECTION rows.
    """
    result = BulkResult()
    model = rows.model
    for batch in locked_batches(rows):
        if prepare is not None:
            prepare(batch)
        changed: list[Row] = []
        events: list[Event] = []
        for row in batch:
            before = snapshot(row, excluded_fields(model))
            reason = change(row)
            if reason:
                result.refuse(row, reason)
                continue
            old, new = differences(before, snapshot(row, excluded_fields(model)))
            if not new:
                result.unchanged.append(row.pk)
                continue
            changed.append(row)
            events.append(Event(EventType.UPDATED, f"{_kind(row)} {row} changed", row, old, new))
        now = timezone.now()
        for row in changed:
            row.updated_at = now  # type: ignore[attr-defined]
        with recorded_by_caller():
            model._default_manager.bulk_update(changed, [*fields, "updated_at"])
        if after is not None and changed:
            after(changed)
        record_many(events=events)
        result.done += [row.pk for row in changed]
    return result


def locked_batches(rows: "models.QuerySet[Row]") -> Iterator[list[Row]]:
    """The rows in batches by primary key, each locked until the transaction ends."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True).distinct()[: LARGEST_SELECTION + 1])
    if len(keys) > LARGEST_SELECTION:
        raise SelectionTooLarge(_("At most %d rows can be changed at once: choose fewer.") % LARGEST_SELECTION)
    # One order for everybody, or two bulk changes that overlap could wait for each other for ever.
    locked = rows.model._default_manager.select_for_update(of=("self",)).order_by("pk")
    for start in range(0, len(keys), BATCH_ROWS):
        yield list(_with_names(locked).filter(pk__in=keys[start : start + BATCH_ROWS]))


def _with_names(rows: "models.QuerySet[Row]") -> "models.QuerySet[Row]":
    """With what a row's name is made of, so that naming it asks nothing."""
    names = {field.name for field in rows.model._meta.concrete_fields}
    return rows.select_related("equipment") if "equipment" in names else rows


def _kind(row: models.Model) -> str:
    return str(row._meta.verbose_name).capitalize()
