"""Short pieces of a text to show, without the personal data that was found in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kiban.make.corpus.inspection.differences import differences
from kiban.make.corpus.normalise import normalise

# Differences that are looked for in one step, and that are shown of them.
MOST_PLACES = 50
SHOWN_PLACES = 8
CONTEXT_CHARACTERS = 24
# Of what was removed or added at one place.
SHOWN_CHARACTERS = 80
HIDDEN = "■■■"


class Excerpts:
    """Shows texts that hold `values`, which nobody should read."""

    def __init__(self, values: Iterable[str]) -> None:
        self.values = sorted({value for value in values if value}, key=lambda value: (-len(value), value))

    def changes(self, before: str, after: str) -> dict[str, Any]:
        """Where `after` differs from `before`: how often, and the first places with what is around them."""
        if before == after:
            return unchanged()
        found, complete = differences(before, after, MOST_PLACES)
        shown = [
            {
                "at": place.start,
                "left": self.hide(before[max(0, place.start - CONTEXT_CHARACTERS) : place.start]),
                "before": self.hide(_middle_left_out(before[place.start : place.end])),
                "after": self.hide(_middle_left_out(after[place.new_start : place.new_end])),
                "right": self.hide(before[place.end : place.end + CONTEXT_CHARACTERS]),
            }
            for place in found[:SHOWN_PLACES]
        ]
        return {"places": len(found), "all_places": complete, "changes": shown}

    def around(self, text: str, start: int, end: int, instead: str) -> str:
        """A place of the text with `instead` in it, between what is around it."""
        left, right = text[max(0, start - CONTEXT_CHARACTERS) : start], text[end : end + CONTEXT_CHARACTERS]
        return f"{self.hide(left)}{instead}{self.hide(right)}"

    def hide(self, text: str) -> str:
        for value in self.values:
            text = text.replace(value, HIDDEN)
        # Before normalising a value can be spelt in other letters.
        normal = normalise(text)
        return HIDDEN if any(value in normal for value in self.values) else text


def unchanged() -> dict[str, Any]:
    """What `Excerpts.changes` says of equal texts."""
    return {"places": 0, "all_places": True, "changes": []}


def _middle_left_out(text: str) -> str:
    if len(text) <= SHOWN_CHARACTERS:
        return text
    begin, end = text[: SHOWN_CHARACTERS * 2 // 3], text[-SHOWN_CHARACTERS // 3 :]
    return f"{begin} … {len(text) - len(begin) - len(end):,} characters … {end}"
