"""Wrong readings undone: from characters to the bytes they were made of, and to the characters that were meant.

A wrong reading may lose bytes, for which it puts U+FFFD (or ・, as Windows does). They are guessed only where the bytes
around them, what the wrong reading loses at all, and the statistics of Japanese leave one choice.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kiban.make.corpus.encoding import character_bits

# How many bits a guessed character must be ahead of all others.
GUESS_MARGIN = 3.0
LOST = 0xFF  # stands for a byte that is not known; no encoding here uses it
FOREIGN = 0x0A  # stands for a character that the wrong reading cannot have brought about; lines hold no line end
CP1252_ONLY = {
    bytes([byte]).decode("cp1252"): byte for byte in range(0x80, 0xA0) if byte not in b"\x81\x8d\x8f\x90\x9d"
}
# Small kana and those hardly used: encoding.py counts all kana alike, and a guess among them needs more. It counts
# marks of repetition (and the kanji 〇) as symbols, but they stand among letters.
SELDOM = frozenset("ぁぃぅぇぉゎゐゑゔヮヰヱヵヶァィゥェォヂヅヴ")
REPETITION = frozenset("々〇ゝゞヽヾ")


class Character(NamedTuple):
    """A character that bytes [start, end) of a span decode to."""

    start: int
    end: int
    text: str


# Wrong readings: the bytes of each character, and which bytes they turn into a replacement character.


@functools.lru_cache(maxsize=65_536)
def _cp932_bytes(character: str) -> bytes:
    if character in "\ufffd・":
        return bytes([LOST])
    try:
        return character.encode("cp932")
    except UnicodeEncodeError:
        return bytes([FOREIGN])


@functools.cache
def _second_codes() -> dict[str, bytes]:
    """The characters that CP932 has two codes for, with the one that Python does not encode them in."""
    codes = (bytes([first, second]) for first in (0xFA, 0xFB, 0xFC) for second in range(0x40, 0xFD) if second != 0x7F)
    decoded = ((code.decode("cp932", "replace"), code) for code in codes)
    return {character: code for character, code in decoded if _cp932_bytes(character) != code}


@functools.lru_cache(maxsize=65_536)
def _cp932_bytes_of_euc_jp(character: str) -> bytes:
    """Of its two codes the one that can be part of EUC-JP."""
    found = _cp932_bytes(character)
    return _second_codes().get(character, found) if found[-1] < 0xA1 else found


@functools.lru_cache(maxsize=65_536)
def western_bytes(character: str) -> bytes:
    if character == "\ufffd":
        return bytes([LOST])
    code = CP1252_ONLY.get(character, ord(character))
    return bytes([code if code < LOST else FOREIGN])


@functools.lru_cache(maxsize=65_536)
def cp932_loses(first: int, second: int) -> bool:
    """Whether CP932 has no character for a first byte followed by a second."""
    if first == 0xA0 or first >= 0xFD:
        return True
    if first <= 0x80 or 0xA1 <= first <= 0xDF:
        return False
    try:
        bytes([first, second]).decode("cp932")
    except UnicodeDecodeError:
        return True
    return False


def _western_loses(first: int, second: int) -> bool:
    return first in b"\x81\x8d\x8f\x90\x9d"


Loses = Callable[[int, int], bool]

# Right readings: what characters beyond ASCII stand at which bytes; what does not decode is left out.

UTF_8 = re.compile(
    rb"(?P<valid>[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3})"
    rb"|(?P<before>(?:[\xe1-\xef][\x80-\xbf]?)?)\xff(?P<after>(?:[\x80-\xbf]{1,2})?)"
)
CP932 = re.compile(rb"[\xa1-\xdf]|[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]")
EUC_JP = re.compile(rb"\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2}|[\xa1-\xfe]{2}|[\xa1-\xfe]\xff|\xff[\xa1-\xfe]")


def _utf_8(data: bytes, loses: Loses) -> Iterator[Character]:
    for match in UTF_8.finditer(data):
        if match["valid"] is not None:
            yield Character(match.start(), match.end(), match[0].decode())
        else:
            following = data[match.end()] if match.end() < len(data) else 0
            yield Character(match.start(), match.end(), _guess(match["before"], match["after"], following, loses))


def _cp932(data: bytes, loses: Loses) -> Iterator[Character]:
    for match in CP932.finditer(data):
        try:
            yield Character(match.start(), match.end(), match[0].decode("cp932"))
        except UnicodeDecodeError:
            continue


def _euc_jp(data: bytes, loses: Loses) -> Iterator[Character]:
    for match in EUC_JP.finditer(data):
        try:
            text = "\ufffd" if LOST in match[0] else match[0].decode("euc_jp")
        except UnicodeDecodeError:
            continue
        yield Character(match.start(), match.end(), text)


@functools.lru_cache(maxsize=65_536)
def _guess(before: bytes, after: bytes, following: int, loses: Loses) -> str:
    """The UTF-8 characters of which one or two bytes in the middle were lost; U+FFFD for what cannot be told.

    Args:
        before, after: the bytes around those lost.
        following: the byte after all.
    """
    options: list[str] = []
    tails, leads = range(0x80, 0xC0), (*range(0xE2, 0xEA), 0xEF)
    if len(before) + len(after) == 2:
        following = after[0] if after else following
        for lost in tails if before else leads:
            if loses(lost, following):
                options.append((before + bytes([lost]) + after).decode("utf-8", "replace"))
    elif len(before) == len(after) == 2:
        for lost in tails:
            for lead in leads:
                if loses(lost, lead):
                    options.append((before + bytes([lost, lead]) + after).decode("utf-8", "replace"))
    options = [option for option in options if len(option) == (1 if len(before) + len(after) == 2 else 2)]
    if not options:
        return "\ufffd"
    return "".join(_likeliest(set(each)) for each in zip(*options, strict=True))


def _likeliest(characters: set[str]) -> str:
    """The one that is decisively more probable than the others, or U+FFFD.

    Of kanji none is: which of several was meant is not for statistics of single characters to say.
    """
    if sum("\u4e00" <= each <= "\u9fff" for each in characters) > 1:
        return "\ufffd"
    bits = [character_bits(each) - 5 * (each in SELDOM) + 5 * (each in REPETITION) for each in characters]
    ranked = sorted(zip(bits, characters, strict=True))
    ahead = len(ranked) == 1 or ranked[-1][0] - ranked[-2][0] >= GUESS_MARGIN
    return ranked[-1][1] if ahead else "\ufffd"


class Kind(NamedTuple):
    """
    Attributes:
        sign: a character that every span of the kind holds.
    """

    name: str
    sign: re.Pattern[str]
    bytes_of: Callable[[str], bytes]
    loses: Loses
    read: Callable[[bytes, Loses], Iterator[Character]]


WESTERN_SIGN = re.compile(f"[\x80-\xff{''.join(CP1252_ONLY)}]")
LEADS = "".join(
    bytes([first, second]).decode("cp932", "ignore") for first in range(0xC2, 0xF0) for second in range(0x80, 0xC0)
)
KINDS = (
    Kind("utf_8_as_cp932", re.compile(f"[{LEADS}\ufffd]"), _cp932_bytes, cp932_loses, _utf_8),
    Kind("euc_jp_as_cp932", re.compile("[\uff61-\uff9f\ufffd]"), _cp932_bytes_of_euc_jp, cp932_loses, _euc_jp),
    Kind("utf_8_as_western", WESTERN_SIGN, western_bytes, _western_loses, _utf_8),
    Kind("cp932_as_western", WESTERN_SIGN, western_bytes, _western_loses, _cp932),
    Kind("euc_jp_as_western", WESTERN_SIGN, western_bytes, _western_loses, _euc_jp),
)
