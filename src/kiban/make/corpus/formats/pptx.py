"""Presentations (.pptx): slides in order, their shapes, tables and diagrams, and the speaker's notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kiban.make.corpus.formats.events import Event, Notes, Options, Record, joined
from kiban.make.corpus.formats.package import opening
from kiban.make.corpus.sources import SourceFile

DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
# Placeholders that say the same on every slide.
REPEATED = {"sldNum", "dt", "ftr", "hdr"}


def read_pptx(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event]:
    """The file as one document: slides with a blank line between them and an anchor "slide 3" at each, counted as
    the program shows them. Hidden slides are passed over.

    The speaker's notes follow their slide: they are what was said.

    Raises:
        Unreadable: "encrypted" or "damaged".
    """
    from pptx import Presentation

    assert file.path is not None
    parts: list[tuple[str, str]] = []
    with opening(file.path, "pptx"):
        for number, slide in enumerate(Presentation(str(file.path)).slides, 1):
            if slide.element.get("show") == "0":
                notes.passed_over["hidden slide"] += 1
                continue
            texts = [text for shape in slide.shapes for text in _texts(shape, slide)]
            if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
                texts += _frame(frame)
            parts.append((f"slide {number}", "\n".join(texts)))
    body = joined(parts, "\n\n")
    yield Record(file.name, body.text, body.anchors)


def _texts(shape: Any, slide: Any) -> Iterator[str]:
    """Lines of a shape: a paragraph, or a table's row with cells between " | "."""
    waiting = [shape]
    while waiting:  # groups nest
        shape = waiting.pop()
        if shape.is_placeholder and shape.element.ph.get("type") in REPEATED:
            continue
        if hasattr(shape, "shapes"):
            waiting.extend(reversed(list(shape.shapes)))
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                cells = [cell for cell in row.cells if not cell.is_spanned]
                yield " | ".join(" ".join(cell.text_frame.text.split()) for cell in cells)
        elif shape.has_text_frame:
            yield from _frame(shape.text_frame)
        elif shape.element.tag.endswith("}graphicFrame"):
            yield from _diagram(shape, slide)


def _frame(frame: Any) -> list[str]:
    # A vertical tab is a line break inside a paragraph.
    lines = (line.strip() for paragraph in frame.paragraphs for line in re.split("[\v\n]", paragraph.text))
    return [line for line in lines if line]


def _diagram(shape: Any, slide: Any) -> Iterator[str]:
    """The texts of a SmartArt diagram, which stand in a part of their own."""
    from lxml import etree

    for reference in shape.element.iter(f"{{{DIAGRAM}}}relIds"):
        part = slide.part.related_part(reference.get(RELATION))
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        for paragraph in etree.fromstring(part.blob, parser).iter(f"{DRAWING}p"):
            text = "".join(run.text or "" for run in paragraph.iter(f"{DRAWING}t")).strip()
            if text:
                yield text
