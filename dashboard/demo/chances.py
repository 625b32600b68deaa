"""Random draws that come out the same for the same seed."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


def stream(seed: int, purpose: str) -> Random:
    """A source of chance of its own, so that more draws for one purpose change nothing for another."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - nothing secret is drawn


class Weighted(Generic[T]):
    """Things to draw from, each with its weight; the weights need not add up to one."""

    def __init__(self, weights: Iterable[tuple[T, float]]) -> None:
        pairs = list(weights)
        self.things = [thing for thing, _weight in pairs]
        self.bounds = list(accumulate(weight for _thing, weight in pairs))

    def draw(self, rng: Random) -> T:
        return self.things[bisect_right(self.bounds, rng.random() * self.bounds[-1], 0, len(self.bounds) - 1)]


def spread(rng: Random, median: float, sigma: float, most: float = math.inf) -> float:
    """A log-normal draw around `median`, `most` at the outside; `sigma` is that of the logarithm."""
    return min(median * math.exp(rng.gauss(0.0, sigma)), most)


def allot(rng: Random, count: int, weights: Sequence[float]) -> list[int]:
    """Which of `weights` each of `count` events falls to: a multinomial draw, so that the counts add up exactly."""
    if not count:
        return []
    return rng.choices(range(len(weights)), cum_weights=list(accumulate(weights)), k=count)


def power_law_time(rng: Random, start: float, end: float, shape: float) -> float:
    """When between the ages `start` and `end` an event of a power-law process happened, given that it did.

    The process has the cumulative intensity c · t^shape: failures grow rarer with age below a shape of 1, come at
    random at 1, and wear out above it. Given their number, the events of a non-homogeneous Poisson process are
    independent draws from its cumulative intensity scaled to the interval (Cox and Lewis, The Statistical Analysis of
    Series of Events, 1966; for the power law Crow, Reliability Analysis for Complex, Repairable Systems, 1974).
    """
    low, high = start**shape, end**shape
    return min(max((low + rng.random() * (high - low)) ** (1 / shape), start), end)
