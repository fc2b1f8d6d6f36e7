"""A pool by month: what it can give, what is promised, what was used, what is free."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from kiban.portal.charts.chart import Chart, Column, Table, checked_name
from kiban.portal.charts.kept import kept
from kiban.portal.charts.lettering import width_of
from kiban.portal.charts.plot import SEAM, Entry, Plot, Size, in_both_sizes
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.scales import Scale, linear
from kiban.portal.charts.timeline import month_number, months
from kiban.portal.format import PlainFormats
from kiban.portal.i18n import _, in_language, pgettext

USED, PROMISED, FREE, BEYOND = "series-1", "series-2", "quiet", "bad"


@dataclass(frozen=True)
class PoolMonth:
    """All in the same unit. `promised` includes what of it was used."""

    month: dt.date
    capacity: float
    promised: float
    used: float

    @property
    def free(self) -> float:
        """Below zero where more is promised than there is."""
        return self.capacity - max(self.promised, self.used)


@kept
def pool_balance(
    name: str,
    title: str,
    rows: Sequence[PoolMonth],
    quantity: Quantity,
    fmt: PlainFormats,
    *,
    source: str = "",
) -> Chart:
    """A column for each month, filled up to what is promised, under the line of what there is.

    Raises:
        ValueError: a name that cannot be an id.
    """
    checked_name(name)
    words = _Words(fmt)
    table = Table(
        (
            Column(in_language(_("Month"), fmt.language), write=fmt.month),
            *(quantity.column(each) for each in (words.capacity, words.promised, words.used, words.free)),
        ),
        tuple((f"{each.month:%Y-%m}", each.capacity, each.promised, each.used, each.free) for each in rows),
    )
    description = _described(rows, quantity, fmt)
    svg = Markup("")
    if rows:
        svg = in_both_sizes(name, title, description, lambda size: _plot(size, rows, quantity, fmt, words))
    return Chart(name, title, description, svg, table, source)


class _Words:
    def __init__(self, fmt: PlainFormats) -> None:
        language = fmt.language
        self.capacity = in_language(_("Capacity"), language)
        self.promised = in_language(_("Promised"), language)
        self.waiting = in_language(_("Promised, not used"), language)
        self.used = in_language(_("Used"), language)
        self.free = in_language(pgettext("capacity", "Free"), language)
        self.beyond = in_language(_("Beyond capacity"), language)


def _described(rows: Sequence[PoolMonth], quantity: Quantity, fmt: PlainFormats) -> str:
    language = fmt.language
    if not rows:
        return in_language(_("There are no figures to show yet."), language)
    tightest = min(rows, key=lambda each: each.free)
    values = {
        "first": fmt.month(rows[0].month),
        "last": fmt.month(rows[-1].month),
        "capacity": quantity.say(sum(each.capacity for each in rows)),
        "promised": quantity.say(sum(each.promised for each in rows)),
        "used": quantity.say(sum(each.used for each in rows)),
        "when": fmt.month(tightest.month),
        "free": quantity.say(abs(tightest.free)),
    }
    if tightest.free < 0:
        text = _(
            "From %(first)s to %(last)s: capacity %(capacity)s, promised %(promised)s, used %(used)s. In %(when)s "
            "%(free)s more is promised or used than there is.",
            **values,
        )
    else:
        text = _(
            "From %(first)s to %(last)s: capacity %(capacity)s, promised %(promised)s, used %(used)s. The least is "
            "free in %(when)s: %(free)s.",
            **values,
        )
    return in_language(text, language)


def _plot(size: Size, rows: Sequence[PoolMonth], quantity: Quantity, fmt: PlainFormats, words: _Words) -> Plot:
    highest = [max(each.capacity, each.promised, each.used) for each in rows]
    y = linear([0, *highest], quantity.tick, unit=quantity.axis_factor, count=4 if size.is_narrow else 5)
    left = max(width_of(tick.words) for tick in y.ticks) + 10
    places = [month_number(each.month) for each in rows]
    room = int((size.width - left) // 48)
    named = months(places[0], places[-1], fmt, count=room)
    x = Scale(places[0] - 0.5, places[-1] + 0.5, named.ticks)
    over = any(each.free < 0 for each in rows)
    plot = Plot(
        size,
        x=x,
        y=y,
        height=190 if size.is_narrow else 230,
        left=left,
        bottom=44,
        legend=(
            Entry(words.used, USED, "box"),
            Entry(words.waiting, PROMISED, "box", 1),
            Entry(words.free, FREE, "band"),
            *((Entry(words.beyond, BEYOND, "box", 3),) if over else ()),
            Entry(words.capacity, "ink", "plain"),
        ),
        heading=quantity.heading,
    )
    plot.name_x()
    plot.name_y()
    for each, place in zip(rows, places, strict=True):
        edges = place - 0.36, place + 0.36
        held = min(each.capacity, max(each.promised, each.used))
        titles = fmt.month(each.month)
        for low, high, tone, texture, name, value in (
            (0.0, min(each.used, each.capacity), USED, 0, words.used, each.used),
            (min(each.used, each.capacity), held, PROMISED, 1, words.promised, each.promised),
            (held, each.capacity, FREE, 0, words.free, each.free),
            (each.capacity, max(each.promised, each.used), BEYOND, 3, words.beyond, -each.free),
        ):
            if high > low:
                opacity = 0.3 if tone == FREE else 1
                low = min(high, low + y.high * SEAM / plot.height) if low else low
                plot.boxes(
                    [(*edges, low, high)],
                    tone,
                    texture=texture,
                    opacity=opacity,
                    titles=[f"{titles}: {name} {quantity.say(value)}"],
                )
    steps = [(place - 0.5, each.capacity) for each, place in zip(rows, places, strict=True)]
    plot.line([*steps, (places[-1] + 0.5, rows[-1].capacity)], "ink", steps=True, width=1.75)
    return plot
