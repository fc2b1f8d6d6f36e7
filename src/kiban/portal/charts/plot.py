"""A plot to draw on: marks at values, which Vega-Lite draws, and words at pixels, which are written beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lxml import etree
from markupsafe import Markup

from kiban.portal.charts import drawing, textures
from kiban.portal.charts.drawing import number
from kiban.portal.charts.lettering import Anchor, Letters, plain, shortened, width_of
from kiban.portal.charts.scales import Scale
from kiban.portal.charts.thinning import Point

TEXT = 13.0  # the size of letters in a drawing's own pixels
BOLD = 13.8  # as wide as names, which are bold, are
LINE = 18.0  # from one line of words to the next
SEAM = 1.5  # between what lies end to end: the page's colour, from which all differ enough
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
DASHES: tuple[tuple[int, ...], ...] = ((), (7, 3), (2, 3), (9, 3, 2, 3), (5, 5), (1, 4))
# Marks that look alike are one layer: Vega takes its time by the layer.
_ALIKE = ("rect", "rule", "point")
SERIES = len(DASHES)  # as many as can be told apart


@dataclass(frozen=True)
class Size:
    """A drawing for a kind of place; style sheets show the one that fits."""

    name: Literal["wide", "narrow"]
    width: float

    @property
    def is_narrow(self) -> bool:
        return self.name == "narrow"


SIZES = (Size("wide", 720), Size("narrow", 340))


@dataclass(frozen=True)
class Entry:
    """A name in a legend. `look` is its sample: a line with dashes and shapes, with shapes only, with dashes only."""

    words: str
    tone: str
    look: Literal["line", "shaped", "plain", "box", "dot", "band"] = "line"
    index: int = 0  # of its dash, shape or texture


def tone_of(index: int) -> str:
    return f"series-{index % SERIES + 1}"


class Plot:
    """One drawing of a chart in one size. Margins are in pixels; a legend makes the upper one larger."""

    def __init__(
        self,
        size: Size,
        *,
        x: Scale,
        y: Scale,
        height: float,
        left: float,
        right: float = 12,
        bottom: float = 28,
        legend: Sequence[Entry] = (),
        heading: str = "",
    ) -> None:
        self.size, self.x, self.y, self.height = size, x, y, height
        self.left, self.right, self.bottom = left, right, bottom
        self.width = size.width - left - right
        self.layers: list[dict[str, Any]] = []
        self.letters: list[Letters] = []
        self.titles: list[str] = []
        self._legend: list[tuple[Entry, float, float]] = []
        self.heading = heading
        self.top = 10.0  # room over the plot
        if legend:
            self._lay_out(legend)
        self._heading_y = self.top + 4
        if heading:
            self.top += LINE + 8
        self.grid_x = self.grid_y = False
        self.baseline = True

    # -- where things are --------------------------------------------------------------------------------------------

    def across(self, value: float) -> float:
        """Pixels from the plot's left edge."""
        return self.x.share(value) * self.width

    def down(self, value: float) -> float:
        """Pixels from the plot's upper edge."""
        return (1 - self.y.share(value)) * self.height

    # -- axes --------------------------------------------------------------------------------------------------------

    def name_x(self, *, grid: bool = False) -> None:
        """Words under the plot, centred on their ticks and kept within the drawing."""
        self.grid_x = grid
        for tick in self.x.ticks:
            for words, y in ((tick.words, self.height + 19), (tick.below, self.height + 36)):
                half = width_of(words, TEXT) / 2
                place = max(half - self.left, min(self.across(tick.value), self.width + self.right - half))
                if words:
                    self.text(place, y, words, anchor="middle")

    def name_y(self, *, grid: bool = True) -> None:
        """Words left of the plot, on the height of their ticks."""
        self.grid_y = grid
        for tick in self.y.ticks:
            self.text(-8, self.down(tick.value) + 4.5, tick.words, anchor="end")

    # -- marks -------------------------------------------------------------------------------------------------------

    def line(
        self,
        points: Sequence[Point],
        tone: str,
        *,
        dash: Sequence[int] = (),
        width: float = 2.25,
        steps: bool = False,
    ) -> None:
        mark: dict[str, Any] = {"type": "line", "stroke": tone, "strokeWidth": width, "strokeJoin": "round"}
        if dash:
            mark["strokeDash"] = list(dash)
        if steps:
            mark["interpolate"] = "step-after"
        self._layer(mark, [{"x": x, "y": y} for x, y in points])

    def area(
        self, bands: Sequence[tuple[float, float, float]], tone: str, *, opacity: float = 0.18, steps: bool = False
    ) -> None:
        """A surface between two y at each x."""
        mark: dict[str, Any] = {"type": "area", "fill": tone, "opacity": opacity}
        if steps:
            mark["interpolate"] = "step-after"
        self._layer(mark, [{"x": x, "y": low, "y2": high} for x, low, high in bands], ends=("y2",))

    def dots(
        self,
        points: Sequence[Point],
        tone: str,
        *,
        shape: int = 0,
        area: float = 52,
        titles: Sequence[str] = (),
        opacity: float = 1,
    ) -> None:
        shape_name = SHAPES[shape % len(SHAPES)]
        mark = {"type": "point", "shape": shape_name, "filled": True, "color": tone, "size": area, "opacity": opacity}
        self._layer(mark, [{"x": x, "y": y} for x, y in points], titles)

    def rings(self, points: Sequence[Point], tone: str, *, area: float = 190) -> None:
        mark = {"type": "point", "filled": False, "color": tone, "size": area, "opacity": 1, "strokeWidth": 2}
        self._layer(mark, [{"x": x, "y": y} for x, y in points])

    def boxes(
        self,
        boxes: Sequence[tuple[float, float, float, float]],
        tone: str,
        *,
        titles: Sequence[str] = (),
        texture: int = 0,
        opacity: float = 1,
    ) -> None:
        """Rectangles x, x2, y, y2."""
        mark = {"type": "rect", "fill": textures.textured(tone, texture), "opacity": opacity}
        self._layer(mark, [{"x": x, "x2": x2, "y": y, "y2": y2} for x, x2, y, y2 in boxes], titles, ends=("x2", "y2"))

    def rule(
        self, ends: tuple[float, float, float, float], tone: str, *, dash: Sequence[int] = (), width: float = 1.5
    ) -> None:
        """A straight line x, x2, y, y2."""
        self.rules([ends], tone, dash=dash, width=width)

    def rules(
        self,
        ends: Sequence[tuple[float, float, float, float]],
        tone: str,
        *,
        dash: Sequence[int] = (),
        width: float = 1.5,
        titles: Sequence[str] = (),
    ) -> None:
        mark: dict[str, Any] = {"type": "rule", "stroke": tone, "strokeWidth": width, "opacity": 1}
        if dash:
            mark["strokeDash"] = list(dash)
        self._layer(mark, [{"x": x, "x2": x2, "y": y, "y2": y2} for x, x2, y, y2 in ends], titles, ends=("x2", "y2"))

    def text(
        self, x: float, y: float, words: str, *, kind: str = "label", anchor: Anchor = "start", tone: str = ""
    ) -> None:
        """Words at pixels from the plot's upper left corner."""
        self.letters.append(Letters(x, y, words, kind, anchor, tone))

    def _layer(
        self,
        mark: dict[str, Any],
        values: list[dict[str, Any]],
        titles: Sequence[str] = (),
        *,
        ends: Sequence[str] = (),
    ) -> None:
        if not values:
            return
        encoding: dict[str, Any] = {each: {"field": each} for each in ends}
        if titles:
            for value, title in zip(values, titles, strict=True):
                value["t"] = str(len(self.titles))
                self.titles.append(plain(title))
            encoding["description"] = {"field": "t", "type": "nominal"}
        if mark["type"] in _ALIKE:
            for layer in self.layers:
                if layer["mark"] == mark and layer["encoding"] == encoding:
                    layer["data"]["values"].extend(values)
                    return
        self.layers.append({"mark": mark, "data": {"values": values}, "encoding": encoding})

    def _lay_out(self, entries: Sequence[Entry]) -> None:
        """Places for a legend's entries, in rows over the plot."""
        x = y = 0.0
        for entry in entries:
            width = 28 + width_of(shortened(entry.words, self.size.width - 40), BOLD)
            if x and x + width > self.size.width:
                x, y = 0.0, y + LINE + 3
            self._legend.append((entry, x, y))
            x += width + 18
        self.top += y + LINE + 6

    # -- the drawing -------------------------------------------------------------------------------------------------

    def spec(self) -> drawing.Spec:
        """The Vega-Lite specification: numbers and classes, no words."""
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "width": self.width,
            "height": self.height,
            "padding": 0,
            "autosize": "none",
            "config": {"view": {"stroke": None}},
            "encoding": {
                "x": {"field": "x", "type": "quantitative", **self._axis(self.x, self.grid_x, self.baseline)},
                "y": {"field": "y", "type": "quantitative", **self._axis(self.y, self.grid_y, False)},
            },
            "layer": self.layers or [{"mark": "point", "data": {"values": []}}],
        }

    @staticmethod
    def _axis(scale: Scale, grid: bool, domain: bool) -> dict[str, Any]:
        return {
            "scale": {
                "type": "log" if scale.is_log else "linear",
                "domain": [scale.low, scale.high],
                "nice": False,
                "zero": False,
            },
            "axis": {
                "labels": False,
                "ticks": False,
                "title": None,
                "domain": domain,
                "domainColor": "axis",
                "grid": grid,
                "gridColor": "grid",
                "values": [tick.value for tick in scale.ticks],
            },
        }

    def svg(self, name: str, title: str, description: str) -> Markup:
        height = self.top + self.height + self.bottom
        name = f"{name}-{self.size.name}"
        root = frame(name, self.size.name, self.size.width, height, title, description)
        for entry, x, y in self._legend:
            root.append(sample(entry, x, y + 9.5))
            words = shortened(entry.words, self.size.width - 40)
            root.append(written(Letters(x + 28, y + 14, words, "name")))
        if self.heading:
            root.append(written(Letters(0, self._heading_y, shortened(self.heading, self.size.width), "axis-title")))
        plot = etree.SubElement(root, "g", transform=f"translate({number(self.left)},{number(self.top)})")
        plot.extend(drawing.marks(self.spec(), self.titles))
        plot.extend(written(each) for each in self.letters)
        textures.apply(root, name)
        return Markup(etree.tostring(root, encoding="unicode"))


def sample(entry: Entry, x: float, y: float) -> Any:
    """A legend's picture of a series, 22 pixels wide, around the height `y`."""
    if entry.look in ("box", "band"):
        element = etree.Element("path", d=f"M{number(x + 3)},{number(y - 6)}h16v12h-16Z", fill="currentColor")
        element.set("class", textures.textured(entry.tone, entry.index) if entry.look == "box" else entry.tone)
        if entry.look == "band":
            element.set("opacity", "0.3")
        return element
    group = etree.Element("g", transform=f"translate({number(x)},{number(y)})")
    group.set("class", entry.tone)
    if entry.look != "dot":
        line = etree.SubElement(group, "path", d="M0,0h22", stroke="currentColor")
        line.set("stroke-width", "2.25")
        if entry.look != "shaped" and (dash := DASHES[entry.index % len(DASHES)]):
            line.set("stroke-dasharray", ",".join(map(str, dash)))
    if entry.look != "plain":
        etree.SubElement(group, "path", d=shape_path(entry.index), fill="currentColor", transform="translate(11,0)")
    return group


def shape_path(index: int) -> str:
    return (
        "M4.5,0A4.5,4.5 0 1 1 -4.5,0A4.5,4.5 0 1 1 4.5,0",
        "M-4,-4H4V4H-4Z",
        "M0,-5L5,4H-5Z",
        "M0,-5.5L4.5,0L0,5.5L-4.5,0Z",
        "M0,5L5,-4H-5Z",
        "M-1.6,-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z",
    )[index % len(SHAPES)]


def written(letters: Letters) -> Any:
    element = etree.Element("text", x=number(letters.x), y=number(letters.y), fill="currentColor")
    element.set("class", " ".join(filter(None, (f"chart-{letters.kind}", letters.tone))))
    if letters.anchor != "start":
        element.set("text-anchor", letters.anchor)
    element.text = plain(letters.words)
    return element


def frame(name: str, size: str, width: float, height: float, title: str, description: str, *, role: str = "img") -> Any:
    """The `svg` element with its name and description; as wide as its place."""
    root = etree.Element("svg", nsmap={None: drawing.SVG}, attrib={"class": f"chart-drawing chart-{size}"})
    root.set("viewBox", f"0 0 {number(width)} {number(height)}")
    root.set("role", role)
    root.set("aria-labelledby", f"{name}-title")
    root.set("aria-describedby", f"{name}-desc")
    root.set("font-size", number(TEXT))
    root.set("fill", "none")
    for kind, words in (("title", title), ("desc", description)):
        etree.SubElement(root, kind, id=f"{name}-{kind}").text = plain(words)
    return root


def in_both_sizes(name: str, title: str, description: str, plotted: Callable[[Size], Plot]) -> Markup:
    return Markup("").join(plotted(size).svg(name, title, description) for size in SIZES)
