"""Where a model comes from: artifacts as boxes that are links, with arrows from what each was made of.

Layers are those of the longest way from a source; crossings are few by the barycentre method (Sugiyama, Tagawa and
Toda, 1981). Arrows over several layers pass through places kept free for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree
from markupsafe import Markup

from kiban.portal.charts.chart import Branch, Chart, checked_name
from kiban.portal.charts.drawing import number
from kiban.portal.charts.kept import kept
from kiban.portal.charts.lettering import Letters, plain, shortened, width_of
from kiban.portal.charts.plot import SIZES, Size, frame, written
from kiban.portal.i18n import Language, _, in_language

BOX, GAP, ROW, FREE = 58.0, 20.0, 44.0, 14.0  # a box's height, between boxes, between rows, a passing arrow's width


@dataclass(frozen=True)
class Artifact:
    """
    key: what edges call it.
    stage: what kind of thing it is, in the page's language.
    note: one figure that says most about it.
    inputs: keys of what it was made from; those of none here are left out.
    """

    key: str
    stage: str
    title: str
    href: str | None = None
    note: str = ""
    inputs: tuple[str, ...] = ()
    is_present: bool = False  # the one whose page this is


@kept
def lineage(name: str, title: str, artifacts: Sequence[Artifact], language: Language, *, source: str = "") -> Chart:
    """Boxes from the sources above to what was made last below.

    Raises:
        ValueError: an artifact that is made from itself, two with one key, or a name that cannot be an id.
    """
    checked_name(name)
    known = {each.key: each for each in artifacts}
    if len(known) != len(artifacts):
        raise ValueError("two artifacts with one key")
    if not artifacts:
        return Chart(name, title, in_language(_("Nothing is recorded yet."), language), Markup(""), None)
    inputs = {each.key: [key for key in dict.fromkeys(each.inputs) if key in known] for each in artifacts}
    depth = _depths(inputs)
    description = _described(artifacts, inputs, language)
    svg = Markup("").join(_drawn(size, name, title, description, known, inputs, depth) for size in SIZES)
    return Chart(name, title, description, svg, None, source, outline=_outline(known, inputs, language))


def _depths(inputs: dict[str, list[str]]) -> dict[str, int]:
    """Raises: ValueError: a circle."""
    depth: dict[str, int] = {}
    waiting = dict(inputs)
    while waiting:
        ready = [key for key, needs in waiting.items() if all(need in depth for need in needs)]
        if not ready:
            raise ValueError(f"made from itself: {', '.join(sorted(waiting))}")
        for key in ready:
            depth[key] = 1 + max((depth[need] for need in waiting.pop(key)), default=-1)
    return depth


def _described(artifacts: Sequence[Artifact], inputs: dict[str, list[str]], language: Language) -> str:
    used = {need for needs in inputs.values() for need in needs}
    sources = [each for each in artifacts if not inputs[each.key]]
    last = [each for each in artifacts if each.key not in used]

    def listed(found: Sequence[Artifact]) -> str:
        names = [f"{each.stage} {each.title}" for each in found[:4]]
        if len(found) > 4:
            names.append(in_language(_("%(number)s more", number=len(found) - 4), language))
        return ("、" if language == "ja" else ", ").join(names)

    return in_language(
        _(
            "%(number)s artifacts. It begins with %(sources)s; what was made last is %(last)s.",
            number=len(artifacts),
            sources=listed(sources),
            last=listed(last),
        ),
        language,
    )


def _outline(known: dict[str, Artifact], inputs: dict[str, list[str]], language: Language) -> tuple[Branch, ...]:
    """From what was made last to what it was made of; what stands there already is not opened again."""
    used = {need for needs in inputs.values() for need in needs}
    opened: set[str] = set()
    above = in_language(_("(listed above)"), language)

    def branch(key: str) -> Branch:
        artifact, again = known[key], key in opened and inputs[key]
        opened.add(key)
        note = " ".join(filter(None, (artifact.note, above if again else "")))
        children = () if again else tuple(branch(need) for need in inputs[key])
        return Branch(f"{artifact.stage}: {artifact.title}", artifact.href, note, children)

    return tuple(branch(key) for key in known if key not in used)


# -- the drawing -----------------------------------------------------------------------------------------------------


@dataclass
class _Place:
    """A box, or where an arrow passes a row: then without an artifact."""

    artifact: Artifact | None
    row: int
    x: float = 0.0  # of its middle
    before: list[_Place] = field(default_factory=list)
    after: list[_Place] = field(default_factory=list)


def _drawn(
    size: Size,
    name: str,
    title: str,
    description: str,
    known: dict[str, Artifact],
    inputs: dict[str, list[str]],
    depth: dict[str, int],
) -> Markup:
    rows = _rows(known, inputs, _rows_of(depth, 2 if size.is_narrow else 3))
    _order(rows)
    widths = _place(rows, size.width)
    height = len(rows) * (BOX + ROW) - ROW + 4
    root = frame(f"{name}-{size.name}", size.name, size.width, height, title, description, role="group")
    for row in rows:
        for place in row:
            for following in place.after:
                root.append(_arrow(place, following))
    for row, width in zip(rows, widths, strict=True):
        for place in row:
            if place.artifact:
                root.append(_box(place.artifact, place.x, _top(place), width))
    return Markup(etree.tostring(root, encoding="unicode"))


def _rows_of(depth: dict[str, int], most: int) -> dict[str, int]:
    """Rows of at most `most` boxes; what is deeper lies lower."""
    layers: dict[int, list[str]] = defaultdict(list)
    for key, layer in depth.items():
        layers[layer].append(key)
    found, row = {}, 0
    for layer in sorted(layers):
        keys = layers[layer]
        count = -(-len(keys) // most)
        for index, key in enumerate(keys):
            found[key] = row + index * count // len(keys)
        row += count
    return found


def _rows(known: dict[str, Artifact], inputs: dict[str, list[str]], row_of: dict[str, int]) -> list[list[_Place]]:
    rows: list[list[_Place]] = [[] for _row in range(max(row_of.values()) + 1)]
    places = {}
    for key, row in row_of.items():
        places[key] = _Place(known[key], row)
        rows[row].append(places[key])
    for key, needs in inputs.items():
        passing: dict[int, _Place] = {}  # arrows that lead to one box run together as soon as they can
        for need in needs:
            before = places[need]
            for row in range(row_of[need] + 1, row_of[key]):
                if row not in passing:
                    passing[row] = _Place(None, row)
                    rows[row].append(passing[row])
                _join(before, passing[row])
                before = passing[row]
            _join(before, places[key])
    return rows


def _join(before: _Place, after: _Place) -> None:
    if after not in before.after:
        before.after.append(after)
        after.before.append(before)


def _order(rows: list[list[_Place]]) -> None:
    for sweep in range(8):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            ranks = {id(place): index / max(1, len(each) - 1) for each in rows for index, place in enumerate(each)}

            def middle(place: _Place, ranks: dict[int, float] = ranks, downwards: bool = downwards) -> float:
                beside = place.before if downwards else place.after
                if not beside:
                    return ranks[id(place)]
                return sum(ranks[id(each)] for each in beside) / len(beside)

            row.sort(key=middle)


def _place(rows: list[list[_Place]], width: float) -> list[float]:
    """Set where each box's middle is; returns the width of the boxes of each row."""
    widths = []
    for row in rows:
        boxes = sum(place.artifact is not None for place in row)
        lanes = len(row) - boxes
        gap = min(GAP, width * 0.4 / len(row))
        lane = min(FREE, width * 0.2 / max(1, lanes))
        room = width - 2 - gap * (len(row) - 1) - lane * lanes
        box = min(230.0, room / max(1, boxes))
        taken = box * boxes + gap * (len(row) - 1) + lane * lanes
        x = (width - taken) / 2
        for place in row:
            own = box if place.artifact else lane
            place.x = x + own / 2
            x += own + gap
        widths.append(box)
    return widths


def _top(place: _Place) -> float:
    return 2 + place.row * (BOX + ROW)


def _arrow(before: _Place, after: _Place) -> Any:
    start, end = _top(before) + BOX, _top(after)
    half = (end - start) / 2
    course = (
        f"M{number(before.x)},{number(start)}C{number(before.x)},{number(start + half)} "
        f"{number(after.x)},{number(end - half)} {number(after.x)},{number(end)}"
    )
    if after.artifact is None:
        course += f"v{number(BOX)}"
    else:
        course += "m-4.5,-7l4.5,7l4.5,-7"
    arrow = etree.Element("path", d=course, stroke="currentColor")
    arrow.set("class", "quiet")
    arrow.set("stroke-width", "1.5")
    return arrow


def _box(artifact: Artifact, x: float, y: float, width: float) -> Any:
    group = etree.Element("a", href=artifact.href) if artifact.href else etree.Element("g")
    group.set("class", "chart-node chart-node-present" if artifact.is_present else "chart-node")
    if artifact.is_present and artifact.href:
        group.set("aria-current", "page")
    left, room = x - width / 2 + 12, width - 24
    stage, title = shortened(artifact.stage, room, 12), shortened(artifact.title, room, 15)
    has_note = artifact.note and width_of(artifact.note, 12) <= room - width_of(stage, 12) - 12
    if "…" in stage + title or not has_note:  # what there is no room for, a browser says when it is pointed at
        words = " ".join(filter(None, (artifact.stage, artifact.title, artifact.note)))
        etree.SubElement(group, "title").text = plain(words)
    box = etree.SubElement(group, "rect", x=number(x - width / 2), y=number(y), width=number(width), height=number(BOX))
    box.set("rx", "6")
    box.set("stroke", "currentColor")
    lines = [Letters(left, y + 22, stage, "label"), Letters(left, y + 43, title, "node-title")]
    if has_note:
        lines.append(Letters(x + width / 2 - 12, y + 22, artifact.note, "label", "end"))
    for each in lines:
        group.append(written(each))
        group[-1].tail = " "  # they are one name, of several words
    return group
