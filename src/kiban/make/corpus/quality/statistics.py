"""What a text is made of, counted letter by letter: kinds of letters, sentences, lines, and which of them come twice.

Sentences, Japanese letters and duplicates are Swallow's (Okazaki et al., "Building a Large Japanese Web Corpus for
Large Language Models", COLM 2024; quality.py of swallow-corpus), which follow Gopher's (Rae et al., 2021): a line is
a paragraph, and a sentence is what stands in a line up to one of 。．！？!? and with it. Further marks right after it
belong to nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.letters import Codes, Offsets
from kiban.make.corpus.quality.ngrams import place, table_size

Table = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

CODE_POINTS = 0x110000
LINE_END = 0x0A

# Columns of `sentences`. Distinct: letters of each different sentence or line, counted once.
(
    SENTENCES,
    SENTENCE_LETTERS,
    LONGEST_SENTENCE,
    ELLIPSES,
    DISTINCT_SENTENCES,
    DISTINCT_SENTENCE_LETTERS,
    LINES,
    LINE_LETTERS,
    DISTINCT_LINES,
    DISTINCT_LINE_LETTERS,
) = range(10)
SENTENCE_COLUMNS = 10

# Columns of `layout`.
ALL_LINES, SHORT_LINES, LONGEST_RUN, LONG_TOKEN_LETTERS = range(4)
LAYOUT_COLUMNS = 4

# A run of printable ASCII of this length is no word of any language: encoded data, a key, or a long address.
LONG_TOKEN = 50
FIRST_PRINTED, LAST_PRINTED = 0x21, 0x7E

# Kinds of letters for `sentences`.
PLAIN, SPACE, STOP, ELLIPSIS = range(4)


def table(*kinds: Sequence[tuple[int, int]]) -> Table:
    """uint8 [0x110000]: i + 1 for the code points in the i-th of `kinds` (ranges, ends included), else 0."""
    made = np.zeros(CODE_POINTS, np.uint8)
    for kind, ranges in enumerate(kinds, 1):
        for first, last in ranges:
            made[first : last + 1] = kind
    return made


def single(characters: str) -> list[tuple[int, int]]:
    """The characters as ranges for `table`."""
    return [(ord(character), ord(character)) for character in characters]


def ranges(written: str) -> list[tuple[int, int]]:
    """Code points and ranges of them in hexadecimal, as in "21 2030-2033", for `table`."""
    pairs = (item.partition("-") for item in written.split())
    return [(int(first, 16), int(last or first, 16)) for first, _, last in pairs]


@functools.cache
def sentence_kinds() -> Table:
    """SPACE (what str.strip takes), STOP or ELLIPSIS for each code point, else PLAIN."""
    spaces = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
    return table(single(spaces), single("。．！？!?"), single("・…"))


def _classes_numpy(codes: Codes, begins: Offsets, ends: Offsets, kinds: Table, number: int) -> Counts:
    result = np.zeros((len(begins), number), np.int64)
    for row in range(len(begins)):
        result[row] = np.bincount(kinds[codes[begins[row] : ends[row]]], minlength=number)
    return result


@compiled(fallback=_classes_numpy)
def classes(codes: Codes, begins: Offsets, ends: Offsets, kinds: Table, number: int) -> Counts:
    """How many letters of each kind a text has.

    Args:
        begins, ends: int64 [texts]; text i is codes[begins[i] : ends[i]].
        kinds: of `table`, with values below `number`.

    Returns:
        int64 [texts, number].
    """
    result = np.zeros((len(begins), number), np.int64)
    for row in range(len(begins)):
        counts = result[row]
        for i in range(begins[row], ends[row]):
            counts[kinds[codes[i]]] += 1
    return result


def _layout_numpy(codes: Codes, begins: Offsets, ends: Offsets, short: int) -> Counts:
    result = np.zeros((len(begins), LAYOUT_COLUMNS), np.int64)
    for row in range(len(begins)):
        own = codes[begins[row] : ends[row]]
        breaks = np.flatnonzero(own == LINE_END)
        lengths = np.diff(np.concatenate(([-1], breaks, [len(own)]))) - 1
        changes = np.flatnonzero(np.diff(own)) + 1
        runs = np.diff(np.concatenate(([0], changes, [len(own)])))
        apart = np.flatnonzero((own < FIRST_PRINTED) | (own > LAST_PRINTED))
        tokens = np.diff(np.concatenate(([-1], apart, [len(own)]))) - 1
        long_tokens = tokens[tokens >= LONG_TOKEN].sum()
        result[row] = len(lengths), np.count_nonzero(lengths <= short), runs.max(), long_tokens
    return result


@compiled(fallback=_layout_numpy)
def layout(codes: Codes, begins: Offsets, ends: Offsets, short: int) -> Counts:
    """Lines, lines of at most `short` letters, the longest run of one letter, and letters in long tokens.

    Returns:
        int64 [texts, 4]: ALL_LINES (line ends + 1), SHORT_LINES, LONGEST_RUN, LONG_TOKEN_LETTERS (in runs of at least
        LONG_TOKEN printable ASCII characters).
    """
    result = np.zeros((len(begins), LAYOUT_COLUMNS), np.int64)
    for row in range(len(begins)):
        lines, shorts, line, run, longest, before = 1, 0, 0, 0, 0, np.int64(-1)
        token, tokens = 0, 0
        for i in range(begins[row], ends[row]):
            code = np.int64(codes[i])
            run = run + 1 if code == before else 1
            longest = max(longest, run)
            before = code
            if FIRST_PRINTED <= code <= LAST_PRINTED:
                token += 1
            else:
                tokens += token if token >= LONG_TOKEN else 0
                token = 0
            if code == LINE_END:
                lines += 1
                shorts += line <= short
                line = 0
            else:
                line += 1
        result[row, 0] = lines
        result[row, 1] = shorts + (line <= short)
        result[row, 2] = longest
        result[row, 3] = tokens + (token if token >= LONG_TOKEN else 0)
    return result


@part
def _distinct(letters: Any, spans: Any, number: Any, keys: Any, owners: Any, salt: Any) -> Any:
    """How many of the first `number` spans are different, and how many letters those have.

    Args:
        letters: uint32 [letters].
        spans: int64 [spans + 1]; span i is letters[spans[i] : spans[i + 1]].
        keys, owners: uint64 and int64 scratch of at least table_size(number).
    """
    mask = np.uint64(table_size(number) - 1)
    owners[: table_size(number)] = -1
    different, different_letters = 0, 0
    for span in range(number):
        first, last = spans[span], spans[span + 1]
        key = np.uint64(last - first) ^ salt
        for i in range(first, last):
            key = (key ^ np.uint64(letters[i])) * np.uint64(0x9FB21C651E98DF25)
            key ^= key >> np.uint64(29)
        at = place(key, salt, mask)
        while True:
            owner = owners[at]
            if owner < 0:
                owners[at], keys[at] = span, key
                different += 1
                different_letters += last - first
                break
            if keys[at] == key and spans[owner + 1] - spans[owner] == last - first:
                same, offset = True, spans[owner] - first
                for i in range(first, last):
                    if letters[i] != letters[i + offset]:
                        same = False
                        break
                if same:
                    break
            at = (at + np.uint64(1)) & mask
    return different, different_letters


def _sentences_numpy(codes: Codes, begins: Offsets, ends: Offsets, kinds: Table, salt: np.uint64) -> Counts:
    result = np.zeros((len(begins), SENTENCE_COLUMNS), np.int64)
    for row in range(len(begins)):
        own = codes[begins[row] : ends[row]]
        breaks = np.flatnonzero(own == LINE_END)
        sentences: list[npt.NDArray[np.uint32]] = []
        lines: list[npt.NDArray[np.uint32]] = []
        for line in np.split(own, breaks):
            line = line[line != LINE_END]
            stop = kinds[line] == STOP
            # A stop right after a stop, or first in its line, belongs to no sentence.
            kept = ~stop
            kept[1:] |= ~stop[:-1]
            line, stop = line[kept], stop[kept]
            cuts = np.flatnonzero(stop) + 1
            sentences += [piece for piece in np.split(line, cuts) if len(piece)]
            lines.append(line)
        for sentence in sentences:
            seen = sentence[kinds[sentence] != SPACE]
            # Blanks inside a sentence do not matter to how it ends.
            result[row, ELLIPSES] += len(seen) > 0 and kinds[seen[-1]] == ELLIPSIS
        result[row, SENTENCES], result[row, SENTENCE_LETTERS] = len(sentences), sum(map(len, sentences))
        result[row, LONGEST_SENTENCE] = max(map(len, sentences), default=0)
        result[row, LINES], result[row, LINE_LETTERS] = len(lines), sum(map(len, lines))
        for pieces, column in ((sentences, DISTINCT_SENTENCES), (lines, DISTINCT_LINES)):
            different = {piece.tobytes() for piece in pieces}
            result[row, column] = len(different)
            result[row, column + 1] = sum(map(len, different)) // codes.itemsize
    return result


@compiled(fallback=_sentences_numpy)
def sentences(codes: Codes, begins: Offsets, ends: Offsets, kinds: Table, salt: np.uint64) -> Counts:
    """Sentences and lines of each text, and how many of them are different.

    Args:
        begins, ends: int64 [texts]; text i is codes[begins[i] : ends[i]].
        kinds: sentence_kinds().
        salt: ngrams.SALT; the result does not depend on it.

    Returns:
        int64 [texts, 10]: SENTENCES, SENTENCE_LETTERS, LONGEST_SENTENCE, ELLIPSES (sentences that end in ・ or …,
        blanks aside), DISTINCT_SENTENCES, DISTINCT_SENTENCE_LETTERS, LINES (line ends + 1), LINE_LETTERS,
        DISTINCT_LINES, DISTINCT_LINE_LETTERS. A line's letters are those of its sentences.
    """
    result = np.zeros((len(begins), SENTENCE_COLUMNS), np.int64)
    most = 0
    for row in range(len(begins)):
        most = max(most, ends[row] - begins[row])
    kept = np.empty(most, np.uint32)  # the letters that belong to a sentence
    sentence_at = np.empty(most + 2, np.int64)
    line_at = np.empty(most + 2, np.int64)
    keys = np.empty(table_size(most + 2), np.uint64)
    owners = np.empty(len(keys), np.int64)
    for row in range(len(begins)):
        letters_, sentences_, lines = 0, 0, 0
        ellipses, longest = 0, 0
        start, last = (
            0,
            np.uint8(PLAIN),
        )  # of the open sentence: where it starts, the kind of its last letter but blanks
        line_at[0] = 0
        sentence_at[0] = 0
        for i in range(begins[row], ends[row] + 1):
            at_end = i == ends[row]
            code = np.uint32(LINE_END) if at_end else codes[i]
            kind = np.uint8(PLAIN) if at_end else kinds[code]
            closes = code == LINE_END
            if not closes:
                if kind != STOP or letters_ > start:
                    kept[letters_] = code
                    letters_ += 1
                    if kind != SPACE:
                        last = kind
                closes = kind == STOP
            if closes and letters_ > start:
                ellipses += last == ELLIPSIS
                longest = max(longest, letters_ - start)
                sentences_ += 1
                sentence_at[sentences_] = letters_
                start = letters_
                last = np.uint8(PLAIN)
            if code == LINE_END:
                lines += 1
                line_at[lines] = letters_
                start = letters_
        found = result[row]
        found[SENTENCES], found[SENTENCE_LETTERS], found[LONGEST_SENTENCE] = sentences_, letters_, longest
        found[ELLIPSES], found[LINES], found[LINE_LETTERS] = ellipses, lines, letters_
        different, different_letters = _distinct(kept, sentence_at, sentences_, keys, owners, salt)
        found[DISTINCT_SENTENCES], found[DISTINCT_SENTENCE_LETTERS] = different, different_letters
        different, different_letters = _distinct(kept, line_at, lines, keys, owners, salt)
        found[DISTINCT_LINES], found[DISTINCT_LINE_LETTERS] = different, different_letters
    return result
