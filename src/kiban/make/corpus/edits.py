"""Changes to a text as data, so that what points into the text can follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """`text[start:end]` becomes `replacement`; offsets in characters of the text before any of the edits."""

    start: int
    end: int
    replacement: str


class Anchor(NamedTuple):
    """From `at` (characters) on, the text stands at `label` of its file: "page 3", "slide 2", "sheet 売上", "#id"."""

    at: int
    label: str


def apply(text: str, edits: Sequence[Edit]) -> str:
    """`text` after all of `edits`, which are in order and do not overlap."""
    if not edits:
        return text
    parts: list[str] = []
    done = 0
    for edit in edits:
        parts += (text[done : edit.start], edit.replacement)
        done = edit.end
    parts.append(text[done:])
    return "".join(parts)


def follow(anchors: Sequence[Anchor], edits: Sequence[Edit]) -> tuple[Anchor, ...]:
    """Where `anchors` are after the edits; one inside what was replaced goes to the replacement's start.

    Of several at the same place the last stays: the others' text is gone.
    """
    moved: dict[int, Anchor] = {}
    position, shift = 0, 0
    for anchor in anchors:
        while position < len(edits) and edits[position].end <= anchor.at:
            edit = edits[position]
            shift += len(edit.replacement) - (edit.end - edit.start)
            position += 1
        inside = position < len(edits) and edits[position].start < anchor.at
        at = (edits[position].start if inside else anchor.at) + shift
        moved[at] = Anchor(at, anchor.label)
    return tuple(moved.values())
