"""Small pictures within a line or a table's cell. Their words are their names; the figures stand in the cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lxml import etree
from markupsafe import Markup

from kiban.portal.charts import drawing
from kiban.portal.charts.drawing import number
from kiban.portal.charts.lettering import plain
from kiban.portal.charts.quantities import Quantity
from kiban.portal.charts.thinning import thinned
from kiban.portal.i18n import _, in_language

WIDTH, HEIGHT = 96.0, 24.0


def sparkline(values: Sequence[float | None], quantity: Quantity) -> Markup:
    """The course of some values, the last one with a dot; nothing where there is none. Gaps are left out."""
    points = [(float(index), value) for index, value in enumerate(values) if value is not None]
    if not points:
        return Markup("")
    low, high = min(y for _x, y in points), max(y for _x, y in points)
    said = in_language(
        _(
            "%(name)s: from %(start)s to %(end)s, between %(low)s and %(high)s",
            name=quantity.name,
            start=quantity.say(points[0][1]),
            end=quantity.say(points[-1][1]),
            low=quantity.say(low),
            high=quantity.say(high),
        ),
        quantity.language,
    )
    last = max(1.0, points[-1][0] - points[0][0])
    places = [
        (
            3 + (x - points[0][0]) / last * (WIDTH - 6),
            HEIGHT / 2 if low == high else 3 + (1 - (y - low) / (high - low)) * (HEIGHT - 6),
        )
        for x, y in thinned(points, 60)
    ]
    root = _frame("chart-spark", said)
    if len(places) > 1:
        course = "L".join(f"{number(x)},{number(y)}" for x, y in places)
        line = etree.SubElement(root, "path", d=f"M{course}", stroke="currentColor", attrib={"class": "series-1"})
        line.set("stroke-width", "1.75")
        line.set("stroke-linejoin", "round")
    etree.SubElement(
        root, "circle", cx=number(places[-1][0]), cy=number(places[-1][1]), r="2.75", fill="currentColor"
    ).set("class", "series-1")
    return Markup(etree.tostring(root, encoding="unicode"))


def meter(value: float, of: float, quantity: Quantity, *, expected: float | None = None) -> Markup:
    """How much of a whole is taken, and where it should stand.

    Args:
        of: the whole, above zero.
        expected: a tick on the bar, such as what the plan says for today.

    Raises:
        ValueError: a whole that is none.
    """
    if of <= 0:
        raise ValueError(f"a whole of {of}")
    words = {"name": quantity.name, "value": quantity.say(value), "of": quantity.say(of), "share": f"{value / of:.0%}"}
    text = _("%(name)s: %(value)s of %(of)s (%(share)s)", **words)
    if expected is not None:
        text = _(
            "%(name)s: %(value)s of %(of)s (%(share)s), expected %(expected)s", **words, expected=quantity.say(expected)
        )
    is_over = value > of
    root = _frame("chart-meter", in_language(text, quantity.language))
    _bar(root, WIDTH - 2, "quiet").set("opacity", "0.3")
    if value > 0:
        _bar(root, min(1.0, value / of) * (WIDTH - 2), "bad" if is_over else "series-1")
    if expected is not None:
        place = number(1 + max(0.0, min(1.0, expected / of)) * (WIDTH - 2))
        tick = etree.SubElement(root, "path", d=f"M{place},3V21", stroke="currentColor")
        tick.set("class", "ink")
        tick.set("stroke-width", "2")
    if is_over:  # beyond the whole: not by its colour only
        etree.SubElement(root, "path", d="M84,7l5,5l-5,5M89,7l5,5l-5,5", stroke="currentColor").set("class", "paper")
    return Markup(etree.tostring(root, encoding="unicode"))


def _bar(root: Any, width: float, tone: str) -> Any:
    bar = etree.SubElement(root, "rect", x="1", y="7", width=number(width), height="10", rx="2", fill="currentColor")
    bar.set("class", tone)
    return bar


def _frame(kind: str, said: str) -> Any:
    root = etree.Element("svg", nsmap={None: drawing.SVG}, attrib={"class": f"chart-inline {kind}"})
    root.set("viewBox", f"0 0 {number(WIDTH)} {number(HEIGHT)}")
    root.set("width", number(WIDTH))
    root.set("height", number(HEIGHT))
    root.set("fill", "none")
    root.set("role", "img")
    root.set("aria-label", plain(said))
    return root
