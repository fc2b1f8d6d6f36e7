"""Text as a search sees it: folded by NFKC and case, cut into runs of one, two and three characters.

Japanese has no spaces to cut words at, and a dictionary misses names; pairs of characters find any substring of two
characters or more (Ogawa & Matsuda, 1997, compare such indexes for Japanese). Single characters serve queries of one.
Longer words are looked up by their runs of three: a sentence of common pairs would be looked for in every text.
Runs only narrow the search down: whether the words really stand in the text is looked up in the text.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterable

import numpy as np
import numpy.typing as npt

_LONGEST = 3
# A run is three code points of 21 bits; what it is known by has 24, so that an index of thousands a text stays small.
# Two runs that share a number cost a look into a text in vain, for about one text in ten thousand.
_CODE_POINT_BITS = 21
_GRAM_BITS = 24
_OF_TITLE = 1 << 63  # runs of titles are kept beside those of texts, as numbers of their own
MOST_TERMS = 10
MOST_QUERY_CHARS = 200


def fold(text: str) -> str:
    """One spelling for all widths, cases and spaces: ｶﾞｽ, ガス and が す differ in nothing but the last.

    NFKC after case folding after NFKC, until nothing changes (Unicode 16, section 3.13, toNFKC_Casefold without its
    removal of invisible characters); runs of white space become one space.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    while (again := unicodedata.normalize("NFKC", folded).casefold()) != folded:
        folded = again
    return " ".join(folded.replace("\x00", " ").split())


def folded_places(text: str) -> tuple[str, list[int]]:
    """The text folded character by character, and for each folded character the place of its own in the text."""
    folded, places = "", []
    for place, character in enumerate(text):
        one = fold(character) or (" " if character.isspace() else "")
        folded += one
        places += [place] * len(one)
    return folded, places


def terms(query: str) -> list[str]:
    """The words of a query, all of which must stand in a text; at most `MOST_TERMS` of them."""
    return list(dict.fromkeys(fold(query[:MOST_QUERY_CHARS]).split(" ")))[:MOST_TERMS] if query.strip() else []


def text_grams(folded: str, *, of_title: bool = False) -> set[int]:
    """All runs of one to three characters of a folded text, without those over a space."""
    return {gram for length in range(1, _LONGEST + 1) for gram in _runs(folded, length, of_title)}


def query_grams(words: Iterable[str], *, of_title: bool = False) -> set[int]:
    """What every text with these words has: their longest runs."""
    return {gram for word in words for gram in _runs(word, min(len(word), _LONGEST), of_title)}


def label_gram(label: str) -> int:
    """A number for what is no text, such as the call of a proposal."""
    return int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big") >> (64 - _GRAM_BITS)


def to_words(grams: Collection[int]) -> str:
    """Grams as words of six hexadecimal digits, for an index that takes words."""
    numbers = np.sort(np.fromiter(grams, dtype=">u4", count=len(grams)))
    return numbers.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes().hex(" ", _GRAM_BITS // 8)


def _runs(folded: str, length: int, of_title: bool) -> list[int]:
    points = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = len(points) - length + 1
    if count < 1:
        return []
    codes = np.full(count, _OF_TITLE if of_title else 0, dtype=np.uint64)
    has_space = np.zeros(count, dtype=np.bool_)
    for at in range(length):
        part = points[at : at + count]
        codes ^= part << np.uint64(_CODE_POINT_BITS * at)
        has_space |= part == ord(" ")
    found: list[int] = np.unique(_mixed(codes[~has_space])).tolist()
    return found


def _mixed(codes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood, 2014), and of that the upper bits."""
    codes = (codes ^ (codes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    codes = (codes ^ (codes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (codes ^ (codes >> np.uint64(31))) >> np.uint64(64 - _GRAM_BITS)
