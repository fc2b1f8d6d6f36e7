"""Which lines of a text may hold something that was decoded in a wrong encoding: one scan, fast on good text."""

from __future__ import annotations

import functools
import itertools
import sys

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled
from kiban.make.corpus.letters import Codes, Letters, Offsets
from kiban.make.corpus.repair.readings import CP1252_ONLY, cp932_loses

# What a character may be a sign of, as bits.
LEAD, HALF_WIDTH, WESTERN, ODD, LOST_SIGN, LINE_END = 1, 2, 4, 8, 16, 32
# How many characters apart LEADs are taken together, on their own and with half-width katakana between.
NEAR, NEAR_WITH_HALF_WIDTH = 4, 8
Classes = npt.NDArray[np.uint8]


@functools.cache
def _classes() -> Classes:
    """uint8 [code points]: the bits of each character.

    LEAD is what the first two bytes of kana and kanji in UTF-8 are as CP932; WESTERN what bytes beyond ASCII are as
    CP1252 and Latin-1, of which ODD are letters and controls: pairs without any stand in good text (……).
    """
    found = np.zeros(sys.maxunicode + 1, np.uint8)
    for first in range(0xE3, 0xEA):
        for second in range(0x80, 0xC0):
            if not cp932_loses(first, second):
                found[ord(bytes([first, second]).decode("cp932"))] = LEAD
    found[0xFF61:0xFFA0] = HALF_WIDTH
    found[0x80:0x100] = WESTERN
    found[[ord(character) for character in CP1252_ONLY]] = WESTERN
    found[0xFFFD] = LOST_SIGN
    found[0x80:0xA0] |= ODD
    found[0xC0:0x100] |= ODD
    found[[0x0192, 0x201A]] |= ODD  # ƒ and ‚, which katakana and hiragana of CP932 begin with
    found[ord("\n")] = LINE_END
    return found


def suspects(letters: Letters) -> Offsets:
    """int64 [lines]: where in `letters.codes` lines begin that may hold something read wrongly.

    Those with three of LEAD near each other, or two with half-width katakana or a lost character between; four
    half-width katakana in a row, or one after a lost character (as in ！ of UTF-8); or two of WESTERN side by side,
    one of them ODD.
    """
    return suspected_lines(letters.codes, letters.starts, _classes())


def _suspected_lines_numpy(codes: Codes, starts: Offsets, classes: Classes) -> Offsets:
    of = classes[codes] if len(codes) else np.zeros(0, np.uint8)
    lines = np.unique(np.concatenate((starts, np.flatnonzero(of == LINE_END) + 1)))
    found = []
    for start, end in itertools.pairwise(lines.tolist()):
        own = of[start:end] & ~np.uint8(LINE_END)
        leads = np.flatnonzero(own & LEAD)
        near = np.diff(leads) <= NEAR
        halves = np.cumsum(own & (HALF_WIDTH | LOST_SIGN) != 0)
        between = (np.diff(leads) <= NEAR_WITH_HALF_WIDTH) & (np.diff(halves[leads]) > 0)
        half = own & HALF_WIDTH != 0
        full_width = (own[:-1] & LOST_SIGN != 0) & half[1:]
        western = (own[:-1] & own[1:] & WESTERN != 0) & ((own[:-1] | own[1:]) & ODD != 0)
        row = half[:-3] & half[1:-2] & half[2:-1] & half[3:]
        if (near[:-1] & near[1:]).any() or between.any() or western.any() or row.any() or full_width.any():
            found.append(start)
    return np.array(found, np.int64)


@compiled(fallback=_suspected_lines_numpy)
def suspected_lines(codes: Codes, starts: Offsets, classes: Classes) -> Offsets:
    """See `suspects`."""
    found = np.empty(64, np.int64)
    many = 0
    for text in range(len(starts) - 1):
        start = starts[text]
        told = False
        leads, lead, half_width_since = 0, start - NEAR_WITH_HALF_WIDTH - 1, False
        half_width, last, last_at = 0, 0, start - 2
        for position in range(starts[text], starts[text + 1]):
            here = int(classes[codes[position]])
            if here == 0:
                continue
            if here == LINE_END:
                start, told, leads, lead = position + 1, False, 0, position - NEAR_WITH_HALF_WIDTH
                continue
            if last_at != position - 1:
                half_width, last = 0, 0
            hit = False
            if here & LEAD:
                leads = leads + 1 if position - lead <= NEAR else 1
                hit = leads >= 3 or (position - lead <= NEAR_WITH_HALF_WIDTH and half_width_since)
                lead, half_width_since = position, False
            if here & (HALF_WIDTH | LOST_SIGN):
                half_width_since = True
            if here & HALF_WIDTH:
                half_width += 1
                hit = hit or half_width >= 4 or (last & LOST_SIGN) != 0
            else:
                half_width = 0
            hit = hit or ((here & last & WESTERN) != 0 and ((here | last) & ODD) != 0)
            last, last_at = here, position
            if hit and not told:
                if many == len(found):
                    more = np.empty(2 * many, np.int64)
                    more[:many] = found
                    found = more
                found[many] = start
                many += 1
                told = True
    return found[:many]
