"""HojiChar 0.18.1 (github.com/HojiChar/HojiChar): its document filters, each with its default limit.

HojiChar is a kit of filters and has no pipeline of its own; this is all that reject by themselves. They are in order
of what they cost. DocumentLengthFilter has no limit by default and is left out.

Word lists are read from the installed package `hojichar`, or from a folder with the same files. Words need the
tokenizer that it uses (fugashi with UniDic), special tokens the package `emoji`; rules that are left out need nothing.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import string
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from kiban.kit.errors import BadInput
from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.letters import Codes, Offsets
from kiban.make.corpus.quality.ngrams import LEADING, SALT, TOTAL, of_one_length
from kiban.make.corpus.quality.rules import Batch, Definition, Group, Indices, Rule, Values, per_text, share
from kiban.make.corpus.quality.statistics import (
    ALL_LINES,
    LONGEST_RUN,
    SHORT_LINES,
    Counts,
    Table,
    first_planes,
    layout,
    ranges,
    single,
    table,
)
from kiban.make.corpus.quality.tokenize import unidic_words
from kiban.make.corpus.quality.words import WordCounter, WordList, read_words

RULES = (
    Rule("kana_at_start", "kana_in_first_50", "<", 1),
    Rule("kuten_share", "kuten_share", "<", 0.01),  # a mean sentence of more than 100 letters
    Rule("short_lines", "short_line_share", ">", 0.5),
    Rule("character_run", "longest_run", ">=", 200),
    Rule("ellipsis_lines", "ellipsis_line_share", ">", 0.7),
    Rule("bulletin_board", "bulletin_board_hits", ">", 14),
    Rule("advertisement", "advertisement_hits", ">", 14),
    Rule("adult", "adult_hits", ">", 0),
    Rule("discrimination", "discrimination_hits", ">", 0),
    Rule("violence", "violence_hits", ">", 0),
    Rule("adult_english", "adult_english_hits", ">", 0),
    Rule("special_tokens", "special_token_share", ">", 0.4),
    Rule("character_repetition", "leading_5gram_share", ">=", 0.33),
    Rule("nouns", "noun_share", ">=", 0.80),
    Rule("word_repetition", "repeated_word_7gram_share", ">=", 0.40),
)

LISTS = {
    "advertisement": "advertisement_keywords_ja.txt",
    "adult": "adult_keywords_ja.txt",
    "discrimination": "discrimination_keywords_ja.txt",
    "violence": "violence_keywords_ja.txt",
}
ENGLISH = "adult_keywords_en.txt"

FIRST_LETTERS = 50
KANA = re.compile("[ぁ-んァ-ン]")
SHORT_LINE = 10
REPETITION_N = 5
WORD_REPETITION_N = 7
CHUNK = 100_000  # letters that the tokenizer is given at a time


def define(needed: Collection[str], word_lists: Path | None) -> Definition:
    """Measures for the statistics `needed`.

    Raises:
        BadInput: something that they need is not installed, or a word list is missing.
    """
    groups = [START, LETTERS, LAYOUT, ELLIPSIS_LINES, _bulletin_board(), REPETITION]
    if lists := [name for name in LISTS if f"{name}_hits" in needed]:
        groups.append(word_hits([WordList(name, list_words(LISTS[name], word_lists)) for name in lists]))
    if "adult_english_hits" in needed:
        groups.append(_english(list_words(ENGLISH, word_lists)))
    if "special_token_share" in needed:
        groups.append(_special_tokens())
    if not WORD_STATISTICS.isdisjoint(needed):
        groups.append(_words())
    return Definition(tuple(groups))


def list_words(name: str, folder: Path | None) -> tuple[str, ...]:
    """The words of the file `name` in `folder`, or in the installed package where no folder is given.

    Raises:
        BadInput: there is no such file, or neither folder nor package.
    """
    if folder is None:
        package = importlib.util.find_spec("hojichar")
        if package is None or not package.submodule_search_locations:
            raise BadInput(
                f"the profile needs HojiChar's word list {name}, and the package hojichar is not installed",
                where="quality.word_lists",
                hint="pip install hojichar, or name a folder with the lists",
            )
        folder = Path(package.submodule_search_locations[0]) / "dict"
    return read_words(folder / name)


def word_hits(lists: list[WordList]) -> Group:
    """Occurrences of each list's words, as statistics `<list>_hits`."""
    counter = WordCounter(lists)

    def measure(batch: Batch, chosen: Indices) -> Values:
        return counter.measure(batch.letters.codes, *batch.spans(chosen))[:, :, 0].astype(np.float64)

    return Group(tuple(f"{each.name}_hits" for each in lists), measure)


START = Group(("kana_in_first_50",), per_text(lambda text: bool(KANA.search(text[:FIRST_LETTERS]))))


def _kuten(batch: Batch, chosen: Indices) -> Values:
    begins, ends = batch.spans(chosen)
    kuten = [batch.texts[i].count("。") for i in chosen]
    return share(kuten, ends - begins, nothing=1.0)[:, None]


LETTERS = Group(("kuten_share",), _kuten)


def _layout(batch: Batch, chosen: Indices) -> Values:
    found = layout(batch.letters.codes, *batch.spans(chosen), SHORT_LINE)
    return np.stack((share(found[:, SHORT_LINES], found[:, ALL_LINES]), found[:, LONGEST_RUN].astype(np.float64)), 1)


LAYOUT = Group(("short_line_share", "longest_run"), _layout)
ELLIPSIS_LINES = Group(
    ("ellipsis_line_share",),
    per_text(lambda text: (text.count("...\n") + text.count("…\n")) / max(1, text.count("\n"))),
)

# Code points, hexadecimal, that count as special besides ASCII punctuation, blanks and emoji (BigScience's list as
# HojiChar has it, with its slips: 士, １).
SPECIAL = ranges(
    """81-85 91-93 95-99 9C-9D A1-A8 AA-AB AD AF-B4 B7-BF D7 F7-F8 131 26A 2BA-2BC 2C8 2CC 2D0 2D8 2DA 2DC 3C0 413
    60C 647 66A 66C 6E9 93E 940 947 94D 97D 9BE E51 2002-2003 2005 2008-200B 2010-2011 2013-2016 2018-201A
    201C-2020 2022 2024 2026 202F-2030 2032-2033 2039-203A 203F 2043-2044 20A8 20AA 20AC 2103 21D3 2206 2208
    2212 221A 221E-221F 2248 2256 2264-2265 2295 22C5 2550 25A0 25AC 25B2 25B4 25B7 25BA-25BC 25C6 25CF 25E6
    2605-2606 261B 263B 2661 266B 2713 2726 2731 2756 27A4 27A9 2800 3000-3002 300A-300D 3010-3011 309C 58EB
    FD3E-FD3F FEFF FF01 FF08-FF09 FF0C FF0E FF11 FF1A-FF1B FF1F FF3E FF5E FFFC-FFFD"""
)

# What forums and shops are full of: dates, episodes (12話), hyphens, and words. A date takes its hyphens with it, and
# its last digit before 話.
BOARD_MARKS = re.compile(r"\d{4}[年.\-/] *\d{1,2}[月.\-/] *\d{1,2}日*|\d話|-")
BOARD_WORDS = WordList(
    "board",
    (
        "コメント",
        "SOLD OUT",
        "レビュー",
        "投稿",
        "ページ",
        *(f"({day})" for day in "月火水木金土日"),
        "質問",
        "楽天市場",
    ),
)
DIGIT, HYPHEN, DIVIDER, YEAR, MONTH, DAY, EPISODE, SPACE = range(1, 9)


@functools.cache
def _mark_kinds() -> Table:
    digits = re.findall(r"\d", first_planes())
    return table(single("".join(digits)), *map(single, ("-", "./", "年", "月", "日", "話", " ")))


@part
def _date_end(codes: Any, at: Any, end: Any, kinds: Any) -> Any:
    """Where a date ends whose four digits of the year end at `at`; 0: that is none."""
    for between in (YEAR, MONTH):
        if at == end or not (kinds[codes[at]] == between or kinds[codes[at]] == HYPHEN or kinds[codes[at]] == DIVIDER):
            return 0
        at += 1
        while at < end and kinds[codes[at]] == SPACE:
            at += 1
        first = at
        while at < end and at < first + 2 and kinds[codes[at]] == DIGIT:
            at += 1
        if at == first:
            return 0
    while at < end and kinds[codes[at]] == DAY:
        at += 1
    return at


def _board_marks_numpy(codes: Codes, begins: Offsets, ends: Offsets, kinds: Table) -> Counts:
    texts = (codes[begin:end].tobytes().decode("utf-32-le") for begin, end in zip(begins, ends, strict=True))
    return np.array([len(BOARD_MARKS.findall(text)) for text in texts], np.int64)


@compiled(fallback=_board_marks_numpy)
def board_marks(codes: Codes, begins: Offsets, ends: Offsets, kinds: Table) -> Counts:
    """int64 [texts]: matches of BOARD_MARKS in each text codes[begins[i] : ends[i]]; `kinds` is _mark_kinds()."""
    result = np.zeros(len(begins), np.int64)
    for row in range(len(begins)):
        at, end = begins[row], ends[row]
        while at < end:
            kind = kinds[codes[at]]
            at += 1
            if kind == HYPHEN:
                result[row] += 1
            elif kind == DIGIT:
                first = at - 1
                while at < end and kinds[codes[at]] == DIGIT:
                    at += 1
                date = _date_end(codes, at, end, kinds) if at - first >= 4 else 0
                if date:
                    result[row] += 1
                    at = date
                elif at < end and kinds[codes[at]] == EPISODE:
                    result[row] += 1
    return result


def _bulletin_board() -> Group:
    words = WordCounter([BOARD_WORDS])

    def measure(batch: Batch, chosen: Indices) -> Values:
        own = (batch.letters.codes, *batch.spans(chosen))
        return (board_marks(*own, _mark_kinds())[:, None] + words.measure(*own)[:, :, 0]).astype(np.float64)

    return Group(("bulletin_board_hits",), measure)


def _english(words: tuple[str, ...]) -> Group:
    """1 where a word stands between blanks (or ends of the text, or before a comma or full stop), in any case."""
    counter = WordCounter([WordList("english", words, "blanks")], ignore_case=True)

    def measure(batch: Batch, chosen: Indices) -> Values:
        return (counter.measure(batch.letters.codes, *batch.spans(chosen))[:, :, 0] > 0).astype(np.float64)

    return Group(("adult_english_hits",), measure)


def _special_tokens() -> Group:
    try:
        emoji_data: Any = importlib.import_module("emoji").EMOJI_DATA
    except ImportError:
        raise BadInput(
            "the rule special_tokens counts emoji by the package emoji, which is not installed",
            where="quality.profile",
            hint="pip install emoji, or leave the rule out: limits: {special_tokens: null}",
        ) from None
    emoji = "".join(character for character in emoji_data if len(character) == 1)
    kinds = table([*single(string.punctuation + string.whitespace + emoji), *SPECIAL])

    def measure(batch: Batch, chosen: Indices) -> Values:
        begins, ends = batch.spans(chosen)
        return share(batch.classes(chosen, kinds, 2)[:, 1], ends - begins)[:, None]

    return Group(("special_token_share",), measure)


def _repetition(batch: Batch, chosen: Indices) -> Values:
    found = of_one_length(batch.letters.codes, *batch.spans(chosen), REPETITION_N, SALT)
    return share(found[:, LEADING], found[:, TOTAL])[:, None]


REPETITION = Group(("leading_5gram_share",), _repetition)
WORD_STATISTICS = frozenset(("noun_share", "repeated_word_7gram_share"))


def _words() -> Group:
    tokenize = unidic_words()

    def of_one(text: str) -> tuple[float, float]:
        parts, grams = Counter[str](), Counter[str]()
        for start in range(0, len(text), CHUNK):
            words = tokenize(text[start : start + CHUNK])
            parts.update(part for _, part in words)
            surfaces = [surface for surface, _ in words]
            grams.update(
                " ".join(surfaces[i : i + WORD_REPETITION_N]) for i in range(len(surfaces) - WORD_REPETITION_N + 1)
            )
        counted = parts.total() - parts["補助記号"]
        repeated = sum(frequency for frequency in grams.values() if frequency > 1)
        return parts["名詞"] / max(1, counted), repeated / max(1, grams.total())

    def measure(batch: Batch, chosen: Indices) -> Values:
        return np.array([of_one(batch.texts[i]) for i in chosen], np.float64).reshape(-1, 2)

    return Group(("noun_share", "repeated_word_7gram_share"), measure)
