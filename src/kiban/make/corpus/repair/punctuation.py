"""One kind of commas and full stops per document, by majority.

Japanese is punctuated `、。`, or in science and law `，．` or `，。`, which normalising makes `,.` and `,。`. Where a
document has mostly one kind, the few of the other become it. (Swallow's rule, Okazaki et al. 2024, here only where the
sign stands in Japanese.) A `,` counts only between kana, kanji and brackets; a `.` only after hiragana and before
these, or after kana or kanji at a line's end (`表名.列名` is none); neither near a line's beginning, where `ア.` and
`一.` number items. Numbers, Latin words and code are not touched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.letters import Codes, Offsets

COMMAS = ("、", ",")
STOPS = ("。", ".")
# The lesser kind is an exception only if there are so many times more of the other.
MAJORITY = 2
# A sign before this character of a line may belong to an item's number.
MIN_COLUMN = 4


def punctuation_edits(codes: Codes) -> list[Edit]:
    """What makes the commas and the full stops of a text one kind each; none where neither prevails.

    Args:
        codes: of a normalised text.
    """
    positions = signs(codes)
    if not len(positions):
        return []
    found = codes[positions]
    edits = []
    for pair in (COMMAS, STOPS):
        at = [positions[found == ord(sign)] for sign in pair]
        for less, more, sign in ((at[0], at[1], pair[1]), (at[1], at[0], pair[0])):
            if MAJORITY * len(less) <= len(more):
                edits += [Edit(position, position + 1, sign) for position in less.tolist()]
    return sorted(edits)


@part
def _letter(code: Any) -> Any:
    """Whether a code point, or each of an array, is a kana, a kanji or a mark that stands for one."""
    return (
        (code >= 0x3041) & (code <= 0x30FF) & (code != 0x30FB)
        | (code >= 0x4E00) & (code <= 0x9FFF)
        | (code >= 0x3400) & (code <= 0x4DBF)
        | (code >= 0x3005) & (code <= 0x3007)
    )


@part
def _closing(code: Any) -> Any:
    """」 』 】 〉 》 〕"""
    return (code >= 0x3009) & (code <= 0x3011) & (code % 2 == 1) | (code == 0x3015)


@part
def _opening(code: Any) -> Any:
    """「 『 【 〈 《 〔"""
    return (code >= 0x3008) & (code <= 0x3010) & (code % 2 == 0) | (code == 0x3014)


@part
def _stands(before: Any, after: Any) -> Any:
    """Whether a `,` with these neighbours is a comma of Japanese."""
    return (_letter(before) | _closing(before)) & (_letter(after) | _closing(after) | _opening(after))


@part
def _stops(before: Any, after: Any) -> Any:
    """Whether a `.` with these neighbours is a full stop of Japanese."""
    hiragana = (before >= 0x3041) & (before <= 0x3096)
    return (_letter(before) & (after == 10)) | (hiragana & (_letter(after) | _closing(after) | _opening(after)))


def _signs_numpy(codes: Codes) -> Offsets:
    if not len(codes):
        return np.zeros(0, np.int64)
    sign = (codes == 0x3001) | (codes == 0x3002) | (codes == 0x2C) | (codes == 0x2E)
    before, after = np.append(np.uint32(10), codes[:-1]), np.append(codes[1:], np.uint32(10))
    positions = np.arange(len(codes))
    line_starts = np.maximum.accumulate(np.where(before == 10, positions, 0))
    ascii_sign = codes < 0x80
    stands = np.where(codes == 0x2C, _stands(before, after), _stops(before, after))
    stands &= positions - line_starts >= MIN_COLUMN
    return np.flatnonzero(sign & (~ascii_sign | stands))


@compiled(fallback=_signs_numpy)
def signs(codes: Codes) -> Offsets:
    """int64 [signs]: where the commas and full stops of Japanese stand."""
    many = 0
    for code in codes:
        many += (code == 0x3001) | (code == 0x3002) | (code == 0x2C) | (code == 0x2E)
    found = np.empty(many, np.int64)
    many = 0
    line = 0
    for position in range(len(codes)):
        code = codes[position]
        if code == 10:
            line = position + 1
        elif code == 0x3001 or code == 0x3002:
            found[many] = position
            many += 1
        elif (code == 0x2C or code == 0x2E) and position - line >= MIN_COLUMN:
            before = codes[position - 1]
            after = codes[position + 1] if position + 1 < len(codes) else np.uint32(10)
            if _stands(before, after) if code == 0x2C else _stops(before, after):
                found[many] = position
                many += 1
    return found[:many]
