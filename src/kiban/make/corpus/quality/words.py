"""Word lists: how often their words stand in a text, and how many letters that is.

All lists are looked for in one pass. Within a list matches do not overlap: from left to right the first word in the
list's order that stands there is taken, which is what a regular expression of alternatives does. With the longest
words first, that is the longest match.

Words are kept as a trie (Fredkin, 1960), which is entered where a pair of letters begins a word: a filter of 8 KB
(Bloom, 1970, with one hash) tells that of nearly all places. The time is at most the text's length times that of the
longest word, which is in one's own hands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from kiban.kit.errors import BadInput
from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.letters import Codes, Offsets
from kiban.make.corpus.quality.statistics import CODE_POINTS, Counts, first_planes

Boundaries = Literal["none", "katakana", "script", "blanks"]

# As HojiChar draws it: without ヵ, ヶ and the middle dot, so that コーヒー・サイト has two words.
KATAKANA_WORD = re.compile("[ァ-ヴー]+")

PAIRS = 1 << 16  # bits of the filter
SPREAD = 40503  # 2^16 over the golden ratio: kinds that follow each other come far from each other

# What must not, or for BLANKS what must, stand beside a word.
ANYTHING, KATAKANA, LATIN, BLANKS = range(4)


@dataclass(frozen=True)
class WordList:
    """Words in order of preference.

    Attributes:
        boundaries: "none": words count wherever they stand; "katakana": words of katakana only where no katakana
            stands beside them, so that インポ is not found in インポート; "script": also words of ASCII letters only
            where no ASCII letter or digit stands beside them; "blanks": only after a space or at the beginning, and
            before a space, comma, full stop, the end or the line end that is the last letter.
    """

    name: str
    words: tuple[str, ...]
    boundaries: Boundaries = "none"


def read_words(path: Path) -> tuple[str, ...]:
    """The words of a file with one word per line; blank lines and blanks around words do not count.

    Raises:
        BadInput: it cannot be read, is not UTF-8, or has no word.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise BadInput("there is no such word list", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInput(f"cannot read the word list: {reason}", where=str(path)) from None
    words = tuple(dict.fromkeys(word for line in lines if (word := line.strip())))
    if not words:
        raise BadInput("the word list is empty", where=str(path))
    return words


def longest_first(words: Iterable[str]) -> tuple[str, ...]:
    """The words in the order in which the first match is the longest."""
    return tuple(sorted(set(words), key=lambda word: (-len(word), word)))


class Trie(NamedTuple):
    """Words of several lists, letter by letter.

    Attributes:
        kinds: uint32 [0x110000]: from 1 a number for each letter that words have, else 0. Letters that are one where
            case does not matter share it. First come those that are a word alone, then the others that begin one.
        alone, beginning: up to which kind they are that; the state after one letter is the letter's kind.
        base: more than any kind.
        pairs: uint32 [PAIRS / 32], bits; (first kind * SPREAD + second kind) mod PAIRS is set for each word of more.
        keys: int64 [edges], sorted: state * base + kind of the letter after it.
        states: int64 [edges]: where it leads.
        edges, ends: int64 [states + 1]; state s has keys[edges[s] : edges[s + 1]] and owners[ends[s] : ends[s + 1]].
        owners: int64 [words, 3]: list, rank in the list and boundary of the words that end in a state.
    """

    kinds: npt.NDArray[np.uint32]
    alone: int
    beginning: int
    base: int
    pairs: npt.NDArray[np.uint32]
    keys: npt.NDArray[np.int64]
    states: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int64]


@part
def candidate(codes: Any, start: Any, end: Any, kinds: Any, pairs: Any, alone: Any) -> Any:
    """The first place from `start` on where the filter lets a word begin; `end` if there is none."""
    after = np.uint64(kinds[codes[start]]) if start < end else np.uint64(0)
    for place in range(np.uint64(start), np.uint64(end)):
        kind = after
        following = place + np.uint64(1)
        after = np.uint64(kinds[codes[following]]) if following < np.uint64(end) else np.uint64(0)
        bit = (kind * np.uint64(SPREAD) + after) & np.uint64(PAIRS - 1)
        begun = np.uint64(pairs[bit >> np.uint64(5)]) >> (bit & np.uint64(31))
        # One condition that hardly ever holds: no processor foresees which letters begin words.
        if (begun & np.uint64(1)) | np.uint64(kind - np.uint64(1) < np.uint64(alone)):
            return np.int64(place)
    return end


@part
def bounded(codes: Any, begin: Any, end: Any, start: Any, stop: Any, boundary: Any) -> Any:
    """Whether codes[start : stop] stands as its boundary asks in the text codes[begin : end]."""
    if boundary == ANYTHING:
        return True
    before = codes[start - 1] if start > begin else 0
    after = codes[stop] if stop < end else 0
    if boundary == KATAKANA:
        return not (0x30A1 <= before <= 0x30F4 or before == 0x30FC or 0x30A1 <= after <= 0x30F4 or after == 0x30FC)
    if boundary == LATIN:
        return not (_latin(before) or _latin(after))
    closed = stop == end or after == 0x20 or after == 0x2C or after == 0x2E or (after == 0x0A and stop + 1 == end)
    return (start == begin or before == 0x20) and closed


@part
def _latin(code: Any) -> Any:
    return 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A


def _find_numpy(codes: Codes, begins: Offsets, ends: Offsets, trie: Trie, lists: int) -> Counts:
    result = np.zeros((len(begins), lists, 2), np.int64)
    keys = np.append(trie.keys, -1)
    for row, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        own = trie.kinds[codes[begin:end]].astype(np.int64)
        start = np.flatnonzero((own > 0) & (own <= trie.beginning))
        state = own[start]
        found: list[tuple[int, int, int, int]] = []
        length = 1
        while len(start):
            for i in np.flatnonzero(trie.ends[state] < trie.ends[state + 1]):
                at = int(start[i])
                for owner, rank, boundary in trie.owners[trie.ends[state[i]] : trie.ends[state[i] + 1]].tolist():
                    if bounded(codes, begin, end, begin + at, begin + at + length, boundary):
                        found.append((owner, at, rank, length))
            inside = start + length < len(own)
            start, state = start[inside], state[inside]
            key = state * trie.base + own[start + length]
            at_key = np.searchsorted(trie.keys, key)
            known = keys[at_key] == key
            start, state = start[known], trie.states[at_key[known]]
            length += 1
        free = [0] * lists
        for owner, at, _, letters in sorted(found):
            if at >= free[owner]:
                result[row, owner] += 1, letters
                free[owner] = at + letters
    return result


@compiled(fallback=_find_numpy)
def find(codes: Codes, begins: Offsets, ends: Offsets, trie: Trie, lists: int) -> Counts:
    """Occurrences of the words of each list, and letters in them.

    Args:
        begins, ends: int64 [texts]; text i is codes[begins[i] : ends[i]].
        lists: how many there are.

    Returns:
        int64 [texts, lists, 2].
    """
    result = np.zeros((len(begins), lists, 2), np.int64)
    # Taken out once: each time that it is done costs a count of references.
    kinds, alone, beginning, base, pairs, keys, states, edges, terminal, owners = trie
    free = np.empty(lists, np.int64)  # where each list's last match ends
    rank_of = np.empty(lists, np.int64)  # of the best match at one place
    letters_of = np.zeros(lists, np.int64)
    for row in range(len(begins)):
        begin, end = begins[row], ends[row]
        free[:] = begin
        start = begin - 1
        while True:
            start = candidate(codes, start + 1, end, kinds, pairs, alone)
            if start == end:
                break
            state = np.int64(kinds[codes[start]])
            if state == 0 or state > beginning:
                continue
            matched = False
            stop = start + 1
            while True:
                for at in range(terminal[state], terminal[state + 1]):
                    number, rank = owners[at, 0], owners[at, 1]
                    if (
                        start >= free[number]
                        and (letters_of[number] == 0 or rank < rank_of[number])
                        and bounded(codes, begin, end, start, stop, owners[at, 2])
                    ):
                        rank_of[number], letters_of[number] = rank, stop - start
                        matched = True
                if stop == end:
                    break
                key = state * base + np.int64(kinds[codes[stop]])
                low, high = edges[state], edges[state + 1]
                while low < high:
                    middle = (low + high) >> 1
                    if keys[middle] < key:
                        low = middle + 1
                    else:
                        high = middle
                if low == edges[state + 1] or keys[low] != key:
                    break
                state = states[low]
                stop += 1
            if matched:
                for number in range(lists):
                    if letters_of[number]:
                        result[row, number, 0] += 1
                        result[row, number, 1] += letters_of[number]
                        free[number] = start + letters_of[number]
                        letters_of[number] = 0
    return result


class WordCounter:
    """Finds the words of several lists at once."""

    def __init__(self, lists: Sequence[WordList], *, ignore_case: bool = False) -> None:
        self._trie, self._lists = _trie(lists, ignore_case), len(lists)

    def measure(self, codes: Codes, begins: Offsets, ends: Offsets) -> Counts:
        """Of texts as for `find`: int64 [texts, lists, 2], occurrences and letters in them."""
        return find(codes, begins, ends, self._trie, self._lists)


def _trie(lists: Sequence[WordList], ignore_case: bool) -> Trie:
    letters = sorted({letter for each in lists for word in each.words for letter in word})
    same = _without_case(letters) if ignore_case else dict(zip(letters, letters, strict=True))
    alone = {same[word] for each in lists for word in each.words if len(word) == 1}
    beginning = {same[word[0]] for each in lists for word in each.words}
    ordered = sorted(set(same.values()), key=lambda letter: (letter not in alone, letter not in beginning, letter))
    number_of = {letter: number for number, letter in enumerate(ordered, 1)}
    kind_of = {letter: number_of[one] for letter, one in same.items()}
    base = len(ordered) + 1
    states: dict[int, int] = {}
    owners: list[list[tuple[int, int, int]]] = [[] for _ in range(len(beginning) + 1)]
    pairs = np.zeros(PAIRS, np.uint8)
    for number, each in enumerate(lists):
        for rank, word in enumerate(each.words):
            state, *rest = [kind_of[letter] for letter in word]
            if rest:
                pairs[(state * SPREAD + rest[0]) % PAIRS] = 1
            for kind in rest:
                key = state * base + kind
                if key not in states:
                    states[key] = len(owners)
                    owners.append([])
                state = states[key]
            owners[state].append((number, rank, _boundary(word, each.boundaries)))
    kinds = np.zeros(CODE_POINTS, np.uint32)
    kinds[[ord(letter) for letter in kind_of]] = list(kind_of.values())
    keys = np.array(sorted(states), np.int64)
    return Trie(
        kinds,
        len(alone),
        len(beginning),
        base,
        np.packbits(pairs, bitorder="little").view(np.uint32),
        keys,
        np.array([states[key] for key in keys.tolist()], np.int64),
        np.searchsorted(keys, np.arange(len(owners) + 1) * base),
        np.cumsum([0, *map(len, owners)]),
        np.array([owner for own in owners for owner in own], np.int64).reshape(-1, 3),
    )


def _without_case(letters: Sequence[str]) -> dict[str, str]:
    """What regular expressions that ignore case take for one of the letters -> one of those that are the same."""
    if not letters:
        return {}
    found = re.findall(f"[{''.join(map(re.escape, letters))}]", first_planes(), re.IGNORECASE)
    expressions = {letter: re.compile(re.escape(letter), re.IGNORECASE) for letter in letters}
    one_of = {each: next(letter for letter in letters if expressions[letter].match(each)) for each in found}
    return dict(zip(letters, letters, strict=True)) | one_of


def _boundary(word: str, boundaries: Boundaries) -> int:
    if boundaries == "blanks":
        return BLANKS
    if boundaries != "none" and KATAKANA_WORD.fullmatch(word):
        return KATAKANA
    if boundaries == "script" and word.isascii():
        return LATIN
    return ANYTHING
