"""Which jobs there are and when: failures by the age of the device, maintenance done, inspections of new devices."""

from array import array
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from dashboard.demo.chances import allot, power_law_time
from dashboard.demo.days import DAYS_OF_A_YEAR, LAST_MINUTE, MINUTES_OF_A_DAY, Days
from dashboard.demo.fleet import Device
from dashboard.demo.maintenance import Completions

PREVENTIVE_SHARE, INSPECTION_SHARE = 0.5, 0.05

# How failures come about, each with the power-law shape of its time; the wear-out shape is the type's own.
INFANT, RANDOM, WEAR, OUTSIDE = range(4)
INFANT_SHARE, INFANT_SHAPE = 0.08, 0.5
OUTSIDE_SHARE = 0.28  # of all corrective work: no failures of the device

# An entry of the agenda is one number, so that a million of them sort quickly: the minute of the report, the sort
# of job, and what it is about.
CORRECTIVE, PREVENTIVE, INSPECTION = range(3)
SUBJECT_BITS = 28


def read_entry(entry: int) -> tuple[int, int, int, int]:
    """The day and minute of the report, the sort of job, and what it is about.

    That is for corrective work the number of the device, then two bits of how it came about; for maintenance the
    position among the completions; for an inspection the number of the device.
    """
    subject = entry & ((1 << SUBJECT_BITS) - 1)
    entry >>= SUBJECT_BITS
    day, minute = divmod(entry >> 2, MINUTES_OF_A_DAY)
    return day, minute, entry & 3, subject


class Intensity(NamedTuple):
    """Expected events of a device over its time of use, by the way they come about."""

    shares: tuple[float, float, float, float]

    @property
    def total(self) -> float:
        return sum(self.shares)


def intensity(device: Device) -> Intensity:
    """What the device's type, age and own frailty lead to, between `since` and `until`."""
    kind = device.kind
    start, end = ages(device)
    life_failures = kind.failures * kind.life_years * device.frailty
    return Intensity(
        (
            life_failures * INFANT_SHARE * (end**INFANT_SHAPE - start**INFANT_SHAPE),
            life_failures * (1 - INFANT_SHARE - kind.wear) * (end - start),
            life_failures * kind.wear * (end**kind.shape - start**kind.shape),
            life_failures * OUTSIDE_SHARE / (1 - OUTSIDE_SHARE) * (end - start),
        )
    )


def ages(device: Device) -> tuple[float, float]:
    """The device's age at the beginning and end of what is observed, in expected lives."""
    life = device.kind.life_years * DAYS_OF_A_YEAR
    return (device.since - device.installed) / life, (device.until - device.installed) / life


class Agenda:
    """Which jobs there are, in the order of their reports: exactly `count` of them."""

    def __init__(self, rng: Random, days: Days, fleet: list[Device], completions: Completions, count: int) -> None:
        self.rng = rng
        self.days = days
        linked = min(len(completions), int(count * PREVENTIVE_SHARE))
        newcomers = [device.number for device in fleet if device.since == device.installed]
        inspected = min(len(newcomers), int(count * INSPECTION_SHARE))
        entries = [self._preventive(completions, index) for index in rng.sample(range(len(completions)), linked)]
        entries += [self._inspection(fleet[number]) for number in rng.sample(newcomers, inspected)]
        entries += self._failures(fleet, count - linked - inspected)
        entries.sort()
        self.entries = array("q", entries)

    def __len__(self) -> int:
        return len(self.entries)

    def _failures(self, fleet: list[Device], count: int) -> Iterator[int]:
        intensities = [intensity(device) for device in fleet]
        weights = [each.total for each in intensities]
        if not sum(weights):
            weights = [1.0] * len(fleet)
        for number in allot(self.rng, count, weights):
            device = fleet[number]
            shares = intensities[number].shares
            mode = self.rng.choices(range(4), weights=shares)[0] if sum(shares) else RANDOM
            shape = (INFANT_SHAPE, 1.0, device.kind.shape, 1.0)[mode]
            age = power_law_time(self.rng, *ages(device), shape) * device.kind.life_years * DAYS_OF_A_YEAR
            day = min(max(device.installed + int(age), device.since), device.until - 1, self.days.today - 1)
            yield self._entry(day, self._minute_of_call(), CORRECTIVE, number << 2 | mode)

    def _preventive(self, completions: Completions, index: int) -> int:
        return self._entry(completions.day[index], 420 + int(self.rng.random() * 420), PREVENTIVE, index)

    def _inspection(self, device: Device) -> int:
        return self._entry(device.installed, 480 + int(self.rng.random() * 300), INSPECTION, device.number)

    def _minute_of_call(self) -> int:
        """Three of four calls come by day."""
        by_day = self.rng.random() < 0.75
        return 420 + int(self.rng.random() * 540) if by_day else int(self.rng.random() * LAST_MINUTE)

    def _entry(self, day: int, minute: int, sort: int, subject: int) -> int:
        return (((day * MINUTES_OF_A_DAY + minute) << 2 | sort) << SUBJECT_BITS) | subject
