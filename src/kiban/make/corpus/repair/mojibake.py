"""Spans of text that were decoded in a wrong encoding, read again in the right one.

Japanese in UTF-8 that was read as CP932 is a run of rare kanji and half-width katakana (`縺薙ｓ`), read as Latin-1 or
CP1252 a run of accented letters and controls (`ã“ã‚“`), and so on for the pairs in `KINDS`. A span's bytes are got
back by encoding it in what it was wrongly read as. It is replaced where these bytes decode in the other encoding, and
what comes out is more probable by `MARGIN` bits, by the same statistics of Japanese that tell encodings apart
(encoding.py). Once a document holds such a span, others of the same kind in it need less evidence (`MARGIN_AFTER`).

Characters that the wrong reading lost mostly stay U+FFFD (readings.py). Text that was normalised after the wrong
reading has lost what it would be known by.

Good text costs one scan for pairs of characters that only wrong readings put together (suspects.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from kiban.make.corpus.edits import Edit
from kiban.make.corpus.encoding import character_bits, half_width_bits
from kiban.make.corpus.letters import Offsets
from kiban.make.corpus.repair.readings import KINDS, Character, Kind, Loses, western_bytes

# log2 of how much more probable the repaired span must be, and in a document that is known to hold such spans.
MARGIN = 30.0
MARGIN_AFTER = 8.0
# What comes out must read as Japanese: kana and common kanji are at -7 to -11 bits, garbage of rare kanji below -15.
MIN_BITS_PER_CHARACTER = -14.0
MIN_BITS_AFTER = -16.0
# An accented letter is common where text is Western, and half-width katakana are what garbage often decodes to.
ACCENTED, HALF_WIDTH_AFTER = -12.0, -20.0
# Of a repaired span, at most this share of characters may stay unknown, and in a document known to hold such spans.
MAX_LOST_SHARE = 0.34
MAX_LOST_SHARE_AFTER = 0.67
# What a document holds is told from the first characters of its suspected lines: those that are garbage take long.
MOST_TOLD_FROM = 20_000


class Candidate(NamedTuple):
    """A span that can be read otherwise.

    Attributes:
        gain: how many bits more probable it is then.
        bits: log2-probability per character that is known.
        lost: share of characters that are not.
    """

    gain: float
    bits: float
    lost: float
    kind: str
    edit: Edit


def mojibake_edits(text: str, suspected: Offsets) -> list[tuple[str, list[Edit]]]:
    """What reads `text` in the encodings it was written in, by kind; edits do not overlap.

    Args:
        text: may hold lone surrogates.
        suspected: its `suspects`.
    """
    first: list[Candidate] = []
    left = MOST_TOLD_FROM
    for start in suspected.tolist():
        end = min(_line_end(text, start), start + left)
        first += [
            found
            for found in _candidates(text, start, end, KINDS)
            if found.gain >= MARGIN and found.bits >= MIN_BITS_PER_CHARACTER and found.lost <= MAX_LOST_SHARE
        ]
        left -= end - start
        if left <= 0:
            break
    kinds = _prevailing(_not_overlapping(first))
    if not kinds:
        return []
    every: list[Candidate] = []
    start = 0
    while start < len(text):
        end = _line_end(text, start)
        possible = [kind for kind in kinds if kind.sign.search(text, start, end)]
        if possible:
            every += [
                found
                for found in _candidates(text, start, end, possible)
                if found.gain >= MARGIN_AFTER and found.bits >= MIN_BITS_AFTER and found.lost <= MAX_LOST_SHARE_AFTER
            ]
        start = end + 1
    chosen = _not_overlapping(every)
    by_kind = [(f"mojibake_{kind.name}", [each.edit for each in chosen if each.kind == kind.name]) for kind in kinds]
    return [(name, edits) for name, edits in by_kind if edits]


def _prevailing(candidates: list[Candidate]) -> list[Kind]:
    """For each wrong reading the kind that gains most; what else there is shows when that is repaired."""
    gains = {kind.name: sum(found.gain for found in candidates if found.kind == kind.name) for kind in KINDS}
    best: dict[Loses, Kind] = {}
    for kind in KINDS:
        if gains[kind.name] > (gains[best[kind.loses].name] if kind.loses in best else 0):
            best[kind.loses] = kind
    return list(best.values())


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return end if end >= 0 else len(text)


def _not_overlapping(candidates: list[Candidate]) -> list[Candidate]:
    """Of those that overlap, the ones that gain most; in order."""
    chosen: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda found: (found.edit.start, -found.gain)):
        while chosen and candidate.edit.start < chosen[-1].edit.end and candidate.gain > chosen[-1].gain:
            chosen.pop()
        if not chosen or candidate.edit.start >= chosen[-1].edit.end:
            chosen.append(candidate)
    return chosen


def _candidates(text: str, start: int, end: int, kinds: Sequence[Kind]) -> list[Candidate]:
    """The spans of a line that can be read otherwise, each with what that gains."""
    line = text[start:end]
    found = []
    for kind in kinds:
        pieces = list(map(kind.bytes_of, line))
        data = b"".join(pieces)
        # For each byte that a character begins with, and the end, the character's index.
        begins = dict(zip(accumulate(map(len, pieces), initial=0), range(len(line) + 1), strict=True))
        for span in _spans(kind.read(data, kind.loses), data, begins):
            first, last = begins[span[0].start], begins[span[-1].end]
            before, after = line[first:last], "".join(character.text for character in span)
            if kind.name == "utf_8_as_western":
                after = _again(after)
            unknown = after.count("\ufffd")
            if before != after and unknown < len(after):
                bits = _bits_after(after)
                known = (bits - unknown * character_bits("\ufffd")) / (len(after) - unknown)
                edit = Edit(start + first, start + last, after)
                found.append(Candidate(bits - _bits_before(before), known, unknown / len(after), kind.name, edit))
    return found


def _spans(characters: Iterator[Character], data: bytes, begins: dict[int, int]) -> Iterator[list[Character]]:
    """Characters in unbroken rows, each as long as it begins and ends where characters of the line do.

    ASCII that stays ASCII divides rows: it is in all these encodings the same, and no evidence. Other ASCII in `data`
    is the second byte of a character of the line, and becomes one of its own.
    """
    row: list[Character] = []
    for character in characters:
        if row:
            _add_second_byte(row, data, begins)
            if character.start != row[-1].end:
                yield from _whole(row, begins)
                row = []
        if row or character.start in begins:
            row.append(character)
    if row:
        _add_second_byte(row, data, begins)
        yield from _whole(row, begins)


def _add_second_byte(row: list[Character], data: bytes, begins: dict[int, int]) -> None:
    end = row[-1].end
    if end not in begins and data[end] < 0x80:
        row.append(Character(end, end + 1, chr(data[end])))


def _whole(row: list[Character], begins: dict[int, int]) -> Iterator[list[Character]]:
    while row and row[-1].end not in begins:
        row.pop()
    if row:
        yield row


def _again(text: str) -> str:
    """UTF-8 that was read as Western several times, in one go: what is between is no more probable than garbage."""
    while True:
        data = b"".join(map(western_bytes, text))
        try:
            once_more = data.decode()
        except UnicodeDecodeError:
            return text
        if once_more.isascii() or once_more == text:
            return text
        text = once_more


def _bits_before(text: str) -> float:
    """log2-probability of `text`, as it is."""
    total, previous = 0.0, ""
    for character in text:
        if "\uff61" <= character <= "\uff9f":
            total += half_width_bits(previous, character)
        elif "\xc0" <= character <= "\xff" and character.isalpha():
            total += ACCENTED
        else:
            total += character_bits(character)
        previous = character
    return total


def _bits_after(text: str) -> float:
    """log2-probability of `text` as what was meant."""
    return sum(HALF_WIDTH_AFTER if "\uff61" <= each <= "\uff9f" else character_bits(each) for each in text)
