"""Axes: where they begin and end, and where a reader expects a line and a word."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    value: float
    words: str
    below: str = ""  # a second line: the year under the first of its months


@dataclass(frozen=True)
class Scale:
    """From `low` (left or bottom) to `high`; `ticks` are its lines."""

    low: float
    high: float
    ticks: tuple[Tick, ...] = ()
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies: 0 at `low`, 1 at `high`."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def nice_step(span: float, count: int) -> float:
    """1, 2 or 5 times a power of ten, such that about `count` of them make the span."""
    rough = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= rough * 0.999)


def linear(
    values: Sequence[float],
    write: Callable[[float], str],
    *,
    count: int,
    zero: bool = True,
    unit: float = 1.0,
    most: float | None = None,
) -> Scale:
    """A scale with round ends around the values; from zero unless told otherwise, as bars and areas must be.

    Args:
        unit: what steps are round in: 3,600 for hours of seconds.
        most: where the scale ends at the latest when no value is beyond it (1 for shares of a whole).
    """
    low, high = min(values), max(values)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    if low == high:
        low, high = (0.0, 1.0) if not high else (min(0.0, low), max(0.0, high)) if zero else (low - 1, high + 1)
    step = unit * nice_step((high - low) / unit, count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    end = last * step
    if most is not None and high <= most < end:
        end = most
    ticks = [index * step for index in range(first, last + 1) if index * step <= end * (1 + 1e-9)]
    return Scale(first * step, end, tuple(Tick(value, write(value)) for value in ticks))


def logarithmic(values: Sequence[float], write: Callable[[float], str], *, count: int) -> Scale:
    """Powers of ten, with 2 and 5 times those where there are few."""
    least, most = min(values), max(values)
    low, high = math.log10(least), math.log10(most)
    if high - low < 0.02:
        low, high = low - 0.1, high + 0.1
    for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1,)):
        ticks = [
            10.0**power * factor
            for power in range(math.floor(low), math.ceil(high) + 1)
            for factor in factors
            if low - 1e-9 <= math.log10(10.0**power * factor) <= high + 1e-9
        ]
        if len(ticks) <= count + 1:
            break
    every = max(1, math.ceil(len(ticks) / (count + 1)))
    margin = (high - low) * 0.04
    return Scale(
        10 ** (low - margin), 10 ** (high + margin), tuple(Tick(value, write(value)) for value in ticks[::every]), True
    )
