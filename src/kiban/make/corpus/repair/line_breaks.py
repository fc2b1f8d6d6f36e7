"""Lines of a text that was cut at a fixed width, as in mail, joined again.

A break that wrapping made is told from one that was meant by filling again: it stands where what follows, up to the
next place for a break, would not have fitted into the line. So first the width is estimated, as the one just below
which most lines end; a text whose lines do not crowd there, or mostly end sentences there, is not touched. Then each
break is removed only where the line was full, does not end a sentence, and the next one does not begin something: a
paragraph (by its indent), a list item, a heading, a table row, a quotation of another depth. Code and Western text
are left: both lines must hold kana.

Widths are in columns of a terminal: two for Japanese characters, one for others.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.formats.joining import joint
from kiban.make.corpus.letters import Codes, Offsets

Widths = npt.NDArray[np.int64]

WIDEST = 400
# A line that has to end early, since Japanese characters take two columns and punctuation may not begin a line, ends
# at most as far below the width.
CROWD = 4
# Punctuation that may not begin a line can hang beyond the width.
HANGING = 2
MIN_CROWDED_LINES = 5
MIN_CROWDED_SHARE = 0.4
MAX_WIDER_SHARE = 0.1
# Of the crowded lines: verse and lists end every line with an end, wrapped text one in ten or twenty.
MAX_ENDING_SHARE = 0.35
# Of the crowded lines: those into which what follows would not have fitted. Of lines that are as long by chance, half.
MIN_FULL_SHARE = 0.8
# Fewer lines than this share of the crowd end in its last columns because punctuation hangs there.
HANGING_SHARE = 0.15

KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
MARGIN = re.compile(r"(?P<quote>(?:[>|] ?)*)(?P<indent>[ \t]*)")
SENTENCE_ENDS = frozenset("。！？!?.．:：;；")
CLOSING = frozenset("」』）)】〉》”")
# What carries a sentence on after a closing bracket.
PARTICLES = frozenset("とはがをにのでもやへかなだっ、，,。")
# May not begin a line (行頭禁則), so it stays with the character before it.
NOT_FIRST = frozenset(
    "、。，．・？！゛゜ヽヾゝゞ々ー」』）】〉》〕］｝ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ,.)]}!?:;%"
)
ITEM = re.compile(
    r"[-・●○◎◆◇■□★☆※▼▽▲△►▶→⇒✓*#|+=~_<{}\\/@\[【–—①-⑳㈠-㈩Ⅰ-Ⅻⅰ-ⅻ]|[(（]?[0-9a-zA-Zア-ンイロハ一二三四五六七八九十]{1,3}[.)）、:]"
    r"|第[0-9一二三四五六七八九十百]{1,9}[章節条項回部]"
)
COLUMNS = re.compile(r"\t|  +|\|")
WORD = re.compile(r"[!-~]+")


class Line(NamedTuple):
    start: int
    end: int
    width: int


def line_break_edits(text: str, codes: Codes, min_wrap_columns: int) -> list[Edit]:
    """The line breaks of `text` to remove; none where it does not look wrapped.

    Args:
        text: normalised.
        codes: of `text`.
    """
    starts, widths = measure(codes)
    wrap = int(wrap_width(widths, min_wrap_columns))
    if not wrap:
        return []
    bounds = [*starts.tolist(), len(text) + 1]
    lines = [Line(bounds[i], bounds[i + 1] - 1, width) for i, width in enumerate(widths.tolist())]
    pairs = [(line, following) for line, following in itertools.pairwise(lines) if line.width and following.width]
    crowd = [(line, following) for line, following in pairs if wrap - CROWD < line.width <= wrap + HANGING]
    ending = sum(text[line.end - 1] in SENTENCE_ENDS for line, _ in crowd)
    full = sum(_is_full(text, line, following, wrap) for line, following in crowd)
    if ending > MAX_ENDING_SHARE * len(crowd) or full < MIN_FULL_SHARE * len(crowd):
        return []
    edits = []
    for line, following in pairs:
        if line.width <= wrap + HANGING and _is_full(text, line, following, wrap):
            edit = _joined(text, line, following)
            if edit:
                edits.append(edit)
    return edits


def _is_full(text: str, line: Line, following: Line, wrap: int) -> bool:
    """Whether what comes first in the following line would not have fitted into the line."""
    margin = MARGIN.match(text, following.start, following.end)
    begins = margin.end() if margin else following.start
    blank = text[line.end - 1].isascii() and text[begins : begins + 1].isascii()
    return line.width + blank + _first_unit(text, begins, following.end) > wrap


def _joined(text: str, line: Line, following: Line) -> Edit | None:
    """The edit that joins two lines, or None where the break was meant or may have been."""
    margin, next_margin = MARGIN.match(text, line.start, line.end), MARGIN.match(text, following.start, following.end)
    if not margin or not next_margin or margin["quote"] != next_margin["quote"]:
        return None
    own, rest = text[margin.end() : line.end], text[next_margin.end() : following.end]
    if not own or not rest:
        return None
    if own[-1] in SENTENCE_ENDS or (own[-1] in CLOSING and rest[0] not in PARTICLES):
        return None
    if ITEM.match(rest) or COLUMNS.search(own) or COLUMNS.search(rest):
        return None
    deeper = len(next_margin["indent"]) - len(margin["indent"])
    if deeper > 0 and not (ITEM.match(own) and deeper <= 6):
        return None
    if deeper < -4 or not KANA.search(own) or not KANA.search(rest):
        return None
    return Edit(line.end, next_margin.end(), joint(own, rest))


def _first_unit(text: str, start: int, stop: int) -> int:
    """Columns of what stands before the first place where a line may be broken."""
    stop = min(stop, start + WIDEST)
    word = WORD.match(text, start, stop)
    end = word.end() if word else start + 1
    width = end - start if word else 2
    while end < stop and text[end] in NOT_FIRST:
        width += 1 if text[end].isascii() else 2
        end += 1
    return width


def _wrap_width_numpy(widths: Widths, least: int) -> int:
    inner = widths[:-1][(widths[:-1] > 0) & (widths[1:] > 0)]
    if len(inner) < MIN_CROWDED_LINES:
        return 0
    counts = np.bincount(inner[inner <= WIDEST], minlength=WIDEST + 1)
    crowds = np.convolve(counts, np.ones(CROWD, np.int64))[: WIDEST + 1]
    crowds[:least] = 0
    wrap = int(crowds.argmax())
    crowd = int(crowds[wrap])
    last = wrap
    while last > wrap - CROWD and counts[last] < HANGING_SHARE * crowd:
        last -= 1
    wider = np.count_nonzero(inner > last + HANGING)
    few = crowd < MIN_CROWDED_LINES or crowd < MIN_CROWDED_SHARE * len(inner)
    return 0 if few or wider > MAX_WIDER_SHARE * len(inner) else last


@compiled(fallback=_wrap_width_numpy)
def wrap_width(widths: Widths, least: int) -> int:
    """The width that the text was cut at, in columns; 0 where none is seen.

    Args:
        widths: of its lines.
        least: no smaller one is looked for.
    """
    counts = np.zeros(WIDEST + 1, np.int64)
    many = 0
    for line in range(len(widths) - 1):
        if widths[line] > 0 and widths[line + 1] > 0:  # last lines of paragraphs may be short
            many += 1
            if widths[line] <= WIDEST:
                counts[widths[line]] += 1
    wrap, most = 0, 0
    for width in range(least, WIDEST + 1):
        crowd = 0
        for near in range(width - CROWD + 1, width + 1):
            crowd += counts[near]
        if crowd > most:
            wrap, most = width, crowd
    if most < MIN_CROWDED_LINES or most < MIN_CROWDED_SHARE * many:
        return 0
    last = wrap
    while last > wrap - CROWD and counts[last] < HANGING_SHARE * most:
        last -= 1
    wider = many
    for width in range(last + HANGING + 1):
        if width <= WIDEST:
            wider -= counts[width]
    return 0 if wider > MAX_WIDER_SHARE * many else last


def _measure_numpy(codes: Codes) -> tuple[Offsets, Widths]:
    ends = np.flatnonzero(codes == 10)
    starts = np.append(0, ends + 1)
    columns = np.where(codes == 10, 0, np.where((codes < 0x2010) | (codes >= 0xFF61) & (codes < 0xFFA0), 1, 2))
    total = np.append(0, np.cumsum(columns))
    return starts, total[np.append(ends, len(codes))] - total[starts]


@compiled(fallback=_measure_numpy)
def measure(codes: Codes) -> tuple[Offsets, Widths]:
    """int64 [lines] both: where the lines begin, and how many columns they are wide.

    Punctuation, arrows and symbols whose width depends on the font (East Asian Width "ambiguous") count two, as
    Japanese fonts have it.
    """
    lines = 1
    for code in codes:
        lines += code == 10
    starts = np.zeros(lines, np.int64)
    widths = np.zeros(lines, np.int64)
    line, width = 0, 0
    for position in range(len(codes)):
        code = codes[position]
        if code == 10:
            widths[line] = width
            line += 1
            starts[line] = position + 1
            width = 0
        elif code < 0x2010 or 0xFF61 <= code < 0xFFA0:
            width += 1
        else:
            width += 2
    widths[line] = width
    return starts, widths
