"""How near a reviewer's expertise is to a proposal, 0 to 1.

A reviewer names themes and words; a proposal has a theme and a text. Words are compared by character bigrams of their
NFKC form, which needs no word boundaries and so works for Japanese: a word's match is the part of its bigrams that the
text holds, rare bigrams counting more (inverse document frequency: Spärck Jones, 1972). Of the matches the three best
count, so that listing more words never lowers an affinity by much. The theme and the words are two independent hints:

    affinity = 1 − (1 − theme / 2) · (1 − words)
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

BEST_WORDS = 3
THEME_WEIGHT = 0.5

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """What a proposal is about. `themes`: its theme's key and its names in both languages."""

    themes: frozenset[str]
    text: str


def affinities(subjects: Sequence[Subject], expertise: Sequence[Sequence[str]]) -> Matrix:
    """Affinities of each subject (rows) with each reviewer's themes and words (columns)."""
    documents = [_bigrams(subject.text) for subject in subjects]
    frequency = Counter(bigram for document in documents for bigram in document)
    index = {bigram: column for column, bigram in enumerate(sorted(frequency))}
    words = sorted({_plain(word) for own in expertise for word in own} - {""})
    held = csr_array(
        (
            np.ones(sum(map(len, documents))),
            _coordinates([[index[bigram] for bigram in sorted(document)] for document in documents]),
        ),
        shape=(len(subjects), len(index)),
    )
    # A bigram that no text holds weighs as one of a single text would: an unknown word is no match, not half of one.
    idf = {bigram: math.log(1 + len(subjects) / count) for bigram, count in frequency.items()}
    unknown = math.log(1 + max(len(subjects), 1))
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    for row, word in enumerate(words):
        parts = _bigrams(word)
        total = sum(idf.get(part, unknown) for part in parts)
        for part in sorted(parts & index.keys()):
            rows.append(row)
            columns.append(index[part])
            weights.append(idf[part] / total)
    weighted = csr_array((weights, (rows, columns)), shape=(len(words), len(index)))
    match = np.clip((held @ weighted.T).toarray(), 0.0, 1.0)  # subjects by words
    at = {word: column for column, word in enumerate(words)}
    result = np.zeros((len(subjects), len(expertise)))
    themes = [{_plain(theme) for theme in subject.themes} for subject in subjects]
    for column, own in enumerate(expertise):
        plain = {_plain(word) for word in own} - {""}
        if not plain:
            continue
        best = np.sort(match[:, sorted(at[word] for word in plain)], axis=1)[:, ::-1][:, :BEST_WORDS]
        theme = np.array([THEME_WEIGHT if named & plain else 0.0 for named in themes])
        result[:, column] = 1 - (1 - theme) * (1 - best.mean(axis=1))
    return result


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _bigrams(text: str) -> set[str]:
    """Of each run of letters; a single letter is its own."""
    found: set[str] = set()
    for word in _plain(text).split():
        found.update(word[at : at + 2] for at in range(len(word) - 1) or [0])
    return found


def _coordinates(lists: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    return (
        [row for row, columns in enumerate(lists) for _ in columns],
        [column for columns in lists for column in columns],
    )
