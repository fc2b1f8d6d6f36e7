"""LLM-jp corpus v1, Japanese web texts (`ja_cc`; github.com/llm-jp/llm-jp-corpus, scripts/filters.py), its rules.

With `--strict` the original has other limits: adult, discrimination and violence 2, kuten_share .0125 (a mean
sentence of more than 80 letters), compression_min .375; recipes can set them.

Not here: the list of top-level domains, which needs the page's address. `word_lists` names a folder with the
original's scripts/dict (ja_adult_keywords.txt, ja_discrimination_keywords.txt, ja_violence_keywords.txt: near to
HojiChar's lists, but not the same) and HojiChar's advertisement_keywords_ja.txt, which is taken from the installed
package `hojichar` where the folder lacks it. The original judges a text first and edits what it keeps.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from pathlib import Path

from kiban.kit.errors import BadInput
from kiban.make.corpus.quality.profiles import hojichar
from kiban.make.corpus.quality.rules import Definition, Group, Rule, per_text
from kiban.make.corpus.quality.words import KATAKANA_WORD, WordList, read_words

RULES = (
    Rule("empty", "filled", "<", 1),
    Rule("kana_at_start", "kana_in_first_50", "<", 1),
    Rule("kuten_share", "kuten_share", "<", 0.004),  # a mean sentence of more than 250 letters
    Rule("advertisement", "advertisement_hits", ">", 10),
    Rule("adult", "adult_hits", ">", 3),
    Rule("discrimination", "discrimination_hits", ">", 3),
    Rule("violence", "violence_hits", ">", 3),
    Rule("compression_min", "compression", "<", 0.30),
    Rule("compression_max", "compression", ">", 0.70),
)

LISTS = {name: f"ja_{name}_keywords.txt" for name in ("adult", "discrimination", "violence")}
ADVERTISEMENT = hojichar.LISTS["advertisement"]

JAPANESE_LINE = re.compile("[ぁ-ゖゝ-ゟァ-ヺー-ヿㇰ-ㇿ㋐-㋾㌀-㍗ｦ-ｯｱ-ﾝ\U0001b000-\U0001b128]")
ADDRESS = re.compile(r"https?://[\w/:%#$&?()~.=+\-]+")
ASCII_RUN = re.compile(r"[\x00-\x7f]{100,}")


def define(needed: Collection[str], word_lists: Path | None) -> Definition:
    """Measures for the statistics `needed`.

    Raises:
        BadInput: a word list is missing.
    """
    groups = [
        hojichar.START,
        hojichar.LETTERS,
        Group(("filled",), per_text(lambda text: bool(text.strip()))),
        Group(("compression",), per_text(_compression)),
    ]
    if lists := [*_lists(needed, word_lists)]:
        groups.append(hojichar.word_hits(lists))
    return Definition(tuple(groups), edit)


def _lists(needed: Collection[str], folder: Path | None) -> list[WordList]:
    lists = []
    for name, file in LISTS.items():
        if f"{name}_hits" in needed:
            if folder is None:
                raise BadInput(
                    f"profile llm-jp needs its word list {file}",
                    where="quality.word_lists",
                    hint="name a folder with scripts/dict of github.com/llm-jp/llm-jp-corpus, or leave its rules out: "
                    "limits: {adult: null, discrimination: null, violence: null}",
                )
            lists.append(WordList(name, _katakana_last(read_words(folder / file)), "katakana"))
    if "advertisement_hits" in needed:
        own = folder if folder is not None and (folder / ADVERTISEMENT).exists() else None
        lists.append(WordList("advertisement", hojichar.list_words(ADVERTISEMENT, own)))
    return lists


def _katakana_last(words: tuple[str, ...]) -> tuple[str, ...]:
    """The order in which the original's expression tries its words."""
    return tuple(sorted(words, key=lambda word: KATAKANA_WORD.fullmatch(word) is not None))


def _compression(text: str) -> float:
    content = text.encode()
    return len(zlib.compress(content, 9)) / max(1, len(content))


def edit(text: str) -> str:
    """Lines with kana, without addresses and without 100 or more ASCII characters in a row, joined as one line."""
    lines = (line for line in text.split("\n") if JAPANESE_LINE.search(line))
    return "".join(ASCII_RUN.sub("", ADDRESS.sub("", line)) for line in lines)
