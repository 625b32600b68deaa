"""What every template knows beside its own context."""

from typing import Any

from django.http import HttpRequest

from dashboard.models import Theme


def page(request: HttpRequest) -> dict[str, Any]:
    """The theme of the page; `system` leaves it to the device. Never asks the database."""
    preferences = getattr(request, "preferences", None)
    return {"theme": preferences.theme if preferences is not None else Theme.SYSTEM.value}
