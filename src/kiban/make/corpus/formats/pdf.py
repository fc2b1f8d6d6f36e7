"""PDF: the text layer, with lines joined to sentences again and running heads and page numbers left out."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

from kiban.make.corpus.edits import Anchor
from kiban.make.corpus.formats.events import Body, Event, Notes, Options, Record, Unreadable
from kiban.make.corpus.formats.joining import HYPHENS, UNSPACED, join
from kiban.make.corpus.formats.layout import Box, Glyph, Page, page_of
from kiban.make.corpus.sources import SourceFile

SENTENCE_END = re.compile(r"[。．.!?！？:：;；][)\]）」』】\"”’]*$")
# A line that begins so begins something new: an indent, a list mark, a numbered heading.
NEW_ITEM = re.compile(
    r"[ \u3000・●○◎■□◆◇▪▶►※★☆•‣–-]|[(（]?[0-9０-９]{1,3}[)）.．、]|[①-⑳]|"
    r"第[0-9０-９一二三四五六七八九十百]+[章節条項編部]"
)
DIGITS = re.compile(r"[0-9０-９]+")
FIRST_WORD = re.compile(r"[!-~]+")
SPACED_PAIR = re.compile(f"(?<={UNSPACED.pattern}) (?={UNSPACED.pattern})")
# A wrapped line reaches this share of the page's longest; lines are measured in columns, two for a wide character.
FULL_LINE = 0.8


def read_pdf(file: SourceFile, options: Options, notes: Notes) -> Iterator[Event]:
    """The file as one document, a line per paragraph as far as that can be told, with an anchor "page 3" at each page.

    A line that does not end a sentence and reaches (nearly) as far as the longest of its column goes on in the next
    line; so does one at the end of a column or page.

    Raises:
        Unreadable: "encrypted", "damaged", "too_long", or "no_text" for pages that are pictures (a scan).
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(file.path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable("encrypted", "it has a password") from None
        raise Unreadable("damaged", f"pdf: {error}") from None
    pages: list[Page] = []
    size = 0
    try:
        for page in document:
            glyphs = list(_glyphs(page))
            page.close()
            size += sum(len(glyph.text.encode("utf-8", "replace")) for glyph in glyphs)
            if size > options.limit_bytes:
                limit = options.limit_bytes
                raise Unreadable("too_long", f"more than {limit} bytes of text; see filters.max_document_bytes")
            pages.append(page_of(glyphs))
    except pypdfium2.PdfiumError as error:
        raise Unreadable("damaged", f"pdf: {error}") from None
    if not size:
        raise Unreadable("no_text", f"its {len(pages)} pages hold no text; if they are scans, OCR them first")
    body = _text(_without_running_heads(pages))
    yield Record(file.name, body.text, body.anchors)


def _glyphs(page: Any) -> Iterator[Glyph]:
    """The page's characters but for blanks, in the order of drawing, with their boxes on the page as it is seen."""
    import pypdfium2.raw as pdfium

    text_page = page.get_textpage()
    handle, rectangle = text_page.raw, pdfium.FS_RECTF()
    width, height = page.get_size()
    turn = page.get_rotation()
    high, spaced = 0, False
    for index in range(text_page.count_chars()):
        code = pdfium.FPDFText_GetUnicode(handle, index)
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        if high and 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + code - 0xDC00
        high = 0
        character = chr(code)
        if code == 0 or (character.isspace() and code != 0x3000):
            spaced = spaced or code in (0x20, 0xA0, 0x09)
            continue
        pdfium.FPDFText_GetLooseCharBox(handle, index, rectangle)
        box = Box(
            min(rectangle.left, rectangle.right),
            min(rectangle.bottom, rectangle.top),
            max(rectangle.left, rectangle.right),
            max(rectangle.bottom, rectangle.top),
        )
        yield Glyph(character, _seen(box, turn, width, height), spaced)
        spaced = False
    text_page.close()


def _seen(box: Box, turn: int, width: float, height: float) -> Box:
    """A box on a page that is shown turned by 90, 180 or 270 degrees, whose size as shown is width x height."""
    left, bottom, right, top = box
    if turn == 90:
        return Box(bottom, height - right, top, height - left)
    if turn == 180:
        return Box(width - right, height - top, width - left, height - bottom)
    if turn == 270:
        return Box(width - top, left, width - bottom, right)
    return box


def _unspaced(line: str) -> str:
    """Justified Japanese comes out with a blank between all characters; a blank here and there is meant."""
    pairs = len(SPACED_PAIR.findall(line))
    if pairs >= 3 and pairs * 2 > sum(1 for character in line if UNSPACED.match(character)):
        line = SPACED_PAIR.sub("", line)
    return line.rstrip()


def _without_running_heads(pages: list[Page]) -> list[Page]:
    """Without the first and last lines that pages have in common but for numbers; full lines of text are kept."""
    edges = [page.edges() for page in pages]
    patterns: Counter[str] = Counter()
    for page, rows in zip(pages, edges, strict=True):
        full = FULL_LINE * max((_columns(run.text) for run in page.runs), default=0)
        short = {
            _pattern(text)
            for text, runs in rows
            if page.vertical or len(rows) <= 2 or all(_columns(run.text) < full for run in runs)
        }
        patterns.update(short)
    written = sum(map(bool, edges))
    running = {pattern for pattern, count in patterns.items() if count >= max(2, 0.6 * written)}
    return [
        page.without([run for text, runs in rows if _pattern(text) in running for run in runs])
        for page, rows in zip(pages, edges, strict=True)
    ]


def _pattern(line: str) -> str:
    return DIGITS.sub("#", line.strip())


def _text(pages: list[Page]) -> Body:
    """Paragraphs as lines, joined over the ends of lines, columns and pages."""
    paragraphs: list[str] = []
    anchors: list[Anchor] = []
    done = 0  # characters of the paragraphs before the last
    open_line = ""  # the last line as it stood on its page, when its sentence may go on
    for number, page in enumerate(pages, 1):
        begins = True
        for block in page.blocks():
            lines = [_unspaced(line) for line in block if line.strip()]
            longest = max(map(_columns, lines), default=0)
            for position, line in enumerate(lines):
                if open_line and not NEW_ITEM.match(line):
                    paragraphs[-1] = join(paragraphs[-1], line)
                else:
                    done += len(paragraphs[-1]) + 1 if paragraphs else 0
                    paragraphs.append(line.strip())
                if begins:
                    anchors.append(Anchor(done + len(paragraphs[-1]) - len(line.strip()), f"page {number}"))
                    begins = False
                following = lines[position + 1] if position + 1 < len(lines) else ""
                open_line = line if _goes_on(line, following, longest) else ""
    return Body("\n".join(paragraphs), tuple(anchors))


def _goes_on(line: str, following: str, longest: int) -> bool:
    if line[-1:] in HYPHENS and line[-2:-1].isalpha():
        return True
    if SENTENCE_END.search(line):
        return False
    # Latin text breaks before a word that does not fit, so the word counts as part of the line.
    word = FIRST_WORD.match(following)
    return longest >= 20 and _columns(line) + (len(word[0]) if word else 0) >= FULL_LINE * longest


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line.strip())
