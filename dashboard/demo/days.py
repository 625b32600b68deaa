"""The calendar of a load: days as ordinal numbers, and the instants that belong to them."""

from datetime import UTC, date, datetime, time, timedelta

from dateutil.relativedelta import relativedelta
from django.utils import timezone

DAYS_OF_A_YEAR = 365.25
MINUTES_OF_A_DAY = 24 * 60
LAST_MINUTE = 22 * 60  # the shortest local day, when the clock goes forward, still holds it


class Days:
    """The window of the history: from `first` up to, without it, `today`; planning goes on to `horizon`.

    Days are ordinals (`date.toordinal`), instants naive in UTC, which is what both databases are handed.
    """

    def __init__(self, today: date, years: int) -> None:
        self.date = today
        self.today = today.toordinal()
        self.first = (today - relativedelta(years=years)).toordinal()
        self.horizon = (today + relativedelta(years=1)).toordinal()
        self._midnights: dict[int, datetime] = {}
        self._dates: dict[int, date] = {}
        self.end = self.midnight(self.today)

    def day(self, ordinal: int) -> date:
        found = self._dates.get(ordinal)
        if found is None:
            found = self._dates[ordinal] = date.fromordinal(ordinal)
        return found

    def midnight(self, ordinal: int) -> datetime:
        """When the local day begins."""
        found = self._midnights.get(ordinal)
        if found is None:
            local = datetime.combine(self.day(ordinal), time(), timezone.get_default_timezone())
            found = self._midnights[ordinal] = local.astimezone(UTC).replace(tzinfo=None)
        return found

    def instant(self, ordinal: int, minute: int) -> datetime:
        """`minute` minutes into the local day; at most LAST_MINUTE, or it may be the next day already."""
        return self.midnight(ordinal) + timedelta(minutes=minute)

    def working_day(self, ordinal: int) -> int:
        """The day itself, or the Monday after a weekend."""
        weekday = (ordinal + 6) % 7
        return ordinal + 7 - weekday if weekday > 4 else ordinal

    def months_later(self, ordinal: int, months: int) -> int:
        return (self.day(ordinal) + relativedelta(months=months)).toordinal()
