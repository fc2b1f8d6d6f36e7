"""What a chart is: a picture, what it shows in words, and the figures behind it as a table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from kiban.portal.charts.lettering import plain

NAME = re.compile(r"[a-z][a-z0-9-]{0,60}")

# What a cell holds: what a CSV would say. None is what is not known.
Value = str | int | float | None


def _as_it_is(value: Value) -> str:
    return str(value)


@dataclass(frozen=True)
class Column:
    """`write` says a value as people read it, with its unit; `unit` is that of the values themselves."""

    label: str
    is_number: bool = False
    unit: str = ""
    write: Callable[[Any], str] = _as_it_is


@dataclass(frozen=True)
class Cell:
    value: Value
    text: str
    href: str | None = None


@dataclass(frozen=True)
class Table:
    """The figures of a chart: all of them, whatever the picture leaves out. `hrefs` are of the rows' first cells."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    hrefs: tuple[str | None, ...] = ()

    @property
    def header(self) -> tuple[str, ...]:
        """Of a file for machines, whose rows are `rows`."""
        return tuple(f"{each.label} ({each.unit})" if each.unit else each.label for each in self.columns)

    def shown(self, limit: int = 60) -> list[list[Cell]]:
        """At most `limit` rows, evenly spread, the first and the last among them: a page is no place for thousands."""
        count = len(self.rows)
        places = range(count) if count <= limit else [round(at * (count - 1) / (limit - 1)) for at in range(limit)]
        return [self._cells(place) for place in places]

    def _cells(self, place: int) -> list[Cell]:
        cells = [
            Cell(value, _written(value, column)) for column, value in zip(self.columns, self.rows[place], strict=True)
        ]
        if self.hrefs:
            cells[0] = Cell(cells[0].value, cells[0].text, self.hrefs[place])
        return cells


def _written(value: Value, column: Column) -> str:
    if value is None:
        return "—"
    return str(value) if isinstance(value, float) and not math.isfinite(value) else column.write(value)


@dataclass(frozen=True)
class Branch:
    """An entry of a nested list, which is what stands behind a picture of a graph."""

    text: str
    href: str | None = None
    note: str = ""
    children: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class Chart:
    """
    name: unique on its page; the ids in it start so.
    svg: two drawings, one for narrow places; empty where there is nothing to draw, and `description` says so.
    table: the figures; None only for a graph, which has `outline` instead.
    source: where the figures come from, in words.
    note: how to read the picture, where that is not plain.
    """

    name: str
    title: str
    description: str
    svg: Markup
    table: Table | None
    source: str = ""
    note: str = ""
    outline: tuple[Branch, ...] = ()

    def __post_init__(self) -> None:
        # Names that people gave are in these; nothing in them turns the words around them.
        for field in ("title", "description", "source", "note"):
            object.__setattr__(self, field, plain(getattr(self, field)))

    @property
    def is_empty(self) -> bool:
        return not self.svg


def checked_name(name: str) -> str:
    """Raises: ValueError: it could not start an id."""
    if not NAME.fullmatch(name):
        raise ValueError(f"a chart's name is of a-z, 0-9 and -, not {name!r}")
    return name
