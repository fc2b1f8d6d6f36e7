"""Swallow Corpus v1 (Okazaki et al., COLM 2024): rules of quality.py and ngword.py, edits of kutoten.py and footer.py.

The rules are in order of what they cost, not in the original's: which texts are dropped is the same, the rule named
for one that fails several can be another. Where the original raises (a text without a sentence, or of fewer than four
letters), the text is dropped.

The original judges a text first and edits what it keeps. Its rule for NG hosts needs the page's address and is no
part of this profile. Its list of NG words is not published; its code reads the four lists of github.com/MosasoM/
inappropriate-words-ja (Offensive.txt, Sexual.txt, Sexual_with_bopo.txt, Sexual_with_mask.txt), and here `word_lists`
names a folder whose *.txt are read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from kiban.kit.errors import BadInput
from kiban.make.corpus.quality.ngrams import DISTINCT, REPEATED, SALT, TOP, TOTAL, ngrams
from kiban.make.corpus.quality.rules import Batch, Definition, Group, Indices, Rule, Values, share
from kiban.make.corpus.quality.statistics import (
    DISTINCT_LINE_LETTERS,
    DISTINCT_LINES,
    DISTINCT_SENTENCE_LETTERS,
    DISTINCT_SENTENCES,
    ELLIPSES,
    LINE_LETTERS,
    LINES,
    LONGEST_SENTENCE,
    SENTENCE_LETTERS,
    SENTENCES,
    Table,
    sentence_kinds,
    sentences,
    single,
    table,
)
from kiban.make.corpus.quality.words import WordCounter, WordList, longest_first, read_words

RULES = (
    Rule("letters", "letters", "<", 400),
    Rule("japanese_letters", "japanese_letters", "<", 400),
    Rule("hiragana_share", "hiragana_share", "<", 0.2),
    Rule("katakana_share", "katakana_share", ">", 0.5),
    Rule("japanese_share", "japanese_share", "<", 0.5),
    Rule("mean_sentence_min", "mean_sentence_letters", "<", 20),
    Rule("mean_sentence_max", "mean_sentence_letters", ">", 90),
    Rule("longest_sentence", "longest_sentence_letters", ">", 200),
    Rule("ellipsis_share", "ellipsis_share", ">", 0.2),
    Rule("duplicate_paragraphs", "duplicate_paragraph_share", ">", 0.30),
    Rule("duplicate_sentences", "duplicate_sentence_share", ">", 0.30),
    Rule("duplicate_paragraph_letters", "duplicate_paragraph_letter_share", ">", 0.20),
    Rule("duplicate_sentence_letters", "duplicate_sentence_letter_share", ">", 0.20),
    Rule("ng_words", "ng_letter_share", ">=", 0.05),
    Rule("top_2gram", "top_2gram_share", ">", 0.20),
    Rule("top_3gram", "top_3gram_share", ">", 0.18),
    Rule("top_4gram", "top_4gram_share", ">", 0.16),
    Rule("duplicate_5gram", "duplicate_5gram_share", ">", 0.15),
    Rule("duplicate_6gram", "duplicate_6gram_share", ">", 0.14),
    Rule("duplicate_7gram", "duplicate_7gram_share", ">", 0.13),
    Rule("duplicate_8gram", "duplicate_8gram_share", ">", 0.12),
    Rule("duplicate_9gram", "duplicate_9gram_share", ">", 0.11),
    Rule("duplicate_10gram", "duplicate_10gram_share", ">", 0.10),
)

HIRAGANA = [(0x3041, 0x3096)]
KATAKANA = [(0x30A1, 0x30FA)]
KANJI = [(0x3400, 0x9FFF), (0xF900, 0xFAFF), *single("々〇〻")]  # beyond the first plane none is counted


def define(needed: Collection[str], word_lists: Path | None) -> Definition:
    """Measures for the statistics `needed`.

    Raises:
        BadInput: there is no folder of NG words, or no list in it.
    """
    groups = [LETTERS, SENTENCE_GROUP, NGRAMS]
    if "ng_letter_share" in needed:
        if word_lists is None:
            raise BadInput(
                "profile swallow-v1 needs a list of NG words, and Swallow's own is not published",
                where="quality.word_lists",
                hint="name a folder with lists such as those of github.com/MosasoM/inappropriate-words-ja, "
                "or leave the rule out: limits: {ng_words: null}",
            )
        files = sorted(word_lists.glob("*.txt"))
        if not files:
            raise BadInput("there are no word lists (*.txt) in the folder", where=str(word_lists))
        groups.append(_ng_words(WordCounter([WordList("ng", longest_first(w for f in files for w in read_words(f)))])))
    return Definition(tuple(groups), edit)


@functools.cache
def _kinds() -> Table:
    return table(HIRAGANA, KATAKANA, KANJI, single("。．！？、，"))


def _letters(batch: Batch, chosen: Indices) -> Values:
    begins, ends = batch.spans(chosen)
    _, hiragana, katakana, kanji, marks = batch.classes(chosen, _kinds(), 5).T
    japanese, letters = hiragana + katakana + kanji + marks, ends - begins
    columns = (letters, japanese, share(hiragana, japanese), share(katakana, japanese), share(japanese, letters))
    return np.stack(columns, 1).astype(np.float64)


LETTERS = Group(("letters", "japanese_letters", "hiragana_share", "katakana_share", "japanese_share"), _letters)


def _sentences(batch: Batch, chosen: Indices) -> Values:
    found = sentences(batch.letters.codes, *batch.spans(chosen), sentence_kinds(), SALT)
    number, letters = found[:, SENTENCES], found[:, SENTENCE_LETTERS]
    lines, line_letters = found[:, LINES], found[:, LINE_LETTERS]
    columns = (
        number,
        share(letters, number),
        found[:, LONGEST_SENTENCE],
        share(found[:, ELLIPSES], number),
        share(lines - found[:, DISTINCT_LINES], lines),
        share(number - found[:, DISTINCT_SENTENCES], number),
        share(line_letters - found[:, DISTINCT_LINE_LETTERS], line_letters),
        share(letters - found[:, DISTINCT_SENTENCE_LETTERS], letters),
    )
    return np.stack(columns, 1).astype(np.float64)


SENTENCE_GROUP = Group(
    (
        "sentences",
        "mean_sentence_letters",
        "longest_sentence_letters",
        "ellipsis_share",
        "duplicate_paragraph_share",
        "duplicate_sentence_share",
        "duplicate_paragraph_letter_share",
        "duplicate_sentence_letter_share",
    ),
    _sentences,
)


def _ngrams(batch: Batch, chosen: Indices) -> Values:
    found = ngrams(batch.letters.codes, *batch.spans(chosen), 10, SALT)
    top = share(found[:, :3, TOP], found[:, :3, TOTAL])
    duplicate = share(found[:, 3:, REPEATED], found[:, 3:, DISTINCT])
    return np.concatenate((top, duplicate), 1)


NGRAMS = Group(
    (*(f"top_{n}gram_share" for n in (2, 3, 4)), *(f"duplicate_{n}gram_share" for n in range(5, 11))), _ngrams
)


def _ng_words(counter: WordCounter) -> Group:
    def measure(batch: Batch, chosen: Indices) -> Values:
        ng_letters = counter.measure(batch.letters.codes, *batch.spans(chosen))[:, :1, 1]
        return share(ng_letters, _letters(batch, chosen)[:, 1:2])

    return Group(("ng_letter_share",), measure)


# Edits. The original unifies full-width ，．; normalised text has them as ASCII, which counts here where it stands
# after a Japanese letter and is part of no number, name of a file, or ellipsis.
AFTER = "）」』］〕】〉》ぁ-ゖァ-ヺ々〇〻\u3400-\u9fff\uf900-\ufaff"
FULL_WIDTH = "０-９Ａ-Ｚａ-ｚ"
ASCII_COMMA = re.compile(f"(?<=[{AFTER})\\]]),(?![0-9A-Za-z])")
ASCII_STOP = re.compile(f"(?<=[{AFTER})\\]])\\.(?![0-9A-Za-z.])")
MARKS = (("、", "，", ASCII_COMMA), ("。", "．", ASCII_STOP))

FOOTER_LINES, FOOTER_SHARE = 10, 0.3
# The file has footer.py's words, which decide what it trims.
FOOTER_WORDS = longest_first(read_words(Path(__file__).with_name("swallow_v1_footers.txt")))


def edit(text: str) -> str:
    """Commas and full stops in the form that most of the text has; no footer."""
    for japanese, western, ascii_mark in MARKS:
        text = _unify(text, japanese, western, ascii_mark)
    return _without_footer(text)


def _unify(text: str, japanese: str, western: str, ascii_mark: re.Pattern[str]) -> str:
    westerns = len(re.findall(f"[{AFTER}]{western}+", text)) if western in text else 0
    westerns += len(ascii_mark.findall(text))
    if westerns <= len(re.findall(f"[{AFTER}]{japanese}+", text)):
        return text
    text = re.sub(f"(?<=[^{FULL_WIDTH}^]){western}+", lambda match: japanese * len(match[0]), text)
    return ascii_mark.sub(japanese, text)


def _without_footer(text: str) -> str:
    """Without the first of the last lines that is mostly words of footers, and what follows it."""
    lines = text.split("\n")
    for at in range(max(0, len(lines) - FOOTER_LINES), len(lines)):
        rest = lines[at]
        for word in FOOTER_WORDS:
            rest = rest.replace(word, "")
        if lines[at] and (len(lines[at]) - len(rest)) / len(lines[at]) > FOOTER_SHARE:
            return "\n".join(lines[:at])
    return text
