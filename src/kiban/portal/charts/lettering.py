"""Words in pictures: how wide they are, and what may stand in them.

Vega draws no words here. It would measure each with the server's fonts, which takes milliseconds a word and says
nothing of the reader's; and words that never reach it cannot be taken for anything else.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

# What XML 1.0 cannot hold, and marks that would turn the direction of the words around them.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NARROW = frozenset("iljtfrI.,:;'|!()[] ")
_WIDE = frozenset("mwMW@%")

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Letters:
    """Words at a place, in pixels from the plot's upper left corner; `y` is their base line."""

    x: float
    y: float
    words: str
    kind: str = "label"  # a class: label, title, value, name
    anchor: Anchor = "start"
    tone: str = ""  # a class that colours them


def plain(words: str) -> str:
    """One line of words that XML can hold and that read in their own direction only."""
    return " ".join(_TURNS.sub("", _FORBIDDEN.sub("\ufffd", words)).split())


@lru_cache(maxsize=4096)
def width_of(words: str, size: float = 13) -> float:
    """About how many pixels wide the words are in any sans-serif font; rather too many than too few."""
    total = 0.0
    for character in words:
        if unicodedata.east_asian_width(character) in "WF":
            total += 1.0
        elif unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn"):
            continue
        elif character in _NARROW:
            total += 0.34
        elif character in _WIDE or character.isupper():
            total += 0.74
        else:
            total += 0.6
    return total * size


def shortened(words: str, width: float, size: float = 13) -> str:
    """The words, cut with an ellipsis where they would be wider than `width` pixels."""
    words = plain(words)
    if width_of(words, size) <= width:
        return words
    while words and width_of(words + "…", size) > width:
        words = words[:-1]
    return words.rstrip() + "…"


def spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """The places moved as little as needed to be `gap` apart and within bounds, in their order."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    found = [min(max(places[index], low), high) for index in order]
    for index in range(1, len(found)):
        found[index] = max(found[index], found[index - 1] + gap)
    limit = high
    for index in reversed(range(len(found))):
        found[index] = min(found[index], limit)
        limit = found[index] - gap
    moved = [0.0] * len(places)
    for index, place in zip(order, found, strict=True):
        moved[index] = place
    return moved
