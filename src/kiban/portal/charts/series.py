"""Lines over months or steps: utilisation, energy, applications, losses, learning rates, tokens per second."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from kiban.portal.charts.chart import Chart, Column, Table, checked_name
from kiban.portal.charts.kept import kept
from kiban.portal.charts.lettering import shortened, spread, width_of
from kiban.portal.charts.plot import DASHES, LINE, SERIES, Entry, Plot, Size, in_both_sizes, tone_of
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.scales import Scale, linear, logarithmic
from kiban.portal.charts.thinning import Point, thinned
from kiban.portal.charts.timeline import month_number, months
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import Language, _, in_language

POINTS_DRAWN = 500  # of all series of a drawing together: more than its pixels show
DENSE = 36  # from so many points on not each has a shape of its own
SHAPES_ON_DENSE = 5


@dataclass(frozen=True)
class MonthSeries:
    """Values by month; None where there is none, which leaves a gap."""

    name: str
    values: tuple[tuple[dt.date, float | None], ...]


@dataclass(frozen=True)
class StepSeries:
    """Values by step (or token, or second), by rising steps."""

    name: str
    values: tuple[tuple[float, float | None], ...]


@kept
def over_months(
    name: str,
    title: str,
    series: Sequence[MonthSeries],
    quantity: Quantity,
    fmt: PlainFormats,
    *,
    area: bool = False,
    source: str = "",
) -> Chart:
    """One or several lines over months.

    Args:
        area: fill below the line; for one series.

    Raises:
        ValueError: more series than can be told apart, or a name that cannot be an id.
    """
    dates = sorted({month for each in series for month, _value in each.values})
    by_name = [(each, dict(each.values)) for each in series]
    table = Table(
        (
            Column(in_language(_("Month"), fmt.language), write=fmt.month),
            *(quantity.column(each.name if len(series) > 1 else "") for each in series),
        ),
        tuple((f"{month:%Y-%m}", *(values.get(month) for _each, values in by_name)) for month in dates),
    )
    lines = [
        _Line(each.name, [(month_number(month), values.get(month)) for month in dates]) for each, values in by_name
    ]
    words = {month_number(month): fmt.month(month) for month in dates}

    def across(low: float, high: float, count: int) -> Scale:
        return months(low, high, fmt, count=count)

    return _Curves(lines, quantity, words.__getitem__, across, area=area).chart(name, title, table, source)


@kept
def over_steps(
    name: str,
    title: str,
    series: Sequence[StepSeries],
    quantity: Quantity,
    steps: Quantity,
    *,
    log: bool = False,
    source: str = "",
) -> Chart:
    """One or several curves over a number that rises, as of a training; thousands of points are thinned to what shows.

    Args:
        steps: what rises.
        log: a logarithmic axis of values; those that are not above zero leave gaps.

    Raises:
        ValueError: more series than can be told apart, or a name that cannot be an id.
    """
    places = sorted({step for each in series for step, _value in each.values})
    by_name = [(each, dict(each.values)) for each in series]
    table = Table(
        (steps.column(), *(quantity.column(each.name if len(series) > 1 else "") for each in series)),
        tuple((step, *(values.get(step) for _each, values in by_name)) for step in places),
    )
    lines = [_Line(each.name, list(each.values)) for each in series]

    def across(low: float, high: float, count: int) -> Scale:
        ticks = linear((low, high), steps.tick, unit=steps.axis_factor, count=min(count, 8), zero=False)
        if low == high:
            return ticks
        return Scale(low, high, tuple(tick for tick in ticks.ticks if low <= tick.value <= high))

    def say(step: float) -> str:
        return f"{steps.name} {steps.full(step)}"

    return _Curves(lines, quantity, say, across, log=log, below=steps.heading).chart(name, title, table, source)


@dataclass
class _Line:
    name: str
    points: list[tuple[float, float | None]]

    def above_zero(self) -> _Line:
        return _Line(self.name, [(x, y if y is not None and y > 0 else None) for x, y in self.points])

    @cached_property
    def known(self) -> list[Point]:
        return [point for piece in self.pieces for point in piece]

    @property
    def is_dense(self) -> bool:
        return len(self.known) > DENSE

    @cached_property
    def pieces(self) -> list[list[Point]]:
        """The points between gaps; what is no number, such as the loss of a run that diverged, is one."""
        found: list[list[Point]] = [[]]
        for x, y in self.points:
            if y is not None and math.isfinite(y):
                found[-1].append((x, y))
            elif found[-1]:
                found.append([])
        return [piece for piece in found if piece]


@dataclass
class _Curves:
    """What both sizes of a drawing are made from."""

    lines: list[_Line]
    quantity: Quantity
    say: Callable[[float], str]  # a place on the axis in words
    across: Callable[[float, float, int], Scale]
    area: bool = False
    log: bool = False
    below: str = ""

    def chart(self, name: str, title: str, table: Table, source: str) -> Chart:
        checked_name(name)
        if self.log:
            self.lines = [line.above_zero() for line in self.lines]
        if len(self.lines) > SERIES:
            raise ValueError(f"{len(self.lines)} series: more than {SERIES} cannot be told apart; choose or add up")
        language = self.quantity.language
        description = self._described(language)
        svg = Markup("")
        if any(line.known for line in self.lines):
            svg = in_both_sizes(name, title, description, self._plot)
        return Chart(name, title, description, svg, table, source)

    def _described(self, language: Language) -> str:
        said = [self._said(line, language) for line in self.lines]
        if not any(line.known for line in self.lines):
            return in_language(_("There are no figures to show yet."), language)
        return ("" if language == "ja" else " ").join(said)

    def _said(self, line: _Line, language: Language) -> str:
        name = line.name or self.quantity.name
        if not line.known:
            return in_language(_("%(name)s: no figures.", name=name), language)
        (first, start), (last, end) = line.known[0], line.known[-1]
        if first == last:
            return in_language(
                _("%(name)s: %(value)s (%(when)s).", name=name, value=self.quantity.say(start), when=self.say(first)),
                language,
            )
        lowest = min(line.known, key=lambda point: point[1])
        highest = max(line.known, key=lambda point: point[1])
        return in_language(
            _(
                "%(name)s: from %(start)s (%(first)s) to %(end)s (%(last)s); lowest %(low)s (%(low_when)s), "
                "highest %(high)s (%(high_when)s).",
                name=name,
                start=self.quantity.say(start),
                first=self.say(first),
                end=self.quantity.say(end),
                last=self.say(last),
                low=self.quantity.say(lowest[1]),
                low_when=self.say(lowest[0]),
                high=self.quantity.say(highest[1]),
                high_when=self.say(highest[0]),
            ),
            language,
        )

    def _plot(self, size: Size) -> Plot:
        known = [point for line in self.lines for point in line.known]
        values = [y for _x, y in known]
        ticks = 4 if size.is_narrow else 5
        if self.log:
            y = logarithmic(values, self.quantity.tick, count=ticks)
        else:
            whole = 1.0 if self.quantity.kind == "share" else None
            y = linear(
                values,
                self.quantity.tick,
                unit=self.quantity.axis_factor,
                count=ticks,
                zero=self.area or not self.below,
                most=whole,
            )
        several = len(self.lines) > 1
        beside = several and not size.is_narrow  # names stand where their lines end
        right = 16.0 + (min(170.0, max(width_of(line.name) for line in self.lines)) + 12 if beside else 0.0)
        left = max(width_of(tick.words) for tick in y.ticks) + 10
        plot = Plot(
            size,
            x=self.across(min(x for x, _y in known), max(x for x, _y in known), int((size.width - left - right) // 52)),
            y=y,
            height=190 if size.is_narrow else 230,
            left=left,
            right=right,
            bottom=44,
            legend=[
                Entry(line.name, tone_of(index), "shaped" if line.is_dense else "line", index)
                for index, line in enumerate(self.lines)
                if several and not beside
            ],
            heading=self.quantity.heading,
        )
        plot.name_x()
        plot.name_y()
        if self.below:
            plot.text(plot.width, plot.height + 37, self.below, kind="axis-title", anchor="end")
        for index, line in enumerate(self.lines):
            self._draw(plot, line, index)
        if beside:
            self._name(plot)
        return plot

    def _draw(self, plot: Plot, line: _Line, index: int) -> None:
        tone, share = tone_of(index), max(3, POINTS_DRAWN // len(self.lines))
        for piece in line.pieces:
            drawn = thinned(piece, max(3, share * len(piece) // max(1, len(line.known))))
            if self.area and len(drawn) > 1:
                plot.area([(x, max(0.0, plot.y.low), y) for x, y in drawn], tone)
            if len(drawn) > 1:
                # Dashes do not show in a line that goes up and down at every pixel.
                plot.line(
                    drawn, tone, dash=() if line.is_dense else DASHES[index], width=1.5 if line.is_dense else 2.25
                )
        marked = line.known
        if line.is_dense:
            marked = [piece[0] for piece in line.pieces if len(piece) == 1]
            if len(self.lines) > 1:
                every = len(line.known) / SHAPES_ON_DENSE
                marked += [line.known[int((at + 0.5 + index / 10) * every)] for at in range(SHAPES_ON_DENSE)]
        if line.is_dense:
            plot.dots(marked, "paper", shape=index, area=150)
        names = f"{line.name}: " if len(self.lines) > 1 else ""
        plot.dots(marked, tone, shape=index, titles=[f"{names}{self.say(x)} {self.quantity.say(y)}" for x, y in marked])

    def _name(self, plot: Plot) -> None:
        named = [(index, line) for index, line in enumerate(self.lines) if line.known]
        places = spread([plot.down(line.known[-1][1]) for _index, line in named], LINE, 0, plot.height)
        for (index, line), place in zip(named, places, strict=True):
            words = shortened(line.name, plot.right - 28)
            plot.text(plot.width + 13, place + 4.5, words, kind="name", tone=tone_of(index))
