"""The invalidation engine: a read through the cache is never older than the database was when the read began.

Declare in an app's `caches.py` what is watched and what is cached, and read:

    watch(Equipment, scopes=["data_type", "location"])

    @cached_read("equipment:count", needs=lambda p: [scope(Equipment, data_type=p["data_type"])], scope="data_type")
    def equipment_count(*, data_type: str) -> int:
        return Equipment.objects.filter(data_type=data_type).count()

    equipment_count(data_type="ppm")

The names below are loaded at first use: Django imports this package before its apps are ready.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invalidation import clock
    from invalidation.fragments import fragment
    from invalidation.pages import cached_page
    from invalidation.reads import CachedRead, bypassing, cached_read
    from invalidation.resetting import reset
    from invalidation.tags import row, scope, sometimes, table
    from invalidation.watching import watch

_HOMES = {
    "CachedRead": "reads",
    "bypassing": "reads",
    "cached_page": "pages",
    "cached_read": "reads",
    "clock": "clock",
    "fragment": "fragments",
    "reset": "resetting",
    "row": "tags",
    "scope": "tags",
    "sometimes": "tags",
    "table": "tags",
    "watch": "watching",
}

__all__ = [
    "CachedRead",
    "bypassing",
    "cached_page",
    "cached_read",
    "clock",
    "fragment",
    "reset",
    "row",
    "scope",
    "sometimes",
    "table",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES[name]}")
    return home if _HOMES[name] == name else getattr(home, name)
