"""Named points in the engine at which a test can interleave another reader, writer or crash.

In production nothing is registered and a point costs one comparison.
"""

from collections.abc import Callable

NAMES = (
    "before_raise",
    "after_raise",
    "after_commit",
    "after_lift",
    "before_lookup",
    "after_lookup",
    "before_compute",
    "after_compute",
    "after_store",
    "before_proof",
    "after_proof",
)

_action: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Called by the engine when it comes to the point `name`."""
    if _action is not None:
        _action(name)


def set_action(action: Callable[[str], None] | None) -> None:
    """Call `action` with the name of each point from now on; None ends that. For tests."""
    global _action
    _action = action
