"""Whether a statement that runs now will be recorded by somebody else: by the signals, or by its caller.

Django sends the signals of a save, a deletion or a relation from the very functions that run its statements. So the
answer stands on the call stack, and nowhere else: there is no mark that a save which failed could leave behind, to hide
an `update()` that comes later. A statement is announced only if the innermost such function works on its table for a
model whose signals are recorded; one that a receiver runs on its own account is not.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from types import CodeType, FrameType
from typing import Any

from django.db import models
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.migrations.migration import Migration
from django.db.models.fields import related_descriptors
from django.db.models.sql.compiler import SQLCompiler, SQLDeleteCompiler, SQLInsertCompiler
from django.db.models.sql.subqueries import DeleteQuery
from django.dispatch import Signal

from audit.receivers import watched_models, watched_relations

_is_recorded_by_caller: ContextVar[bool] = ContextVar("audit_recorded_by_caller", default=False)


@contextmanager
def recorded_by_caller() -> Iterator[None]:
    """Statements inside the block are not recorded: the caller records what they do, in the same transaction.

    Signals are recorded as ever. For services that write many rows and tell more of them than a statement can.
    """
    token = _is_recorded_by_caller.set(True)
    try:
        yield
    finally:
        _is_recorded_by_caller.reset(token)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a statement comes from: `is_compiled` by Django from a query, and so in one of the shapes it writes."""

    is_recorded_elsewhere: bool
    is_compiled: bool


def origin_of(table: str) -> Origin:
    """The origin of the statement on `table` that the calling thread is about to run."""
    if _is_recorded_by_caller.get():
        return Origin(True, False)
    is_compiled = False
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        judge = _judges.get(id(frame.f_code))
        verdict = _Verdict.GO_ON if judge is None else judge(frame, table)
        if verdict is _Verdict.COMPILED:
            is_compiled = True
        elif verdict is not _Verdict.GO_ON:
            return Origin(verdict is _Verdict.ELSEWHERE, is_compiled)
        frame = frame.f_back
    return Origin(False, is_compiled)


class _Verdict(Enum):
    ELSEWHERE = "recorded elsewhere"
    HERE = "to be recorded here"
    COMPILED = "compiled by Django, and nothing more"
    GO_ON = "not told by this function"


Judge = Callable[[FrameType, str], _Verdict]


def _of_save(frame: FrameType, table: str) -> _Verdict:
    instance = frame.f_locals["self"]
    return _Verdict.ELSEWHERE if _is_announced(type(instance)) and table in _tables(type(instance)) else _Verdict.GO_ON


def _of_deletion(frame: FrameType, table: str) -> _Verdict:
    model = frame.f_locals["self"].model
    return _Verdict.ELSEWHERE if _is_announced(model) and model._meta.db_table == table else _Verdict.GO_ON


def _of_relation(frame: FrameType, table: str) -> _Verdict:
    through = frame.f_locals["self"].through
    is_announced = through in watched_relations() and through._meta.db_table == table
    return _Verdict.ELSEWHERE if is_announced else _Verdict.GO_ON


def _is_announced(model: type[models.Model]) -> bool:
    # A proxy's signals come from the proxy, which nobody watches.
    return model in watched_models()


def _tables(model: type[models.Model]) -> set[str]:
    return {model._meta.db_table, *(parent._meta.db_table for parent in model._meta.all_parents)}


def _code_within(function: Callable[..., Any], *path: str) -> CodeType:
    """The code of what is defined within `function` under these names, class by class."""
    code: CodeType = function.__code__
    for name in path:
        code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)
    return code


def _judged() -> Iterator[tuple[CodeType, Judge]]:
    yield models.Model._save_table.__code__, _of_save  # type: ignore[attr-defined]
    yield DeleteQuery.delete_batch.__code__, _of_deletion
    for name in ("_add_items", "_remove_items", "clear"):
        relation = related_descriptors.create_forward_many_to_many_manager
        yield _code_within(relation, "ManyRelatedManager", name), _of_relation
    # What a receiver does is its own, whatever called it.
    yield Signal.send.__code__, lambda frame, table: _Verdict.HERE
    yield Signal.send_robust.__code__, lambda frame, table: _Verdict.HERE
    # A migration belongs to a release, and may run before the audit has its table; emptying a whole database empties
    # the audit with it.
    for function in (Migration.apply, Migration.unapply, BaseDatabaseOperations.execute_sql_flush):
        yield function.__code__, lambda frame, table: _Verdict.ELSEWHERE
    for compiler in (SQLCompiler, SQLInsertCompiler, SQLDeleteCompiler):
        if "execute_sql" in vars(compiler):
            yield compiler.execute_sql.__code__, lambda frame, table: _Verdict.COMPILED


# By identity: comparing code is slow, and these live as long as the process. Made when this is imported, so that a
# release of Django that has none of them fails at the start and not in silence.
_judges: dict[int, Judge] = {id(code): judge for code, judge in _judged()}
