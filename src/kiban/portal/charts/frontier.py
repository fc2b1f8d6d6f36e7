"""What each objective of an award could reach with more or less money, and the choice that is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from kiban.portal.charts.chart import Chart, Table, checked_name
from kiban.portal.charts.kept import kept
from kiban.portal.charts.lettering import shortened, spread, width_of
from kiban.portal.charts.plot import DASHES, LINE, SERIES, Entry, Plot, Size, in_both_sizes, tone_of
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.scales import Scale, linear
from kiban.portal.i18n import _, in_language


@dataclass(frozen=True)
class Objective:
    """
    points: what can be reached with each budget, by rising budget. Several objectives share an axis, so give shares
        of what each could reach at most.
    """

    name: str
    points: tuple[tuple[float, float], ...]

    def at(self, budget: float) -> float | None:
        """What the largest budget up to this one reaches: between two budgets nothing was solved."""
        return next((value for place, value in reversed(self.points) if place <= budget), None)


@kept
def award_frontier(
    name: str,
    title: str,
    objectives: Sequence[Objective],
    budget: Quantity,
    reached: Quantity,
    *,
    present: float | None = None,
    chosen: str = "",
    source: str = "",
) -> Chart:
    """Steps of value over budget.

    Args:
        present: the budget that is looked at; marked by a line, with the value of each objective there.
        chosen: the name of the objective that decides; its line is heavier.

    Raises:
        ValueError: more objectives than can be told apart, or a name that cannot be an id.
    """
    checked_name(name)
    if len(objectives) > SERIES:
        raise ValueError(f"{len(objectives)} objectives: more than {SERIES} cannot be told apart")
    budgets = sorted({place for each in objectives for place, _value in each.points})
    by_name = [(each, dict(each.points)) for each in objectives]
    table = Table(
        (budget.column(), *(reached.column(each.name) for each in objectives)),
        tuple((place, *(values.get(place) for _each, values in by_name)) for place in budgets),
    )
    description = _described(objectives, budget, reached, present)
    svg = Markup("")
    if budgets:
        drawn = _Frontier(objectives, budget, reached, present, chosen)
        svg = in_both_sizes(name, title, description, drawn.plot)
    return Chart(name, title, description, svg, table, source)


def _described(objectives: Sequence[Objective], budget: Quantity, reached: Quantity, present: float | None) -> str:
    language = budget.language
    said = []
    for each in objectives:
        if not each.points:
            continue
        (low, least), (high, most) = each.points[0], each.points[-1]
        values = {
            "name": each.name,
            "low": budget.say(low),
            "least": reached.say(least),
            "high": budget.say(high),
            "most": reached.say(most),
        }
        here = each.at(present) if present is not None else None
        if present is None or here is None:
            said.append(_("%(name)s: %(least)s with %(low)s, %(most)s with %(high)s.", **values))
        else:
            values |= {"present": budget.say(present), "here": reached.say(here)}
            said.append(
                _(
                    "%(name)s: %(here)s with the present budget of %(present)s; %(least)s with %(low)s, %(most)s with "
                    "%(high)s.",
                    **values,
                )
            )
    if not said:
        said.append(_("There are no figures to show yet."))
    return ("" if language == "ja" else " ").join(in_language(each, language) for each in said)


@dataclass
class _Frontier:
    objectives: Sequence[Objective]
    budget: Quantity
    reached: Quantity
    present: float | None
    chosen: str

    def plot(self, size: Size) -> Plot:
        points = [point for each in self.objectives for point in each.points]
        y = linear(
            [value for _place, value in points],
            self.reached.tick,
            unit=self.reached.axis_factor,
            count=4 if size.is_narrow else 5,
            most=1.0 if self.reached.kind == "share" else None,
        )
        places = [place for place, _value in points] + ([] if self.present is None else [self.present])
        low, high = min(places), max(places)
        if low == high:
            low, high = low * 0.5, high * 1.5 or 1.0
        ticks = linear(
            (low, high), self.budget.tick, unit=self.budget.axis_factor, count=4 if size.is_narrow else 7, zero=False
        ).ticks
        several = len(self.objectives) > 1
        beside = several and not size.is_narrow
        plot = Plot(
            size,
            x=Scale(low, high, tuple(tick for tick in ticks if low <= tick.value <= high)),
            y=y,
            height=200 if size.is_narrow else 250,
            left=max(width_of(tick.words) for tick in y.ticks) + 10,
            right=min(220.0, max(width_of(self._named(each)) for each in self.objectives)) + 24 if beside else 20,
            bottom=46,
            legend=[
                Entry(self._named(each), tone_of(index), "line", index)
                for index, each in enumerate(self.objectives)
                if several and not beside
            ],
            heading=self.reached.heading,
        )
        if self.present is not None:
            plot.top += 18
        plot.name_x()
        plot.name_y()
        plot.text(plot.width, plot.height + 38, self.budget.heading, kind="axis-title", anchor="end")
        for index, each in enumerate(self.objectives):
            steps = list(each.points)
            if steps and steps[-1][0] < high:
                steps.append((high, steps[-1][1]))
            width = 3.25 if each.name == self.chosen else 2.0
            plot.line(steps, tone_of(index), dash=DASHES[index], width=width, steps=True)
        if beside:
            self._name(plot)
        if self.present is not None:
            self._mark(plot, self.present)
        return plot

    def _named(self, objective: Objective) -> str:
        """Its name, and what it reaches at the present budget."""
        here = objective.at(self.present) if self.present is not None else None
        return objective.name if here is None else f"{objective.name} {self.reached.say(here)}"

    def _name(self, plot: Plot) -> None:
        named = [(index, each) for index, each in enumerate(self.objectives) if each.points]
        places = spread([plot.down(each.points[-1][1]) for _index, each in named], LINE, 0, plot.height)
        for (index, each), place in zip(named, places, strict=True):
            plot.text(
                plot.width + 10,
                place + 4.5,
                shortened(self._named(each), plot.right - 14),
                kind="name",
                tone=tone_of(index),
            )

    def _mark(self, plot: Plot, present: float) -> None:
        plot.rule((present, present, plot.y.low, plot.y.high), "ink", dash=(3, 3), width=1.25)
        here = [(index, value) for index, each in enumerate(self.objectives) if (value := each.at(present)) is not None]
        for index, value in here:
            title = f"{self.objectives[index].name}: {self.reached.say(value)}"
            plot.dots([(present, value)], tone_of(index), shape=index, area=80, titles=[title])
        words = self.budget.say(present)
        half, across = width_of(words) / 2, plot.across(present)
        plot.text(
            max(half - plot.left, min(across, plot.width + plot.right - half)), -7, words, kind="name", anchor="middle"
        )
