"""A lineage drawn: inputs above what they went into, each artifact a box, in SVG that prints as it looks.

Layers by longest path, dummies where an edge passes a layer, order by barycentres (Sugiyama, Tagawa & Toda, 1981).
Positions are least squares under the order, solved exactly with pooled adjacent violators (Ayer et al., 1955).
Colours are CSS variables with light defaults, so a page that holds the drawing can give it its own.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from kiban.kit.figures import Language, headline, stage_word
from kiban.kit.lineage import Lineage, LineageNode
from kiban.kit.text import visible_line, visible_text

BOX_WIDTH = 248.0
LINE_HEIGHT = 17.0
BOX_PADDING = 14.0
DUMMY_WIDTH = 10.0
BETWEEN_BOXES = 26.0
BETWEEN_LAYERS = 44.0
MARGIN = 16.0
MOST_LINES = 12  # of external inputs in one box; the manifests and the card's evidence name all of them

WORDS: Mapping[str, Mapping[Language, str]] = {
    "missing": {"ja": "保管庫にありません", "en": "no longer in the store"},
    "more": {"ja": "ほか {count} 件", "en": "and {count} more"},
    "title": {"ja": "{name} の系譜", "en": "What {name} was made from"},
    "from": {"ja": "{name} は {inputs} から作られました。", "en": "{name} was made from {inputs}."},
}

STYLE = """
text{font-family:system-ui,-apple-system,"Hiragino Sans","Noto Sans JP","Noto Sans CJK JP","Yu Gothic",Meiryo,
sans-serif;font-size:12.5px;fill:var(--ink,#1d2329)}
.stage{font-weight:600;font-size:13.5px}.quiet{fill:var(--quiet,#5c6670)}
.digest{font-family:ui-monospace,"SF Mono",Consolas,"DejaVu Sans Mono",monospace;font-size:11.5px;
fill:var(--quiet,#5c6670)}
.box{fill:var(--paper,#fff);stroke:var(--line,#b9c1c9);stroke-width:1.2}
.root{stroke:var(--accent,#1f5f8b);stroke-width:2}.external{fill:var(--tint,#f2f5f7)}
.missing{stroke:var(--warn,#a8480f);stroke-dasharray:5 4}
.edge{fill:none;stroke:var(--accent,#1f5f8b);stroke-width:1.5}.implied{stroke:var(--quiet,#5c6670);stroke-width:1;opacity:.45}
.tip{fill:var(--accent,#1f5f8b)}.implied-tip{fill:var(--quiet,#5c6670)}
""".replace("\n", "")


@dataclass
class _Item:
    """A box, or (source set) the place where edges from `source` pass a layer."""

    key: str
    layer: int
    width: float
    height: float
    nodes: list[LineageNode] = field(default_factory=list)
    source: str | None = None
    x: float = 0.0
    top: float = 0.0


def to_svg(lineage: Lineage, language: Language = "en", *, embedded: bool = False) -> str:
    """Draw `lineage`; `embedded` leaves out the XML declaration and background, for use inside HTML."""
    drawing = _Drawing(lineage)
    drawing.place()
    left = min(item.x - item.width / 2 for item in drawing.items.values()) - MARGIN
    right = max(item.x + item.width / 2 for item in drawing.items.values()) + MARGIN
    width = right - left
    height = max(item.top + item.height for item in drawing.items.values()) + MARGIN
    prefix = f"lineage-{language}-{lineage.root[:8]}"
    name = lineage.nodes[lineage.root].name
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left:.1f} 0 {width:.1f} {height:.1f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" lang="{language}" class="lineage" '
        f'aria-labelledby="{prefix}-title {prefix}-desc">',
        f'<title id="{prefix}-title">{_escape(WORDS["title"][language].format(name=name))}</title>',
        f'<desc id="{prefix}-desc">{_escape(_describe(lineage, language))}</desc>',
        f"<style>{_scoped(STYLE)}</style>",
        *[
            f'<marker id="{prefix}-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path class="{kind}" d="M0 0.5 7.5 4 0 7.5z"/></marker>'
            for kind in ("tip", "implied-tip")
        ],
    ]
    if not embedded:
        parts.insert(0, '<?xml version="1.0" encoding="UTF-8"?>')
        parts.append(f'<rect x="{left:.1f}" width="{width:.1f}" height="{height:.1f}" fill="#fff"/>')
    parts += drawing.edge_paths(prefix)
    parts += [_box(item, lineage.root, language) for item in drawing.items.values() if item.source is None]
    parts.append("</svg>")
    return "\n".join(parts) + ("" if embedded else "\n")


def _scoped(style: str) -> str:
    """Every selector inside `.lineage`, so that the drawing's style stays its own when it stands in a page."""
    rules = []
    for rule in style.split("}")[:-1]:
        selectors, _, body = rule.partition("{")
        rules.append(",".join(f".lineage {selector.strip()}" for selector in selectors.split(",")) + "{" + body + "}")
    return "".join(rules)


class _Drawing:
    def __init__(self, lineage: Lineage) -> None:
        self.items: dict[str, _Item] = {}
        self.edges: list[tuple[str, str]] = []  # between boxes
        self.segments: list[tuple[str, str]] = []  # between neighbouring layers
        self._boxes(lineage)
        self._layers()
        self._dummies()
        self.rows: list[list[_Item]] = [[] for _ in range(max(item.layer for item in self.items.values()) + 1)]
        for item in self.items.values():
            self.rows[item.layer].append(item)

    # -- the graph ----------------------------------------------------------------------------------------------

    def _boxes(self, lineage: Lineage) -> None:
        """One box per artifact; the external inputs of one artifact that play one role share a box."""
        for key, node in lineage.nodes.items():
            if node.state != "external":
                lines = 3 if node.state == "missing" or (node.manifest and headline(node.manifest)) else 2
                self.items[key] = _Item(key, 0, BOX_WIDTH, _height(lines), [node])
        for edge in lineage.edges:
            node = lineage.nodes[edge.source]
            if node.state != "external":
                self.edges.append((edge.source, edge.target))
                continue
            group = f"{node.stage} of {edge.target}"
            if group not in self.items:
                self.items[group] = _Item(group, 0, BOX_WIDTH, 0)
                self.edges.append((group, edge.target))
            self.items[group].nodes.append(node)
            self.items[group].height = _height(1 + min(len(self.items[group].nodes), MOST_LINES + 1))

    def _layers(self) -> None:
        below: dict[str, list[str]] = {key: [] for key in self.items}
        above: dict[str, list[str]] = {key: [] for key in self.items}
        for source, target in self.edges:
            below[source].append(target)
            above[target].append(source)
        done: set[str] = set()
        while len(done) < len(self.items):
            for key in self.items:
                if key not in done and done.issuperset(above[key]):
                    self.items[key].layer = max((self.items[each].layer + 1 for each in above[key]), default=0)
                    done.add(key)
        for key, item in self.items.items():
            if not above[key] and below[key]:  # an input stands next to what it goes into, not at the far top
                item.layer = min(self.items[each].layer for each in below[key]) - 1

    def _dummies(self) -> None:
        for source, target in self.edges:
            previous = source
            for layer in range(self.items[source].layer + 1, self.items[target].layer):
                key = f"{source} at {layer}"
                self.items.setdefault(key, _Item(key, layer, DUMMY_WIDTH, 0, source=source))
                self._segment(previous, key)
                previous = key
            self._segment(previous, target)

    def _segment(self, upper: str, lower: str) -> None:
        if (upper, lower) not in self.segments:
            self.segments.append((upper, lower))

    # -- places -------------------------------------------------------------------------------------------------

    def place(self) -> None:
        self._order()
        top = MARGIN
        for row in self.rows:
            height = max(item.height for item in row)
            for item in row:
                item.top = top + (height - item.height) / 2
                if item.source is not None:
                    item.top, item.height = top, height
            top += height + BETWEEN_LAYERS
        for row in self.rows:
            self._settle(row, {})
        for sweep in range(40):
            for row in self.rows if sweep % 2 else self.rows[::-1]:
                self._settle(row, self._pulls(row))

    def _order(self) -> None:
        best = [list(row) for row in self.rows]
        fewest = self._crossings()
        for sweep in range(12):
            down = sweep % 2 == 0
            for row in self.rows if down else self.rows[::-1]:
                wanted = {item.key: self._barycentre(item, down) for item in row}
                row.sort(key=lambda item: wanted[item.key])
            if (crossings := self._crossings()) < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _rank(self) -> dict[str, float]:
        return {item.key: (index + 0.5) / len(row) for row in self.rows for index, item in enumerate(row)}

    def _barycentre(self, item: _Item, from_above: bool) -> float:
        rank = self._rank()
        neighbours = [
            rank[upper if from_above else lower]
            for upper, lower in self.segments
            if (lower if from_above else upper) == item.key
        ]
        return sum(neighbours) / len(neighbours) if neighbours else rank[item.key]

    def _crossings(self) -> int:
        rank = self._rank()
        pairs = [(self.items[upper].layer, rank[upper], rank[lower]) for upper, lower in self.segments]
        return sum(
            (first[1] - second[1]) * (first[2] - second[2]) < 0
            for index, first in enumerate(pairs)
            for second in pairs[:index]
            if first[0] == second[0]
        )

    def _pulls(self, row: list[_Item]) -> dict[str, tuple[float, float]]:
        """Where its neighbours would have each item (weighted mean), and how strongly."""
        pulls = {}
        for item in row:
            total = weight = 0.0
            for upper, lower in self.segments:
                if item.key not in (upper, lower):
                    continue
                other = self.items[lower if item.key == upper else upper]
                # Artifacts in line read best: a passage bends, and an outside input stands aside, before one moves.
                soft = sum(each.source is not None or each.nodes[0].state == "external" for each in (item, other))
                passage = item.source is not None and other.source is not None
                strength = 2.0 if passage else {0: 20.0, 1: 0.02, 2: 0.02}[soft]
                total, weight = total + strength * other.x, weight + strength
            if weight:
                pulls[item.key] = (total / weight, weight)
        return pulls

    def _settle(self, row: list[_Item], pulls: Mapping[str, tuple[float, float]]) -> None:
        """Put a row's items as near to where they are pulled as their order and widths allow."""
        offsets = [0.0]
        for left, right in itertools.pairwise(row):
            offsets.append(offsets[-1] + (left.width + right.width) / 2 + BETWEEN_BOXES)
        blocks: list[list[float]] = []  # [weighted mean, weight, number of items]
        for item, offset in zip(row, offsets, strict=True):
            wanted, weight = pulls.get(item.key, (item.x, 0.1))
            blocks.append([wanted - offset, weight, 1])
            while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
                (mean, first, count), (other, second, more) = blocks[-2], blocks[-1]
                blocks[-2:] = [[(mean * first + other * second) / (first + second), first + second, count + more]]
        places = [block[0] for block in blocks for _ in range(int(block[2]))]
        for item, place, offset in zip(row, places, offsets, strict=True):
            item.x = place + offset

    # -- edges --------------------------------------------------------------------------------------------------

    def edge_paths(self, prefix: str) -> list[str]:
        """Edges that another path of edges implies are drawn quieter, and first, under the others."""
        quiet: list[str] = []
        strong: list[str] = []
        for upper, lower in self.segments:
            start, end = self.items[upper], self.items[lower]
            source = start.source or start.key
            arrives = end.source is None
            implied = start.source is not None or end.source is not None or self._implied(source, lower)
            x1, y1 = start.x, start.top + start.height
            x2, y2 = (end.x + self._port(upper, lower) if arrives else end.x), end.top - (2 if arrives else 0)
            bend = (y2 - y1) * 0.55
            path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
            if not arrives:
                path += f"V{end.top + end.height:.1f}"
            kind = "implied-tip" if implied else "tip"
            marker = f' marker-end="url(#{prefix}-{kind})"' if arrives else ""
            (quiet if implied else strong).append(
                f'<path class="edge{" implied" if implied else ""}" d="{path}"{marker}/>'
            )
        return quiet + strong

    def _port(self, upper: str, lower: str) -> float:
        """Where on the top of a box an edge arrives: in the order the edges come from, around its middle."""
        comers = sorted((each for each, into in self.segments if into == lower), key=lambda key: self.items[key].x)
        target = self.items[lower]
        middle = min(
            range(len(comers)),
            key=lambda index: (
                self.items[comers[index]].source is not None,
                abs(self.items[comers[index]].x - target.x),
            ),
        )
        furthest = max(middle, len(comers) - 1 - middle, 1)
        return (comers.index(upper) - middle) * min(34.0, BOX_WIDTH * 0.42 / furthest)

    def _implied(self, source: str, target: str) -> bool:
        waiting = [lower for upper, lower in self.edges if upper == source and lower != target]
        seen: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key == target:
                return True
            if key not in seen:
                seen.add(key)
                waiting += [lower for upper, lower in self.edges if upper == key]
        return False


def _height(lines: int) -> float:
    return lines * LINE_HEIGHT + 2 * BOX_PADDING - 6


def _box(item: _Item, root: str, language: Language) -> str:
    first = item.nodes[0]
    classes = " ".join(["box", first.state, *(["root"] if first.key == root else [])])
    x, width = item.x - item.width / 2, item.width
    rows = _external_rows(item.nodes, language) if first.state == "external" else _artifact_rows(first, language)
    full = "\n".join(f"{node.name} {node.digest}" for node in item.nodes)
    parts = [
        f'<g><title>{_escape(full)}</title><rect class="{classes}" x="{x:.1f}" y="{item.top:.1f}" width="{width:.1f}" '
        f'height="{item.height:.1f}" rx="7"/>'
    ]
    for index, (left, left_class, right, right_class) in enumerate(rows):
        y = item.top + BOX_PADDING + 9 + index * LINE_HEIGHT
        room = width - 2 * BOX_PADDING - (_text_width(right) + 10 if right else 0)
        text = _escape(_fit(visible_line(left), room))
        parts.append(f'<text class="{left_class}" x="{x + BOX_PADDING:.1f}" y="{y:.1f}">{text}</text>')
        if right:
            parts.append(
                f'<text class="{right_class}" x="{x + width - BOX_PADDING:.1f}" y="{y:.1f}" text-anchor="end">'
                f"{_escape(right)}</text>"
            )
    return "".join(parts) + "</g>"


Row = tuple[str, str, str, str]  # left text and class, right text and class


def _artifact_rows(node: LineageNode, language: Language) -> list[Row]:
    rows: list[Row] = [(stage_word(node.stage, language), "stage", node.digest[:12], "digest")]
    if node.state == "missing":
        return [*rows, (WORDS["missing"][language], "", "", ""), ("—", "quiet", "", "")]
    rows.append((node.name, "quiet", "", ""))
    if node.manifest and (figure := headline(node.manifest, language)):
        rows.append((figure, "", "", ""))
    return rows


def _external_rows(nodes: list[LineageNode], language: Language) -> list[Row]:
    word = stage_word(nodes[0].stage, language)
    rows: list[Row] = [(word, "stage", f"{len(nodes)}" if len(nodes) > 1 else "", "quiet")]
    for node in nodes[:MOST_LINES]:
        rows.append((node.name, "quiet", node.digest[:12], "digest"))
    if len(nodes) > MOST_LINES:
        rows.append((WORDS["more"][language].format(count=len(nodes) - MOST_LINES), "quiet", "", ""))
    return rows


def _escape(text: str) -> str:
    return escape(visible_text(text))


def _text_width(text: str) -> float:
    """Pixels at 12.5 px, roughly: full-width characters are one em, others a little over half."""
    return sum(12.5 if unicodedata.east_asian_width(char) in "WFA" else 6.9 for char in text)


def _fit(text: str, room: float) -> str:
    if _text_width(text) <= room:
        return text
    while text and _text_width(text) + 6.9 > room:
        text = text[:-1]
    return text + "…"


def _describe(lineage: Lineage, language: Language) -> str:
    """The graph in sentences, for people who hear the page."""
    sentences = []
    for key, node in lineage.nodes.items():
        if inputs := lineage.inputs(key):
            names = [lineage.nodes[edge.source].name for edge in inputs]
            between = "、" if language == "ja" else ", "
            sentences.append(WORDS["from"][language].format(name=node.name, inputs=between.join(names)))
    return " ".join(sentences)
