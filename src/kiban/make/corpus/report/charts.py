"""Pictures of the page as SVG in the page's colours; each with a twin for narrow screens and its figures in a table."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from kiban.make.corpus.report.words import Writer, share

NODE_WIDTH = 9.0
SLOT = 25.0  # height of a label with the room around it
GAP = 5.0
TEXT_PIXELS = 13.0


@dataclass(frozen=True)
class End:
    """Where documents come from, or what becomes of them.

    Attributes:
        kind: "source", or the fate that colours it: "train", "heldout", "rephrase" or "dropped".
    """

    label: str
    kind: str
    documents: int


@dataclass(frozen=True)
class Flow:
    """Documents from sources to fates: `documents[i][j]` of `sources[i]` came to `fates[j]`."""

    sources: tuple[End, ...]
    fates: tuple[End, ...]
    documents: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Frame:
    """Measures of a picture in pixels: of the whole, and of the room for labels outside of the nodes."""

    name: str
    width: float
    left: float
    right: float

    def around(self, drawn: Flow) -> _Frame:
        """With no more room at the sides than the labels take."""
        total = sum(end.documents for end in drawn.sources)
        left, right = (
            max((text_width(end.label) + 8 + text_width(_figure(end, total, outside)) + 14 for end in ends), default=0)
            for ends, outside in ((drawn.sources, False), (drawn.fates, True))
        )
        return replace(self, left=min(left, self.left), right=min(right, self.right))


WIDE = _Frame("wide", 900, 250, 330)
NARROW = _Frame("narrow", 360, 0, 0)


def flow(w: Writer, drawn: Flow) -> Markup:
    """A Sankey diagram: ribbons as thick as their documents are many."""
    return Markup("\n").join(_flow(w, drawn, frame) for frame in (WIDE.around(drawn), NARROW))


def _flow(w: Writer, drawn: Flow, frame: _Frame) -> Markup:
    height = 180 + (SLOT + GAP) * max(len(drawn.sources), len(drawn.fates))
    scale = _scale(drawn, height)
    lefts, rights = _places(drawn.sources, scale, height), _places(drawn.fates, scale, height)
    x1, x2 = frame.left + NODE_WIDTH, frame.width - frame.right - NODE_WIDTH
    name = f"flow-{frame.name}-{w.language}"
    parts = [_head(frame, height, name, w.t("flow.alt"), "flow")]
    leaving, arriving = list(lefts), list(rights)
    for i, row in enumerate(drawn.documents):
        for j, documents in enumerate(row):
            if documents:
                thick = documents * scale
                title = f"{drawn.sources[i].label} → {drawn.fates[j].label}: {documents:,}"
                parts.append(_ribbon(drawn.fates[j].kind, title, x1, leaving[i], x2, arriving[j], thick))
                leaving[i] += thick
                arriving[j] += thick
    total = sum(end.documents for end in drawn.sources)
    for ends, tops, x, is_left in ((drawn.sources, lefts, x1 - NODE_WIDTH, True), (drawn.fates, rights, x2, False)):
        for end, top in zip(ends, tops, strict=True):
            tall = max(end.documents * scale, 1.5)
            parts.append(
                Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
                    end.kind, x, top, NODE_WIDTH, tall
                )
            )
            parts.append(_label(frame, end, total, x, top + tall / 2, is_left))
    return Markup("").join((*parts, Markup("</svg>")))


def _head(frame: _Frame, height: float, name: str, title: Markup, kind: str) -> Markup:
    return Markup(
        '<svg class="{} {}" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-labelledby="{}"><title id="{}">{}</title>'
    ).format(kind, frame.name, frame.width, height, name, name, title)


def _scale(drawn: Flow, height: float) -> float:
    """Pixels per document, so that both columns fit, each node with room for its label."""
    low, high = 0.0, height / max(1, sum(end.documents for end in drawn.sources))
    for _ in range(40):
        middle = (low + high) / 2
        fits = all(_column(ends, middle) <= height for ends in (drawn.sources, drawn.fates))
        low, high = (middle, high) if fits else (low, middle)
    return low


def _column(ends: Sequence[End], scale: float) -> float:
    return sum(max(end.documents * scale, SLOT) + GAP for end in ends) - GAP


def _places(ends: Sequence[End], scale: float, height: float) -> list[float]:
    """The top of each node, in the middle of the room it has."""
    tops, top = [], (height - _column(ends, scale)) / 2
    for end in ends:
        room = max(end.documents * scale, SLOT)
        tops.append(top + (room - end.documents * scale) / 2)
        top += room + GAP
    return tops


def _ribbon(kind: str, title: str, x1: float, y1: float, x2: float, y2: float, thick: float) -> Markup:
    middle = (x1 + x2) / 2
    path = (
        f"M{x1:.1f} {y1:.2f}C{middle:.1f} {y1:.2f} {middle:.1f} {y2:.2f} {x2:.1f} {y2:.2f}v{thick:.2f}"
        f"C{middle:.1f} {y2 + thick:.2f} {middle:.1f} {y1 + thick:.2f} {x1:.1f} {y1 + thick:.2f}z"
    )
    return Markup('<path class="ribbon {}" d="{}"><title>{}</title></path>').format(kind, path, title)


def _figure(end: End, total: int, with_share: bool) -> str:
    return f"{end.documents:,} ({share(end.documents, total)})" if with_share else f"{end.documents:,}"


def _label(frame: _Frame, end: End, total: int, x: float, y: float, is_left: bool) -> Markup:
    outside = frame.name == "wide"
    figure = _figure(end, total, outside and not is_left)
    room = (frame.left if is_left else frame.right) - 14 if outside else frame.width / 2 - 22
    name = fit(end.label, room - text_width(figure) - 8)
    at = x - 8 if is_left and outside else x + NODE_WIDTH + 8 if is_left or outside else x - 8
    anchor = "end" if is_left == outside else "start"
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}<tspan class="quiet" dx="6">{}</tspan></text>'
    ).format(at, y + 4.5, anchor, name, figure)


# -- lengths --------------------------------------------------------------------------------------------------------


def lengths(w: Writer, read: Sequence[int], kept: Sequence[int]) -> Markup:
    """Documents by length in characters, on a scale of powers of two; the kept ones before all that were read."""
    drawn = [_lengths(w, read, kept, frame) for frame in (WIDE, NARROW)]
    return Markup("\n").join(drawn)


def spread_of(read: Sequence[int], kept: Sequence[int]) -> range:
    """The buckets that hold anything, and those between them."""
    filled = [bucket for bucket, counts in enumerate(zip(read, kept, strict=True)) if any(counts)]
    return range(filled[0], filled[-1] + 1) if filled else range(0)


def _lengths(w: Writer, read: Sequence[int], kept: Sequence[int], frame: _Frame) -> Markup:
    buckets = spread_of(read, kept)
    top, height, foot = 24.0, 210.0, 26.0
    most = max((max(read[bucket], kept[bucket]) for bucket in buckets), default=1) or 1
    step = min(frame.width / max(1, len(buckets)), 90.0)
    left = (frame.width - step * len(buckets)) / 2
    name = f"lengths-{frame.name}-{w.language}"
    parts = [_head(frame, height + foot, name, w.t("lengths.alt"), "lengths")]
    every = math.ceil(len(buckets) * (54 if frame is WIDE else 46) / frame.width)
    for place, bucket in enumerate(buckets):
        x = left + place * step
        title = w.t("lengths.title", **{"from": 2**bucket, "to": 2 ** (bucket + 1) - 1}) + (
            f": {w.t('read').striptags()} {read[bucket]:,}, {w.t('kept').striptags()} {kept[bucket]:,}"
        )
        parts.append(Markup("<g><title>{}</title>").format(title))
        for kind, count, inset in (("read", read[bucket], 0.06), ("kept", kept[bucket], 0.2)):
            tall = (height - top) * count / most
            if count:
                tall = max(tall, 1.0)
            parts.append(
                Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                    kind, x + inset * step, height - tall, (1 - 2 * inset) * step, tall
                )
            )
        parts.append(Markup("</g>"))
        if place % every == 0:
            parts.append(
                Markup('<text class="quiet" x="{:.1f}" y="{:.1f}" text-anchor="start">{}</text>').format(
                    x + 0.06 * step, height + 18, w.short(2**bucket).striptags()
                )
            )
    parts.append(Markup('<path class="axis" d="M0 {0:.1f}H{1:.1f}"/>').format(height, frame.width))
    parts.append(
        Markup('<path class="grid" d="M0 {0:.1f}H{1:.1f}"/><text class="quiet" x="0" y="{2:.1f}">{3}</text>').format(
            top, frame.width, top - 6, w.t("lengths.most", documents=most)
        )
    )
    return Markup("").join((*parts, Markup("</svg>")))


# -- text in pictures -------------------------------------------------------------------------------------------------


def text_width(text: str) -> float:
    """Pixels, roughly: full-width characters are one em, others a little over half."""
    return sum(TEXT_PIXELS if unicodedata.east_asian_width(char) in "WFA" else 7.2 for char in text)


def fit(text: str, room: float) -> Markup:
    if text_width(text) > room:
        while text and text_width(text) + TEXT_PIXELS > room:
            text = text[:-1]
        text += "…"
    return escape(text)
