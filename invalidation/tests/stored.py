"""Entries for tests: of the engine's own probe, one that says something else than the database, and no Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.test import override_settings

from invalidation import entries
from invalidation.models import Probe
from invalidation.probing import probe_values
from invalidation.store import store


def stored_probe(name: str, value: int = 1) -> tuple[Probe, str]:
    """A committed row whose read is stored, with the key of its entry."""
    row = Probe.objects.create(name=name, value=value)
    probe_values(name=name)
    key = probe_values.key(name=name)
    assert store().command("EXISTS", key).value == 1
    return row, key


def falsify(key: str, value: Any) -> None:
    """Make the entry say `value` and hold all the same, as no write would."""
    entry = entries.decode(store().command("GET", key).value)
    assert entry is not None
    false = msgspec.structs.replace(entry, value=probe_values.codec.encode(value))
    store().command("SET", key, entries.encode(false), "KEEPTTL")


@contextmanager
def no_redis(folder: Path) -> Iterator[None]:
    """Inside the block nobody listens where the cache should be. Over before the database is emptied, which writes."""
    away = {**settings.CACHES["default"], "LOCATION": f"unix://{folder / 'absent.sock'}?db=0"}
    try:
        with override_settings(CACHES={**settings.CACHES, "default": away}):
            yield
    finally:
        store().breaker.note_success()
