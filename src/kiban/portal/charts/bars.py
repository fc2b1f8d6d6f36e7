"""Horizontal bars, side by side or end to end: budget by pool, awards by region, scores by criterion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from kiban.portal.charts.chart import Chart, Column, Table, checked_name
from kiban.portal.charts.kept import kept
from kiban.portal.charts.lettering import shortened, width_of
from kiban.portal.charts.plot import SEAM, SERIES, Entry, Plot, Size, in_both_sizes, tone_of
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.scales import Scale, linear
from kiban.portal.i18n import _, in_language

NAMES = 0.45  # of a wide drawing, at most: names that are cut say less than long bars


@dataclass(frozen=True)
class Bar:
    """A row: a value for each part, None where there is none."""

    label: str
    values: tuple[float | None, ...]
    href: str | None = None  # in the table

    @property
    def total(self) -> float:
        return sum(value for value in self.values if value is not None)


@kept
def bars(
    name: str,
    title: str,
    rows: Sequence[Bar],
    quantity: Quantity,
    *,
    heading: str,
    parts: Sequence[str] = (),
    arrangement: Literal["stacked", "grouped"] = "stacked",
    source: str = "",
) -> Chart:
    """Bars in the rows' order.

    Args:
        heading: what the rows are: "Pool".
        parts: what each row's values are; none for one value a row.

    Raises:
        ValueError: more parts than can be told apart, rows that do not have one value for each, values below zero, or
            a name that cannot be an id.
    """
    checked_name(name)
    if len(parts) > SERIES:
        raise ValueError(f"{len(parts)} parts: more than {SERIES} cannot be told apart; add the smallest up")
    if any(len(row.values) != max(1, len(parts)) for row in rows):
        raise ValueError("each row needs a value for each part")
    if any(value is not None and value < 0 for row in rows for value in row.values):
        raise ValueError("a bar's length is no value below zero")
    described = _described(rows, quantity, parts, stacked=arrangement == "stacked")
    figures = _Bars(rows, quantity, parts, arrangement == "stacked" or len(parts) < 2)
    svg = Markup("")
    if any(value is not None for row in rows for value in row.values):
        svg = in_both_sizes(name, title, described, figures.plot)
    return Chart(name, title, described, svg, _table(rows, quantity, heading, parts, arrangement == "stacked"), source)


def _table(rows: Sequence[Bar], quantity: Quantity, heading: str, parts: Sequence[str], stacked: bool) -> Table:
    sums = stacked and len(parts) > 1
    columns = [Column(heading), *(quantity.column(part) for part in parts or ("",))]
    if sums:
        columns.append(quantity.column(in_language(_("Total"), quantity.language)))
    return Table(
        tuple(columns),
        tuple((row.label, *row.values, *((row.total,) if sums else ())) for row in rows),
        tuple(row.href for row in rows),
    )


def _described(rows: Sequence[Bar], quantity: Quantity, parts: Sequence[str], *, stacked: bool) -> str:
    language = quantity.language
    known = [row for row in rows if any(value is not None for value in row.values)]
    if not known:
        return in_language(_("There are no figures to show yet."), language)
    if stacked or len(parts) < 2:
        largest, smallest = max(known, key=lambda row: row.total), min(known, key=lambda row: row.total)
        words = {
            "name": quantity.name,
            "largest": largest.label,
            "most": quantity.say(largest.total),
            "smallest": smallest.label,
            "least": quantity.say(smallest.total),
        }
        if quantity.kind == "share" or len(known) == 1:  # shares of different wholes have no sum
            text = _("%(name)s: %(largest)s with %(most)s is the largest.", **words)
        else:
            text = _(
                "%(name)s: %(total)s in all. Largest: %(largest)s with %(most)s; smallest: %(smallest)s with "
                "%(least)s.",
                total=quantity.say(sum(row.total for row in known)),
                **words,
            )
        return in_language(text, language)
    said = []
    for index, part in enumerate(parts):
        values = [(value, row.label) for row in known if (value := row.values[index]) is not None]
        if values:
            most, least = max(values), min(values)
            said.append(
                in_language(
                    _(
                        "%(name)s: highest %(most)s (%(largest)s), lowest %(least)s (%(smallest)s).",
                        name=part,
                        most=quantity.say(most[0]),
                        largest=most[1],
                        least=quantity.say(least[0]),
                        smallest=least[1],
                    ),
                    language,
                )
            )
    return ("" if language == "ja" else " ").join(said)


@dataclass
class _Bars:
    rows: Sequence[Bar]
    quantity: Quantity
    parts: Sequence[str]
    stacked: bool

    def plot(self, size: Size) -> Plot:
        rows, per_row = self.rows, 1 if self.stacked else len(self.parts)
        thickness = 22.0 if per_row == 1 else 15.0
        # On a narrow drawing a row's name stands over its bars, else beside them.
        above = 20.0 if size.is_narrow else 0.0
        pitch = above + thickness * per_row + (12 if size.is_narrow else 14)
        longest = max(width_of(row.label) for row in rows)
        left = 2.0 if size.is_narrow else min(NAMES * size.width, longest) + 12
        highest = [row.total if self.stacked else max((v or 0 for v in row.values), default=0) for row in rows]
        written = [self.quantity.say(value) for value in highest]
        right = max(width_of(words) for words in written) + 12
        x = linear([0, *highest], self.quantity.tick, unit=self.quantity.axis_factor, count=3 if size.is_narrow else 6)
        x = Scale(0, max(highest) or 1, tuple(tick for tick in x.ticks if tick.value <= max(highest) * 1.0001))
        height = pitch * len(rows)
        plot = Plot(
            size,
            x=x,
            y=Scale(height, 0),
            height=height,
            left=left,
            right=right,
            legend=[Entry(part, tone_of(index), "box", index) for index, part in enumerate(self.parts)],
        )
        plot.baseline = False
        plot.name_x(grid=True)
        for index, row in enumerate(rows):
            top = index * pitch + above + (pitch - above - thickness * per_row) / 2
            self._name(plot, row, top, thickness * per_row)
            if self.stacked:
                self._stack(plot, row, top, thickness)
            else:
                self._group(plot, row, top, thickness)
        plot.rule((0, 0, 0, height), "axis", width=1)
        return plot

    def _name(self, plot: Plot, row: Bar, top: float, thickness: float) -> None:
        if plot.size.is_narrow:
            plot.text(0, top - 6, shortened(row.label, plot.size.width - 8), kind="row")
        else:
            plot.text(-10, top + thickness / 2 + 4.5, shortened(row.label, plot.left - 12), kind="row", anchor="end")

    def _stack(self, plot: Plot, row: Bar, top: float, thickness: float) -> None:
        start = 0.0
        for index, value in enumerate(row.values):
            if not value:
                continue
            said = self.quantity.say(value)
            title = f"{row.label}: {self.parts[index]} {said}" if self.parts else f"{row.label}: {said}"
            tone, end = tone_of(index), start + value
            shown = min(end, start + plot.x.high * SEAM / plot.width) if start else start
            plot.boxes([(shown, end, top, top + thickness)], tone, titles=[title], texture=index)
            pixels = plot.across(end) - plot.across(start)
            if len(self.parts) > 1 and width_of(said) + 10 <= pixels:
                middle = plot.across(start) + pixels / 2
                plot.text(middle, top + thickness / 2 + 4.5, said, kind="inside", anchor="middle", tone=tone)
            start = end
        known = any(value is not None for value in row.values)
        words = self.quantity.say(row.total) if known else "—"
        plot.text(plot.across(start) + 6, top + thickness / 2 + 4.5, words, kind="value")

    def _group(self, plot: Plot, row: Bar, top: float, thickness: float) -> None:
        for index, value in enumerate(row.values):
            y = top + index * thickness
            said = "—" if value is None else self.quantity.say(value)
            if value is not None:
                title = f"{row.label}: {self.parts[index]} {said}"
                plot.boxes([(0, value, y, y + thickness)], tone_of(index), titles=[title], texture=index)
            plot.text(plot.across(value or 0) + 6, y + thickness / 2 + 4.5, said, kind="value")
