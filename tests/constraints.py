"""What a test of a database constraint needs: whatever Python checks is passed by, and the right constraint refuses."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction


def constraints_of(*app_labels: str) -> dict[str, models.BaseConstraint]:
    """Every constraint that the models of these apps declare, by name."""
    found = (
        constraint
        for label in app_labels
        for model in apps.get_app_config(label).get_models()
        for constraint in model._meta.constraints
    )
    return {constraint.name: constraint for constraint in found}


def assert_refused(constraint: models.BaseConstraint, write: Callable[[], object]) -> None:
    """`write` is refused by the database, because of `constraint` and of nothing else."""
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        write()
    message = str(refusal.value)
    columns = plain_columns(constraint)
    if connection.vendor == "sqlite" and columns:
        # SQLite names the columns of a unique index, and the index itself only where it has expressions.
        assert message.startswith("UNIQUE constraint failed:"), message
        for column in columns:
            assert f".{column}" in message, message
    else:
        assert constraint.name in message, message


def plain_columns(constraint: models.BaseConstraint) -> list[str]:
    """The columns of a unique constraint made of nothing else; none for another constraint."""
    if not isinstance(constraint, models.UniqueConstraint):
        return []
    plain = [vars(expression)["name"] for expression in constraint.expressions if isinstance(expression, models.F)]
    return [*constraint.fields, *plain] if len(plain) == len(constraint.expressions) else []


def assert_accepted(write: Callable[[], object]) -> None:
    """`write` passes: the other side of the border that the constraint draws."""
    with transaction.atomic():
        write()
