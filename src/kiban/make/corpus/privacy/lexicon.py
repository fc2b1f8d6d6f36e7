"""What compiled loops look characters and words up in: a table of characters, sets of names, a list of words."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.letters import Codes, Offsets

Flags = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

# What a character is. The first two also stand for pairs of characters: that a word, a surname may begin with these.
WORD_BEGINS, SURNAME_BEGINS, GIVEN_BEGINS, WHOLE_WORD, WHOLE_SURNAME = (1 << bit for bit in range(5))
DIGIT, SEPARATOR, TOKEN, LETTER, BLANK, KANJI, HIRAGANA, AT = (1 << bit for bit in range(5, 13))
# What it says of a name before it; see AFTER_KANJI and AFTER_KANA, AFTER_ONE, AFTER_SURNAME.
AFTER_NAME, TELLING, BESIDE = (1 << bit for bit in range(13, 16))
# What `scan.look` sees, and the columns of what it says.
SORTS = 6
NUMBER, TOKENS, SIGN, WORD, NAME, SURNAME = range(SORTS)
COLUMNS = 6
GROUP_DIGITS, GROUP_DOTS = 7, 3
TOKEN_LETTERS = 16
COLONS, COLON_LETTERS = 2, 6
HYPHENS = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d\uff70"
# How a number goes on: at most two of these between digits. The full stop is for IP addresses and foreign phones.
SEPARATORS = HYPHENS + " \u3000()（）.．"
# Characters that may follow a person's name although they are kanji: honorifics and titles begin with them, and kana
# that follow a name in kana: particles and honorifics.
AFTER_KANJI = "様氏君殿先教社部課係委選議容被取監弁記理院医師専常会主印名"
AFTER_KANA = "はがをにのもとへさくちで"
# What has to follow a surname of one character that stands alone: the beginning of an honorific or title, a colon.
AFTER_ONE = AFTER_KANJI + "さくちでと:："
# Characters beside the kanji after a surname alone that are worth a closer look.
AFTER_SURNAME = frozenset("さくちせでとが:：\t")
NAME_LETTERS = 4
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
PAIR_MULTIPLIER = 40503
U16, U32 = np.uint64(16), np.uint64(32)


@functools.cache
def flags() -> Flags:
    """uint16 [0x110000]: what each character is; those beyond the first plane are nothing."""
    table = np.zeros(0x110000, np.uint16)
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
    table[[ord("@"), ord("＠")]] |= AT
    table[0x4E00:0xA000] |= BESIDE
    table[[ord(letter) for letter in AFTER_SURNAME]] |= BESIDE
    table.flags.writeable = False
    return table


def spelt(strings: Sequence[str]) -> Codes:
    """uint32 [strings, 4]: the code points of those of 1 to 4 characters of the first plane, 0 after their ends."""
    if not strings:
        return np.zeros((0, NAME_LETTERS), np.uint32)
    array = np.array(strings)
    codes = array.view(np.uint32).reshape(len(array), -1)
    codes = np.pad(codes, ((0, 0), (0, max(0, NAME_LETTERS - codes.shape[1]))))
    fits = codes[:, 0] > 0
    for place, column in enumerate(codes.T):
        fits &= column < 0x10000 if place < NAME_LETTERS else column == 0
    return codes[fits, :NAME_LETTERS]


def packed(codes: Codes) -> Keys:
    """uint64 [strings]: each row of `spelt` as one number, 16 bits a character, the first highest."""
    keys = np.zeros(len(codes), np.uint64)
    for column in codes.T.astype(np.uint64):
        keys = np.where(column > 0, keys << U16 | column, keys)
    return keys


class Slots(NamedTuple):
    """A hash table with open addressing (Knuth, The Art of Computer Programming, vol. 3, section 6.4).

    Attributes:
        keys: uint64 [power of two], packed strings; 0 where empty.
        numbers: int64, which string of the sorted set it is; -1 where empty.
    """

    keys: Keys
    numbers: Ints


class Strings:
    """A set of strings of 1 to 4 characters of the first plane.

    Attributes:
        keys: uint64, packed and sorted; a string's number is its place among them.
        slots: the same for compiled loops.
    """

    def __init__(self, codes: Codes) -> None:
        """
        Args:
            codes: from `spelt`.
        """
        keys = np.sort(packed(codes))
        self.keys: Keys = keys[np.diff(keys, prepend=np.uint64(0)) > 0]
        self.slots = _slots(self.keys)
        self._sorted = self.keys.data

    def number(self, string: str) -> int:
        """Which of the set it is, -1 if none."""
        if not 0 < len(string) <= NAME_LETTERS or max(string) >= "\U00010000":
            return -1
        key = functools.reduce(lambda before, letter: before << 16 | ord(letter), string, 0)
        place = bisect.bisect_left(self._sorted, key)
        return place if place < len(self._sorted) and self._sorted[place] == key else -1


def _slots(keys: Keys) -> Slots:
    size = 1 << max(4, (len(keys) * 2).bit_length())
    slots = Slots(np.zeros(size, np.uint64), np.full(size, -1, np.int64))
    waiting = np.arange(len(keys))
    places = ((keys * MULTIPLIER >> U32) & np.uint64(size - 1)).astype(np.int64)
    while len(waiting):
        # All that wait try their place at once. Of several for one place one gets it; the rest try the next.
        free = slots.keys[places] == 0
        slots.keys[places[free]] = keys[waiting[free]]
        stays = slots.keys[places] == keys[waiting]
        slots.numbers[places[stays]] = waiting[stays]
        waiting, places = waiting[~stays], (places[~stays] + 1) & (size - 1)
    return slots


class Words(NamedTuple):
    """Words of any length, sorted by what they begin with, the longer before the shorter.

    Attributes:
        prefixes: the first two characters of words, or the one character of those that have no more.
        firsts: int64 [prefixes + 1]; the words with prefix p are firsts[p] to firsts[p + 1].
        starts: int64 [words + 1]; word w is letters[starts[w] : starts[w + 1]].
        letters: uint32.
    """

    prefixes: Slots
    firsts: Ints
    starts: Offsets
    letters: Codes


class Lexicon(NamedTuple):
    """All that `scan.look` looks up.

    Attributes:
        table: uint16 [0x110000], `flags` and what begins with each character.
        pairs: uint16 [65536], the same of pairs of characters at their hash: a filter (Bloom, 1970, with one hash).
    """

    table: Flags
    pairs: Flags
    words: Words
    surnames: Slots
    given: Slots


def sorted_words(words: Iterable[str]) -> list[str]:
    """In the order in which `lexicon` numbers them."""
    return sorted(words, key=lambda word: (len(word) > 1, word[:2], -len(word), word))


def lexicon(words: Sequence[str], surnames: Strings, given: Strings) -> Lexicon:
    """
    Args:
        words: of characters of the first plane, from `sorted_words`.
    """
    codes = spelt([word[:2] for word in words])
    prefixes = Strings(codes)
    firsts = np.append(np.searchsorted(packed(codes), prefixes.keys), len(words)).astype(np.int64)
    starts = np.cumsum([0, *map(len, words)], dtype=np.int64)
    letters = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    table, pairs = flags().copy(), np.zeros(0x10000, np.uint16)
    for keys, begins, whole in (
        (prefixes.keys, WORD_BEGINS, WHOLE_WORD),
        (surnames.keys, SURNAME_BEGINS, WHOLE_SURNAME),
    ):
        first, second = _beginnings(keys)
        table[first[second > 0]] |= np.uint16(begins)
        table[first[second == 0]] |= np.uint16(whole)
        pairs[(first * PAIR_MULTIPLIER + second)[second > 0] & 0xFFFF] |= np.uint16(begins)
    table[_beginnings(given.keys)[0]] |= np.uint16(GIVEN_BEGINS)
    return Lexicon(table, pairs, Words(prefixes.slots, firsts, starts, letters), surnames.slots, given.slots)


def _beginnings(keys: Keys) -> tuple[Ints, Ints]:
    """The first characters of packed strings, and the second, 0 where there is none."""
    shifts = sum((keys >> np.uint64(bits) > 0).astype(np.uint64) for bits in (32, 48)) * U16
    both = (keys >> shifts).astype(np.int64)
    return np.where(both > 0xFFFF, both >> 16, both), np.where(both > 0xFFFF, both & 0xFFFF, 0)
