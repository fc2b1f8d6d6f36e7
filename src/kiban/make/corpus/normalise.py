"""One form for each text: NFKC where it changes only how a character is drawn, and nowhere that it changes words.

Unicode's NFKC folds widths and ligatures, which is wanted, but also turns 10² into 102, 3½ into 31⁄2 and ①2020 into
12020. Which characters keep their form is derived from `unicodedata` by rule (`_kept`), not listed by hand, so that
a newer Unicode is covered too. Besides: half-width voiced katakana compose, wave dashes become one character,
invisible characters go without joining words, and blanks and line ends are put in order.

The result is stable: normalise(normalise(text)) == normalise(text), for every text.

Most text needs nothing of this. A batch of texts is scanned once, by a table over all code points (`Tables.tasks`) that
says which step a character may need, and each text goes through the steps that it may need only. Folding is done in
the same array of code points; the other steps are Python's own string methods.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.compiled import compiled, part
from kiban.make.corpus.letters import Codes, Offsets

# Drawing variants: the decomposition is the same character in another width, font, direction or position.
VARIANTS = {"<wide>", "<narrow>", "<font>", "<vertical>", "<small>", "<noBreak>"}
VARIANTS |= {"<initial>", "<medial>", "<final>", "<isolated>"}


def _is_unified_ideograph(character: str) -> bool:
    return len(character) == 1 and unicodedata.name(character, "").startswith("CJK UNIFIED IDEOGRAPH")


def _kept(character: str, folded: str) -> bool:
    """Whether a character that NFKC would turn into `folded` keeps its form.

    - CJK compatibility ideographs (神 U+FA19, 﨑-like variants of names): NFKC loses which variant a name has.
    - Numbers in another shape (², ₂, ½, ①, ⑴, ⒈, Ⅳ) and raised or lowered letters (ª, ™): beside digits or words
      their plain form is read as part of them.
    - Enclosed characters (㊙, 🄰, 🈐): the frame carries meaning.
    - What NFKC spells with a blank or a leading mark (´ ゛ ￣ ำ) or with conjoining jamo (ㄱ): the pieces combine
      with their neighbours.
    - Signs whose spelling begins or ends with a letter, a digit or a decimal point (№ ℡ ℃ ㋀ ㏠ ㍘ ㎡ … ․): it
      would run into the neighbours. Not meant are drawing variants (Ａ, 𝐀), letters that are ligatures of letters
      (ﬁ, ǆ), radicals that stand for their ideograph (⽇), and units and words set in one square (㎏, ㍉, ㍿), which
      are written to be read so, except those that end in a digit.
    """
    tag = unicodedata.decomposition(character).split(" ")[0]
    category = unicodedata.category(character)
    if not tag.startswith("<") and len(folded) == 1 and _is_unified_ideograph(folded):
        return True
    if tag in ("<super>", "<sub>", "<fraction>", "<circle>") or category in ("No", "Nl"):
        return True
    if unicodedata.name(character, "").startswith("SQUARED "):
        return True
    if category != "Zs" and " " in folded:
        return True
    if unicodedata.category(folded[0])[0] == "M" or any("\u1100" <= each <= "\u11ff" for each in folded):
        return True
    if tag in VARIANTS and len(folded) == 1:
        return False
    if len(folded) > 1 and (_numeric(folded[0]) or _numeric(folded[-1])):
        return True
    if tag == "<compat>" and not (category[0] == "L" or _is_unified_ideograph(folded)):
        return _numeric(folded[0]) or folded[0].isalpha() or folded[-1].isalpha()
    return False


def _numeric(character: str) -> bool:
    return (character.isnumeric() and not _is_unified_ideograph(character)) or character in ".,"


def _foldings() -> dict[str, str]:
    """Every character that NFKC changes and `_kept` does not keep, with what it becomes."""
    foldings = {}
    for character in DECOMPOSITIONS:
        folded = unicodedata.normalize("NFKC", character)
        if folded != character and not _kept(character, folded):
            foldings[character] = folded
    del foldings[FULLWIDTH_TILDE]
    return foldings


# What may decompose: not the unified ideographs, not hangul's syllables, not private use, nothing beyond plane 2.
PLACES = ((0x80, 0x3400), (0xA000, 0xAC00), (0xF900, 0x20000), (0x2F800, 0x30000))
MAY_DECOMPOSE = [chr(code) for start, end in PLACES for code in range(start, end)]
DECOMPOSITIONS = {
    character: decomposition
    for character, decomposition in zip(MAY_DECOMPOSE, map(unicodedata.decomposition, MAY_DECOMPOSE), strict=True)
    if decomposition
}
FULLWIDTH_TILDE = "\uff5e"
WAVE_DASH = "\u301c"
KANA = re.compile("[\u3041-\u30ff\uff66-\uff9d]")
JAPANESE = re.compile("[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff61-\uff9f\U00020000-\U0003134f]")
FOLDINGS = _foldings()
# Zero-width space, word joiner and byte-order mark; soft hyphen; controls other than tab and line ends.
SOFT_HYPHEN = "\u00ad"
INVISIBLE = SOFT_HYPHEN + "\u200b\u2060\ufeff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
LINE_ENDS = "\x0b\x0c\x85\u2028\u2029"
SURROGATES = "\ud800-\udfff"

HALF_WIDTH_MARKS = {"\uff9e": "\u309b", "\uff9f": "\u309c"}  # with what they become where they stand alone
INVISIBLES = re.compile(f"[{INVISIBLE}]+")
LINE_END = re.compile(f"[{LINE_ENDS}]")
SURROGATE = re.compile(f"[{SURROGATES}]")
COMPATIBILITY_IDEOGRAPHS = re.compile("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)")

Flags = npt.NDArray[np.uint8]
Units = npt.NDArray[np.uint16]

# What a character may need, as bits of a byte; those of its characters together are what a text may need.
FOLD, CARRIAGE_RETURN, OTHER_LINE_END, HIDDEN, SURROGATE_HALF, COMPOSE = 1, 2, 4, 8, 16, 32
# Of a character: it becomes a blank, a line's end. Of a text: a blank is before a line's end, or three ends in a row.
BLANK, END = 64, 128
CLEAN = CARRIAGE_RETURN | OTHER_LINE_END | HIDDEN | SURROGATE_HALF


@dataclass(frozen=True)
class Tables:
    """The rules as arrays.

    Attributes:
        tasks: uint8 [code points], bits as above.
        row: uint16 [code points], the row of `units` that a character is folded to, or 0.
        units: uint16 [rows, longest], foldings in UTF-16, filled up with 0. Those of marks and of the tilde are what
            they become where they stand alone.
        lengths: int64 [rows], in units.
        voiced: uint16 [2, 0x10000], what kana become with U+FF9E and with U+FF9F after them, or 0.
        spaces: uint32 [spaces], what `str.isspace` holds for.
    """

    tasks: Flags
    row: Units
    units: Units
    lengths: Offsets
    voiced: Units
    spaces: Codes


@functools.cache
def _tables() -> Tables:
    replaced = FOLDINGS | HALF_WIDTH_MARKS | {FULLWIDTH_TILDE: WAVE_DASH}
    composing = _composing()
    plane = "".join(map(chr, range(0x10000)))
    tasks = np.zeros(sys.maxunicode + 1, np.uint8)
    for bit, characters in (
        (FOLD, [*replaced]),
        (CARRIAGE_RETURN, ["\r"]),
        (OTHER_LINE_END, [*LINE_ENDS]),
        (COMPOSE, [*composing, *(each for each, folded in FOLDINGS.items() if not composing.isdisjoint(folded))]),
        (BLANK, [" ", "\t", *(each for each, folded in FOLDINGS.items() if folded[-1] == " ")]),
        (END, ["\n", "\r", *LINE_ENDS]),
    ):
        tasks[[ord(each) for each in characters]] |= bit
    for match in INVISIBLES.finditer(plane):
        tasks[match.start() : match.end()] |= HIDDEN
    tasks[0xD800:0xE000] |= SURROGATE_HALF

    encoded = [np.frombuffer(folded.encode("utf-16-le"), np.uint16) for folded in replaced.values()]
    row = np.zeros(sys.maxunicode + 1, np.uint16)
    row[[ord(each) for each in replaced]] = np.arange(1, len(encoded) + 1)
    lengths = np.array([0, *map(len, encoded)], np.int64)
    units = np.zeros((len(encoded) + 1, lengths.max()), np.uint16)
    for index, folded_units in enumerate(encoded, 1):
        units[index, : len(folded_units)] = folded_units

    voiced = np.zeros((2, 0x10000), np.uint16)
    for base in KANA.findall(plane):
        for index, mark in enumerate(HALF_WIDTH_MARKS):
            composed = unicodedata.normalize("NFKC", base + mark)
            if len(composed) == 1:
                voiced[index, ord(base)] = ord(composed)
    spaces = np.array([code for code, character in enumerate(plane) if character.isspace()], np.uint32)
    return Tables(tasks, row, units, lengths, voiced, spaces)


def _composing() -> set[str]:
    """All but these a text in NFC may hold anywhere: what NFC changes, moves, or joins to what stands before."""
    found = {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}  # conjoining jamo
    found.update(itertools.compress(MAY_DECOMPOSE, map(unicodedata.combining, MAY_DECOMPOSE)))
    for character, decomposition in DECOMPOSITIONS.items():
        parts = decomposition.split()
        if parts[0][0] != "<":
            if len(parts) == 2:
                found.add(chr(int(parts[1], 16)))
            if not unicodedata.is_normalized("NFC", character):
                found.add(character)
    return found


def normalise(text: str) -> str:
    """The one form of `text`. Lone surrogates become U+FFFD, so that the result always encodes."""
    return normalise_batch([text])[0]


def normalise_batch(texts: Sequence[str]) -> list[str]:
    """`normalise` of each of `texts`, which may hold lone surrogates."""
    tables = _tables()
    codes = _codes("".join(texts))
    starts = np.fromiter(itertools.accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
    flags = scan(codes, starts, tables.tasks).tolist()
    return [
        _finish(text, flag, codes[start : start + len(text)], tables) if flag else text.strip()
        for text, flag, start in zip(texts, flags, starts.tolist(), strict=False)
    ]


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _finish(text: str, flags: int, codes: Codes, tables: Tables) -> str:
    """`text` after the steps that it may need.

    Args:
        codes: of `text`.
    """
    if flags & CLEAN:
        text = _clean(text, flags)
        codes = _codes(text)
    if flags & FOLD:
        units = fold(codes, tables.row, tables.units, tables.lengths, tables.voiced, tables.spaces)
        text = str(units.data, "utf-16-le")
    if flags & COMPOSE and not unicodedata.is_normalized("NFC", text):
        parts = COMPATIBILITY_IDEOGRAPHS.split(text)
        parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
        text = "".join(parts)
    # What was invisible may have stood between a blank and a line's end, or between two ends.
    if flags & (BLANK | HIDDEN) and (" \n" in text or "\t\n" in text):
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if flags & (BLANK | END | HIDDEN):
        while "\n\n\n" in text:
            text = text.replace("\n\n\n", "\n\n")
    return text.strip()


def _clean(text: str, flags: int) -> str:
    """Without lone surrogates, line ends other than \\n, and what is invisible."""
    if flags & SURROGATE_HALF:
        text = SURROGATE.sub("\ufffd", text)
    if flags & CARRIAGE_RETURN:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if flags & OTHER_LINE_END:
        text = LINE_END.sub("\n", text)
    return INVISIBLES.sub(_gap, text) if flags & HIDDEN else text


def _gap(match: re.Match[str]) -> str:
    """Nothing, or the blank that keeps two words apart; Japanese has none, and a soft hyphen lies inside a word."""
    text, start, end = match.string, match.start(), match.end()
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    if not (before.isalnum() and after.isalnum()) or JAPANESE.match(before) or JAPANESE.match(after):
        return ""
    inside_word = set(match[0]) == {SOFT_HYPHEN} and before.isalpha() and after.isalpha()
    return "" if inside_word else " "


def _scan_numpy(codes: Codes, starts: Offsets, tasks: Flags) -> Flags:
    found = tasks[codes] if len(codes) else np.zeros(0, np.uint8)
    flags = np.zeros(len(starts) - 1, np.uint8)
    for index, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        own = found[start:end]
        every = np.bitwise_or.reduce(own, initial=0) & ~np.uint8(BLANK | END)
        blank, line_end = own & BLANK != 0, own & END != 0
        every |= BLANK * np.uint8((blank[:-1] & line_end[1:]).any())
        every |= END * np.uint8((line_end[:-2] & line_end[1:-1] & line_end[2:]).any())
        flags[index] = every
    return flags


@compiled(fallback=_scan_numpy)
def scan(codes: Codes, starts: Offsets, tasks: Flags) -> Flags:
    """uint8 [texts]: what each text may need."""
    flags = np.zeros(len(starts) - 1, np.uint8)
    for index in range(len(starts) - 1):
        every = pairs = before = two_before = np.int64(0)
        for position in range(starts[index], starts[index + 1]):
            here = np.int64(tasks[codes[position]])
            every |= here
            pairs |= ((before & BLANK) << 1 & here) >> 1 | (here & before & two_before & END)
            two_before, before = before, here
        flags[index] = every & ~(BLANK | END) | pairs
    return flags


def _fold_numpy(codes: Codes, row: Units, units: Units, lengths: Offsets, voiced: Units, spaces: Codes) -> Units:
    follows = np.append(codes, np.zeros(2, np.uint32))[1:]
    selected = _selects_numpy(follows)
    rows = np.where(selected[:-1], 0, row[codes])
    mark_follows = (follows[:-1] | 1) == 0xFF9F
    base = np.where(mark_follows & (codes < 0x10000), codes, 0)
    composed = voiced[follows[:-1] & 1, base]
    is_mark = (codes | 1) == 0xFF9F
    rows[is_mark] = row[codes[is_mark]]
    after = np.append(rows, 0)[1:]
    first = np.where((follows[:-1] < 0x10000) & (after != 0), units[after, 0], follows[:-1])
    letter = ((first | 32) >= 97) & ((first | 32) <= 122)
    begins = np.append(True, np.isin(codes[:-1], spaces))[: len(codes)]
    tilde = codes == 0xFF5E
    path = tilde & ((first == 0x2F) | letter & begins)
    rows[tilde] = row[0xFF5E]
    one = (rows == 0) | (composed != 0) | path
    counts = np.where(one, 1 + (codes > 0xFFFF), lengths[rows])
    counts[composed != 0] = 1
    counts[np.append(False, composed != 0)[: len(codes)]] = 0  # the mark went into the kana before it
    at = np.cumsum(counts) - counts
    folded = np.zeros(counts.sum(), np.uint16)
    for position in range(units.shape[1]):
        more = ~one & (counts > position)
        folded[at[more] + position] = units[rows[more], position]
    plain = one & (counts == 1)
    value = np.where(composed != 0, composed, np.where(path, 0x7E, codes))
    folded[at[plain]] = value[plain]
    pair = one & (counts == 2)
    folded[at[pair]] = 0xD800 + ((codes[pair] - 0x10000) >> 10)
    folded[at[pair] + 1] = 0xDC00 + (codes[pair] & 0x3FF)
    return folded


def _selects_numpy(codes: Codes) -> npt.NDArray[np.bool_]:
    return (codes >= 0xFE00) & (codes <= 0xFE0F) | (codes >= 0xE0100) & (codes <= 0xE01EF)


@part
def _selects(code: np.uint32) -> np.bool_:
    """Whether it is a variation selector: the character before it keeps its form."""
    return (code >= 0xFE00) & (code <= 0xFE0F) | (code >= 0xE0100) & (code <= 0xE01EF)


@compiled(fallback=_fold_numpy)
def fold(codes: Codes, row: Units, units: Units, lengths: Offsets, voiced: Units, spaces: Codes) -> Units:
    """The text of `codes` in UTF-16, characters folded, half-width voiced kana composed, tildes told apart.

    In a path (~/docs, ~user) U+FF5E is a tilde; everywhere else what Japanese keyboards and CP932 mean is a wave dash.
    """
    many = len(codes)
    longest = 0
    for code in codes:
        longest += max(lengths[row[code]], 2 if code > 0xFFFF else 1)
    folded = np.empty(longest, np.uint16)
    at = 0
    position = 0
    while position < many:
        code = codes[position]
        follows = codes[position + 1] if position + 1 < many else np.uint32(0)
        position += 1
        if follows | 1 == 0xFF9F and code < 0x10000 and voiced[follows & 1, code]:
            folded[at] = voiced[follows & 1, code]
            at += 1
            position += 1
        elif code == 0xFF5E:
            first = follows
            selected = position + 1 < many and _selects(codes[position + 1])
            if follows < 0x10000 and row[follows] and not selected:
                first = np.uint32(units[row[follows], 0])
            tilde = first == 0x2F
            if 97 <= first | 32 <= 122:
                tilde = position == 1
                for space in spaces:
                    tilde |= position > 1 and codes[position - 2] == space
            folded[at] = 0x7E if tilde else 0x301C
            at += 1
        elif row[code] and (code | 1 == 0xFF9F or not _selects(follows)):
            for unit in range(lengths[row[code]]):
                folded[at] = units[row[code], unit]
                at += 1
        elif code > 0xFFFF:
            folded[at] = 0xD800 + ((code - 0x10000) >> 10)
            folded[at + 1] = 0xDC00 + (code & 0x3FF)
            at += 2
        else:
            folded[at] = code
            at += 1
    return folded[:at]
