"""What dates, times and checklists can be at all. The validators of uploads are beside them, in `uploads`."""

from datetime import date, datetime, timedelta
from typing import Any

from dateutil.relativedelta import relativedelta
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# Clocks of those who report and of the site differ.
CLOCKS_DIFFER_BY = timedelta(minutes=5)
PLANNED_AHEAD_YEARS = 10


def validate_day_has_come(day: date) -> None:
    """Refuse a day later than today, by the site's local date."""
    if day > timezone.localdate():
        raise ValidationError(_("This day is yet to come."))


def validate_time_has_come(instant: datetime) -> None:
    """Refuse an instant that lies ahead by more than CLOCKS_DIFFER_BY."""
    if instant > timezone.now() + CLOCKS_DIFFER_BY:
        raise ValidationError(_("This time is yet to come."))


def validate_first_day(day: date) -> None:
    """Refuse a first date of a plan more than PLANNED_AHEAD_YEARS ahead."""
    if day > timezone.localdate() + relativedelta(years=PLANNED_AHEAD_YEARS):
        raise ValidationError(_("A plan begins within %d years.") % PLANNED_AHEAD_YEARS)


def validate_checklist(steps: Any) -> None:
    """Refuse what is no list of texts, each with something in it."""
    if not isinstance(steps, list) or not all(isinstance(step, str) and step.strip() for step in steps):
        raise ValidationError(_('A checklist is a list of texts: ["Alarm", "Battery"]'))
