"""HTML: the text of the page without what surrounds it, blocks as lines, tables as rows."""

from __future__ import annotations

import re
from typing import Any

from kiban.make.corpus.formats.events import Notes
from kiban.make.corpus.formats.joining import joint
from kiban.make.corpus.formats.text import decoded

# A charset in the first kilobytes of a page: <meta charset=…>, <meta … content="…; charset=…">, <?xml encoding="…"?>.
DECLARED = re.compile(
    rb"""<(?:meta[^>]*?charset|\?xml[^>]*?encoding)\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE
)
# Names that pages use for what Python calls otherwise; pages that say Shift_JIS mean Microsoft's.
CHARSETS = {"shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932", "sjis": "cp932", "windows-31j": "cp932"}

REMOVED = (
    "head, script, style, noscript, template, nav, aside, footer, iframe, object, embed, svg, canvas, audio, video, "
    "map, select, button, input, textarea, datalist, dialog, rt, rp, rtc, "
    "[hidden], [aria-hidden=true], [role=navigation], [role=banner], [role=contentinfo], [role=search], "
    '[role=complementary], [style*="display:none"], [style*="display: none"]'
)
PARAGRAPHS = frozenset(
    ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "figure", "hr")
).union(("section", "article", "main", "header"))
LINES = frozenset(
    (
        "body",
        "div",
        "center",
        "li",
        "dt",
        "dd",
        "tr",
        "caption",
        "figcaption",
        "details",
        "summary",
        "fieldset",
        "legend",
    )
)
# A table with one of these inside a cell lays out a page; it is read as blocks, not as rows.
LAYOUT = "td table, td h1, td h2, td h3, td h4, td ul, td ol, td dl, td blockquote, td pre"
BLOCKS_OF_LINKS = frozenset(("p", "div", "td", "center", "ul", "ol", "dl", "table", "section"))
# A list of longer links than this says something itself.
MENU_LETTERS_PER_LINK = 16
BLANKS = re.compile(r"[ \t\r\n\f]+")


def read_html(data: bytes, encoding: str | None, notes: Notes) -> str:
    """The page's text.

    Raises:
        Unreadable: "undecodable".
    """
    from selectolax.lexbor import LexborHTMLParser

    declared = DECLARED.search(data[:4096])
    charset = declared[1].decode("ascii").lower() if declared else None
    if charset and charset.startswith(("utf-16", "utf16")):
        charset = "utf-8"  # a page whose declaration can be read as ASCII is not UTF-16 (HTML standard, 13.2.3.3)
    page = decoded(data, encoding, notes, CHARSETS.get(charset, charset) if charset else None)
    tree = LexborHTMLParser(page)
    root = tree.body or tree.root
    if root is None:
        return ""
    for node in root.css(REMOVED):
        node.decompose()
    for header in root.css("body > header, body > div > header"):
        header.decompose()
    mains = root.css("main")
    main = mains[0] if len(mains) == 1 and mains[0].text(strip=True) else root
    _remove_forms(main)
    _remove_menus(main)
    layout = {table.mem_id for table in main.css("table") if table.css_first(LAYOUT)}
    writer = _Writer()
    _write(main, layout, writer)
    return writer.text()


def _remove_forms(root: Any) -> None:
    """Search boxes and the like go; a form around most of the page (as ASP.NET makes) is the page."""
    whole = len(root.text())
    for form in root.css("form"):
        if len(form.text()) * 2 < whole:
            form.decompose()


def _remove_menus(root: Any) -> None:
    """Short blocks that are mostly links: menus of pages that do not mark them as such (link density, Kohlschütter,
    Fankhauser & Nejdl, "Boilerplate detection using shallow text features", 2010)."""
    blocks: dict[int, tuple[Any, list[str]]] = {}
    for link in root.css("a[href]"):
        block = link.parent
        while block.mem_id != root.mem_id and block.tag not in BLOCKS_OF_LINKS:
            block = block.parent
        if block.mem_id != root.mem_id:
            blocks.setdefault(block.mem_id, (block, []))[1].append(link.text())
    for block, links in blocks.values():
        linked = sum(map(_letters, links))
        if len(links) > 1 and linked <= MENU_LETTERS_PER_LINK * len(links) and linked >= 0.6 * _letters(block.text()):
            block.decompose()


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


class _Writer:
    """Gathers text, with blanks collapsed as a browser does and breaks where blocks begin and end."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.last = "\n"  # last character written
        self.breaks = 0  # newlines due before the next text
        self.blank = False  # a blank is due before the next text
        self.in_cell = 0

    def block(self, breaks: int) -> None:
        if self.in_cell:
            self.blank = True
        else:
            self.breaks = max(self.breaks, breaks)

    def next_cell(self) -> None:
        self._put(" | ")
        self.blank = False

    def text_of(self, text: str, preformatted: bool) -> None:
        if preformatted and not self.in_cell:
            if text:
                self._put(text)
            return
        # Authors wrap their source anywhere; between Japanese characters the line end is not a blank.
        if "\n" in text:
            parts = [part for line in text.split("\n") if (part := line.strip(" \t\r\f"))]
            joined = parts[0] if parts else ""
            for part in parts[1:]:
                joined += joint(joined, part) + part
            leading = text[:1] in " \t\r\f\n"
            trailing = text[-1:] in " \t\r\f\n"
            wrapped_before, wrapped_after = (
                "\n" in text[: len(text) - len(text.lstrip())],
                "\n" in text[len(text.rstrip()) :],
            )
        else:
            joined = text.strip(" \t\r\f")
            leading, trailing = text[:1] in (" ", "\t", "\r", "\f"), text[-1:] in (" ", "\t", "\r", "\f")
            wrapped_before = wrapped_after = False
        joined = BLANKS.sub(" ", joined)
        if not joined:
            self.blank = self.blank or (leading and not wrapped_before)
            return
        if leading and (not wrapped_before or joint(self.last, joined)):
            self.blank = True
        self._put(joined)
        self.blank = trailing and (not wrapped_after or joint(joined, "あ") != "")

    def _put(self, text: str) -> None:
        if self.breaks and self.pieces:
            self.pieces.append("\n" * self.breaks)
        elif self.blank and self.last not in " \n":
            self.pieces.append(" ")
        self.breaks, self.blank = 0, False
        self.pieces.append(text)
        self.last = text[-1]

    def line_break(self) -> None:
        if self.in_cell:
            self.blank = True
        else:
            self.breaks = min(self.breaks + 1, 2)

    def text(self) -> str:
        return "".join(self.pieces)


def _write(root: Any, layout: set[int], writer: _Writer) -> None:
    """Walk the tree without recursion: pages nest tens of thousands deep, by mistake or to do harm."""
    node, preformatted = root, 0
    cells: dict[int, bool] = {}
    while True:
        tag = node.tag
        if tag == "-text":
            writer.text_of(node.text_content or "", preformatted > 0)
        elif tag == "br":
            writer.line_break()
        else:
            preformatted += tag == "pre"
            if tag in PARAGRAPHS:
                writer.block(2)
            elif tag in LINES:
                writer.block(1)
            elif tag in ("td", "th"):
                _enter_cell(node, layout, writer, cells)
        if node.child is not None:
            node = node.child
            continue
        while node.mem_id == root.mem_id or node.next is None:
            _leave(node, writer, cells)
            preformatted -= node.tag == "pre"
            if node.mem_id == root.mem_id:
                return
            node = node.parent
        _leave(node, writer, cells)
        preformatted -= node.tag == "pre"
        node = node.next


def _enter_cell(node: Any, layout: set[int], writer: _Writer, cells: dict[int, bool]) -> None:
    table = node.parent
    while table is not None and table.tag != "table":
        table = table.parent
    if table is None or table.mem_id in layout:
        writer.block(1)
        return
    before = node.prev
    while before is not None and before.tag not in ("td", "th"):
        before = before.prev
    if before is not None:
        writer.next_cell()
    writer.in_cell += 1
    cells[node.mem_id] = True


def _leave(node: Any, writer: _Writer, cells: dict[int, bool]) -> None:
    tag = node.tag
    if tag in ("td", "th"):
        if cells.pop(node.mem_id, False):
            writer.in_cell -= 1
            writer.blank = False
        else:
            writer.block(1)
    elif tag in PARAGRAPHS:
        writer.block(2)
    elif tag in LINES:
        writer.block(1)
