"""One look at every character: where numbers, tokens and known surnames stand. Few places are left to look at closely.

Each compiled loop has a NumPy twin with equal results.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.letters import Codes, Offsets

Flags = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

DIGIT, SEPARATOR, TOKEN, LETTER, KANJI, HIRAGANA, AFTER_NAME, BLANK, TELLING = (1 << bit for bit in range(9))
HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d\uff70"
# How a number goes on: at most two of these between digits. The full stop is for IP addresses and foreign phones.
SEPARATORS = HYPHENS + " \u3000()（）.．"
# Characters that may follow a person's name although they are kanji: honorifics and titles begin with them, and kana
# that follow a name in kana: particles and honorifics.
AFTER_KANJI = "様氏君殿先教社部課係委選議容被取監弁記理院医師専常会主印名"
AFTER_KANA = "はがをにのもとへさくちで"
# What has to follow a surname of one character that stands alone: the beginning of an honorific or title, a colon.
AFTER_ONE = AFTER_KANJI + "さくちでと:："
GROUP_DIGITS, GROUP_DOTS = 7, 3
TOKEN_LETTERS = 16
COLONS, COLON_LETTERS = 2, 6
NAME_LETTERS = 4


@functools.cache
def flags() -> Flags:
    """uint16 [65536]: what each character of the first plane is; the others are nothing."""
    table = np.zeros(0x10000, np.uint16)
    for first, last in ("09", "０９"):
        table[ord(first) : ord(last) + 1] |= DIGIT
    for first, last in ("az", "AZ", "ａｚ", "ＡＺ"):
        table[ord(first) : ord(last) + 1] |= LETTER
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+=:~%":
        table[ord(letter)] |= TOKEN
    for letter in SEPARATORS:
        table[ord(letter)] |= SEPARATOR
    for first_code, last_code in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x3005, 0x3006)):
        table[first_code : last_code + 1] |= KANJI
    table[0x3041:0x3097] |= HIRAGANA
    for letter in AFTER_KANJI + AFTER_KANA:
        table[ord(letter)] |= AFTER_NAME
    for letter in AFTER_ONE:
        table[ord(letter)] |= TELLING
    table[[ord(" "), 0x3000]] |= BLANK
    table.flags.writeable = False
    return table


def _flagged(codes: Codes) -> Flags:
    return np.where(codes < 0x10000, flags()[np.minimum(codes, 0xFFFF)], 0).astype(np.uint16)


# Numbers


def _number_groups_numpy(codes: Codes, starts: Offsets, table: Flags) -> tuple[Ints, Ints]:
    flagged = _flagged(codes)
    places = np.flatnonzero(flagged & DIGIT)
    if not len(places):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
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
    wanted = (digits >= GROUP_DIGITS) | ((dots[end] - dots[begin] >= GROUP_DOTS) & (digits > GROUP_DOTS))
    return begin[wanted].astype(np.int64), end[wanted].astype(np.int64)


@compiled(fallback=_number_groups_numpy)
def number_groups(codes: Codes, starts: Offsets, table: Flags) -> tuple[Ints, Ints]:
    """Where digits stand with at most two separators between them: beginnings and ends, in order.

    Only groups with at least 7 digits, or 4 digits and 3 full stops.
    """
    size, room = 0, 64
    begins, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    for text in range(len(starts) - 1):
        stop = starts[text + 1]
        begin, last, digits, dots, waiting = -1, -1, 0, 0, 0
        for place in range(starts[text], stop + 1):
            code = codes[place] if place < stop else np.uint32(0)
            flag = table[code] if code < 0x10000 else np.uint16(0)
            if flag & DIGIT:
                if begin < 0:
                    begin, digits, dots = place, 0, 0
                dots += waiting
                digits += 1
                last, waiting = place, 0
                continue
            if begin < 0:
                continue
            if flag & SEPARATOR and place - last <= 2:
                if code == 0x2E or code == 0xFF0E:
                    waiting += 1
                continue
            if digits >= GROUP_DIGITS or (dots >= GROUP_DOTS and digits > GROUP_DOTS):
                if size == room:
                    begins = np.concatenate((begins, np.empty(room, np.int64)))
                    ends = np.concatenate((ends, np.empty(room, np.int64)))
                    room *= 2
                begins[size], ends[size] = begin, last + 1
                size += 1
            begin, waiting = -1, 0
    return begins[:size], ends[:size]


# Tokens


def _tokens_numpy(codes: Codes, starts: Offsets, table: Flags) -> tuple[Ints, Ints]:
    flagged = _flagged(codes)
    member = (flagged & TOKEN) != 0
    begins_text = np.zeros(len(codes) + 1, bool)
    begins_text[starts] = True
    first = member & (begins_text[:-1] | ~np.concatenate(([False], member[:-1]))) if len(codes) else member
    last = member & (begins_text[1:] | ~np.concatenate((member[1:], [False]))) if len(codes) else member
    begin, end = np.flatnonzero(first), np.flatnonzero(last) + 1

    def count(mask: npt.NDArray[np.bool_]) -> Ints:
        sums = np.concatenate(([0], np.cumsum(mask)))
        return np.asarray(sums[end] - sums[begin], np.int64)

    digits, letters_ = count((flagged & DIGIT) != 0), count((flagged & LETTER) != 0)
    colons = count(codes == 0x3A)
    long = (end - begin >= TOKEN_LETTERS) & (digits > 0) & (letters_ > 0)
    wanted = long | ((colons >= COLONS) & (end - begin >= COLON_LETTERS) & (digits > 0))
    return begin[wanted].astype(np.int64), end[wanted].astype(np.int64)


@compiled(fallback=_tokens_numpy)
def tokens(codes: Codes, starts: Offsets, table: Flags) -> tuple[Ints, Ints]:
    """Runs of ASCII letters, digits and -_./+=:~% that may be keys or IPv6 addresses: beginnings and ends, in order.

    Only runs with a digit that are at least 16 long and hold a letter, or hold 2 colons and are at least 6 long.
    """
    size, room = 0, 64
    begins, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    for text in range(len(starts) - 1):
        stop = starts[text + 1]
        begin, digits, found, colons = -1, 0, 0, 0
        for place in range(starts[text], stop + 1):
            code = codes[place] if place < stop else np.uint32(0)
            flag = table[code] if code < 0x10000 else np.uint16(0)
            if flag & TOKEN:
                if begin < 0:
                    begin, digits, found, colons = place, 0, 0, 0
                digits += 1 if flag & DIGIT else 0
                found += 1 if flag & LETTER else 0
                colons += 1 if code == 0x3A else 0
                continue
            if begin < 0:
                continue
            length = place - begin
            if digits and ((length >= TOKEN_LETTERS and found > 0) or (colons >= COLONS and length >= COLON_LETTERS)):
                if size == room:
                    begins = np.concatenate((begins, np.empty(room, np.int64)))
                    ends = np.concatenate((ends, np.empty(room, np.int64)))
                    room *= 2
                begins[size], ends[size] = begin, place
                size += 1
            begin = -1
    return begins[:size], ends[:size]


# Names


class Names:
    """A set of strings of 1 to 4 characters of the first plane, as a hash table that compiled loops read.

    Attributes:
        slots: uint64 [power of two], a string's code points, 16 bits each, the first highest; 0 where empty.
        numbers: int64, which string of the sorted set it is; -1 where empty.
        starts: bool [65536], whether a string begins with the character.
    """

    def __init__(self, names: Iterable[str]) -> None:
        packed = sorted({_pack(name) for name in names if 0 < len(name) <= NAME_LETTERS and max(name) < "\U00010000"})
        self._numbers = {key: number for number, key in enumerate(packed)}
        size = 1 << max(4, (len(packed) * 2).bit_length())
        self.slots: Keys = np.zeros(size, np.uint64)
        self.numbers: Ints = np.full(size, -1, np.int64)
        self.starts = np.zeros(0x10000, np.bool_)
        for number, key in enumerate(packed):
            slot = (key * MULTIPLIER & MASK) >> 32 & (size - 1)
            while self.slots[slot]:
                slot = (slot + 1) & (size - 1)
            self.slots[slot], self.numbers[slot] = key, number
            self.starts[key >> 16 * (_length(key) - 1)] = True

    def number(self, name: str) -> int:
        """Which of the set it is, -1 if none."""
        if not 0 < len(name) <= NAME_LETTERS or max(name) >= "\U00010000":
            return -1
        return self._numbers.get(_pack(name), -1)


MULTIPLIER, MASK = 0x9E3779B97F4A7C15, 2**64 - 1
UMULTIPLIER = np.uint64(MULTIPLIER)
U16, U32 = np.uint64(16), np.uint64(32)


def _pack(name: str) -> int:
    key = 0
    for letter in name:
        key = key << 16 | ord(letter)
    return key


def _length(key: int) -> int:
    return (key.bit_length() + 15) // 16


@part
def _look_up(key: np.uint64, slots: Keys, numbers: Ints) -> int:
    size = np.uint64(len(slots) - 1)
    slot = ((key * UMULTIPLIER) >> U32) & size
    while slots[slot]:
        if slots[slot] == key:
            return numbers[slot]  # type: ignore[no-any-return]
        slot = (slot + np.uint64(1)) & size
    return -1


@part
def _key(codes: Codes, place: int, length: int) -> np.uint64:
    """0 where a character is beyond the first plane."""
    key = np.uint64(0)
    for at in range(place, place + length):
        if codes[at] >= 0x10000:
            return np.uint64(0)
        key = (key << U16) | np.uint64(codes[at])
    return key


@part
def _ends(codes: Codes, last: int, stop: int, table: Flags) -> bool:
    """Whether a name may end with the character at `last`: no kanji after kanji, no kana after kana, but for titles."""
    if last + 1 >= stop:
        return True
    code, following = codes[last], codes[last + 1]
    flag = table[code] if code < 0x10000 else np.uint16(0)
    after = table[following] if following < 0x10000 else np.uint16(0)
    if after & AFTER_NAME:
        return True
    return not (after & KANJI) and not (flag & HIRAGANA and after & HIRAGANA)


# How surname and given name may stand, best first: letters of the surname, blanks between, letters of the given name.
FORMS = tuple((surname, gap, given) for surname in (4, 3, 2, 1) for gap in (0, 1) for given in (4, 3, 2, 1))
Hits = tuple[Ints, Ints, Ints, Ints, Ints]


def _names_numpy(
    codes: Codes, starts: Offsets, table: Flags, first: npt.NDArray[np.bool_], surname_slots: Keys,
    surname_numbers: Ints, given_slots: Keys, given_numbers: Ints,
) -> Hits:  # fmt: skip
    size = len(codes)
    flagged = _flagged(codes)
    ends = np.repeat(starts[1:], np.diff(starts))
    padded = np.concatenate((codes, np.zeros(16, np.uint32)))
    flags_after = np.concatenate((flagged, np.zeros(16, np.uint16)))

    def members(slots: Keys, numbers: Ints, length: int) -> Ints:
        filled = slots > 0
        order = np.argsort(slots[filled])
        keys, values = slots[filled][order], numbers[filled][order]
        packed, whole = np.zeros(size, np.uint64), np.arange(size) + length <= ends
        for at in range(length):
            following = padded[at : at + size]
            packed = (packed << U16) | following.astype(np.uint64)
            whole &= following < 0x10000
        if not len(keys):
            return np.full(size, -1, np.int64)
        found = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
        return np.where(whole & (keys[found] == packed), values[found], -1)

    surnames = {length: members(surname_slots, surname_numbers, length) for length in range(1, 5)}
    tail = np.full(16, -1, np.int64)
    givens = {length: np.concatenate((members(given_slots, given_numbers, length), tail)) for length in range(1, 5)}
    after = np.where(np.arange(size) + 1 < ends, flags_after[1 : size + 1], AFTER_NAME)
    may_end = (after & AFTER_NAME) != 0
    may_end |= ~(((after & KANJI) != 0) | (((flagged & HIRAGANA) != 0) & ((after & HIRAGANA) != 0)))
    may_end = np.concatenate((may_end, np.zeros(16, bool)))
    begins = np.zeros(size + 1, bool)
    begins[starts] = True
    before = np.where(begins[:-1], 0, np.concatenate(([0], flagged[:-1]))) if size else flagged
    free = (before & KANJI) == 0
    starts_name = np.where(codes < 0x10000, first[np.minimum(codes, 0xFFFF)], False)

    chosen = np.zeros(size, bool)
    found_surname, found_gap, found_given, number = (np.zeros(size, np.int64) for _ in range(4))

    def take(mask: npt.NDArray[np.bool_], surname: int, gap: int, given: int) -> None:
        new = mask & ~chosen & starts_name
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
    where = np.flatnonzero(chosen).astype(np.int64)
    return where, found_surname[where], found_gap[where], found_given[where], number[where]


@compiled(fallback=_names_numpy)
def name_hits(
    codes: Codes, starts: Offsets, table: Flags, first: npt.NDArray[np.bool_], surname_slots: Keys,
    surname_numbers: Ints, given_slots: Keys, given_numbers: Ints,
) -> Hits:  # fmt: skip
    """Places where a surname stands with a given name after it, or alone with no kanji before it.

    Of several readings the longest surname with a given name is taken, then the longest surname. A surname of one
    character stands alone only before a colon or what may begin an honorific or title. Hits may overlap.

    Returns:
        int64 arrays: place; letters of the surname; blanks after it; letters of the given name, 0 if none; number
        of the surname.
    """
    size, room = 0, 64
    hits = np.empty((5, room), np.int64)
    for text in range(len(starts) - 1):
        begin, stop = starts[text], starts[text + 1]
        for place in range(begin, stop):
            code = codes[place]
            if code >= 0x10000 or not first[code]:
                continue
            surname, gap, given, number = 0, 0, 0, -1
            for length in range(4, 0, -1):
                if place + length > stop:
                    continue
                found = _look_up(_key(codes, place, length), surname_slots, surname_numbers)
                if found < 0:
                    continue
                for blanks in range(2):
                    at = place + length + blanks
                    if blanks and not (at <= stop and codes[at - 1] < 0x10000 and table[codes[at - 1]] & BLANK):
                        continue
                    for more in range(4, 0, -1):
                        if at + more > stop or not _ends(codes, at + more - 1, stop, table):
                            continue
                        if _look_up(_key(codes, at, more), given_slots, given_numbers) >= 0:
                            surname, gap, given, number = length, blanks, more, found
                            break
                    if given:
                        break
                if given:
                    break
            if not given:
                if place > begin:
                    before = codes[place - 1]
                    if before < 0x10000 and table[before] & KANJI:
                        continue
                for length in range(4, 0, -1):
                    if place + length > stop:
                        continue
                    found = _look_up(_key(codes, place, length), surname_slots, surname_numbers)
                    if found < 0:
                        continue
                    if length == 1:
                        if place + 1 >= stop:
                            continue
                        following = codes[place + 1]
                        flag = table[following] if following < 0x10000 else np.uint16(0)
                        if not flag & TELLING:
                            continue
                    surname, number = length, found
                    break
            if not surname:
                continue
            if size == room:
                hits = np.concatenate((hits, np.empty((5, room), np.int64)), axis=1)
                room *= 2
            hits[0, size], hits[1, size], hits[2, size] = place, surname, gap
            hits[3, size], hits[4, size] = given, number
            size += 1
    return hits[0, :size], hits[1, :size], hits[2, :size], hits[3, :size], hits[4, :size]
