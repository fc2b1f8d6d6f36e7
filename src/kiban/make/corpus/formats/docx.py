"""Word documents (.docx): paragraphs, headings and tables in document order."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kiban.make.corpus.formats.events import Unreadable

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# What is in the file but not in the text: readings above kanji, deleted text, the older copy of a newer drawing.
UNREAD = {
    f"{WORD}rt",
    f"{WORD}del",
    f"{WORD}moveFrom",
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
}
OLE = b"\xd0\xcf\x11\xe0"


def read_docx(path: Path) -> str:
    """The document's text. A heading stands after a blank line; a table's row is a line of cells between " | ".

    python-docx's own `paragraph.text` leaves out text with readings (ruby), tracked insertions and form fields, so
    the XML it opens is read here.

    Raises:
        Unreadable: "encrypted" or "damaged".
    """
    import docx
    from docx.opc.exceptions import PackageNotFoundError
    from lxml.etree import LxmlError

    with path.open("rb") as file:
        head = file.read(2**20)
    if head.startswith(OLE):
        if "EncryptedPackage".encode("utf-16-le") in head:
            raise Unreadable("encrypted", "it has a password")
        raise Unreadable("damaged", "docx: it is no .docx; an old .doc with a new name?")
    try:
        document = docx.Document(str(path))
    except (PackageNotFoundError, zipfile.BadZipFile, EOFError):
        raise Unreadable("damaged", "docx: it is no zip archive, as a .docx is, or it is cut off") from None
    except (KeyError, ValueError, LxmlError, zlib.error) as error:
        raise Unreadable("damaged", f"docx: {type(error).__name__}: {str(error)[:200]}") from None
    headings = {
        style.style_id for style in document.styles if style.name and style.name.startswith(("Heading", "Title"))
    }
    return "\n".join(_blocks(document.element.body, headings)).strip()


def _blocks(container: Any, headings: set[str]) -> Iterator[str]:
    for element in container:
        if element.tag == f"{WORD}p":
            text = _text(element)
            style = element.find(f"{WORD}pPr/{WORD}pStyle")
            if text and style is not None and style.get(f"{WORD}val") in headings:
                yield ""
            yield text
        elif element.tag == f"{WORD}tbl":
            yield from _rows(element)
        elif element.tag in (f"{WORD}sdt", f"{WORD}sdtContent", f"{WORD}ins", f"{WORD}customXml"):
            yield from _blocks(element, headings)


def _rows(table: Any) -> Iterator[str]:
    for row in table.iter(f"{WORD}tr"):
        if next(row.iterancestors(f"{WORD}tbl")) is not table:
            continue  # of a table inside a cell, whose text the cell has
        cells = [cell for cell in row.iter(f"{WORD}tc") if next(cell.iterancestors(f"{WORD}tr")) is row]
        yield " | ".join(" ".join(_text(cell).split()) for cell in cells)


def _text(element: Any) -> str:
    """Text of everything in `element`; paragraphs inside it (cells, text boxes) are lines."""
    parts: list[str] = []
    waiting = [element]
    while waiting:
        node = waiting.pop()
        tag = node.tag
        if tag in UNREAD:
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
