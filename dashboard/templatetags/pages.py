"""Icons, pills and form controls of our pages."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from django import forms, template
from django.contrib.staticfiles import finders
from django.forms.boundfield import BoundField
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

ICON_FOLDER = "vendor/tabler-icons"
ICON_NAME = re.compile(r"[a-z0-9-]+")
OPENING = (
    '<svg xmlns="http://www.w3.org/2000/svg" class="icon" width="24" height="24" viewBox="0 0 24 24" fill="none" '
    'stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" '
    'focusable="false">'
)

# The colour says again what the words of the pill say; it never says it alone.
TONES = {
    "overdue": "red",
    "due": "amber",
    "upcoming": "blue",
    "completed": "green",
    "in_service": "green",
    "out_of_service": "red",
    "on_loan": "blue",
    "missing": "amber",
    "reported": "red",
    "in_progress": "blue",
    "waiting": "amber",
    "returned": "green",
    "closed": "green",
    "urgent": "red",
    "valid": "green",
    "running": "green",
    "expired": "amber",
    "ended": "amber",
}


@cache
def _drawing(name: str) -> str:
    """What lies inside the `<svg>` of a vendored icon; raises LookupError for one that is not vendored."""
    found = finders.find(f"{ICON_FOLDER}/{name}.svg") if ICON_NAME.fullmatch(name) else None
    if not isinstance(found, str):
        raise LookupError(f"there is no icon {name!r} in static/{ICON_FOLDER}")
    drawing = re.search(r"<svg[^>]*>(.*)</svg>", Path(found).read_text(), re.DOTALL)
    if drawing is None:
        raise LookupError(f"the icon {name!r} is not an SVG file")
    return drawing[1].strip()


@register.simple_tag
def icon(name: str) -> SafeString:
    """The icon itself, for decoration: screen readers pass it by."""
    return mark_safe(f"{OPENING}{_drawing(name)}</svg>")  # noqa: S308 - our own file, chosen by a template


@register.inclusion_tag("components/state_pill.html")
def state_pill(value: str, label: Any) -> dict[str, Any]:
    """A pill that says `label` in the colour of the state `value`; an unknown state is grey."""
    return {"label": label, "tone": TONES.get(str(value), "grey")}


@register.filter
def control(field: BoundField) -> SafeString:
    """The widget of a field with the classes of the style sheet."""
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        name = "form-check-input"
    elif isinstance(widget, forms.Select):
        name = "form-select"
    else:
        name = "form-control"
    given = widget.attrs.get("class", "")
    return field.as_widget(attrs={"class": f"{given} {name}{' is-invalid' if field.errors else ''}".strip()})


@register.filter
def is_checkbox(field: BoundField) -> bool:
    return isinstance(field.field.widget, forms.CheckboxInput)
