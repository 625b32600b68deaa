"""Errors of the location tree."""

from django.core.exceptions import ValidationError


class LocationTreeError(ValidationError):
    """A place in the tree that a location of this kind cannot have."""
