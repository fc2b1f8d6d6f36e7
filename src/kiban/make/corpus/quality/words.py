"""Word lists: how often their words stand in a text, and how many letters that is.

All lists are looked for in one pass of one automaton (Aho and Corasick, 1975; the double array of daachorse). Within
a list matches do not overlap: from left to right the first word in the list's order that stands there is taken, which
is what a regular expression of alternatives does. With the longest words first, that is the longest match.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import daachorse
import numpy as np
import numpy.typing as npt

from kiban.kit.errors import BadInput

Boundaries = Literal["none", "katakana", "script"]

# As HojiChar draws it: without ヵ, ヶ and the middle dot, so that コーヒー・サイト has two words.
KATAKANA_WORD = re.compile("[ァ-ヴー]+")


@dataclass(frozen=True)
class WordList:
    """Words in order of preference.

    Attributes:
        boundaries: "none": words count wherever they stand; "katakana": words of katakana only where no katakana
            stands beside them, so that インポ is not found in インポート; "script": also words of ASCII letters only
            where no ASCII letter or digit stands beside them.
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


class WordCounter:
    """Finds the words of several lists at once."""

    def __init__(self, lists: Sequence[WordList]) -> None:
        self.lists = tuple(lists)
        owners: dict[str, list[tuple[int, int]]] = {}
        for number, each in enumerate(self.lists):
            for rank, word in enumerate(each.words):
                owners.setdefault(word, []).append((number, rank))
        self._patterns = list(owners)
        self._owners = [
            [(number, rank, _guard(self._patterns[at], self.lists[number].boundaries)) for number, rank in owned]
            for at, owned in enumerate(owners.values())
        ]
        # Its prefilter looks for first letters that are rare; first letters of words are not.
        self._automaton = (
            daachorse.CharwiseDoubleArrayAhoCorasick(self._patterns, use_prefilter=False) if owners else None
        )

    def count(self, text: str) -> tuple[list[int], list[int]]:
        """Occurrences, and letters in them, per list."""
        hits, letters = [0] * len(self.lists), [0] * len(self.lists)
        found = self._automaton.find_overlapping(text) if self._automaton else []
        if not found:
            return hits, letters
        places: list[list[tuple[int, int, int]]] = [[] for _ in self.lists]
        for start, end, pattern in found:
            for number, rank, guard in self._owners[pattern]:
                if guard is None or not _inside_word(text, start, end, guard):
                    places[number].append((start, rank, end))
        for number, own in enumerate(places):
            own.sort()
            free = 0
            for start, _, end in own:
                if start >= free:
                    hits[number] += 1
                    letters[number] += end - start
                    free = end
        return hits, letters

    def measure(self, texts: Iterable[str]) -> npt.NDArray[np.int64]:
        """int64 [texts, lists, 2]: occurrences and letters."""
        return np.array([list(zip(*self.count(text), strict=True)) for text in texts], np.int64).reshape(
            -1, len(self.lists), 2
        )


def _guard(word: str, boundaries: Boundaries) -> re.Pattern[str] | None:
    """What must not stand beside the word."""
    if boundaries != "none" and KATAKANA_WORD.fullmatch(word):
        return KATAKANA
    if boundaries == "script" and word.isascii():
        return LATIN
    return None


KATAKANA = re.compile("[ァ-ヴー]")
LATIN = re.compile("[0-9A-Za-z]")


def _inside_word(text: str, start: int, end: int, guard: re.Pattern[str]) -> bool:
    return bool((start and guard.match(text, start - 1)) or guard.match(text, end))
