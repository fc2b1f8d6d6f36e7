"""Where two texts differ, one made from the other by changes in places: in time that grows with their length.

A shortest edit script takes quadratic time on long texts that differ much. What has to be shown is the places, so it
is enough to find after each difference where the texts agree again: near by in a small window, else by looking for a
piece of the one in the rest of the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Letters in a row that must agree for a difference to be over.
AGREEING = 6
WINDOW = 48
# Where in the rest a piece of PROBE letters is looked for when the window does not reach.
PROBE = 32
PROBES = (0, 16, 64, 256, 1024, 4096, 16384)
BLOCK = 2**16


class Difference(NamedTuple):
    """`before[start:end]` became `after[new_start:new_end]`."""

    start: int
    end: int
    new_start: int
    new_end: int


def differences(before: str, after: str, most: int) -> tuple[list[Difference], bool]:
    """Where `after` differs from `before`, in order.

    Returns:
        At most `most` of the differences, and whether that is all of them.
    """
    old, new = _codes(before), _codes(after)
    tail = _common_tail(old, new)
    found: list[Difference] = []
    i = j = 0
    while True:
        same = _common(old[i:], new[j:])
        i, j = i + same, j + same
        if i == len(old) and j == len(new):
            return found, True
        if len(found) == most:
            return found, False
        # Where the texts agree up to their ends, the difference ends there at the latest.
        rest = min(tail, len(old) - i, len(new) - j)
        end, new_end = _agreeing(before, i, after, j, (len(old) - rest, len(new) - rest))
        found.append(Difference(i, end, j, new_end))
        i, j = end, new_end


def _codes(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _common(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> int:
    """How many letters both begin with."""
    length = min(len(one), len(other))
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        differs = one[start:end] != other[start:end]
        if differs.any():
            return start + int(differs.argmax())
    return length


def _common_tail(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> int:
    return _common(one[::-1], other[::-1])


def _agreeing(before: str, i: int, after: str, j: int, limits: tuple[int, int]) -> tuple[int, int]:
    """The nearest places from (i, j) on where both go on alike."""
    old, new = before[i : i + WINDOW + AGREEING], after[j : j + WINDOW + AGREEING]
    for total in range(1, 2 * WINDOW):
        for skip in range(max(0, total - WINDOW), min(total, WINDOW) + 1):
            piece = old[skip : skip + AGREEING]
            if len(piece) == AGREEING and new.startswith(piece, total - skip):
                return i + skip, j + total - skip
    places = [limits]
    for offset in PROBES:
        probe = after[j + offset : j + offset + PROBE]
        if len(probe) == PROBE and (at := before.find(probe, i)) >= 0:
            places.append((at, j + offset))
        probe = before[i + offset : i + offset + PROBE]
        if len(probe) == PROBE and (at := after.find(probe, j)) >= 0:
            places.append((i + offset, at))
    end, new_end = min(places, key=sum)
    while end > i and new_end > j and before[end - 1] == after[new_end - 1]:
        end, new_end = end - 1, new_end - 1
    return end, new_end
