"""One look at every character: where numbers, tokens, words and known surnames stand. Few places are left to look at
closely.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kiban.make.corpus.compiled import compiled, part
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
    GIVEN_BEGINS,
    GROUP_DIGITS,
    GROUP_DOTS,
    HIRAGANA,
    KANJI,
    LETTER,
    MULTIPLIER,
    NAME,
    NAME_LETTERS,
    NUMBER,
    PAIR_MULTIPLIER,
    SEPARATOR,
    SIGN,
    SORTS,
    SURNAME,
    SURNAME_BEGINS,
    TELLING,
    TOKEN,
    TOKEN_LETTERS,
    TOKENS,
    U16,
    U32,
    WHOLE_SURNAME,
    WHOLE_WORD,
    WORD,
    WORD_BEGINS,
    Flags,
    Ints,
    Lexicon,
    Slots,
    Words,
)  # fmt: skip
from kiban.make.corpus.privacy.scan_numpy import look_numpy


@compiled(fallback=look_numpy)
def look(codes: Codes, starts: Offsets, lexicon: Lexicon) -> Ints:
    """What stands in texts that rules look at closely.

    Returns:
        int64 [seen, 6]: text * SORTS + sort, where it begins and ends in its text, and three figures that depend on
        the sort, else 0. What has the same text and sort is in order.

        - NUMBER: digits with at most two separators between them; at least 7 digits, or 4 and 3 full stops.
        - TOKENS: a run of ASCII letters, digits and -_./+=:~% that may hold a key or an IPv6 address: with a digit and
          either at least 16 long with a letter, or at least 6 long with 2 colons.
        - SIGN: @ or ＠ after a printable character of ASCII or its full-width form, but not after another.
        - WORD: a word; its number. From the left the longest at each place, not overlapping.
        - NAME: a surname; its number, blanks after it, letters of the given name after these, 0 if none. Of several
          readings the longest surname with a given name is taken, then the longest surname with no kanji before it.
          A surname of one character stands alone only before a colon or what may begin an honorific or title. Names
          may overlap.
        - SURNAME: a surname alone with nothing after it that may say more of it; its number.
    """
    # Taken out once: each time that it is done costs a count of references.
    table, pairs, words, surnames, given = lexicon
    rows, size = np.empty((64, COLUMNS), np.int64), 0
    for text in range(len(starts) - 1):
        start, stop = starts[text], starts[text + 1]
        number_end = token_end = word_end = start
        place = start - 1
        while True:
            place, may = _candidate(codes, place + 1, stop, table, pairs)
            if place == stop:
                break
            if size + 4 > len(rows):
                rows = np.concatenate((rows, np.empty_like(rows)))
            first = size
            if may & DIGIT:
                if place >= number_end:
                    number_end, told = _number(codes, place, stop, table)
                    if told:
                        size = _add(rows, size, NUMBER, place, number_end, 0, 0, 0)
                if table[codes[place]] & TOKEN and place >= token_end:
                    begin, token_end, told = _token(codes, place, start, stop, table)
                    if told:
                        size = _add(rows, size, TOKENS, begin, token_end, 0, 0, 0)
            if may & AT and place > start and _is_printable(codes[place - 1]):
                size = _add(rows, size, SIGN, place, place + 1, 0, 0, 0)
            if may & (WORD_BEGINS | WHOLE_WORD) and place >= word_end:
                number = _word(codes, place, stop, words)
                if number >= 0:
                    word_end = place + words.starts[number + 1] - words.starts[number]
                    size = _add(rows, size, WORD, place, word_end, number, 0, 0)
            if may & (SURNAME_BEGINS | WHOLE_SURNAME):
                end, number, gap, more = _name(codes, place, start, stop, table, surnames, given)
                if end > place:
                    tells = more > 0 or (end < stop and table[codes[end]] & BESIDE > 0)
                    size = _add(rows, size, NAME if tells else SURNAME, place, end, number, gap, more)
            for row in range(first, size):
                rows[row, 0] += text * SORTS
                rows[row, 1] -= start
                rows[row, 2] -= start
    return rows[:size]


@part
def _add(rows: Ints, size: int, sort: int, begin: int, end: int, number: int, gap: int, more: int) -> int:
    rows[size, 0], rows[size, 1], rows[size, 2] = sort, begin, end
    rows[size, 3], rows[size, 4], rows[size, 5] = number, gap, more
    return size + 1


@part
def _candidate(codes: Codes, start: int, stop: int, table: Flags, pairs: Flags) -> tuple[Any, Any]:
    """The first place from `start` on where something may begin, and what; `stop` if there is none."""
    after = np.uint64(codes[start]) if start < stop else np.uint64(0)
    for place in range(np.uint64(start), np.uint64(stop)):
        code = after
        following = place + np.uint64(1)
        after = np.uint64(codes[following]) if following < np.uint64(stop) else np.uint64(0)
        pair = pairs[(code * np.uint64(PAIR_MULTIPLIER) + after) & np.uint64(0xFFFF)]
        # One condition that hardly ever holds: no processor foresees which letters begin words.
        may = table[code] & (pair | np.uint16(DIGIT | AT | WHOLE_WORD | WHOLE_SURNAME))
        if may:
            return np.int64(place), may
    return stop, np.uint16(0)


@part
def _number(codes: Codes, begin: int, stop: int, table: Flags) -> tuple[int, bool]:
    """Where the group of digits that begins at `begin` ends, and whether it is worth a look."""
    end, digits, dots, waiting = begin + 1, 1, 0, 0
    for place in range(begin + 1, stop):
        code = codes[place]
        flag = table[code]
        if flag & DIGIT:
            end, digits, dots, waiting = place + 1, digits + 1, dots + waiting, 0
        elif flag & SEPARATOR and place - end < 2:
            waiting += 1 if code == 0x2E or code == 0xFF0E else 0
        else:
            break
    return end, digits >= GROUP_DIGITS or (dots >= GROUP_DOTS and digits > GROUP_DOTS)


@part
def _token(codes: Codes, place: int, start: int, stop: int, table: Flags) -> tuple[int, int, bool]:
    """Where the run of ASCII around `place` begins and ends, and whether it is worth a look."""
    begin, end, letters, colons = place, place, 0, 0
    while begin > start and table[codes[begin - 1]] & TOKEN:
        begin -= 1
    for end in range(begin, stop + 1):
        flag = table[codes[end]] if end < stop else np.uint16(0)
        if not flag & TOKEN:
            break
        letters += 1 if flag & LETTER else 0
        colons += 1 if codes[end] == 0x3A else 0
    length = end - begin
    return begin, end, (length >= TOKEN_LETTERS and letters > 0) or (length >= COLON_LETTERS and colons >= COLONS)


@part
def _is_printable(code: int) -> bool:
    """Whether it is a character of ASCII other than blanks and @, or such a one's full-width form."""
    return (0x21 <= code <= 0x7E and code != 0x40) or (0xFF01 <= code <= 0xFF5E and code != 0xFF20)


@part
def _word(codes: Codes, place: int, stop: int, words: Words) -> int:
    """The number of the longest word at `place`, -1 if there is none."""
    for length in range(min(2, stop - place), 0, -1):
        prefix = _look_up(_key(codes, place, length), words.prefixes)
        if prefix < 0:
            continue
        for number in range(words.firsts[prefix], words.firsts[prefix + 1]):
            begin, end = words.starts[number], words.starts[number + 1]
            if end - begin > stop - place:
                continue
            at = length
            while at < end - begin and words.letters[begin + at] == codes[place + at]:
                at += 1
            if at == end - begin:
                return number
    return -1


@part
def _name(
    codes: Codes, place: int, start: int, stop: int, table: Flags, surnames: Slots, given: Slots
) -> tuple[int, int, int, int]:
    """Where the surname at `place` ends, `place` if there is none; its number, blanks and letters of the given name."""
    free = place == start or not table[codes[place - 1]] & KANJI
    alone, its_number = place, -1
    for length in range(min(NAME_LETTERS, stop - place), 0, -1):
        number = _look_up(_key(codes, place, length), surnames)
        if number < 0:
            continue
        end = place + length
        for gap in range(2):
            at = end + gap
            if (gap and not (end < stop and table[codes[end]] & BLANK)) or at >= stop:
                break
            if not table[codes[at]] & GIVEN_BEGINS:
                continue
            for more in range(min(NAME_LETTERS, stop - at), 0, -1):
                if _ends(codes, at + more - 1, stop, table) and _look_up(_key(codes, at, more), given) >= 0:
                    return end, number, gap, more
        if free and alone == place and (length > 1 or (end < stop and table[codes[end]] & TELLING)):
            alone, its_number = end, number
    return alone, its_number, 0, 0


@part
def _look_up(key: np.uint64, slots: Slots) -> int:
    keys, numbers = slots
    size = np.uint64(len(keys) - 1)
    slot = ((key * MULTIPLIER) >> U32) & size
    while keys[slot]:
        if keys[slot] == key:
            return numbers[slot]  # type: ignore[no-any-return]
        slot = (slot + np.uint64(1)) & size
    return -1


@part
def _key(codes: Codes, place: int, length: int) -> np.uint64:
    """As `lexicon.packed`; 0, which no string is, where a character is beyond the first plane."""
    key = np.uint64(0)
    for at in range(place, place + length):
        if not 0 < codes[at] < 0x10000:
            return np.uint64(0)
        key = (key << U16) | np.uint64(codes[at])
    return key


@part
def _ends(codes: Codes, last: int, stop: int, table: Flags) -> bool:
    """Whether a name may end with the character at `last`: no kanji after kanji, no kana after kana, but for titles."""
    if last + 1 >= stop:
        return True
    flag, after = table[codes[last]], table[codes[last + 1]]
    if after & AFTER_NAME:
        return True
    return not (after & KANJI) and not (flag & HIRAGANA and after & HIRAGANA)
