"""What else in the database refers to a row, whichever app it belongs to."""

from collections.abc import Iterable
from typing import Any

from django.db import models


def referring(
    model: type[models.Model], pks: Iterable[Any], *, besides: Iterable[type[models.Model]] = ()
) -> dict[Any, str]:
    """Those of `pks` that other rows refer to, with the name of one kind of those rows.

    `besides` are models whose references do not count. One query for each relation; many-to-many ones included.
    """
    pks = list(pks)
    found: dict[Any, str] = {}
    relations: list[Any] = list(model._meta.get_fields(include_hidden=True))
    for relation in relations:
        if not (relation.auto_created and (relation.one_to_many or relation.one_to_one) and not relation.concrete):
            continue
        other, name = relation.related_model, relation.field.name
        if other in set(besides) or not pks:
            continue
        rows = other._base_manager.filter(**{f"{name}__in": pks}).values_list(f"{name}_id", flat=True).distinct()
        for pk in rows:
            found.setdefault(pk, str(other._meta.verbose_name))
    return found
