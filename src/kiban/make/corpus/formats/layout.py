"""The order in which a printed page is read, from where its characters stand.

Characters that follow each other on a line are a run; runs are rows by their height; rows that leave the same blank
strip free are columns when each side of it is full of text, else a table. (Recursive cutting of a page at its white
space: Nagy & Seth, "Hierarchical representation of optically scanned documents", 1984.) A page of vertical text is
turned, so that its lines lie, and read the same way: lines from the right, upper columns before lower ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import NamedTuple

# In character sizes: what may lie between two characters of a run, and what at least between columns.
RUN_GAP = 1.2
BACKWARDS = 0.4
GUTTER = 1.0
# A column of text has so many lines, as full, and as long.
COLUMN_LINES, COLUMN_FILL, COLUMN_LETTERS = 4, 0.6, 7
# Rows of one line overlap by less than this share of it with those of the next.
OVERLAP = 0.25


class Box(NamedTuple):
    """A character or more, in points from the page's lower left corner as it is seen."""

    left: float
    bottom: float
    right: float
    top: float

    def with_(self, other: Box) -> Box:
        return Box(
            min(self.left, other.left),
            min(self.bottom, other.bottom),
            max(self.right, other.right),
            max(self.top, other.top),
        )

    def turned(self) -> Box:
        """As a page of vertical text is read: down is to the right, and right is up."""
        return Box(-self.top, self.left, -self.bottom, self.right)


class Glyph(NamedTuple):
    text: str
    box: Box
    spaced: bool  # a blank stands before it


@dataclass
class Run:
    """Characters that follow each other on a line."""

    box: Box
    size: float
    last: Box
    vertical: bool | None = None
    parts: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def add(self, glyph: Glyph) -> None:
        if glyph.spaced and self.parts:
            self.parts.append(" ")
        self.parts.append(glyph.text)
        self.count += not glyph.text.isspace()
        self.box = self.box.with_(glyph.box)
        self.last = glyph.box


@dataclass
class Page:
    """A page as it is read.

    Attributes:
        edges: lines outside the text, above or below it, that may be running heads: (text, the runs of it).
        vertical: whether its lines run downwards.
    """

    runs: list[Run]
    vertical: bool
    size: float
    aside: list[Run]

    def edges(self) -> list[tuple[str, list[Run]]]:
        """The two first and the two last rows of the page, which may be running heads."""
        if self.vertical:
            if not self.runs:
                return []
            body = _around(self.runs)
            outside = [run for run in self.aside if run.box.bottom >= body.top or run.box.top <= body.bottom]
            return [(run.text, [run]) for run in outside]
        rows = _rows(self.runs)
        chosen = rows if len(rows) <= 4 else [*rows[:2], *rows[-2:]]
        return [(" ".join(run.text for run in sorted(row, key=lambda run: run.box.left)), row) for row in chosen]

    def without(self, gone: Iterable[Run]) -> Page:
        ids = {id(run) for run in gone}
        kept = [run for run in self.runs if id(run) not in ids]
        return Page(kept, self.vertical, self.size, [run for run in self.aside if id(run) not in ids])

    def blocks(self) -> list[list[str]]:
        """Columns, and what spans them, in reading order; each as its lines."""
        runs = self.runs
        if self.vertical:
            for run in runs:
                run.box = run.box.turned()
        blocks = _blocks(runs, self.size)
        if not self.aside:
            return blocks
        top = max((run.box.top for run in self.runs), default=0.0) if not self.vertical else 0.0
        if self.vertical and self.runs:
            top = -min(run.box.left for run in self.runs)
        aside = sorted(self.aside, key=lambda run: (-run.box.top, run.box.left))
        above = [run.text for run in aside if run.box.bottom >= top]
        below = [run.text for run in aside if run.box.bottom < top]
        return [*([above] if above else []), *blocks, *([below] if below else [])]


def page_of(glyphs: Iterable[Glyph]) -> Page:
    """A page from its characters in the order in which they were drawn."""
    runs = _runs(glyphs)
    size = median([run.size for run in runs for _ in range(min(run.count, 100))] or [1.0])
    downwards = sum(run.count for run in runs if run.vertical)
    vertical = downwards > sum(run.count for run in runs if run.vertical is False)
    if not vertical:
        aside = [run for run in runs if run.vertical and run.count > 2]
        return Page([run for run in runs if not (run.vertical and run.count > 2)], False, size, aside)
    lines = [run for run in runs if run.vertical and run.count > 4]
    body = _around(lines) if lines else Box(0, 0, 0, 0)
    main: list[Run] = []
    aside = []
    for run in runs:
        outside = run.box.bottom >= body.top - size / 4 or run.box.top <= body.bottom + size / 4
        (aside if not run.vertical and (outside or run.count > 2) else main).append(run)
    return Page(main, True, size, aside)


def _around(runs: list[Run]) -> Box:
    box = runs[0].box
    for run in runs:
        box = box.with_(run.box)
    return box


def _runs(glyphs: Iterable[Glyph]) -> list[Run]:
    runs: list[Run] = []
    run: Run | None = None
    for glyph in glyphs:
        box = glyph.box
        if run is None or not _follows(run, glyph):
            size = max(box.right - box.left, box.top - box.bottom)
            run = Run(box, size, box)
            runs.append(run)
        run.add(glyph)
    return [run for run in runs if run.count]


def _follows(run: Run, glyph: Glyph) -> bool:
    """Whether a character goes on in a run; settles the run's direction by its second one."""
    last, box, size = run.last, glyph.box, run.size
    across = min(last.top, box.top) - max(last.bottom, box.bottom)
    along = min(last.right, box.right) - max(last.left, box.left)
    right, down = box.left - last.right, last.bottom - box.top
    beside = (
        across >= 0.4 * min(last.top - last.bottom, box.top - box.bottom)
        and -BACKWARDS * size <= right <= RUN_GAP * size
        and box.left > last.left - 0.1 * size
    )
    below = (
        along >= 0.4 * min(last.right - last.left, box.right - box.left)
        and -BACKWARDS * size <= down <= RUN_GAP * size
        and box.bottom < last.bottom + 0.1 * size
    )
    if run.vertical is None:
        if beside and below:
            beside, below = abs(right) <= abs(down), abs(right) > abs(down)
        if below and glyph.text.isascii() and glyph.text.isalnum():
            below = False  # no vertical line begins with two upright digits; they are two lines
        if beside or below:
            run.vertical = below
        return beside or below
    if run.vertical and beside and not below:
        # two digits side by side in a vertical line
        return run.box.left - 0.3 * size <= box.left and box.right <= run.box.right + 0.3 * size
    return below if run.vertical else beside


def _rows(runs: list[Run]) -> list[list[Run]]:
    """Runs by height, from the top: those of one row overlap, with others in between or not."""
    rows: list[list[Run]] = []
    bottom = 0.0
    for run in sorted(runs, key=lambda run: (-run.box.top, run.box.left)):
        height = run.box.top - run.box.bottom
        if rows and run.box.top - OVERLAP * height > bottom:
            rows[-1].append(run)
            bottom = min(bottom, run.box.bottom + OVERLAP * height)
        else:
            rows.append([run])
            bottom = run.box.bottom + OVERLAP * height
    return rows


Interval = tuple[float, float]


def _covered(runs: list[Run]) -> list[Interval]:
    """Where there is text, from left to right."""
    return _merged([(run.box.left, run.box.right) for run in runs])


def _merged(intervals: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for left, right in sorted(intervals):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged


def _gutters(covered: list[Interval], width: float) -> list[Interval]:
    return [(one[1], other[0]) for one, other in pairwise(covered) if other[0] - one[1] >= width]


def _blocks(runs: list[Run], size: float) -> list[list[str]]:
    blocks: list[list[str]] = []
    for group in _groups(_rows(runs), GUTTER * size):
        members = [run for row in group for run in row]
        gutters = _gutters(_covered(members), GUTTER * size)
        columns = _split(members, gutters)
        if len(columns) > 1 and all(map(_is_column, columns)):
            for column in columns:
                blocks += _blocks(column, size)
        else:
            blocks.append([line for row in group for line in _lines(row)])
    return blocks


def _groups(rows: list[list[Run]], width: float) -> list[list[list[Run]]]:
    """Rows that leave the same strip free, or that leave none."""
    groups: list[list[list[Run]]] = []
    covered: list[Interval] = []
    for row in rows:
        alone = _covered(row)
        together = _merged(covered + alone)
        if (
            groups
            and bool(_gutters(covered, width)) == bool(_gutters(together, width))
            and (_gutters(together, width) or not _gutters(alone, width))
        ):
            groups[-1].append(row)
            covered = together
        else:
            groups.append([row])
            covered = alone
    return groups


def _split(runs: list[Run], gutters: list[Interval]) -> list[list[Run]]:
    columns: list[list[Run]] = [[] for _ in range(len(gutters) + 1)]
    for run in runs:
        columns[sum(run.box.left >= right for _, right in gutters)].append(run)
    return columns


def _is_column(runs: list[Run]) -> bool:
    """Whether it is running text: enough lines, most of them filled, as a table's cells are not."""
    lines = [_around(row) for row in _rows(runs)]
    if len(lines) < COLUMN_LINES:
        return False
    width = max(line.right for line in lines) - min(line.left for line in lines)
    letters = sum(run.count for run in runs) / len(lines)
    return letters >= COLUMN_LETTERS and median(line.right - line.left for line in lines) >= COLUMN_FILL * width


def _lines(row: list[Run]) -> list[str]:
    """A row's lines: cells of a table's row may have several, and stand at different heights."""
    lines: list[list[Run]] = []
    for run in sorted(row, key=lambda run: -(run.box.top + run.box.bottom)):
        first = lines[-1][0].box if lines else None
        middle = (run.box.top + run.box.bottom) / 2
        if first and first.bottom < middle < first.top:
            lines[-1].append(run)
        else:
            lines.append([run])
    return [" ".join(run.text for run in sorted(line, key=lambda run: run.box.left)) for line in lines]
