"""Text as a search sees it: folded by NFKC and case, cut into pairs of characters.

Japanese has no spaces to cut words at, and a dictionary misses names; pairs of characters find any substring of two
characters or more (Ogawa & Matsuda, 1997, compare such indexes for Japanese). Single characters are kept as well, for
queries of one. Pairs only narrow the search down: whether the words really stand in the text is looked up in the text.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable

import numpy as np

# Code points have 21 bits. A pair is one number; a character alone is a pair with nothing before it.
_BITS = 21
# Grams of titles are kept beside those of texts, as numbers of their own.
TITLE = 1 << (2 * _BITS)
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


def terms(query: str) -> list[str]:
    """The words of a query, all of which must stand in a text; at most `MOST_TERMS` of them."""
    return list(dict.fromkeys(fold(query[:MOST_QUERY_CHARS]).split(" ")))[:MOST_TERMS] if query.strip() else []


def text_grams(folded: str) -> set[int]:
    """Pairs and single characters of a folded text."""
    points = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)
    pairs = np.unique((points[:-1] << _BITS) | points[1:])
    return {*pairs.tolist(), *(ord(c) for c in set(folded) if c != " ")}


def query_grams(words: Iterable[str]) -> set[int]:
    """What every text with these words has: their pairs, or the character itself of a word of one."""
    found: set[int] = set()
    for word in words:
        if len(word) == 1:
            found.add(ord(word))
        found.update((ord(a) << _BITS) | ord(b) for a, b in itertools.pairwise(word))
    return found


def title_grams(grams: Iterable[int]) -> set[int]:
    """The same grams, of a title."""
    return {gram | TITLE for gram in grams}


def to_words(grams: Iterable[int]) -> str:
    """Grams as words of hexadecimal digits, for an index that takes words."""
    return " ".join(map("{:x}".format, sorted(grams)))
