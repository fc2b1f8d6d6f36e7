"""PDF: the text layer, with lines joined to sentences again and running heads and page numbers left out."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import Path

from kiban.make.corpus.formats.events import Unreadable
from kiban.make.corpus.formats.joining import HYPHENS, UNSPACED, join

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


def read_pdf(path: Path, limit_bytes: int) -> str:
    """The document's text, a line per paragraph as far as that can be told.

    A line that does not end a sentence and reaches (nearly) as far as the page's longest goes on in the next line;
    so does one at the end of a page.

    Raises:
        Unreadable: "encrypted", "damaged", or "no_text" for pages that are pictures (a scan).
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable("encrypted", "it has a password") from None
        raise Unreadable("damaged", f"pdf: {error}") from None
    pages: list[list[str]] = []
    size = 0
    try:
        for page in document:
            text = page.get_textpage().get_text_range()
            page.close()
            size += len(text.encode("utf-8", "replace"))
            if size > limit_bytes:
                raise Unreadable("too_long", f"more than {limit_bytes} bytes of text; see filters.max_document_bytes")
            pages.append([_unspaced(line) for line in re.split(r"\r\n|\r|\n", text) if line.strip()])
    except pypdfium2.PdfiumError as error:
        raise Unreadable("damaged", f"pdf: {error}") from None
    if not any(pages):
        raise Unreadable("no_text", f"its {len(pages)} pages hold no text; if they are scans, OCR them first")
    return "\n".join(_paragraphs(_without_running_heads(pages)))


def _unspaced(line: str) -> str:
    """Justified Japanese comes out with a blank between all characters; a blank here and there is meant."""
    pairs = len(SPACED_PAIR.findall(line))
    if pairs >= 3 and pairs * 2 > sum(1 for character in line if UNSPACED.match(character)):
        line = SPACED_PAIR.sub("", line)
    return line.rstrip()


def _without_running_heads(pages: list[list[str]]) -> list[list[str]]:
    """Without the first and last lines that pages have in common but for numbers; full lines of text are kept."""
    written = [page for page in pages if page]
    edges: Counter[str] = Counter()
    for page in written:
        full = FULL_LINE * max(map(_columns, page))
        edges.update({_pattern(line) for line in (*page[:2], *page[-2:]) if _columns(line) < full or len(page) <= 2})
    running = {pattern for pattern, count in edges.items() if count >= max(2, 0.6 * len(written))}
    result = []
    for page in pages:
        first, last = 0, len(page)
        while first < min(2, last) and _pattern(page[first]) in running:
            first += 1
        while last > max(first, len(page) - 2) and _pattern(page[last - 1]) in running:
            last -= 1
        result.append(page[first:last])
    return result


def _pattern(line: str) -> str:
    return DIGITS.sub("#", line.strip())


def _paragraphs(pages: list[list[str]]) -> list[str]:
    paragraphs: list[str] = []
    open_line = ""  # the last line as it stood on its page, when its sentence may go on
    for lines in pages:
        longest = max(map(_columns, lines), default=0)
        for position, line in enumerate(lines):
            if open_line and not NEW_ITEM.match(line):
                paragraphs[-1] = join(paragraphs[-1], line)
            else:
                paragraphs.append(line.strip())
            following = lines[position + 1] if position + 1 < len(lines) else ""
            open_line = line if _goes_on(line, following, longest) else ""
    return paragraphs


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
