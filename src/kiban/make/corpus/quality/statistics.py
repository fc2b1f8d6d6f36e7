"""What a text is made of, counted letter by letter: kinds of letters, sentences, lines, and which of them come twice.

Sentences, Japanese letters and duplicates are Swallow's (Okazaki et al., "Building a Large Japanese Web Corpus for
Large Language Models", COLM 2024; quality.py of swallow-corpus), which follow Gopher's (Rae et al., 2021): a line is
a paragraph, and a sentence is what stands in a line up to one of 。．！？!? and with it. Further marks right after it
belong to nothing.
"""

from __future__ import annotations

import functools
import re
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
ALL_LINES, SHORT_LINES, LONGEST_RUN, LONG_TOKEN_LETTERS, ADDRESS_LETTERS = range(5)
LAYOUT_COLUMNS = 5

# A run of printable ASCII of this length is no word of any language: encoded data, a key, or a long address.
LONG_TOKEN = 50
FIRST_PRINTED, LAST_PRINTED = 0x21, 0x7E
ADDRESS = re.compile(r"https?://[!-~]+|www\.[!-~]+")
SHORTEST_ADDRESS = 5  # www.a

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


def first_planes() -> str:
    """All code points below 0x20000. Beyond there is no decimal digit and no letter with two cases."""
    return np.arange(0x20000, dtype=np.uint32).tobytes().decode("utf-32-le", "surrogatepass")


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
        addresses = sum(map(len, ADDRESS.findall(own.tobytes().decode("utf-32-le"))))
        result[row] = len(lengths), np.count_nonzero(lengths <= short), runs.max(initial=0), long_tokens, addresses
    return result


@part
def _address_letters(codes: Any, begin: Any, end: Any) -> Any:
    """Letters from the first beginning of an ADDRESS on in a run of printable ASCII."""
    for i in range(begin, end - SHORTEST_ADDRESS + 1):
        if codes[i] == 0x77:  # www.
            if codes[i + 1] == 0x77 and codes[i + 2] == 0x77 and codes[i + 3] == 0x2E:
                return end - i
        elif codes[i] == 0x68 and codes[i + 1] == 0x74 and codes[i + 2] == 0x74 and codes[i + 3] == 0x70:  # http
            colon = i + 5 if codes[i + 4] == 0x73 else i + 4
            if colon + 3 < end and codes[colon] == 0x3A and codes[colon + 1] == 0x2F and codes[colon + 2] == 0x2F:
                return end - i
    return 0


@compiled(fallback=_layout_numpy)
def layout(codes: Codes, begins: Offsets, ends: Offsets, short: int) -> Counts:
    """Lines, lines of at most `short` letters, the longest run of one letter, and letters in long tokens and addresses.

    Returns:
        int64 [texts, 5]: ALL_LINES (line ends + 1), SHORT_LINES, LONGEST_RUN, LONG_TOKEN_LETTERS (in runs of at least
        LONG_TOKEN printable ASCII characters), ADDRESS_LETTERS (in matches of ADDRESS).
    """
    result = np.zeros((len(begins), LAYOUT_COLUMNS), np.int64)
    for row in range(len(begins)):
        own = codes[begins[row] : ends[row]]
        end = np.uint64(len(own))  # unsigned, since an index that can be negative is looked at twice
        lines, shorts, longest, again, tokens, addresses = 1, 0, 0, 0, 0, 0
        line, token = np.uint64(0), np.uint64(0)  # where the open ones begin
        before = np.uint32(CODE_POINTS)
        for i in range(end + np.uint64(1)):
            code = own[i] if i < end else np.uint32(CODE_POINTS)
            again = again + 1 if code == before else 0
            longest = max(longest, again)
            before = code
            if code > LAST_PRINTED or code < FIRST_PRINTED:
                if i >= token + np.uint64(SHORTEST_ADDRESS):
                    tokens += int(i - token) if i >= token + np.uint64(LONG_TOKEN) else 0
                    addresses += _address_letters(own, np.int64(token), np.int64(i))
                token = i + np.uint64(1)
                if code == LINE_END:
                    lines += 1
                    shorts += int(i <= line + np.uint64(short))
                    line = token
        shorts += int(end <= line + np.uint64(short))
        result[row, ALL_LINES], result[row, SHORT_LINES] = lines, shorts
        result[row, LONGEST_RUN] = longest + 1 if len(own) else 0
        result[row, LONG_TOKEN_LETTERS], result[row, ADDRESS_LETTERS] = tokens, addresses
    return result


@part
def _name(values: Any, begins: Any, ends: Any, number: Any, names: Any, keys: Any, owners: Any, salt: Any) -> Any:
    """Writes into `names` for each of the first `number` spans which span is the first that is equal to it.

    Args:
        values: of integers; span i is values[begins[i] : ends[i]].
        names: int64 [number]; keys, owners: uint64 and int64 scratch of at least table_size(number).
    """
    mask = np.uint64(table_size(number) - 1)
    owners[: table_size(number)] = -1
    for span in range(number):
        first, last = begins[span], ends[span]
        key = np.uint64(last - first) ^ salt
        # Two values at a time: each multiplication waits for the one before.
        for i in range(first, last - 1, 2):
            two = np.uint64(values[i]) | np.uint64(values[i + 1]) << np.uint64(32)
            key = (key ^ two) * np.uint64(0x9FB21C651E98DF25)
            key ^= key >> np.uint64(29)
        if (last - first) & 1:
            key = (key ^ np.uint64(values[last - 1])) * np.uint64(0x9FB21C651E98DF25)
        at = place(key, salt, mask)
        while True:
            owner = owners[at]
            if owner < 0:
                owners[at], keys[at], names[span] = span, key, span
                break
            if keys[at] == key and ends[owner] - begins[owner] == last - first:
                same, offset = True, begins[owner] - first
                for i in range(first, last):
                    if values[i] != values[i + offset]:
                        same = False
                        break
                if same:
                    names[span] = owner
                    break
            at = (at + np.uint64(1)) & mask


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
    sentence_begins, sentence_ends = np.empty(most, np.int64), np.empty(most, np.int64)
    line_at = np.zeros(most + 2, np.int64)  # each line's first sentence
    line_letters = np.empty(most + 1, np.int64)
    names, line_names = np.empty(most, np.int64), np.empty(most + 1, np.int64)
    keys = np.empty(table_size(most + 1), np.uint64)
    owners = np.empty(len(keys), np.int64)
    for row in range(len(begins)):
        own, found = codes[begins[row] : ends[row]], result[row]
        number, lines, letters_, start = 0, 0, 0, 0  # where the open sentence begins
        for i in range(len(own) + 1):
            code = own[i] if i < len(own) else np.uint32(LINE_END)
            kind = kinds[code]
            if kind != STOP and code != LINE_END:
                continue
            if i > start:
                end = i if code == LINE_END else i + 1
                seen = end - 1
                while seen > start and kinds[own[seen]] == SPACE:
                    seen -= 1
                found[ELLIPSES] += kinds[own[seen]] == ELLIPSIS
                found[LONGEST_SENTENCE] = max(found[LONGEST_SENTENCE], end - start)
                letters_ += end - start
                sentence_begins[number], sentence_ends[number] = start, end
                number += 1
            start = i + 1
            if code == LINE_END:
                line_letters[lines] = letters_ - found[LINE_LETTERS]
                found[LINE_LETTERS] = letters_
                lines += 1
                line_at[lines] = number
        found[SENTENCES], found[SENTENCE_LETTERS], found[LINES] = number, letters_, lines
        _name(own, sentence_begins, sentence_ends, number, names, keys, owners, salt)
        for i in range(number):
            if names[i] == i:
                found[DISTINCT_SENTENCES] += 1
                found[DISTINCT_SENTENCE_LETTERS] += sentence_ends[i] - sentence_begins[i]
        # Where sentences end is seen in their letters, so that lines are equal where all their sentences are.
        _name(names, line_at, line_at[1:], lines, line_names, keys, owners, salt)
        for i in range(lines):
            if line_names[i] == i:
                found[DISTINCT_LINES] += 1
                found[DISTINCT_LINE_LETTERS] += line_letters[i]
    return result
