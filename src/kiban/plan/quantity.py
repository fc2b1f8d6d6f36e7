"""A figure as plans carry it: the value, its unit, its 80% band where it is a prediction, and where it comes from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Quantity:
    """One figure.

    Attributes:
        low, high: where 80% of the outcomes lie, by the model's error on published runs; None for exact figures.
        sources: what the value rests on, one statement each.
    """

    value: float
    unit: str
    sources: tuple[str, ...]
    low: float | None = None
    high: float | None = None

    def times(self, factor: float, unit: str, *sources: str) -> Quantity:
        """The figure scaled by an exact number."""
        low, high = (None if bound is None else bound * factor for bound in (self.low, self.high))
        return Quantity(self.value * factor, unit, (*self.sources, *sources), low, high)

    def with_range(self, value: float, low: float, high: float, unit: str, *sources: str) -> Quantity:
        """The figure times another uncertain one, independent of it: relative errors add in quadrature of logs."""
        below = _quadrature(self.value, self.low, value, low)
        above = _quadrature(self.value, self.high, value, high)
        product = self.value * value
        return Quantity(product, unit, (*self.sources, *sources), product / below, product * above)

    def json(self) -> dict[str, Any]:
        value: float = int(self.value) if float(self.value).is_integer() and abs(self.value) < 2**63 else self.value
        band = {} if self.low is None else {"low": self.low, "high": self.high, "band": 0.8}
        return {"value": value, "unit": self.unit, **band, "sources": list(self.sources)}


def _quadrature(one: float, one_bound: float | None, other: float, other_bound: float) -> float:
    logs = [abs(math.log(bound / value)) for value, bound in ((one, one_bound), (other, other_bound)) if bound]
    return math.exp(math.sqrt(sum(log**2 for log in logs)))
