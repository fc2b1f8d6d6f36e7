"""Dots with intervals: scores and their spread, calibration of reviewers, results of models with 95 % CI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from kiban.portal.charts.chart import Chart, Column, Table, checked_name
from kiban.portal.charts.kept import kept
from kiban.portal.charts.lettering import shortened, width_of
from kiban.portal.charts.plot import SERIES, Entry, Plot, Size, in_both_sizes, tone_of
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.scales import Scale, linear
from kiban.portal.i18n import Text, _, in_language, pgettext


@dataclass(frozen=True)
class Interval:
    """
    each: the single values behind it, such as each reviewer's score.
    n: how many those are, where they are not given.
    """

    value: float
    low: float
    high: float
    each: tuple[float, ...] = ()
    n: int | None = None

    @property
    def count(self) -> int | None:
        return self.n if self.n is not None else len(self.each) or None


@dataclass(frozen=True)
class IntervalRow:
    """A dot for each part; None where there is none."""

    label: str
    intervals: tuple[Interval | None, ...]
    href: str | None = None  # in the table


@kept
def intervals(
    name: str,
    title: str,
    rows: Sequence[IntervalRow],
    quantity: Quantity,
    *,
    heading: str,
    spread: str,
    parts: Sequence[str] = (),
    reference: tuple[float, str] | None = None,
    bounds: tuple[float, float] | None = None,
    source: str = "",
) -> Chart:
    """A row for each thing with a dot and the interval around it, for one or several parts.

    Args:
        heading: what the rows are: "Proposal".
        spread: what the intervals are: "95% confidence interval", "lowest to highest".
        parts: what the dots of a row are, such as two models.
        reference: a value to compare with, and its name; drawn as a line.
        bounds: of the axis, such as a scale of marks from 1 to 5.

    Raises:
        ValueError: more parts than can be told apart, rows that do not have one interval for each, an interval without
            its value, or a name that cannot be an id.
    """
    checked_name(name)
    if len(parts) > SERIES:
        raise ValueError(f"{len(parts)} parts: more than {SERIES} cannot be told apart")
    if any(len(row.intervals) != max(1, len(parts)) for row in rows):
        raise ValueError("each row needs an interval, or None, for each part")
    known = [each for row in rows for each in row.intervals if each]
    if any(not each.low <= each.value <= each.high for each in known):
        raise ValueError("an interval that does not hold its value")
    description = _described(rows, quantity, parts, spread, reference)
    table = _table(rows, quantity, heading, parts)
    drawn = _Rows(rows, quantity, parts, reference, bounds)
    svg = in_both_sizes(name, title, description, drawn.plot) if known else Markup("")
    return Chart(name, title, description, svg, table, source, note=drawn.note(spread) if known else "")


def _table(rows: Sequence[IntervalRow], quantity: Quantity, heading: str, parts: Sequence[str]) -> Table:
    language = quantity.language
    columns = [Column(heading)]
    low, high = (in_language(each, language) for each in (pgettext("interval", "from"), pgettext("interval", "to")))
    for part in parts or ("",):
        before = f"{part} " if part else ""
        columns += [quantity.column(before + label) for label in (quantity.name, low, high)]
        columns.append(Column(before + "n", True, write=quantity.fmt.number))
    return Table(
        tuple(columns),
        tuple((row.label, *(value for each in row.intervals for value in _values(each))) for row in rows),
        tuple(row.href for row in rows),
    )


def _values(interval: Interval | None) -> tuple[float | None, ...]:
    return (None,) * 4 if interval is None else (interval.value, interval.low, interval.high, interval.count)


def _described(
    rows: Sequence[IntervalRow],
    quantity: Quantity,
    parts: Sequence[str],
    spread: str,
    reference: tuple[float, str] | None,
) -> str:
    language = quantity.language
    said: list[Text] = []
    for index, part in enumerate(parts or ("",)):
        known = [(each, row.label) for row in rows if (each := row.intervals[index])]
        if not known:
            continue
        (most, highest), (least, lowest) = (choose(known, key=lambda pair: pair[0].value) for choose in (max, min))
        values = {"highest": highest, "most": _span(most, quantity), "lowest": lowest, "least": _span(least, quantity)}
        if len(known) == 1:
            said.append(_("%(name)s: %(highest)s %(most)s.", name=part or quantity.name, **values))
        else:
            said.append(
                _(
                    "%(name)s: highest %(highest)s with %(most)s, lowest %(lowest)s with %(least)s.",
                    name=part or quantity.name,
                    **values,
                )
            )
    if not said:
        return in_language(_("There are no figures to show yet."), language)
    if len(parts) == 2:
        said.append(_apart(rows, parts))
    said.append(_("In brackets: %(spread)s.", spread=spread))
    if reference:
        said.append(_("The line marks %(name)s (%(value)s).", name=reference[1], value=quantity.say(reference[0])))
    return ("" if language == "ja" else " ").join(in_language(each, language) for each in said)


def _span(interval: Interval, quantity: Quantity) -> str:
    around = "（{}–{}）" if quantity.language == "ja" else " ({}–{})"
    return quantity.say(interval.value) + around.format(quantity.say(interval.low), quantity.say(interval.high))


def _apart(rows: Sequence[IntervalRow], parts: Sequence[str]) -> Text:
    """Of two parts: on how many rows one lies beyond the other's interval."""
    first = second = 0
    for row in rows:
        one, other = row.intervals
        if one and other:
            first += one.low > other.high
            second += other.low > one.high
    return _(
        "Rows where one is higher and the intervals do not overlap: %(one)s %(first)s, %(other)s %(second)s.",
        one=parts[0],
        other=parts[1],
        first=first,
        second=second,
    )


@dataclass
class _Rows:
    rows: Sequence[IntervalRow]
    quantity: Quantity
    parts: Sequence[str]
    reference: tuple[float, str] | None
    bounds: tuple[float, float] | None

    def note(self, spread: str) -> str:
        """What the lines and the small dots are."""
        language = self.quantity.language
        said = in_language(_("Lines: %(spread)s.", spread=spread), language)
        if any(each and each.each for row in self.rows for each in row.intervals):
            said += ("" if language == "ja" else " ") + in_language(_("Small dots: single values."), language)
        return said

    def plot(self, size: Size) -> Plot:
        per_row = max(1, len(self.parts))
        above = 20.0 if size.is_narrow else 0.0
        pitch = above + 18.0 * per_row + 10
        height = pitch * len(self.rows)
        left = 10.0 if size.is_narrow else min(220.0, max(width_of(row.label) for row in self.rows)) + 16
        plot = Plot(
            size,
            x=self._scale(4 if size.is_narrow else 6),
            y=Scale(height, 0),
            height=height,
            left=left,
            right=max(width_of(self.quantity.say(each.value)) for each in self._known) + 16,
            bottom=48,
            legend=[Entry(part, tone_of(index), "dot", index) for index, part in enumerate(self.parts)],
        )
        if self.reference:
            plot.top += 20
        plot.name_x(grid=True)
        plot.text(plot.width, height + 38, self.quantity.heading, kind="axis-title", anchor="end")
        for index, row in enumerate(self.rows):
            top = index * pitch
            self._name(plot, row, top, pitch)
            middle = top + above + (pitch - above) / 2 - 9.0 * (per_row - 1)
            for part, interval in enumerate(row.intervals):
                if interval:
                    self._draw(plot, row, interval, part, middle + 18.0 * part)
        if self.reference:
            self._draw_reference(plot)
        return plot

    @property
    def _known(self) -> list[Interval]:
        return [each for row in self.rows for each in row.intervals if each]

    def _scale(self, count: int) -> Scale:
        values = [value for each in self._known for value in (each.low, each.high, *each.each)]
        if self.reference:
            values.append(self.reference[0])
        if self.bounds:
            low, high = min(self.bounds[0], *values), max(self.bounds[1], *values)
            ticks = linear(
                (low, high), self.quantity.tick, unit=self.quantity.axis_factor, count=count, zero=False
            ).ticks
            return Scale(low, high, tuple(tick for tick in ticks if low <= tick.value <= high))
        return linear(values, self.quantity.tick, unit=self.quantity.axis_factor, count=count, zero=False)

    def _name(self, plot: Plot, row: IntervalRow, top: float, pitch: float) -> None:
        if plot.size.is_narrow:
            plot.text(-8, top + 16, shortened(row.label, plot.size.width - 8), kind="row")
        else:
            plot.text(-14, top + pitch / 2 + 4.5, shortened(row.label, plot.left - 16), kind="row", anchor="end")

    def _draw(self, plot: Plot, row: IntervalRow, interval: Interval, part: int, y: float) -> None:
        tone, said = tone_of(part), _span(interval, self.quantity)
        plot.rule((interval.low, interval.high, y, y), tone, width=2)
        plot.rules([(end, end, y - 4, y + 4) for end in (interval.low, interval.high)], tone, width=2)
        if interval.each:
            plot.dots([(value, y + 8) for value in interval.each], tone, shape=part, area=20, opacity=0.6)
        name = f"{row.label} {self.parts[part]}" if self.parts else row.label
        plot.dots([(interval.value, y)], tone, shape=part, area=80, titles=[f"{name}: {said}"])
        plot.text(plot.width + 10, y + 4.5, self.quantity.say(interval.value), kind="value")

    def _draw_reference(self, plot: Plot) -> None:
        assert self.reference is not None
        value, words = self.reference
        plot.rule((value, value, 0, plot.height), "ink", dash=(3, 3), width=1.25)
        half = width_of(words) / 2
        place = max(half - plot.left, min(plot.across(value), plot.width + plot.right - half))
        plot.text(place, -6, words, kind="value", anchor="middle")
