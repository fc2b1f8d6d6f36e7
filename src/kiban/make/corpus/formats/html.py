"""HTML: the text of the page without what surrounds it, blocks as lines, tables as rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kiban.make.corpus.edits import Anchor
from kiban.make.corpus.formats.boilerplate import HEADINGS, letters, remove_boilerplate, without_copyright
from kiban.make.corpus.formats.events import Body, Event, Notes, Options, Record
from kiban.make.corpus.formats.joining import joint
from kiban.make.corpus.formats.streams import whole
from kiban.make.corpus.formats.text import decoded
from kiban.make.corpus.sources import SourceFile

# A charset in the first kilobytes of a page: <meta charset=…>, <meta … content="…; charset=…">, <?xml encoding="…"?>.
DECLARED = re.compile(
    rb"""<(?:meta[^>]*?charset|\?xml[^>]*?encoding)\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE
)
# Names that pages use for what Python calls otherwise; pages that say Shift_JIS mean Microsoft's.
CHARSETS = {"shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932", "sjis": "cp932", "windows-31j": "cp932"}

REMOVED = (
    "head, script, style, noscript, template, nav, aside, footer, iframe, object, embed, svg, canvas, audio, video, "
    "map, select, button, input, textarea, datalist, dialog, rp, rtc, "
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
BLANKS = re.compile(r"[ \t\r\n\f]+")


def read_html(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event]:
    """The page as one document.

    Raises:
        Unreadable: "undecodable".
    """
    body = page_text(whole(file, options.limit_bytes), options.encoding, notes, options.ruby)
    yield Record(file.name, body.text, body.anchors)


def page_text(data: bytes, encoding: str | None, notes: Notes, ruby: str = "drop", charset: str | None = None) -> Body:
    """The text of a page, with an anchor "#id" at each heading that has one.

    Args:
        ruby: "keep" puts readings behind their kanji in brackets; "drop" leaves them out.
        charset: what the server said of it; believed before the page.

    Raises:
        Unreadable: "undecodable".
    """
    from selectolax.lexbor import LexborHTMLParser

    declared = DECLARED.search(data[:4096])
    charset = (charset or (declared[1].decode("ascii") if declared else "")).strip().lower()
    if charset.startswith(("utf-16", "utf16")):
        charset = "utf-8"  # a page whose declaration can be read as ASCII is not UTF-16 (HTML standard, 13.2.3.3)
    page = decoded(data, encoding, notes, CHARSETS.get(charset, charset) or None)
    tree = LexborHTMLParser(page)
    root = tree.body or tree.root
    if root is None:
        return Body("")
    for node in root.css(REMOVED):
        node.decompose()
    for node in root.css("rt"):
        reading = node.text(strip=True) if ruby == "keep" else ""
        node.replace_with(f"({reading})" if reading else "")
    for header in root.css("body > header, body > div > header"):
        header.decompose()
    main = _main(root)
    remove_boilerplate(main)
    layout = {table.mem_id for table in main.css("table") if table.css_first(LAYOUT)}
    writer = _Writer()
    _write(main, layout, writer)
    text = without_copyright(writer.text())
    return Body(text, tuple(anchor for anchor in writer.anchors if anchor.at < len(text)))


def _main(root: Any) -> Any:
    """The element that the page says is its text: the only main, or the only article when that is most of it."""
    mains = root.css("main, [role=main]")
    if len(mains) == 1 and mains[0].text(strip=True):
        return mains[0]
    articles = root.css("article")
    if len(articles) == 1 and letters(articles[0].text()) * 2 > letters(root.text()):
        return articles[0]
    return root


class _Writer:
    """Gathers text, with blanks collapsed as a browser does and breaks where blocks begin and end."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.last = "\n"  # last character written
        self.breaks = 0  # newlines due before the next text
        self.blank = False  # a blank is due before the next text
        self.in_cell = 0
        self.length = 0
        self.label = ""  # of the place where the next text begins
        self.anchors: list[Anchor] = []

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
        before = ""
        if self.breaks and self.pieces:
            before = "\n" * self.breaks
        elif self.blank and self.last not in " \n":
            before = " "
        self.breaks, self.blank = 0, False
        if self.label:
            self.anchors.append(Anchor(self.length + len(before), self.label))
            self.label = ""
        self.pieces += (before, text)
        self.length += len(before) + len(text)
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
                if tag in HEADINGS:
                    writer.label = _label(node) or writer.label
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


def _label(heading: Any) -> str:
    """What a link to a heading names: its own id, or that of an element or old-style anchor in it."""
    if identity := heading.attributes.get("id"):
        return f"#{identity}"
    inner = heading.css_first("[id], a[name]")
    return "#" + (inner.attributes.get("id") or inner.attributes.get("name") or "") if inner else ""


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
