"""Figures by key: what each is made of, its value, and the rows behind it.

A figure is the sum of its rows, or computed from other figures. Both come from one definition, so that what is shown
and what it drills down to cannot differ.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kiban.office.errors import NotFound
from kiban.office.paging import Page, PageRequest
from kiban.office.reports import sums
from kiban.office.reports.schemas import Figure, FigureRow, Source
from kiban.office.reports.sums import Rows
from kiban.office.supply.models import Pool
from kiban.office.work import Work
from kiban.plan.energy.grid import Carbon

Operation = Literal["sum", "ratio", "carbon"]
Key = str


@dataclass(frozen=True)
class Summed:
    """The sum of rows."""

    unit: str
    rows: Rows
    method: str = ""


@dataclass(frozen=True)
class Derived:
    """Computed from other figures.

    Attributes:
        of: their keys.
        compute: from the others' values, in the order of `of`, each part that they add; a ratio has one.
    """

    unit: str
    operation: Operation
    of: tuple[Key, ...]
    compute: Callable[[Sequence[int | float]], Sequence[int | float | None]]
    method: str = ""
    sources: tuple[str, ...] = ()


Definition = Summed | Derived
Definitions = Mapping[Key, Definition]


class Reading:
    """Figures of one set of definitions, each read once. `pools`: those that the definitions are about."""

    def __init__(self, work: Work, definitions: Definitions, pools: Sequence[Pool] = ()) -> None:
        self.work = work
        self.definitions = definitions
        self.pools = pools
        self._read: dict[Key, Figure] = {}

    def figure(self, key: Key) -> Figure:
        """Raises: NotFound: no such figure."""
        if key not in self._read:
            definition = self.definitions.get(key)
            if definition is None:
                raise NotFound(f"there is no figure {key!r}", where="key")
            self._read[key] = self._derive(key, definition) if isinstance(definition, Derived) else self._sum(
                key, definition
            )  # fmt: skip
        return self._read[key]

    def figures(self) -> tuple[Figure, ...]:
        return tuple(self.figure(key) for key in self.definitions)

    def rows(self, key: Key, page: PageRequest, grant_id: uuid.UUID | None = None) -> Page[FigureRow]:
        """What a figure is made of; the values of all rows add up to it, except for a ratio.

        Args:
            grant_id: of a figure of postings, those alone that moved amounts of this grant's accounts.

        Raises:
            NotFound: no such figure.
            Invalid: not a page of it.
        """
        figure, definition = self.figure(key), self.definitions[key]
        if isinstance(definition, Summed):
            items, cursor = sums.page(self.work.session, definition.rows, page, grant_id)
            return Page(items, cursor)
        parts = [self.figure(each) for each in definition.of]
        values: Sequence[int | float | None] = [part.value for part in parts]
        if definition.operation != "ratio":
            values = definition.compute([part.value or 0 for part in parts])
        return Page(
            [
                FigureRow(kind="figure", id=part.key, at=None, label=f"{part.value} {part.unit}", value=value)
                for part, value in zip(parts, values, strict=True)
            ],
            None,
        ) if figure.source.count else Page([], None)  # fmt: skip

    def parts(self, key: Key) -> list[sums.Part]:
        """A figure of postings by call and grant; none of another kind. Raises: NotFound: no such figure."""
        definition = self.definitions.get(key)
        if definition is None:
            raise NotFound(f"there is no figure {key!r}", where="key")
        if not isinstance(definition, Summed) or definition.rows.kind != "posting":
            return []
        return sums.parts(self.work.session, definition.rows)

    def row_kind(self, key: Key) -> str:
        """What a figure's rows are: `posting`, `usage_record`, `award`, …; `figure` if it is computed from others."""
        definition = self.definitions[key]
        return definition.rows.kind if isinstance(definition, Summed) else "figure"

    def _sum(self, key: Key, definition: Summed) -> Figure:
        found = sums.total(self.work.session, definition.rows)
        kind: Literal["postings", "records"] = "postings" if definition.rows.kind == "posting" else "records"
        source = Source(kind=kind, filter=definition.rows.filter, count=found.count, first=found.first, last=found.last)
        return Figure(key=key, value=found.value, unit=definition.unit, source=source, method=definition.method)

    def _derive(self, key: Key, definition: Derived) -> Figure:
        given = [self.figure(each).value or 0 for each in definition.of]
        parts = definition.compute(given)
        known = [part for part in parts if part is not None]
        value = sum(known) if len(known) == len(parts) else None
        source = Source(
            kind="figures", filter={"operation": definition.operation, "of": list(definition.of)}, count=len(given)
        )
        return Figure(
            key=key,
            value=value,
            unit=definition.unit,
            source=source,
            method=definition.method,
            sources=definition.sources,
        )


def total(unit: str, of: Sequence[Key]) -> Derived:
    return Derived(unit, "sum", tuple(of), lambda given: given)


def ratio(over: Key, under: Key) -> Derived:
    """One figure over another; None where there is nothing to divide by."""
    return Derived("ratio", "ratio", (over, under), lambda given: [given[0] / given[1] if given[1] else None])


def emissions(of: Key, emitted: Callable[[float], Carbon], pue: float, pue_source: str) -> Derived:
    """kg of CO2 of a pool's servers' kWh: times PUE for the building, times what the area's electricity emits."""
    one = emitted(1.0)
    return Derived(
        "kg CO2",
        "carbon",
        (of,),
        lambda given: [emitted(float(given[0]) * pue).kg],
        method=f"servers' kWh × PUE {pue:g} ({pue_source}) × {one.method} ({one.area})",
        sources=one.sources,
    )
