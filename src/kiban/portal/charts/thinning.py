"""Fewer points that look the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Point = tuple[float, float]


def thinned(points: Sequence[Point], count: int) -> Sequence[Point]:
    """At most `count` of the points, in order, which draw the same line.

    Largest-Triangle-Three-Buckets: of each bucket the point that spans the largest triangle with the one kept before
    and the mean of the next bucket; the first and the last point stay (Steinarsson, "Downsampling time series for
    visual representation", University of Iceland, 2013, section 4.2).

    Args:
        points: by rising x.
        count: at least 3.
    """
    if len(points) <= count:
        return points
    x, y = np.asarray(points, dtype=float).T
    edges = np.linspace(1, len(points) - 1, count - 1).astype(int)
    sizes = np.diff(np.append(edges, len(points)))
    mean_x = np.add.reduceat(x, edges) / sizes  # of each bucket, the last point being one of its own
    mean_y = np.add.reduceat(y, edges) / sizes
    kept = [0]
    for bucket in range(count - 2):
        start, end, before = edges[bucket], edges[bucket + 1], kept[-1]
        areas = np.abs(
            (x[before] - mean_x[bucket + 1]) * (y[start:end] - y[before])
            - (x[before] - x[start:end]) * (mean_y[bucket + 1] - y[before])
        )
        kept.append(int(start + areas.argmax()))
    kept.append(len(points) - 1)
    return [points[place] for place in kept]
