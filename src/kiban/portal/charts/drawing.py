"""Vega-Lite drawn to SVG that a strict content security policy lets through and that takes the page's colours.

Specifications hold numbers only, and classes in the place of colours: `"fill": "series-1"` becomes a class of
static/css/charts.css and `currentColor`. vl-convert's own engine of JavaScript is started by the first drawing
(0.7 s); `warm_up` does so ahead. It may be called from any thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

SVG = "http://www.w3.org/2000/svg"
Element = Any  # lxml's types are not known here
Spec = dict[str, Any]

_TRANSLATE = re.compile(r"translate\(\s*([-\d.e]+)(?:[\s,]+([-\d.e]+))?\s*\)")
_LONG = re.compile(r"-?\d*\.\d{2,}(?:e-?\d+)?")
_PAINTS = ("fill", "stroke")
_KEPT = (
    "d",
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "stroke-linejoin",
    "stroke-linecap",
    "opacity",
    "fill-opacity",
)
# What SVG assumes where nothing is said, or the page's style sheet says for all charts.
_USUAL = {("opacity", "1"), ("fill-opacity", "1")}


def warm_up() -> None:
    """Start the engine, so that no reader waits for it."""
    marks({"mark": "point", "data": {"values": [{"x": 0}]}, "encoding": {}})


def marks(spec: Spec, titles: Sequence[str] = ()) -> list[Element]:
    """The marks and grid lines of a plot, in pixels from its upper left corner, without the groups around them.

    Args:
        spec: Vega-Lite; a mark's `description` may be an index into `titles`.
        titles: what a browser says of a mark that is pointed at.
    """
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(spec)
    # vl-convert is trusted; the parser is told to look nothing up all the same.
    root = etree.fromstring(svg.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    plot = next(each for each in root if each.tag == f"{{{SVG}}}g")
    return list(_merged([_cleaned(*found, titles) for found in _leaves(plot)]))


def _leaves(group: Element, x: float = 0.0, y: float = 0.0) -> Iterator[tuple[Element, float, float]]:
    """What is drawn, and where its origin lies within the plot."""
    for each in group:
        kind = etree.QName(each).localname
        dx, dy = _origin(each)
        if kind == "g":
            yield from _leaves(each, x + dx, y + dy)
        elif kind in ("path", "line") and each.get("class") not in ("background", "foreground"):
            yield each, x + dx, y + dy


def _origin(element: Element) -> tuple[float, float]:
    found = _TRANSLATE.search(element.get("transform", ""))
    return (float(found[1]), float(found[2] or 0)) if found else (0.0, 0.0)


def _cleaned(element: Element, x: float, y: float, titles: Sequence[str]) -> Element:
    clean = etree.Element("path")
    for name in _KEPT:
        value = element.get(name)
        if value is not None and (name, value) not in _USUAL:
            clean.set(name, _rounded(value))
    if etree.QName(element).localname == "line":
        clean.set("d", f"M{number(x)},{number(y)}L{_end(element, 'x2', x)},{_end(element, 'y2', y)}")
        clean.attrib.pop("fill", None)
    elif x or y:
        clean.set("transform", f"translate({number(x)},{number(y)})")
    for paint in _PAINTS:
        value = clean.get(paint)
        if value and value not in ("none", "transparent", "currentColor"):
            clean.set("class", value)
            clean.set(paint, "currentColor")
        elif value == "transparent":
            clean.set(paint, "none")
    label = element.get("aria-label", "")
    if label.isdecimal() and int(label) < len(titles):
        title = etree.SubElement(clean, "title")
        title.text = titles[int(label)]
    return clean


def _merged(elements: Sequence[Element]) -> Iterator[Element]:
    """Neighbours that differ in their course only as one path: a grid is one element."""
    before: Element | None = None
    for element in elements:
        if before is not None and not len(before) and not len(element) and _look(before) == _look(element):
            before.set("d", before.get("d", "") + element.get("d", ""))
            continue
        if before is not None:
            yield before
        before = element
    if before is not None:
        yield before


def _look(element: Element) -> dict[str, str]:
    return {name: value for name, value in element.attrib.items() if name != "d"}


def _end(element: Element, name: str, origin: float) -> str:
    return number(origin + float(element.get(name, 0)))


def _rounded(value: str) -> str:
    return _LONG.sub(lambda found: number(float(found[0])), value)


def number(value: float) -> str:
    """A tenth of a pixel is as fine as anybody sees."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text
