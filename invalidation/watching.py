"""`watch`: the declaration that a model's changes end entries."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from invalidation.registry import registry


def watch(
    model: type[models.Model], *, scopes: Iterable[str | tuple[str, ...]] = (), exclude: Iterable[str] = ()
) -> None:
    """Have every write to the model's table end the entries that depend on it.

    `scopes` are the columns, alone or several together, by whose values entries may depend on a part of the table;
    `exclude` names columns that change often and that no cached read reads (`last_login`). Raises DeclarationError
    after start-up, for a model given twice, and for a field that cannot be a scope.
    """
    registry.watch(model, scopes=scopes, exclude=exclude)
