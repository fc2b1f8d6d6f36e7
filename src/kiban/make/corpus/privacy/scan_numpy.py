"""What `scan.look` sees, in NumPy, and words by an automaton (Aho and Corasick 1975)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.letters import Codes, Offsets
from kiban.make.corpus.privacy.lexicon import (
    AFTER_NAME,
    AT,
    BESIDE,
    BLANK,
    COLON_LETTERS,
    COLONS,
    COLUMNS,
    DIGIT,
    GROUP_DIGITS,
    GROUP_DOTS,
    HIRAGANA,
    KANJI,
    LETTER,
    NAME,
    NUMBER,
    SEPARATOR,
    SIGN,
    SORTS,
    SURNAME,
    TELLING,
    TOKEN,
    TOKEN_LETTERS,
    TOKENS,
    U16,
    WORD,
    Flags,
    Ints,
    Lexicon,
    Slots,
    Words,
)  # fmt: skip


def look_numpy(codes: Codes, starts: Offsets, lexicon: Lexicon) -> Ints:
    flagged = lexicon.table[codes]
    parts = [
        (NUMBER, _numbers(codes, starts, flagged)),
        (TOKENS, _tokens(codes, starts, flagged)),
        (SIGN, _signs(codes, starts, flagged)),
        (WORD, _words(codes, starts, lexicon.words)),
        (NAME, _names(codes, starts, flagged, lexicon.surnames, lexicon.given)),
    ]
    rows = np.concatenate([_rows(sort, *columns) for sort, columns in parts])
    text = np.searchsorted(starts, rows[:, 1], side="right") - 1
    beside = np.append((flagged & BESIDE) > 0, False)[rows[:, 2]] & (rows[:, 2] < starts[text + 1])
    rows[(rows[:, 0] == NAME) & (rows[:, 5] == 0) & ~beside, 0] = SURNAME
    rows[:, 1:3] -= starts[text, None]
    rows[:, 0] += text * SORTS
    return rows


def _rows(sort: int, begins: Ints, ends: Ints, *figures: Ints) -> Ints:
    rows = np.zeros((len(begins), COLUMNS), np.int64)
    rows[:, 0] = sort
    for place, column in enumerate((begins, ends, *figures), 1):
        rows[:, place] = column
    return rows


def _numbers(codes: Codes, starts: Offsets, flagged: Flags) -> tuple[Ints, Ints]:
    places = np.flatnonzero(flagged & DIGIT)
    if not len(places):
        return places, places
    gap = np.diff(places)
    separators = np.concatenate(([0], np.cumsum((flagged & SEPARATOR) != 0)))
    joined = (gap <= 3) & (separators[places[1:]] - separators[places[:-1] + 1] == gap - 1)
    text = np.searchsorted(starts, places, side="right")
    joined &= text[1:] == text[:-1]
    first = np.concatenate(([True], ~joined))
    last = np.concatenate((~joined, [True]))
    begin, end = places[first], places[last] + 1
    order = np.flatnonzero(first)
    digits = np.diff(np.append(order, len(places)))
    dots = np.concatenate(([0], np.cumsum((codes == 0x2E) | (codes == 0xFF0E))))
    told = (digits >= GROUP_DIGITS) | ((dots[end] - dots[begin] >= GROUP_DOTS) & (digits > GROUP_DOTS))
    return begin[told], end[told]


def _tokens(codes: Codes, starts: Offsets, flagged: Flags) -> tuple[Ints, Ints]:
    member = (flagged & TOKEN) != 0
    edges = np.zeros(len(codes) + 1, bool)
    edges[starts] = True
    first = member & (edges[:-1] | ~np.concatenate(([False], member))[:-1])
    last = member & (edges[1:] | ~np.concatenate((member, [False]))[1:])
    begin, end = np.flatnonzero(first), np.flatnonzero(last) + 1

    def count(mask: npt.NDArray[np.bool_]) -> Ints:
        sums = np.concatenate(([0], np.cumsum(mask)))
        return np.asarray(sums[end] - sums[begin], np.int64)

    digits, letters, colons = count((flagged & DIGIT) != 0), count((flagged & LETTER) != 0), count(codes == 0x3A)
    long = (end - begin >= TOKEN_LETTERS) & (letters > 0)
    told = (digits > 0) & (long | ((colons >= COLONS) & (end - begin >= COLON_LETTERS)))
    return begin[told], end[told]


def _signs(codes: Codes, starts: Offsets, flagged: Flags) -> tuple[Ints, Ints]:
    printable = ((codes > 0x20) & (codes < 0x7F)) | ((codes > 0xFF00) & (codes < 0xFF5F))
    printable &= (flagged & AT) == 0
    before = np.concatenate(([False], printable))
    before[starts] = False
    places = np.flatnonzero(((flagged & AT) > 0) & before[:-1])
    return places, places + 1


def _words(codes: Codes, starts: Offsets, words: Words) -> tuple[Ints, Ints, Ints]:
    import daachorse  # here: what compiles does without

    listed = [_text(words.letters[begin:end]) for begin, end in pairwise(words.starts)]
    found = np.zeros((0, 3), np.int64)
    if listed:
        automaton = daachorse.CharwiseDoubleArrayAhoCorasick(listed, daachorse.MATCH_KIND_LEFTMOST_LONGEST)
        per_text = [
            np.array(automaton.find(_text(codes[start:stop])), np.int64).reshape(-1, 3) + np.array((start, start, 0))
            for start, stop in pairwise(starts.tolist())
        ]
        found = np.concatenate((found, *per_text))
    return found[:, 0], found[:, 1], found[:, 2]


def _text(codes: Codes) -> str:
    return codes.tobytes().decode("utf-32-le")


# How surname and given name may stand, best first: letters of the surname, blanks between, letters of the given name.
FORMS = tuple((surname, gap, given) for surname in (4, 3, 2, 1) for gap in (0, 1) for given in (4, 3, 2, 1))


def _names(
    codes: Codes, starts: Offsets, flagged: Flags, surname_slots: Slots, given_slots: Slots
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    size = len(codes)
    ends = np.repeat(starts[1:], np.diff(starts))
    padded = np.concatenate((codes, np.zeros(16, np.uint32)))
    flags_after = np.concatenate((flagged, np.zeros(16, np.uint16)))

    def members(slots: Slots, length: int) -> Ints:
        # A string's number is its place among the sorted.
        keys = np.sort(slots.keys[slots.keys > 0])
        packed, whole = np.zeros(size, np.uint64), np.arange(size) + length <= ends
        for at in range(length):
            following = padded[at : at + size]
            packed = (packed << U16) | following.astype(np.uint64)
            whole &= (following > 0) & (following < 0x10000)
        if not len(keys):
            return np.full(size, -1, np.int64)
        found = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
        return np.where(whole & (keys[found] == packed), found, -1)

    surnames = {length: members(surname_slots, length) for length in range(1, 5)}
    tail = np.full(16, -1, np.int64)
    givens = {length: np.concatenate((members(given_slots, length), tail)) for length in range(1, 5)}
    after = np.where(np.arange(size) + 1 < ends, flags_after[1 : size + 1], AFTER_NAME)
    may_end = (after & AFTER_NAME) != 0
    may_end |= ~(((after & KANJI) != 0) | (((flagged & HIRAGANA) != 0) & ((after & HIRAGANA) != 0)))
    may_end = np.concatenate((may_end, np.zeros(16, bool)))
    begins = np.zeros(size + 1, bool)
    begins[starts] = True
    before = np.where(begins[:-1], 0, np.concatenate(([0], flagged))[:-1])
    free = (before & KANJI) == 0

    chosen = np.zeros(size, bool)
    found_surname, found_gap, found_given, number = (np.zeros(size, np.int64) for _ in range(4))

    def take(mask: npt.NDArray[np.bool_], surname: int, gap: int, given: int) -> None:
        new = mask & ~chosen
        found_surname[new], found_gap[new], found_given[new] = surname, gap, given
        number[new] = surnames[surname][new]
        chosen[new] = True

    for surname, gap, given in FORMS:
        mask = surnames[surname] >= 0
        if gap:
            mask = mask & ((flags_after[surname : surname + size] & BLANK) != 0)
        at = surname + gap
        mask = mask & (givens[given][at : at + size] >= 0) & may_end[at + given - 1 : at + given - 1 + size]
        mask &= np.arange(size) + at + given <= ends
        take(mask, surname, gap, given)
    for surname in (4, 3, 2, 1):
        alone = (surnames[surname] >= 0) & free
        follows = np.where(np.arange(size) + surname < ends, flags_after[surname : surname + size], 0)
        if surname == 1:
            alone &= (follows & TELLING) != 0
        take(alone, surname, 0, 0)
    where = np.flatnonzero(chosen)
    return where, where + found_surname[where], number[where], found_gap[where], found_given[where]
