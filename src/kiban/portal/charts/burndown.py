"""What is left of a grant: as planned, as it is, and when it will be used up at this rate."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup

from kiban.portal.charts.chart import Chart, Column, Table, checked_name
from kiban.portal.charts.kept import kept
from kiban.portal.charts.lettering import Anchor, width_of
from kiban.portal.charts.plot import DASHES, TEXT, Entry, Plot, Size, in_both_sizes
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.scales import linear
from kiban.portal.charts.thinning import thinned
from kiban.portal.charts.timeline import month_number, months
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import _, in_language, pgettext

PLANNED, LEFT, HELD_BACK = "series-2", "series-1", "quiet"
Dated = tuple[dt.date, float]


@dataclass(frozen=True)
class Grant:
    """
    planned: used by each date according to plan, all together.
    used: used by each date, all together; the last one is the latest that is known.
    tranches: what is released on each date, which together are the award; none if all is there from the start.
    runs_out: when all is used at the present rate, where somebody has reckoned it.
    """

    award: float
    start: dt.date
    end: dt.date
    planned: tuple[Dated, ...]
    used: tuple[Dated, ...] = ()
    tranches: tuple[Dated, ...] = ()
    today: dt.date | None = None
    runs_out: dt.date | None = None

    def released(self, day: dt.date) -> float:
        """By the end of `day`."""
        return sum(amount for when, amount in self.tranches if when <= day) if self.tranches else self.award


@kept
def burn_down(name: str, title: str, grant: Grant, quantity: Quantity, fmt: PlainFormats, *, source: str = "") -> Chart:
    """What is left, falling from the award to nothing; what is not released yet lies at the bottom.

    Raises:
        ValueError: a name that cannot be an id.
    """
    checked_name(name)
    words = _Words(fmt)
    table = _table(grant, quantity, fmt, words)
    if not grant.planned and not grant.used:
        return Chart(name, title, in_language(_("There are no figures to show yet."), fmt.language), Markup(""), table)
    description = _described(grant, quantity, fmt)
    svg = in_both_sizes(name, title, description, lambda size: _plot(size, grant, quantity, fmt, words))
    return Chart(name, title, description, svg, table, source)


class _Words:
    def __init__(self, fmt: PlainFormats) -> None:
        language = fmt.language
        self.left = in_language(pgettext("amount", "Left"), language)
        self.planned = in_language(_("Left as planned"), language)
        self.held_back = in_language(_("Not released yet"), language)
        self.forecast = in_language(_("At this rate"), language)
        self.today = in_language(_("Today"), language)


def _table(grant: Grant, quantity: Quantity, fmt: PlainFormats, words: _Words) -> Table:
    language = fmt.language
    planned, used = dict(grant.planned), dict(grant.used)
    days = sorted({*planned, *used, *(day for day, _amount in grant.tranches)})

    return Table(
        (
            Column(in_language(_("Date"), language), write=lambda day: fmt.date(dt.date.fromisoformat(day))),
            quantity.column(in_language(_("Planned to be used"), language)),
            quantity.column(in_language(_("Used"), language)),
            quantity.column(words.left),
            quantity.column(in_language(pgettext("amount", "Released"), language)),
        ),
        tuple(
            (
                day.isoformat(),
                planned.get(day),
                used.get(day),
                grant.award - used[day] if day in used else None,
                grant.released(day),
            )
            for day in days
        ),
    )


def _described(grant: Grant, quantity: Quantity, fmt: PlainFormats) -> str:
    language = fmt.language
    said = []
    if grant.used:
        day, used = grant.used[-1]
        values = {
            "when": fmt.date(day),
            "used": quantity.say(used),
            "award": quantity.say(grant.award),
            "left": quantity.say(grant.award - used),
            "planned": quantity.say(planned_by(grant.planned, day)),
        }
        said.append(_("By %(when)s %(used)s of %(award)s was used (planned: %(planned)s); %(left)s is left.", **values))
    else:
        said.append(_("Nothing of %(award)s was used yet.", award=quantity.say(grant.award)))
    if grant.runs_out and grant.runs_out <= grant.end:
        said.append(_("At this rate all is used on %(when)s.", when=fmt.date(grant.runs_out)))
    elif grant.runs_out:
        said.append(_("At this rate some is left when the grant ends on %(when)s.", when=fmt.date(grant.end)))
    return ("" if language == "ja" else " ").join(in_language(each, language) for each in said)


def planned_by(planned: Sequence[Dated], day: dt.date) -> float:
    """The plan on a day between two of its dates."""
    before = [(when, value) for when, value in planned if when <= day]
    after = [(when, value) for when, value in planned if when > day]
    if not before:
        return 0.0
    (start, low) = before[-1]
    if not after:
        return low
    (end, high) = after[0]
    return low + (high - low) * ((day - start) / (end - start))


def _plot(size: Size, grant: Grant, quantity: Quantity, fmt: PlainFormats, words: _Words) -> Plot:
    left_over = [grant.award - used for _day, used in grant.used]
    y = linear([0, grant.award, *left_over], quantity.tick, unit=quantity.axis_factor, count=4 if size.is_narrow else 5)
    left = max(width_of(tick.words) for tick in y.ticks) + 10
    x = months(month_number(grant.start), month_number(grant.end), fmt, count=int((size.width - left) // 52))
    legend = [Entry(words.left, LEFT, "plain"), Entry(words.planned, PLANNED, "plain", 1)]
    if grant.tranches:
        legend.append(Entry(words.held_back, HELD_BACK, "band"))
    if grant.runs_out and grant.used:
        legend.append(Entry(words.forecast, LEFT, "plain", 2))
    plot = Plot(
        size,
        x=x,
        y=y,
        height=200 if size.is_narrow else 250,
        left=left,
        right=16,
        bottom=44,
        legend=legend,
        heading=quantity.heading,
    )
    plot.name_x()
    plot.name_y()
    if grant.tranches:
        _draw_held_back(plot, grant)
    planned = [(month_number(day), grant.award - used) for day, used in grant.planned]
    plot.line(planned, PLANNED, dash=DASHES[1], width=2)
    used = thinned([(month_number(day), grant.award - value) for day, value in grant.used], 400)
    plot.line(used, LEFT, width=2.75)
    if grant.used:
        plot.dots([used[-1]], LEFT, area=70, titles=[f"{fmt.date(grant.used[-1][0])}: {quantity.say(used[-1][1])}"])
        day, value = grant.used[-1]
        _name_latest(plot, *used[-1], quantity, behind=value > planned_by(grant.planned, day))
    if grant.runs_out and grant.used:
        _draw_forecast(plot, grant)
    if grant.today and grant.start <= grant.today <= grant.end:
        place = month_number(grant.today)
        plot.rule((place, place, y.low, y.high), "ink", dash=(3, 3), width=1)
        _over(plot, plot.across(place), -6, f"{words.today} {fmt.date(grant.today)}")
    return plot


def _draw_held_back(plot: Plot, grant: Grant) -> None:
    days = [grant.start, *(day for day, _amount in grant.tranches if grant.start < day <= grant.end), grant.end]
    floor = [(month_number(day), 0.0, max(0.0, grant.award - grant.released(day))) for day in days]
    plot.area(floor, HELD_BACK, opacity=0.3, steps=True)


def _draw_forecast(plot: Plot, grant: Grant) -> None:
    day, used = grant.used[-1]
    if not grant.runs_out or grant.runs_out <= day:
        return
    start, end = month_number(day), month_number(grant.runs_out)
    rest = grant.award - used
    stop = min(end, plot.x.high)
    at_stop = rest * (1 - (stop - start) / (end - start))
    plot.line([(start, rest), (stop, at_stop)], LEFT, dash=DASHES[2], width=2)
    if end <= plot.x.high:
        plot.rings([(end, 0.0)], LEFT, area=80)


def _name_latest(plot: Plot, x: float, y: float, quantity: Quantity, *, behind: bool) -> None:
    """Beside the dot, on the side of it where the plan is not."""
    words, place = quantity.say(y), plot.across(x)
    if behind and place - 10 - width_of(words, TEXT) > 0:
        plot.text(place - 10, plot.down(y) + 16, words, kind="name", anchor="end", tone=LEFT)
    else:
        fits = place + 10 + width_of(words, TEXT) < plot.width
        anchor: Anchor = "start" if fits else "end"
        plot.text(place + (10 if fits else -10), plot.down(y) - 10, words, kind="name", anchor=anchor, tone=LEFT)


def _over(plot: Plot, x: float, y: float, words: str) -> None:
    """Words centred on a place over the plot, kept within the drawing."""
    half = width_of(words, TEXT) / 2
    plot.text(max(half - plot.left, min(x, plot.width + plot.right - half)), y, words, kind="value", anchor="middle")


def all_together(parts: Iterable[Dated]) -> tuple[Dated, ...]:
    """What was used by each date, from what was used on it."""
    rows = sorted(parts)
    return tuple(zip((day for day, _value in rows), accumulate(value for _day, value in rows), strict=True))
