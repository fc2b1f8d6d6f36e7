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

import functools
import itertools
import re
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.formats.joining import joint
from kiban.make.corpus.letters import Codes, Letters, Offsets

Widths = npt.NDArray[np.int64]
Roles = npt.NDArray[np.uint8]

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
BETWEEN_COLUMNS = ("\t", "  ", "|")
WORD = re.compile(r"[!-~]+")
# What a character may be, as bits.
ENDS_SENTENCE, NEVER_FIRST = 1, 2


def line_breaks(letters: Letters, min_wrap_columns: int) -> Offsets:
    """int64 [line ends]: where in `letters.codes`, of normalised texts, lines end that wrapping may have cut.

    These are full and do not end a sentence. A text that does not look wrapped has none.
    """
    return full_lines(letters.codes, letters.starts, _roles(), min_wrap_columns)


def line_break_edits(text: str, breaks: Offsets) -> list[Edit]:
    """The line breaks of `text` to remove.

    Args:
        breaks: its `line_breaks`.
    """
    edits = []
    for at in breaks.tolist():
        end = text.find("\n", at + 1)
        edit = _joined(text, text.rfind("\n", 0, at) + 1, at, end if end >= 0 else len(text))
        if edit:
            edits.append(edit)
    return edits


def _joined(text: str, start: int, at: int, end: int) -> Edit | None:
    """The edit that joins the line before `at` and the one after, or None where the break was meant or may have been.

    Args:
        start: of the line before.
        end: of the line after.
    """
    margin, next_margin = MARGIN.match(text, start, at), MARGIN.match(text, at + 1, end)
    if not margin or not next_margin or margin["quote"] != next_margin["quote"]:
        return None
    own, rest = text[margin.end() : at], text[next_margin.end() : end]
    if not own or not rest:
        return None
    if own[-1] in CLOSING and rest[0] not in PARTICLES:
        return None
    if ITEM.match(rest) or any(sign in own or sign in rest for sign in BETWEEN_COLUMNS):
        return None
    deeper = len(next_margin["indent"]) - len(margin["indent"])
    if deeper > 0 and not (ITEM.match(own) and deeper <= 6):
        return None
    if deeper < -4 or not KANA.search(own) or not KANA.search(rest):
        return None
    return Edit(at, next_margin.end(), joint(own, rest))


@functools.cache
def _roles() -> Roles:
    """uint8 [code points]: the bits of each character."""
    roles = np.zeros(sys.maxunicode + 1, np.uint8)
    roles[[ord(character) for character in SENTENCE_ENDS]] |= ENDS_SENTENCE
    roles[[ord(character) for character in NOT_FIRST]] |= NEVER_FIRST
    return roles


@part
def _columns(code: Any) -> Any:
    """How many columns a code point, or each of an array, is wide.

    Punctuation, arrows and symbols whose width depends on the font (East Asian Width "ambiguous") count two, as
    Japanese fonts have it.
    """
    return 2 - ((code < 0x2010) | (code >= 0xFF61) & (code < 0xFFA0))


def _full_lines_numpy(codes: Codes, starts: Offsets, roles: Roles, least: int) -> Offsets:
    found = [np.zeros(0, np.int64)]
    for start, end in itertools.pairwise(starts.tolist()):
        own = codes[start:end]
        ends = np.flatnonzero(own == 10)
        columns = np.append(0, np.cumsum(np.where(own == 10, 0, _columns(own))))
        widths = np.diff(columns[np.concatenate(([0], ends, [len(own)]))])
        inner = (widths[:-1] > 0) & (widths[1:] > 0)
        ends, widths = ends[inner], widths[:-1][inner]
        wrap = _wrap_width_numpy(widths, least)
        if not wrap:
            continue
        text = str(own.tobytes(), "utf-32-le")
        full = [width + _needed(text, at) > wrap for at, width in zip(ends.tolist(), widths.tolist(), strict=True)]
        ending = roles[own[ends - 1]] & ENDS_SENTENCE != 0
        crowded = (widths > wrap - CROWD) & (widths <= wrap + HANGING)
        crowd = np.count_nonzero(crowded)
        too_few = np.count_nonzero(crowded & full) < MIN_FULL_SHARE * crowd
        if not too_few and np.count_nonzero(crowded & ending) <= MAX_ENDING_SHARE * crowd:
            found.append(start + ends[full & ~ending & (widths <= wrap + HANGING)])
    return np.concatenate(found)


def _needed(text: str, at: int) -> int:
    """Columns that what comes first in the next line would take in the one that ends at `at`, with the blank between.

    What comes first is a word or a character, behind marks of quotation and blanks, and what may not begin a line.
    """
    margin = MARGIN.match(text, at + 1)
    begins = margin.end() if margin else at + 1
    line_end = text.find("\n", begins)
    stop = min(line_end if line_end >= 0 else len(text), begins + WIDEST)
    blank = text[at - 1].isascii() and text[begins : begins + 1].isascii()
    word = WORD.match(text, begins, stop)
    end = word.end() if word else begins + 1
    unit = end - begins if word else 2
    while end < stop and text[end] in NOT_FIRST:
        unit += 1 if text[end].isascii() else 2
        end += 1
    return blank + unit


def _wrap_width_numpy(widths: Widths, least: int) -> int:
    if len(widths) < MIN_CROWDED_LINES:
        return 0
    counts = np.bincount(widths[widths <= WIDEST], minlength=WIDEST + 1)
    crowds = np.convolve(counts, np.ones(CROWD, np.int64))[: WIDEST + 1]
    crowds[:least] = 0
    wrap = int(crowds.argmax())
    crowd = int(crowds[wrap])
    last = wrap
    while last > wrap - CROWD and counts[last] < HANGING_SHARE * crowd:
        last -= 1
    wider = np.count_nonzero(widths > last + HANGING)
    few = crowd < MIN_CROWDED_LINES or crowd < MIN_CROWDED_SHARE * len(widths)
    return 0 if few or wider > MAX_WIDER_SHARE * len(widths) else last


@compiled(fallback=_full_lines_numpy)
def full_lines(codes: Codes, starts: Offsets, roles: Roles, least: int) -> Offsets:
    """See `line_breaks`."""
    wraps = np.zeros(len(starts) - 1, np.int64)
    most = 0
    for text in range(len(wraps)):
        counts = np.zeros(WIDEST + 1, np.int64)
        lines = _count_widths(codes[starts[text] : starts[text + 1]], counts)
        wraps[text] = _wrap_width(counts, lines, least)
        if wraps[text]:
            most += lines
    found = np.empty(most, np.int64)
    many = 0
    for text in range(len(wraps)):
        if wraps[text]:
            ends = _find_full(codes[starts[text] : starts[text + 1]], roles, wraps[text], found[many:])
            found[many : many + ends] += starts[text]
            many += ends
    return found[:many]


@part
def _count_widths(codes: Codes, counts: Widths) -> int:
    """Count the lines of a text by width, those that end a paragraph left out; these may be short.

    Args:
        counts: [WIDEST + 1], zeros, to be filled.

    Returns:
        How many lines there are, wider ones included.
    """
    lines, width = 0, 0
    for position in range(len(codes)):
        code = codes[position]
        if code != 10:
            width += _columns(code)
            continue
        if width > 0 and position + 1 < len(codes) and codes[position + 1] != 10:
            lines += 1
            if width <= WIDEST:
                counts[width] += 1
        width = 0
    return lines


@part
def _wrap_width(counts: Widths, lines: int, least: int) -> int:
    """The width that a text was cut at, in columns; 0 where none is seen.

    Args:
        counts, lines: by `_count_widths`.
        least: no smaller one is looked for.
    """
    if lines < MIN_CROWDED_LINES:
        return 0
    wrap, most = 0, 0
    for width in range(least, WIDEST + 1):
        crowd = 0
        for near in range(width - CROWD + 1, width + 1):
            crowd += counts[near]
        if crowd > most:
            wrap, most = width, crowd
    if most < MIN_CROWDED_LINES or most < MIN_CROWDED_SHARE * lines:
        return 0
    last = wrap
    while last > wrap - CROWD and counts[last] < HANGING_SHARE * most:
        last -= 1
    wider = lines
    for width in range(min(last + HANGING, WIDEST) + 1):
        wider -= counts[width]
    return 0 if wider > MAX_WIDER_SHARE * lines else last


@part
def _find_full(codes: Codes, roles: Roles, wrap: int, found: Offsets) -> int:
    """Put the ends of a text's full lines into `found`.

    Returns:
        How many; 0 if too few of the crowded lines are full, or too many of them end sentences.
    """
    many, crowd, ending, full, width = 0, 0, 0, 0, 0
    for position in range(len(codes)):
        if codes[position] != 10:
            width += _columns(codes[position])
            continue
        if 0 < width <= wrap + HANGING and position + 1 < len(codes) and codes[position + 1] != 10:
            ends = roles[codes[position - 1]] & ENDS_SENTENCE != 0
            is_full = width + _needed_columns(codes, position, roles) > wrap
            if width > wrap - CROWD:
                crowd += 1
                ending += ends
                full += is_full
            if is_full and not ends:
                found[many] = position
                many += 1
        width = 0
    return 0 if ending > MAX_ENDING_SHARE * crowd or full < MIN_FULL_SHARE * crowd else many


@part
def _needed_columns(codes: Codes, at: int, roles: Roles) -> int:
    """See `_needed`."""
    end = len(codes)
    begins = at + 1
    while begins < end and (codes[begins] == 0x3E or codes[begins] == 0x7C):
        begins += 1
        if begins < end and codes[begins] == 0x20:
            begins += 1
    while begins < end and (codes[begins] == 0x20 or codes[begins] == 0x09):
        begins += 1
    blank = codes[at - 1] < 0x80 and (begins >= end or codes[begins] < 0x80)
    stop = min(end, begins + WIDEST)
    position = begins
    while position < stop and 0x21 <= codes[position] <= 0x7E:
        position += 1
    unit = position - begins
    if unit == 0:
        position, unit = begins + 1, 2
    while position < stop and codes[begins] != 10 and roles[codes[position]] & NEVER_FIRST:
        unit += 1 if codes[position] < 0x80 else 2
        position += 1
    return blank + unit
