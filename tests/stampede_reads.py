"""A cached read whose fills are counted in Redis, for processes and threads alike."""

import time

from django.contrib.auth.models import Group

from invalidation.reads import CachedRead
from invalidation.registry import registry
from invalidation.store import store
from invalidation.tags import table


def watch_groups() -> None:
    """Have groups watched, in whichever process this runs."""
    if registry.watched(Group._meta.db_table) is None:
        registry.is_closed = False
        registry.watch(Group)
        registry.close()


watch_groups()


def _names(*, start: str, slow_seconds: float = 0.0) -> list[str]:
    store().command("INCR", f"{store().names.prefix}:test:fills")
    found = list(Group.objects.filter(name__startswith=start).order_by("name").values_list("name", flat=True))
    if slow_seconds:
        # A slow query of the database, not a wait for somebody.
        time.sleep(slow_seconds)
    return found


group_names = CachedRead(_names, "stampede:names", needs=[table(Group)], ttl="static")


def read(slow_seconds: float = 0.0) -> list[str]:
    return group_names(start="x", slow_seconds=slow_seconds)


def fills() -> int:
    return int(store().command("GET", f"{store().names.prefix}:test:fills").value or 0)


def create(name: str) -> None:
    Group.objects.create(name=name)
