"""When devices fail: each way of failing has its own course over the age of the device."""

import math
from datetime import date

import pytest

from dashboard.demo.agenda import CORRECTIVE, INFANT, INFANT_SHAPE, OUTSIDE, RANDOM, WEAR, Agenda, intensity, read_entry
from dashboard.demo.catalogue import DEVICE_TYPES
from dashboard.demo.chances import stream
from dashboard.demo.days import DAYS_OF_A_YEAR, Days
from dashboard.demo.fleet import Device
from dashboard.demo.maintenance import Completions
from equipment.models import EquipmentStatus

pytestmark = pytest.mark.once

DAYS = Days(date(2026, 3, 30), 5)
GASTROSCOPE = next(kind for kind in DEVICE_TYPES if kind.name == "Flexible gastroscope")


def device_of(years_before_window: float = 0.0, *, frailty: float = 1.0) -> Device:
    return Device(
        number=0,
        kind=GASTROSCOPE,
        model=0,
        department=("C", "END"),
        programme="ocm",
        status=EquipmentStatus.IN_SERVICE,
        installed=DAYS.first - int(years_before_window * DAYS_OF_A_YEAR),
        since=DAYS.first,
        until=DAYS.today,
        frailty=frailty,
    )


def test_each_way_of_failing_has_its_own_shape_over_the_age():
    device = device_of()

    agenda = Agenda(stream(5, "agenda"), DAYS, [device], Completions(), 40_000)

    logarithms: dict[int, list[float]] = {mode: [] for mode in (INFANT, RANDOM, WEAR, OUTSIDE)}
    for entry in agenda.entries:
        day, _minute, sort, subject = read_entry(entry)
        if sort == CORRECTIVE:
            # Half a day: the day is known, not the hour.
            logarithms[subject & 3].append(math.log((device.until - device.installed) / (day - device.installed + 0.5)))
    shapes = {mode: len(found) / sum(found) for mode, found in logarithms.items()}
    assert shapes[INFANT] == pytest.approx(INFANT_SHAPE, rel=0.06)
    assert shapes[RANDOM] == pytest.approx(1.0, rel=0.05)
    assert shapes[WEAR] == pytest.approx(GASTROSCOPE.shape, rel=0.05)
    assert shapes[OUTSIDE] == pytest.approx(1.0, rel=0.05)


def test_over_its_expected_life_a_device_has_the_failures_of_its_type():
    expected = intensity(device_of()).shares  # the window is as long as the type's life

    assert sum(expected[:OUTSIDE]) == pytest.approx(GASTROSCOPE.failures * GASTROSCOPE.life_years, rel=0.01)


def test_an_old_device_wears_more_and_a_frail_one_fails_more():
    new, old, frail = device_of(), device_of(5), device_of(frailty=2.0)

    assert intensity(old).shares[WEAR] > 3 * intensity(new).shares[WEAR]
    assert intensity(old).shares[INFANT] < intensity(new).shares[INFANT]
    assert intensity(frail).total == pytest.approx(2 * intensity(new).total)
