"""How far a measured share may be from the true one."""

from __future__ import annotations

import math

# 0.975 quantile of the standard normal distribution
Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95% score interval of a proportion (Wilson, 1927): sound for small n and for rates near 0 and 1."""
    if trials == 0:
        return (0.0, 1.0)
    rate, z2 = successes / trials, Z_95**2
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 / (1 + z2 / trials) * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    # At the ends the formula gives exactly 0 and 1, which rounding would miss by a hair.
    return (centre - half if successes else 0.0, centre + half if successes < trials else 1.0)
