"""One kind of commas and full stops per document, by majority.

Japanese is punctuated `、。`, or in science and law `，．` or `，。`, which normalising makes `,.` and `,。`. Where a
document has mostly one kind, the few of the other become it. (Swallow's rule, Okazaki et al. 2024, here only where the
sign stands in Japanese.) A `,` counts only between kana, kanji and brackets; a `.` only after hiragana and before
these, or after kana or kanji at a line's end (`表名.列名` is none); neither near a line's beginning, where `ア.` and
`一.` number items. Numbers, Latin words and code are not touched.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.edits import Edit
from kiban.make.corpus.letters import Codes, Letters, Offsets

# What each sign becomes.
OTHER = {"、": ",", ",": "、", "。": ".", ".": "。"}
SIGNS = (0x2C, 0x2E, 0x3001, 0x3002)
# The lesser kind is an exception only if there are so many times more of the other.
MAJORITY = 2
# A sign before this character of a line may belong to an item's number.
MIN_COLUMN = 4


def punctuation_exceptions(letters: Letters) -> Offsets:
    """int64 [signs]: where in `letters.codes`, of normalised texts, a comma or full stop is of the lesser kind."""
    return exceptions(letters.codes, letters.starts)


def punctuation_edits(text: str, places: Offsets) -> list[Edit]:
    """What makes the commas and the full stops of a text one kind each.

    Args:
        places: its `punctuation_exceptions`.
    """
    return [Edit(position, position + 1, OTHER[text[position]]) for position in places.tolist()]


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


def _exceptions_numpy(codes: Codes, starts: Offsets) -> Offsets:
    found = [np.zeros(0, np.int64)]
    for start, end in itertools.pairwise(starts.tolist()):
        own = codes[start:end]
        before, after = np.append(np.uint32(10), own)[:-1], np.append(own, np.uint32(10))[1:]
        positions = np.arange(len(own))
        line_starts = np.maximum.accumulate(np.where(before == 10, positions, 0))
        in_japanese = np.where(own == 0x2C, _stands(before, after), _stops(before, after))
        in_japanese &= positions - line_starts >= MIN_COLUMN
        chosen = np.zeros(len(own), np.bool_)
        for pair in (("、", ","), ("。", ".")):
            kinds = [(own == ord(sign)) & (in_japanese | (own >= 0x80)) for sign in pair]
            for less, more in (kinds, kinds[::-1]):
                if MAJORITY * np.count_nonzero(less) <= np.count_nonzero(more):
                    chosen |= less
        found.append(start + np.flatnonzero(chosen))
    return np.concatenate(found)


@part
def _kind(codes: Codes, position: int) -> int:
    """Which of `、`, `,`, `。`, `.` of Japanese stands at a place of a text: 0, 1, 2, 3; -1 for anything else."""
    code = codes[position]
    if code == 0x3001 or code == 0x3002:
        return 0 if code == 0x3001 else 2
    if (code != 0x2C and code != 0x2E) or position < MIN_COLUMN:
        return -1
    before = codes[position - 1]
    after = codes[position + 1] if position + 1 < len(codes) else np.uint32(10)
    if not (_stands(before, after) if code == 0x2C else _stops(before, after)):
        return -1
    for near in range(position - MIN_COLUMN, position):
        if codes[near] == 10:
            return -1
    return 1 if code == 0x2C else 3


@compiled(fallback=_exceptions_numpy)
def exceptions(codes: Codes, starts: Offsets) -> Offsets:
    """See `punctuation_exceptions`."""
    texts = len(starts) - 1
    lesser = np.zeros((texts, 4), np.bool_)
    most = 0
    for text in range(texts):
        own = codes[starts[text] : starts[text + 1]]
        possible = False
        for position in range(1, len(own)):  # no branches, so that it takes many characters at once
            sign = (own[position] == 0x2C) | (own[position] == 0x2E)
            possible |= sign & (own[position - 1] > 0x3000)
        if not possible:  # no `,` or `.` after Japanese, as in most texts
            continue
        counts = np.zeros(4, np.int64)
        for position in range(len(own)):
            if own[position] in SIGNS:
                kind = _kind(own, position)
                if kind >= 0:
                    counts[kind] += 1
        for kind in range(4):
            if 0 < MAJORITY * counts[kind] <= counts[kind ^ 1]:
                lesser[text, kind] = True
                most += counts[kind]
    found = np.empty(most, np.int64)
    many = 0
    for text in range(texts):
        if lesser[text].any():
            own = codes[starts[text] : starts[text + 1]]
            for position in range(len(own)):
                kind = _kind(own, position) if own[position] in SIGNS else -1
                if kind >= 0 and lesser[text, kind]:
                    found[many] = starts[text] + position
                    many += 1
    return found
