"""kiban's own rules: what is rubbish in any collection is dropped, what says something in a poor form is *rephrase*.

Rules that judge by one word or one number reject good texts: HojiChar's word lists reject two thirds of Aozora Bunko,
Swallow's longest sentence half of Debian's documentation. Here

- every rule looks for one kind of rubbish, at a limit well beyond what prose, poetry, manuals and tables have;
- words count by their share of the letters, as in Swallow, and only where they stand as words;
- repetition and disorder are both seen by how many of the n-grams are different, over a window of fixed length,
  because the share falls with the length of any text: of 1,000 letters of Japanese a quarter (tables) to five sixths
  of the pairs are different; random letters come near to all, a template filled again and again to an eighth;
- rules about Japanese writing are asked only of texts with enough of it, so that English and code pass;
- what is short, list-like, cut off or somewhat broken is not dropped, since another form of it teaches what it says.

Where a rule that drops and one that rephrases both fail, the text is dropped.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from pathlib import Path

import numpy as np

from kiban.kit.errors import BadInput
from kiban.make.corpus.quality.ngrams import DISTINCT, SALT, TOTAL, of_one_length
from kiban.make.corpus.quality.profiles.swallow_v1 import SENTENCE_GROUP
from kiban.make.corpus.quality.rules import Batch, Definition, Group, Indices, Rule, Values, share
from kiban.make.corpus.quality.statistics import (
    ADDRESS_LETTERS,
    ALL_LINES,
    LONG_TOKEN_LETTERS,
    SHORT_LINES,
    Table,
    layout,
    ranges,
    single,
    table,
)
from kiban.make.corpus.quality.words import WordCounter, WordList, longest_first, read_words

RULES = (
    # bytes read in a wrong encoding: letters that stand together nowhere else; commas in place of every other letter
    Rule("wrong_encoding", "wrong_encoding_share", ">", 0.1),
    Rule("lost_letters", "lost_letter_share", ">", 0.05),
    Rule("commas", "comma_share", ">", 0.2),
    # not written by anyone: keys and encoded data, letters at random, hiragana without の, に, を …
    Rule("long_tokens", "long_token_share", ">", 0.5),
    Rule("random_letters", "different_2grams_of_1000", ">", 0.92),
    Rule("random_latin", "different_3grams_of_1000_latin", ">", 0.9),
    Rule("common_hiragana", "common_hiragana_share", "<", 0.5),
    # lists of links
    Rule("addresses", "address_share", ">", 0.4),
    # one template filled again and again; keywords strung together
    Rule("template", "different_3grams_of_1000", "<", 0.25),
    Rule("repeated_passages", "different_10grams_of_10000", "<", 0.4),
    Rule("keywords", "different_2grams_of_1000_ungrammatical", "<", 0.4),
    Rule("duplicate_lines", "duplicate_paragraph_letter_share", ">", 0.5),
    # words that heaps of rubbish are made of
    Rule("adult_words", "adult_share", ">", 0.05),
    Rule("spam_words", "spam_share", ">", 0.1),
    Rule("discriminatory_words", "discriminatory_share", ">", 0.05),
    # something is said, in a form that teaches little
    Rule("short", "filled_letters", "<", 80, "rephrase"),
    Rule("damaged", "lost_letter_share", ">", 0.005, "rephrase"),
    Rule("list_of_words", "hiragana_share", "<", 0.08, "rephrase"),
    Rule("short_lines", "short_line_share", ">", 0.8, "rephrase"),
    Rule("cut_off", "ellipsis_share", ">", 0.3, "rephrase"),
    Rule("unpunctuated", "mean_japanese_sentence_letters", ">", 250, "rephrase"),
    Rule("repeated_lines", "duplicate_paragraph_letter_share", ">", 0.35, "rephrase"),
)

# Fewer letters than this tell nothing of a share, an n-gram or a script.
ENOUGH = 100
ENOUGH_FOR_NGRAMS = 400
MOSTLY = 0.5
UNGRAMMATICAL = 0.2  # of the Japanese letters are hiragana; in prose a third and more
FEW_HITS = 3
SHORT_LINE, FEW_LINES = 10, 5
WINDOW_LETTERS, LONG_WINDOW_LETTERS, PASSAGE = 1_000, 10_000, 10

OTHER, HIRAGANA, COMMON_HIRAGANA, KATAKANA, KANJI, LATIN, BLANK, COMMA, WRONG, LOST = range(10)
KINDS = 10

# 85% of the hiragana of prose; of hiragana at random 30%.
COMMON = "のにはをたてがとしでいるなうすかもれんくらっりこさ"
# UTF-8 read as CP932 begins most of its letters with 縺, 繧 or 繝, read as Latin-1 or CP1252 with ã; CP932 so read has
# ‚ and ƒ before each kana, EUC-JP ¤ and ¥. No language has a tenth of its letters among these.
MISREAD = "縺繧繝ãä‚ƒ¤¥"
LOST_RANGES = ranges("FFFD E000-F8FF FDD0-FDEF FFFE-FFFF F0000-10FFFF")
WORDS = Path(__file__).with_name("kiban_words.tsv")
CLASSES = ("adult", "spam", "discriminatory")


def define(needed: Collection[str], word_lists: Path | None) -> Definition:
    """Measures for the statistics `needed`; `word_lists` may hold adult.txt, spam.txt and discriminatory.txt, each of
    which takes the place of kiban's own list.

    Raises:
        BadInput: none of them is in the folder.
    """
    groups = [LETTERS, LAYOUT, ORDER, SENTENCES]
    if any(f"{name}_share" in needed for name in CLASSES):
        groups.append(_word_shares(WordCounter(_lists(word_lists))))
    return Definition(tuple(groups))


@functools.cache
def _kinds() -> Table:
    kana = [(0x30A1, 0x30FA), (0x30FC, 0x30FC)]
    kanji = [(0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF), *single("々〆〇")]
    latin = [(0x41, 0x5A), (0x61, 0x7A)]
    blank = single(" \t\n\u3000")
    kinds = (
        [(0x3041, 0x3096)],
        single(COMMON),
        kana,
        kanji,
        latin,
        blank,
        single("、・"),
        single(MISREAD),
        LOST_RANGES,
    )
    return table(*kinds)


def _where(condition: object, values: Values) -> Values:
    """The values where the condition holds, NaN elsewhere."""
    return np.where(np.asarray(condition), values, np.nan)


def _counts(batch: Batch, chosen: Indices) -> Values:
    return batch.classes(chosen, _kinds(), KINDS).astype(np.float64)


def _scripts(counts: Values) -> tuple[Values, Values, Values, Values]:
    """Hiragana, Latin, Japanese and all letters but blanks, of `_counts`."""
    hiragana = counts[:, HIRAGANA] + counts[:, COMMON_HIRAGANA]
    japanese = hiragana + counts[:, KATAKANA] + counts[:, KANJI]
    return hiragana, counts[:, LATIN], japanese, counts.sum(1) - counts[:, BLANK]


def _letters(batch: Batch, chosen: Indices) -> Values:
    counts = _counts(batch, chosen)
    hiragana, _, japanese, filled = _scripts(counts)
    columns = (
        filled,
        share(counts[:, WRONG], filled),
        share(counts[:, LOST], filled),
        share(counts[:, COMMA], filled),
        _where(hiragana >= ENOUGH, share(counts[:, COMMON_HIRAGANA], hiragana)),
        _where((japanese >= ENOUGH) & (japanese >= MOSTLY * filled), share(hiragana, japanese)),
    )
    return np.stack(columns, 1)


LETTERS = Group(
    (
        "filled_letters",
        "wrong_encoding_share",
        "lost_letter_share",
        "comma_share",
        "common_hiragana_share",
        "hiragana_share",
    ),
    _letters,
)


def _layout(batch: Batch, chosen: Indices) -> Values:
    begins, ends = batch.spans(chosen)
    found = layout(batch.letters.codes, begins, ends, SHORT_LINE)
    short = _where(found[:, ALL_LINES] >= FEW_LINES, share(found[:, SHORT_LINES], found[:, ALL_LINES]))
    tokens, addresses = share(found[:, [LONG_TOKEN_LETTERS, ADDRESS_LETTERS]].T, np.stack((ends - begins,) * 2))
    return np.stack((tokens, addresses, short), 1)


LAYOUT = Group(("long_token_share", "address_share", "short_line_share"), _layout)


def _sentences(batch: Batch, chosen: Indices) -> Values:
    """Swallow's, and the mean sentence where sentences are Japanese ones: it knows no full stop of ASCII."""
    found = SENTENCE_GROUP.measure(batch, chosen)
    _, _, japanese, filled = _scripts(_counts(batch, chosen))
    mean = found[:, SENTENCE_GROUP.names.index("mean_sentence_letters")]
    return np.concatenate((found, _where(japanese >= MOSTLY * filled, mean)[:, None]), 1)


SENTENCES = Group((*SENTENCE_GROUP.names, "mean_japanese_sentence_letters"), _sentences)


def _order(batch: Batch, chosen: Indices) -> Values:
    """How many n-grams at the beginning of a text are different, of all or of those of one kind of text."""
    begins, ends = batch.spans(chosen)

    def different(n: int, window: int) -> Values:
        found = of_one_length(batch.letters.codes, begins, np.minimum(ends, begins + window), n, SALT)
        return share(found[:, DISTINCT], found[:, TOTAL])

    enough = ends - begins >= ENOUGH_FOR_NGRAMS
    pairs, triples = different(2, WINDOW_LETTERS), different(3, WINDOW_LETTERS)
    passages = different(PASSAGE, LONG_WINDOW_LETTERS)
    hiragana, latin, japanese, filled = _scripts(_counts(batch, chosen))
    strung = (japanese >= MOSTLY * filled) & (hiragana < UNGRAMMATICAL * japanese)
    columns = (
        _where(enough, pairs),
        _where(enough, triples),
        _where(enough & (latin >= MOSTLY * filled), triples),
        _where(enough & strung, pairs),
        _where(enough, passages),
    )
    return np.stack(columns, 1)


ORDER = Group(
    (
        "different_2grams_of_1000",
        "different_3grams_of_1000",
        "different_3grams_of_1000_latin",
        "different_2grams_of_1000_ungrammatical",
        "different_10grams_of_10000",
    ),
    _order,
)


def _lists(folder: Path | None) -> list[WordList]:
    own: dict[str, list[str]] = {name: [] for name in CLASSES}
    for line in WORDS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, word = line.partition("\t")
            own[name].append(word)
    if folder is not None:
        given = {name: folder / f"{name}.txt" for name in CLASSES if (folder / f"{name}.txt").exists()}
        if not given:
            raise BadInput(
                "the folder has none of adult.txt, spam.txt and discriminatory.txt", where="quality.word_lists"
            )
        own |= {name: list(read_words(path)) for name, path in given.items()}
    return [WordList(name, longest_first(own[name]), "script") for name in CLASSES]


def _word_shares(counter: WordCounter) -> Group:
    def measure(batch: Batch, chosen: Indices) -> Values:
        begins, ends = batch.spans(chosen)
        found = counter.measure(batch.letters.codes, begins, ends)
        letters = np.where(found[:, :, 0] >= FEW_HITS, found[:, :, 1], 0)
        return share(letters, np.repeat((ends - begins)[:, None], len(CLASSES), 1))

    return Group(tuple(f"{name}_share" for name in CLASSES), measure)
