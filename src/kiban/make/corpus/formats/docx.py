"""Word documents (.docx): paragraphs, headings and tables in document order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kiban.make.corpus.formats.events import Event, Notes, Options, Record
from kiban.make.corpus.formats.package import opening
from kiban.make.corpus.sources import SourceFile

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# What is in the file but not in the text: deleted text, the older copy of a newer drawing.
UNREAD = {
    f"{WORD}del",
    f"{WORD}moveFrom",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}


def read_docx(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event]:
    """The file as one document. A heading stands after a blank line; a table's row is a line of cells between " | ".

    python-docx's own `paragraph.text` leaves out text with readings (ruby), tracked insertions and form fields, so
    the XML it opens is read here.

    Raises:
        Unreadable: "encrypted" or "damaged".
    """
    import docx

    assert file.path is not None
    with opening(file.path, "docx"):
        document = docx.Document(str(file.path))
    headings = {
        style.style_id for style in document.styles if style.name and style.name.startswith(("Heading", "Title"))
    }
    blocks = _blocks(document.element.body, headings, options.ruby == "keep")
    yield Record(file.name, "\n".join(blocks).strip())


def _blocks(container: Any, headings: set[str], ruby: bool) -> Iterator[str]:
    for element in container:
        if element.tag == f"{WORD}p":
            text = _text(element, ruby)
            style = element.find(f"{WORD}pPr/{WORD}pStyle")
            if text and style is not None and style.get(f"{WORD}val") in headings:
                yield ""
            yield text
        elif element.tag == f"{WORD}tbl":
            yield from _rows(element, ruby)
        elif element.tag in (f"{WORD}sdt", f"{WORD}sdtContent", f"{WORD}ins", f"{WORD}customXml"):
            yield from _blocks(element, headings, ruby)


def _rows(table: Any, ruby: bool) -> Iterator[str]:
    for row in table.iter(f"{WORD}tr"):
        if next(row.iterancestors(f"{WORD}tbl")) is not table:
            continue  # of a table inside a cell, whose text the cell has
        cells = [cell for cell in row.iter(f"{WORD}tc") if next(cell.iterancestors(f"{WORD}tr")) is row]
        yield " | ".join(" ".join(_text(cell, ruby).split()) for cell in cells)


def _text(element: Any, ruby: bool) -> str:
    """Text of everything in `element`; paragraphs inside it (cells, text boxes) are lines.

    Args:
        ruby: readings stand in brackets behind their kanji, which the XML has after them; else they are left out.
    """
    parts: list[str] = []
    waiting = [element]
    while waiting:
        node = waiting.pop()
        tag = node.tag
        if tag in UNREAD:
            continue
        if tag == f"{WORD}ruby":
            base, reading = node.find(f"{WORD}rubyBase"), node.find(f"{WORD}rt")
            parts.append(_text(base, ruby) if base is not None else "")
            if ruby and reading is not None and (said := _text(reading, ruby)):
                parts.append(f"({said})")
            continue
        if tag == f"{WORD}t":
            parts.append(node.text or "")
        elif tag == f"{WORD}tab":
            parts.append("\t")
        elif tag in (f"{WORD}br", f"{WORD}cr"):
            parts.append("\n")
        elif tag == f"{WORD}noBreakHyphen":
            parts.append("-")
        elif tag == f"{WORD}p" and parts:
            parts.append("\n")
        if tag != f"{WORD}pPr":
            waiting.extend(reversed(node))
    return "".join(parts).strip()
