"""Resets: entries that are not to be read again although nothing in the database changed."""

from __future__ import annotations

from invalidation import epoch, fences, validators
from invalidation.exceptions import DeclarationError
from invalidation.registry import registry
from invalidation.tags import family_tag

TAG = "tag:"


def reset(scope: str | None = None) -> None:
    """End every entry; with a family's name those of the family, with "tag:…" those that depend on the tag.

    Never needed for freshness. Whatever is being computed meanwhile is not stored. Raises DeclarationError for a
    family that no cached read has, StoreError if Redis does not answer.
    """
    if scope is None:
        epoch.renew()
    elif scope.startswith(TAG):
        fences.replace_stamps([scope.removeprefix(TAG)])
    elif scope == validators.FAMILY:
        raise DeclarationError("pages end with what they were made of: reset that family, or everything")
    elif scope in registry.families():
        fences.replace_stamps([family_tag(scope)])
    else:
        raise DeclarationError(f"there is no family {scope!r}; known are {', '.join(registry.families()) or 'none'}")
