"""Who is acting right now: set once per request or command, read wherever a change is recorded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody, or something, that changes data. `user_id` is None for commands and the system."""

    name: str
    user_id: int | None = None
    address: str | None = None

    @classmethod
    def from_user(cls, user: Any, address: str | None = None) -> "Actor":
        """The actor for a user of the site; for nobody signed in, an anonymous visitor."""
        if user is None or not user.is_authenticated:
            return cls(name="anonymous", address=address)
        return cls(name=user.get_username(), user_id=user.pk, address=address)


SYSTEM = Actor(name="system")

# A function, so that a request that changes nothing never looks its user up.
_current: ContextVar[Callable[[], Actor] | None] = ContextVar("audit_actor", default=None)


def current_actor() -> Actor:
    """The actor of this request or command; SYSTEM outside of both."""
    find = _current.get()
    return SYSTEM if find is None else find()


@contextmanager
def acting_as(actor: Actor | Callable[[], Actor]) -> Iterator[None]:
    """Changes inside the block are recorded as `actor`'s. Blocks nest; each thread and task has its own."""
    token = _current.set(actor if callable(actor) else lambda: actor)
    try:
        yield
    finally:
        _current.reset(token)
