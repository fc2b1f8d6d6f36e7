"""Which encoding a text file is in, and its text.

Japanese archives mix UTF-8, Shift_JIS (CP932), EUC-JP, ISO-2022-JP and UTF-16, and every byte string is valid in
several of them. Each candidate decodes a sample, and the decoding that is the most probable Japanese text wins:
the sum over characters of their log-probability, by script and by how common a kanji is, with half-width katakana
as a script that text rarely enters but then stays in. (The idea of scoring decodings by character frequency is
Li & Momoi, "A composite approach to language/encoding detection", 2001.) It is measured against chardet 7 in
docs/corpus.md.
"""

from __future__ import annotations

import codecs
import functools
import re
from dataclasses import dataclass

SAMPLE_BYTES = 16_384
# A text with a larger share of undecodable bytes than this is not repaired but skipped.
MAX_BAD_SHARE = 0.01

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# euc_jis_2004 and iso2022_jp_ext hold what vendors added (①, half-width katakana): they are tried when the
# standard ones fail.
EIGHT_BIT = ("cp932", "euc_jp", "euc_jis_2004")
SEVEN_BIT = ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext")
# Single bytes that no CP932 text has, but that the codec passes through (80, A0, FD, FE, FF).
UNUSED_IN_CP932 = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
ESCAPES = re.compile(rb"\x1b(\$[@B]|\$\([DOQ]|\([BJI])")

# log2 of a character's probability within its script, set by hand from counts over Japanese prose and manuals; only
# their order of magnitude matters.
BAD_BYTE = -30.0
ENTER_HALF_WIDTH = -7.0
# Text without a byte-order mark is rarely UTF-16; as many bits of evidence are asked for first.
UTF16_PRIOR = -16.0
# Nearly every byte string is valid UTF-16, so it is a candidate only if its characters are likely ones (per character).
UTF16_FLOOR = -14.0


class Undecodable(Exception):
    """More than `MAX_BAD_SHARE` of the bytes mean nothing in the encoding."""

    def __init__(self, encoding: str, bad_bytes: int) -> None:
        super().__init__(f"{bad_bytes} bytes are not {encoding}")
        self.encoding, self.bad_bytes = encoding, bad_bytes


@dataclass(frozen=True)
class Decoded:
    text: str
    encoding: str
    bad_bytes: int  # replaced by U+FFFD


def decode(data: bytes, encoding: str | None = None, declared: str | None = None) -> Decoded:
    """Decode a whole text.

    Args:
        encoding: what the recipe says it is; None detects it.
        declared: what the text itself says it is (an HTML meta element, an XML declaration); believed when the
            bytes decode so without fault.

    Raises:
        Undecodable: more than 1% of the bytes mean nothing in the encoding.
    """
    if encoding is None:
        marked = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), None)
        if declared and not marked:
            try:
                return Decoded(data.decode(declared), codecs.lookup(declared).name, 0)
            except (UnicodeDecodeError, LookupError):
                pass  # a wrong declaration is common; the bytes decide
        encoding = marked or detect(data)
    decoder = Decoder(encoding)
    text = decoder.decode(data, final=True)
    if decoder.bad_bytes > MAX_BAD_SHARE * len(data):
        raise Undecodable(encoding, decoder.bad_bytes)
    return Decoded(text, encoding, decoder.bad_bytes)


class Decoder:
    """An incremental decoder that replaces undecodable bytes by U+FFFD and counts them."""

    def __init__(self, encoding: str) -> None:
        self.bad_bytes = 0
        # Error handlers live in one registry of the process and cannot be given an argument, so the one handler
        # finds the decoder at work in a global. Decoding happens in one thread only.
        self._is_cp932 = codecs.lookup(encoding).name == "cp932"
        self._decoder = codecs.getincrementaldecoder(encoding)(_HANDLER)

    def decode(self, data: bytes, final: bool = False) -> str:
        global _at_work
        _at_work = self
        text = self._decoder.decode(data, final)
        if self._is_cp932 and UNUSED_IN_CP932.search(text):
            text, count = UNUSED_IN_CP932.subn("\ufffd", text)
            self.bad_bytes += count
        return text


_HANDLER = "kiban-count-and-replace"
_at_work: Decoder


def _count_and_replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    _at_work.bad_bytes += error.end - error.start
    return "\ufffd", error.end


codecs.register_error(_HANDLER, _count_and_replace)


def detect(data: bytes) -> str:
    """Name of the Python codec that `data` most probably is in.

    Looks at a sample of 16 KiB from the first byte that is not ASCII. Bytes that are ASCII throughout are UTF-8.
    """
    for mark, name in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    first = _first_beyond_ascii(data)
    start = first - first % 2  # keeps UTF-16 aligned; no candidate's character begins before its first high byte
    sample = data[start : start + SAMPLE_BYTES]
    candidates: list[tuple[float, str]] = []
    if ESCAPES.search(data[:SAMPLE_BYTES]) or ESCAPES.search(sample):
        head = data[:SAMPLE_BYTES]
        candidates += [(_score(head, name) - _score(head, "latin-1"), name) for name in SEVEN_BIT]
        if max(candidates)[0] > 0:
            return max(candidates, key=lambda item: item[0])[1]
        candidates = []
    if _is_utf8(sample) and not sample.isascii():
        return "utf-8"
    candidates.append((_score(sample, "utf-8"), "utf-8"))
    if not sample.isascii():
        candidates += [(_score(data[first : first + SAMPLE_BYTES], name), name) for name in EIGHT_BIT]
    if len(data) % 2 == 0:
        for name in ("utf-16-le", "utf-16-be"):
            score = _score(sample, name)
            if score > UTF16_FLOOR * len(sample) / 2:
                candidates.append((score + UTF16_PRIOR, name))
    return max(candidates, key=lambda item: item[0])[1]  # the first of equals: utf-8, cp932, euc_jp


BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


def _first_beyond_ascii(data: bytes) -> int:
    found = BEYOND_ASCII.search(data)
    return found.start() if found else 0


def _is_utf8(sample: bytes) -> bool:
    """Valid UTF-8, but for a character cut at the end of the sample."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _score(sample: bytes, encoding: str) -> float:
    """log2-probability of the sample's text, given the encoding."""
    decoder = Decoder(encoding)
    text = decoder.decode(sample, final=len(sample) < SAMPLE_BYTES)
    total = decoder.bad_bytes * BAD_BYTE
    previous = ""
    for character in text:
        if "\uff61" <= character <= "\uff9f":
            total += half_width_bits(previous, character)
        else:
            total += character_bits(character)
        previous = character
    return total


VOICED = frozenset("ｳｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾊﾋﾌﾍﾎ")
SEMI_VOICED = frozenset("ﾊﾋﾌﾍﾎ")
BEFORE_SMALL = frozenset("ｷｼﾁﾆﾋﾐﾘｲｳﾌﾃﾄｸﾂﾞﾟｳ")


def half_width_bits(previous: str, character: str) -> float:
    """log2-probability of a half-width katakana after a character: 6 bits each (63 of them), and marks and small
    letters only where they can stand."""
    total = -5.5
    if not "\uff61" <= previous <= "\uff9f":
        total += ENTER_HALF_WIDTH
        if character in "ﾞﾟｬｭｮｧｨｩｪｫｯｰ":
            total -= 8
    elif (
        (character == "ﾞ" and previous not in VOICED)
        or (character == "ﾟ" and previous not in SEMI_VOICED)
        or (character in "ｬｭｮｧｨｩｪｫ" and previous not in BEFORE_SMALL)
        or (character in "ｰﾝｯ" and previous in "｡｢､･ｯﾝ")
    ):
        total -= 8
    if character == "ｦ":
        total -= 4
    return total


# Kanji that make up nine tenths of those in running text, counted over Debian's Japanese documentation and Aozora
# Bunko; which of them are in the list matters little.
COMMON_KANJI = frozenset(
    "一七三上下不与世両中主之九了事二云五人今仕他付代以件休会伝位低体何余作使來例供保信修個候値側像僕"
    "元先光入全八公六共兵其内再処出分切列初別利制刻削前割力加助効動化十千半単印原去参又反取受口古可右"
    "号各合吉同名向君含告味呼命和品問器四回囲図国土在地垂域基報場境士声変外多夜大天太夫失奏女好如始子"
    "字存学安完定実家容寄対小少居屋属山川左帰常平年度座式引弦弧弱張強当形影役彼待後得御心必応念思性悪"
    "情想意愛感態成我戦戸戻所手打択押拍拡括持指振挿接揃描提換操支改故教数整文断新方既日早明時暗曲更書"
    "最月有朝期木末本村来東果格桁検業楽概構様標機次歌止正此歩死殊残段母氏民気水求決法注活流海消深渡準"
    "演火点無然照父片版物特状独現理環生用田由申男町画界番異発白百的目直相真眼着知石確示神私科移程種空"
    "突立端笑符第等算管節範簡紙素索細終組経結絶続線編縮繰置美義考者聖聞能臨自致舞般良色花若苦落葉行術"
    "表装複西要見規視覚覧親観角解言計記設許訳証詞話詳認語説読誰調論識譜警象質起足身車転込近返述追送通"
    "造連進運過道達違遠適選郎部配重野量金録長門開間関降限除階際集離青非面音頃項順頭題顔類風飛食飾馬高"
)


@functools.lru_cache(maxsize=65_536)
def character_bits(character: str) -> float:
    """log2-probability of a character of Japanese text other than half-width katakana."""
    code = ord(character)
    if code < 0x80:
        if character.islower() or character in " \n":
            return -5.0
        return -7.0 if character.isprintable() or character in "\r\t" else -20.0
    if 0x3041 <= code <= 0x3093:
        return -7.5
    if 0x30A1 <= code <= 0x30FC:
        return -9.0
    if character in "、。「」・ー（）　":
        return -7.0
    if character in COMMON_KANJI:
        return -10.5
    if character in "①②③④⑤⑥⑦⑧⑨⑩㈱№～－〜−…":
        return -13.0
    try:
        row = character.encode("euc_jp")[0] - 0xA0
    except UnicodeEncodeError:
        return -26.0 if character.isprintable() else -36.0
    if character.isascii() or len(character.encode("euc_jp")) == 3:
        return -26.0
    if row <= 3:
        return -13.0
    if row < 16:
        return -16.0
    return -15.0 if row < 48 else -19.0
