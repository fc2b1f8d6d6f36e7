"""Two models on the same tasks: how far apart they are, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kiban.office.reports.schemas import Score


@dataclass(frozen=True)
class Compared:
    """
    difference: the first's less the other's, with its 95 % interval; None unless both have a value.
    """

    task: str
    metric: str
    one: Score | None
    other: Score | None
    difference: tuple[float, float, float] | None

    @property
    def is_sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.difference is not None and (self.difference[1] > 0 or self.difference[2] < 0)


def compare(ones: Iterable[Score], others: Iterable[Score]) -> list[Compared]:
    """By task and metric; what only one of them was measured by comes last."""
    first, second = ({(score.task, score.metric): score for score in scores} for scores in (ones, others))
    keys = [*(key for key in first if key in second), *(key for key in first if key not in second)]
    keys += [key for key in second if key not in first]
    return [Compared(*key, first.get(key), second.get(key), _between(first.get(key), second.get(key))) for key in keys]


def _between(one: Score | None, other: Score | None) -> tuple[float, float, float] | None:
    if one is None or other is None or one.value is None or other.value is None:
        return None
    if one.ci95 is None or other.ci95 is None:
        return None
    return difference(one.value, one.ci95, other.value, other.ci95)


def difference(
    one: float, one_ci95: tuple[float, float], other: float, other_ci95: tuple[float, float]
) -> tuple[float, float, float]:
    """Difference of two independent estimates with an interval from their own (Zou and Donner, 2008: MOVER).

    For proportions with Wilson's intervals it is Newcombe's method 10 (1998). Of models that answered the same items it
    is wider than need be: which of them agreed is not known any more.
    """
    low = math.hypot(one - one_ci95[0], other_ci95[1] - other)
    high = math.hypot(one_ci95[1] - one, other - other_ci95[0])
    return one - other, one - other - low, one - other + high
