"""FineWeb2's filters for Japanese (Penedo et al., "FineWeb2", COLM 2025): jpn_Jpan.yml of github.com/huggingface/
fineweb-2 as of June 2025, "paper version", with the filters of datatrove 0.10 that its pipeline runs.

The configuration with which the data set first appeared (December 2024) had other limits: duplicate_lines .375,
top n-grams .121/.129/.145, duplicate n-grams .307/.283/.264/.248/.234/.223, line_punctuation .167, new_lines .162,
mean_word_max 5. Recipes can set them.

Not here: the language score (at least .886 by GlotLID), which is no matter of the text's quality, and what FineWeb2
does before and after (URLs, near-duplicates, personal data). Rules are in order of what they cost. Where the original
raises (a text without words), the text is dropped. Words are SudachiPy's; spaCy, through which the original calls it,
changes nothing about them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

from kiban.make.corpus.quality.rules import Batch, Definition, Group, Indices, Rule, Values
from kiban.make.corpus.quality.statistics import ranges
from kiban.make.corpus.quality.tokenize import sudachi_words

RULES = (
    Rule("duplicate_lines", "duplicate_line_share", ">", 0.328),
    Rule("line_punctuation", "punctuated_line_share", "<", 0.096),
    Rule("duplicate_line_letters", "duplicate_line_letter_share", ">", 0.1),
    Rule("bullet_lines", "bullet_line_share", ">", 0.9),
    Rule("ellipsis_lines", "ellipsis_line_share", ">", 0.3),
    Rule("words_min", "words", "<", 50),
    Rule("words_max", "words", ">", 100_000),
    Rule("mean_word_min", "mean_word_letters", "<", 1),
    Rule("mean_word_max", "mean_word_letters", ">", 6),
    Rule("new_lines", "new_lines_per_word", ">", 0.13),
    Rule("hashes", "hashes_per_word", ">", 0.1),
    Rule("ellipses", "ellipses_per_word", ">", 0.1),
    Rule("alphabetic_words", "alphabetic_word_share", "<", 0.759),
    Rule("stop_words", "stop_words", "<", 2),
    Rule("top_2gram", "top_2gram_letter_share", ">", 0.239),
    Rule("top_3gram", "top_3gram_letter_share", ">", 0.196),
    Rule("top_4gram", "top_4gram_letter_share", ">", 0.172),
    Rule("duplicate_5gram", "duplicate_5gram_letter_share", ">", 0.243),
    Rule("duplicate_6gram", "duplicate_6gram_letter_share", ">", 0.225),
    Rule("duplicate_7gram", "duplicate_7gram_letter_share", ">", 0.207),
    Rule("duplicate_8gram", "duplicate_8gram_letter_share", ">", 0.19),
    Rule("duplicate_9gram", "duplicate_9gram_letter_share", ">", 0.175),
    Rule("duplicate_10gram", "duplicate_10gram_letter_share", ">", 0.159),
)

STOP_WORDS = frozenset("のにをはたてがとでしれさ年月・")
TOP_NGRAMS, DUPLICATE_NGRAMS = range(2, 5), range(5, 11)
LINE_STATISTICS = (
    "duplicate_line_share",
    "punctuated_line_share",
    "duplicate_line_letter_share",
    "bullet_line_share",
    "ellipsis_line_share",
)
WORD_STATISTICS = (
    "words",
    "mean_word_letters",
    "new_lines_per_word",
    "hashes_per_word",
    "ellipses_per_word",
    "alphabetic_word_share",
    "stop_words",
    *(f"top_{n}gram_letter_share" for n in TOP_NGRAMS),
    *(f"duplicate_{n}gram_letter_share" for n in DUPLICATE_NGRAMS),
)


def _characters(written: str) -> frozenset[str]:
    return frozenset(chr(code) for first, last in ranges(written) for code in range(first, last + 1))


# Code points, hexadecimal, that end a sentence in some script, and those that datatrove besides takes for punctuation.
TERMINAL = _characters(
    """21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 17D4-17D6
    17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E
    2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52
    FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6
    111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944
    11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44 16E98 1BC9F
    1DA88"""
)
PUNCTUATION = TERMINAL | _characters(
    """0-8 B-1F 22-2D 2F 3A-3E 40 5B-60 7B-9F AB B4 BB 2013-2014 2019 201C-201E 2026 2236 2501 25BA 3001 3008-300D
    3010-3011 FF05 FF08-FF09 FF0C FF0E FF11 FF1A-FF1B FF5E"""
)
TERMINALS = tuple(sorted(TERMINAL))
LINE_ENDS = re.compile("\n+")


def define(needed: Collection[str], word_lists: Path | None) -> Definition:
    """Measures for the statistics `needed`.

    Raises:
        BadInput: SudachiPy is not installed and words are needed.
    """
    groups = [Group(LINE_STATISTICS, _lines)]
    if not set(WORD_STATISTICS).isdisjoint(needed):
        groups.append(_words(sudachi_words()))
    return Definition(tuple(groups))


def _lines(batch: Batch, chosen: Indices) -> Values:
    return np.array([line_statistics(batch.texts[i]) for i in chosen], np.float64).reshape(-1, len(LINE_STATISTICS))


def line_statistics(text: str) -> tuple[float, ...]:
    """LINE_STATISTICS of one text."""
    lines = LINE_ENDS.split(text)
    duplicates = (len(lines) - len(set(lines))) / len(lines)
    filled = [line for line in text.split("\n") if line.strip()]
    if not filled:
        return duplicates, 0.0, 0.0, 0.0, 0.0
    punctuated = sum(line.endswith(TERMINALS) for line in filled) / len(filled)
    repeated = sum(map(len, filled)) - sum(map(len, set(filled)))
    all_lines = text.splitlines()
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in all_lines)
    ellipses = sum(line.rstrip().endswith(("...", "…")) for line in all_lines)
    letters = len(text) - text.count("\n")
    return duplicates, punctuated, repeated / letters, bullets / len(all_lines), ellipses / len(all_lines)


def _words(tokenize: Callable[[str], list[str]]) -> Group:
    def measure(batch: Batch, chosen: Indices) -> Values:
        found = [word_statistics(batch.texts[i], tokenize(batch.texts[i])) for i in chosen]
        return np.array(found, np.float64).reshape(-1, len(WORD_STATISTICS))

    return Group(WORD_STATISTICS, measure)


def word_statistics(text: str, words: Sequence[str]) -> tuple[float, ...]:
    """WORD_STATISTICS of one text that has these words."""
    spoken = [word for word in words if not PUNCTUATION.issuperset(word)]
    number = max(1, len(words))
    apart, joined = _Slices(words, " "), _Slices(words, "")
    return (
        len(spoken),
        sum(map(len, spoken)) / max(1, len(spoken)),
        text.count("\n") / number,
        text.count("#") / number,
        (text.count("...") + text.count("…")) / number,
        sum(any(map(str.isalpha, word)) for word in words) / number,
        len(STOP_WORDS.intersection(words)),
        *(_top(apart, n) / max(1, len(text)) for n in TOP_NGRAMS),
        *(_duplicate(joined, n) / max(1, len(text)) for n in DUPLICATE_NGRAMS),
    )


class _Slices:
    """N-grams of words as slices of the joined text, which is faster than joining each."""

    def __init__(self, words: Sequence[str], between: str) -> None:
        self.text, self.words, self.gap = between.join(words), len(words), len(between)
        self.starts = [0, *accumulate(len(word) + self.gap for word in words)]

    def at(self, i: int, n: int) -> str:
        return self.text[self.starts[i] : self.starts[i + n] - self.gap]


def _top(grams: _Slices, n: int) -> int:
    """Letters in all occurrences of the most frequent n-gram, the first of those; the blanks between words count."""
    counter = Counter(grams.at(i, n) for i in range(grams.words - n + 1))
    if not counter:
        return 0
    gram, frequency = counter.most_common(1)[0]
    return len(gram) * frequency


def _duplicate(grams: _Slices, n: int) -> int:
    """Letters in n-grams that stood before, from left to right, those counted not overlapping."""
    seen: set[str] = set()
    i, letters = 0, 0
    while i < grams.words - n + 1:
        gram = grams.at(i, n)
        if gram in seen:
            letters += len(gram)
            i += n
        else:
            seen.add(gram)
            i += 1
    return letters
