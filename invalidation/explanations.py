"""Why an entry holds or not: what it depends on, what became of that, and which write ended it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import connections, models, router

from invalidation import clock, conf, entries, epoch, metrics, scanning
from invalidation.causes import CAUSES_PER_TAG, Cause, causes
from invalidation.entries import Entry
from invalidation.exceptions import DeclarationError
from invalidation.registry import WatchedModel, registry
from invalidation.store import Answer, store
from invalidation.tags import plain, row_tag, scope_tag, table_tag

if TYPE_CHECKING:
    from invalidation.reads import CachedRead

KEYS_OF_ONE_LOOK = 500


@dataclass(frozen=True, slots=True)
class TagState:
    """A tag now, beside what an entry remembers of it.

    `stored` is the stamp the entry was stored with, "" without an entry; `present` the one it has now, "" for none;
    `causes` are the last writes that replaced it, newest first.
    """

    tag: str
    stored: str
    present: str
    fences: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def is_same(self) -> bool:
        return bool(self.stored) and self.stored == self.present and not self.fences


@dataclass(frozen=True, slots=True)
class Explanation:
    """What can be said about one key.

    `reason` tells why there is no hit, and is "" where the next read is one. `ended_by` is the write that ended the
    entry, as far as it is still remembered; for an entry that is gone, the last write that touched its tags.
    """

    key: str
    name: str
    params: dict[str, Any]
    is_stored: bool
    filled_at: datetime | None
    until: datetime | None
    ttl_seconds: float | None
    tags: tuple[TagState, ...]
    reason: str
    ended_by: Cause | None = None
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.reason


def explain_read(read: CachedRead[Any], params: dict[str, Any]) -> Explanation:
    """Explain a cached read with these parameters, in the present language and time zone. Raises StoreError."""
    question = read.question(**params)
    found = explain(question.key, tags=question.tags, name=read.name, params=params)
    notes = list(found.notes)
    if not conf.is_enabled():
        notes.append("CACHE_ENABLED is off: nothing is used or stored")
    elif question.ttl_seconds <= 0:
        notes.append(f"its TTL ({read.ttl}) is 0: it is never stored")
    return replace(found, notes=tuple(notes))


def explain(key: str, *, tags: Iterable[str] = (), name: str = "", params: dict[str, Any] | None = None) -> Explanation:
    """Explain the entry of `key`; `tags` are those its declaration gives, needed where none is stored.

    Raises StoreError without Redis.
    """
    stored, remaining, present_epoch = store().pipeline([("GET", key), ("PTTL", key), ("GET", store().names.epoch)])
    entry = entries.decode(stored.value)
    states = tag_states(tuple(dict.fromkeys([*(entry.tags if entry else ()), *tags])), entry)
    reason = _why_no_hit(entry, stored.value, states, present_epoch)
    return Explanation(
        key=key,
        name=entry.name if entry else name,
        params=params_of(entry) if entry else dict(params or {}),
        is_stored=stored.value is not None,
        filled_at=entry.filled_at if entry else None,
        until=entry.until if entry else None,
        ttl_seconds=remaining.value / 1000 if remaining.value > 0 else None,
        tags=states,
        reason=reason,
        ended_by=_ended_by(entry, states) if reason else None,
        notes=_notes(entry, states) if entry is not None and reason else (),
    )


def tag_states(tags: Sequence[str], entry: Entry | None = None) -> tuple[TagState, ...]:
    """Each tag as it is now, with the writes that are remembered of it. Raises StoreError."""
    if not tags:
        return ()
    metrics.flush()
    values = store().command("MGET", *(store().names.tag(tag) for tag in tags)).value
    remembered = dict(zip(entry.tags, entry.stamps, strict=True)) if entry else {}
    remembered_causes = causes(tags)
    return tuple(
        TagState(
            tag=tag,
            stored=remembered.get(tag, b"").decode(),
            present=entries.stamp_of(value).decode() if value else "",
            fences=tuple(fence.decode() for fence in entries.fences_of(value)),
            causes=tuple(remembered_causes[tag]),
        )
        for tag, value in zip(tags, values, strict=True)
    )


def params_of(entry: Entry) -> dict[str, Any]:
    """The parameters an entry was computed with; {} where its read is gone or has other ones now."""
    try:
        return registry.read(entry.name).decode_params(entry.params)[0]
    except (DeclarationError, msgspec.MsgspecError):
        return {}


def _why_no_hit(entry: Entry | None, stored: bytes | None, states: tuple[TagState, ...], present_epoch: Answer) -> str:
    if stored is None:
        return "nothing is stored"
    if entry is None or _shape_of(entry.name) not in {None, entry.shape}:
        return "what is stored was written by code with another type of value"
    if not epoch.believable(present_epoch, present_epoch.value):
        return "Redis has lost its memory: the database answers until that is settled"
    if epoch.is_quarantined(present_epoch.value):
        return "the cache is in quarantine: the database answers until the transactions under way have ended"
    if entry.epoch != present_epoch.value:
        return "everything was reset, or Redis was restarted, since it was stored"
    if entry.until is not None and clock.now() >= entry.until:
        return f"its time was over at {entry.until.isoformat()}"
    if entry.until is not None and clock.now() < entry.filled_at:
        return f"its time has not come: it was stored at {entry.filled_at.isoformat()}, by a clock that was ahead"
    remembered = set(entry.tags)
    return next((reason for state in states if state.tag in remembered and (reason := _why_not_same(state))), "")


def _why_not_same(state: TagState) -> str:
    if state.fences:
        return f"a write of {state.tag} is being committed"
    if not state.present:
        return f"the stamp of {state.tag} is gone (evicted or expired)"
    return "" if state.is_same else f"{state.tag} was changed after it was stored"


def _shape_of(name: str) -> bytes | None:
    """The shape of the values of a read; None for one that is not declared here."""
    try:
        return registry.read(name).codec.shape
    except DeclarationError:
        return None


def _ended_by(entry: Entry | None, states: tuple[TagState, ...]) -> Cause | None:
    """The first write after the fill on a tag that is not the same; without an entry the last one on any tag."""
    changed = [state for state in states if not state.is_same] if entry else list(states)
    found = sorted((cause for state in changed for cause in state.causes), key=lambda cause: cause.at)
    if entry is None:
        return found[-1] if found else None
    return next((cause for cause in found if cause.at >= entry.filled_at), None)


def _notes(entry: Entry, states: tuple[TagState, ...]) -> tuple[str, ...]:
    """Where the memory of causes does not reach back to the fill."""
    full = [
        state.tag for state in states if len(state.causes) >= CAUSES_PER_TAG and state.causes[-1].at > entry.filled_at
    ]
    return (f"earlier writes of {', '.join(full)} are no longer remembered",) if full else ()


def tags_of_object(instance: models.Model) -> tuple[str, ...]:
    """The tags that a write of this row touches, as it is now, with those of the rows it inherits from.

    Raises DeclarationError for a model nobody watches.
    """
    found: list[str] = []
    for watched in _watched_tables_of(type(instance)):
        database, key = database_of(watched.model), watched.model._meta.pk
        found.append(row_tag(database, watched.table, plain(key, getattr(instance, key.attname))))
        for columns in watched.scopes:
            fields = {column: watched.fields[column] for column in columns}
            values = {column: plain(each, getattr(instance, each.attname)) for column, each in fields.items()}
            found.append(scope_tag(database, watched.table, values))
        found.append(table_tag(database, watched.table))
    return tuple(found)


def object_of(label: str, pk: str) -> models.Model:
    """The row of a model "app.Model" with that key; raises DeclarationError for a model or row there is not."""

    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise DeclarationError(f"{label} is no model; one is written like equipment.Equipment") from error
    _watched_tables_of(model)
    try:
        return model._base_manager.get(pk=pk)
    except (ObjectDoesNotExist, ValidationError, ValueError, TypeError) as error:
        raise DeclarationError(f"{label} has no row with the key {pk}") from error


def database_of(model: type[models.Model]) -> str:
    """The name of the database that a model is written to, as its tags carry it."""
    connection: Any = connections[router.db_for_write(model)]
    name: str = connection.database_name
    return name


def entries_depending_on(tags: Iterable[str]) -> tuple[str, ...]:
    """The keys of stored entries that a change of any of these tags ends. Raises StoreError.

    Taken from the indexes, which list a bounded number of entries for each tag.
    """
    listed: dict[str, None] = {}
    for tag in tags:
        cursor = b"0"
        while True:
            cursor, members = store().command("SSCAN", store().names.index(tag), cursor, "COUNT", 500).value
            listed.update(dict.fromkeys(member.decode() for member in members))
            if int(cursor) == 0:
                break
    alive: list[str] = []
    for batch in scanning.batches(sorted(listed), KEYS_OF_ONE_LOOK):
        answers = store().pipeline([("EXISTS", key) for key in batch])
        alive += [key for key, answer in zip(batch, answers, strict=True) if answer.value]
    return tuple(alive)


def _watched_tables_of(model: type[models.Model]) -> list[WatchedModel]:
    """The watched tables that a row of the model lies in: its own, and those of the models it inherits from."""
    concrete = model._meta.concrete_model or model
    tables = [each._meta.db_table for each in (concrete, *concrete._meta.get_parent_list())]
    found = [watched for watched in map(registry.watched, tables) if watched is not None]
    if not found:
        raise DeclarationError(f"{model._meta.label} is not watched: no entry depends on it")
    return found
