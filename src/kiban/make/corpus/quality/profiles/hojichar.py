"""HojiChar 0.18.1 (github.com/HojiChar/HojiChar): its document filters, each with its default limit.

HojiChar is a kit of filters and has no pipeline of its own; this is all that reject by themselves. They are in order
of what they cost. DocumentLengthFilter has no limit by default and is left out.

Word lists are read from the installed package `hojichar`, or from a folder with the same files. Words need the
tokenizer that it uses (fugashi with UniDic), special tokens the package `emoji`; rules that are left out need nothing.
"""

from __future__ import annotations

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
from kiban.make.corpus.quality.ngrams import LEADING, SALT, TOTAL, ngrams
from kiban.make.corpus.quality.rules import Batch, Definition, Group, Indices, Rule, Values, per_text, share
from kiban.make.corpus.quality.statistics import (
    ALL_LINES,
    LONGEST_RUN,
    SHORT_LINES,
    classes,
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
    groups = [START, LETTERS, LAYOUT, ELLIPSIS_LINES, BULLETIN_BOARD, REPETITION]
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
        return counter.measure(batch.texts[i] for i in chosen)[:, :, 0].astype(np.float64)

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

# What forums and shops are full of. A date takes its hyphens with it, and its last digit before 話.
DATE = re.compile(r"\d{4}[年.\-/] *\d{1,2}[月.\-/] *\d{1,2}日*")
EPISODE = re.compile(r"\d話")
BOARD_WORDS = re.compile(r"コメント|SOLD OUT|レビュー|投稿|ページ|\([月火水木金土日]\)|質問|楽天市場")


def _bulletin_board_hits(text: str) -> int:
    hits = text.count("-") + len(EPISODE.findall(text)) + len(BOARD_WORDS.findall(text))
    for match in DATE.finditer(text):
        hits += 1 - match[0].count("-") - (text[match.end() - 1].isdecimal() and text.startswith("話", match.end()))
    return hits


BULLETIN_BOARD = Group(("bulletin_board_hits",), per_text(_bulletin_board_hits))


def _english(words: tuple[str, ...]) -> Group:
    """1 where a word stands between blanks (or ends of the text, or before a comma or full stop), in any case."""
    pattern = re.compile(f"(?:^| )(?:{'|'.join(map(re.escape, words))})(?:[ ,.]|$)", re.IGNORECASE)
    # The expression is tried at every blank; whether it can be found at all tells an automaton, on a text folded at
    # least as far as the expression folds.
    candidates = WordCounter([WordList("english", tuple(_folded(word) for word in words))])

    def found(text: str) -> bool:
        return candidates.count(_folded(text))[0][0] > 0 and pattern.search(text) is not None

    return Group(("adult_english_hits",), per_text(found))


def _folded(text: str) -> str:
    folded = text.lower()
    if folded.isascii():
        return folded
    # Not `translate`, which looks at every letter by itself.
    return folded.replace("ſ", "s").replace("ı", "i").replace("\u0307", "")


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
        return share(classes(batch.letters.codes, begins, ends, kinds, 2)[:, 1], ends - begins)[:, None]

    return Group(("special_token_share",), measure)


def _repetition(batch: Batch, chosen: Indices) -> Values:
    found = ngrams(batch.letters.codes, *batch.spans(chosen), REPETITION_N, REPETITION_N, SALT)[:, -1]
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
