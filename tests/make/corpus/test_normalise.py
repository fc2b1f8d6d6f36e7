from __future__ import annotations

import re
import sys
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus import normalise as module
from kiban.make.corpus.normalise import FOLDINGS, normalise, normalise_batch

# Independent of the rule in the code: characters that must stay as they are, from the Unicode charts.
# Not NFKC's: the wave dash, and half-width sound marks that stand alone.
SPECIAL = "\uff5e\uff9e\uff9f"
UNTOUCHED = "²³¹⁰ⁿ₂½¾⅓⅟①⑳⑴⒈Ⅳⅷ™℠℡№℻℃㋀㏠㍘㎡㎥´¨゛゜￣…‥․ªºㄱ㊙Ⓐ🄰\ufa19\ufa11\uf9dc\u3402"


@pytest.mark.parametrize("character", UNTOUCHED)
def test_characters_whose_plain_form_would_be_read_as_part_of_a_word_or_number_stay(character: str) -> None:
    assert normalise(f"a{character}b") == f"a{character}b"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("１２３ＡＢＣ！", "123ABC!"),
        ("ｶﾞｷﾞﾊﾟｳﾞ", "ガギパヴ"),
        ("ﾞｱﾞｶﾟ", "゛ア゛カ゜"),
        ("aﾞ", "a゛"),
        ("カﾞ", "ガ"),
        ("か\u3099", "が"),
        ("５㎏と㍉と㈱と㍿と㍻", "5kgとミリと(株)と株式会社と平成"),
        ("ﬁnd", "find"),
        ("\u2f47本", "日本"),
        ("東京～大阪", "東京〜大阪"),
        ("10〜20", "10〜20"),
        ("～/docs", "~/docs"),
        ("a\u3000b\u00a0c", "a b c"),
        ("foo\u200bbar", "foo bar"),
        ("日\u200b本\ufeff語", "日本語"),
        ("ex\u00adample", "example"),
        ("ＡＢ\u200bＣ", "AB C"),
        ("क\u200dष\u200c", "क\u200dष\u200c"),
        ("葛\U000e0100城", "葛\U000e0100城"),
        ("‼\ufe0f", "‼\ufe0f"),
        ("a\r\nb\rc\u2028d\x0be\x0cf", "a\nb\nc\nd\ne\nf"),
        ("a\x00b", "a b"),
        ("あ\x00い\x1f", "あい"),
        ("a \t\n\n\n\nb", "a\n\nb"),
        ("  a\n", "a"),
        ("\ud83d", "\ufffd"),
        ("𝐀𝟏", "A1"),
    ],
)
def test_what_is_only_drawn_differently_gets_one_form(text: str, normal: str) -> None:
    assert normalise(text) == normal


def test_a_digit_never_merges_with_a_neighbour_over_any_character() -> None:
    for code in range(0x10000):
        character = chr(code)
        if unicodedata.category(character) != "Nd":
            assert re.fullmatch(r"1\D+2", normalise(f"1{character}2")), hex(code)


def test_it_is_idempotent_for_every_code_point_in_every_company() -> None:
    characters = [c for c in map(chr, range(sys.maxunicode + 1)) if c < "\U00010000" or unicodedata.category(c) > "Co"]
    for first in range(0, len(characters), 256):
        lines = (f"1{c}2a{c}bか{c}ﾞ\n{c} ｶ{c}\u0301\ufe0f" for c in characters[first : first + 256])
        once = normalise("\n".join(lines))
        assert normalise(once) == once, hex(ord(characters[first]))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[]), max_size=40))
def test_it_is_idempotent_and_always_encodes(text: str) -> None:
    once = normalise(text)
    once.encode()
    assert normalise(once) == once


def test_what_changes_becomes_what_nfkc_makes_of_it() -> None:
    for code in range(0x80, 0x30000):
        text = f"x{chr(code)}x"
        changed = normalise(text)
        kept = changed in (text, unicodedata.normalize("NFC", text))
        if not kept and chr(code) not in SPECIAL and chr(code).isprintable():
            assert changed == unicodedata.normalize("NFKC", text), hex(code)


def test_compatibility_ideographs_stay_while_their_neighbours_are_composed() -> None:
    assert normalise("か\u3099\ufa19か\u3099") == "が\ufa19が"


@pytest.mark.parametrize("character", [" ", "\t", "\n", "\u3000", "ﾞ", "\u200b", "～"])
def test_a_long_run_of_one_character_takes_linear_time(character: str) -> None:
    started = time.process_time()
    normalise("あ" + character * 200_000 + "い")
    assert time.process_time() - started < 2


# The rules as regular expressions over one text, step by step: what the arrays must come to.
SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
HIDDEN = "\u00ad\u200b\u2060\ufeff\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
JAPANESE = re.compile("[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff61-\uff9f\U00020000-\U0003134f]")


def in_steps(text: str) -> str:
    def gap(match: re.Match[str]) -> str:
        before, after = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 1]
        if not (before.isalnum() and after.isalnum()) or JAPANESE.match(before) or JAPANESE.match(after):
            return ""
        return "" if set(match[0]) == {"\u00ad"} and before.isalpha() and after.isalpha() else " "

    def voiced(match: re.Match[str]) -> str:
        composed = unicodedata.normalize("NFKC", match[0])
        alone = "\u309b" if match[2] == "\uff9e" else "\u309c"
        return composed if match[1] and len(composed) == 1 else match[1] + alone

    def folded(match: re.Match[str]) -> str:
        return FOLDINGS.get(match[0], match[0])

    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    text = re.sub("\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    text = re.sub(f"[{HIDDEN}]+", gap, text)
    text = re.sub("([\u3041-\u30ff\uff66-\uff9d]?)([\uff9e\uff9f])", voiced, text)
    text = re.sub(f"[\x80-\uffff](?![{SELECTORS}])", folded, text)
    text = re.sub("\uff5e(?=/)|(?<!\\S)\uff5e(?=[A-Za-z])", "~", text).replace("\uff5e", "\u301c")
    text = re.sub(f"[\U00010000-\U0010ffff](?![{SELECTORS}])", folded, text)
    parts = re.split("([\uf900-\ufaff\U0002f800-\U0002fa1f]+)", text)
    parts[::2] = [unicodedata.normalize("NFC", part) for part in parts[::2]]
    text = "\n".join(line.rstrip(" \t") for line in "".join(parts).split("\n"))
    return re.sub("\n{3,}", "\n\n", text).strip()


# What the rules are about, beside any character at all.
NEIGHBOURS = (
    "～/~aZ1Ａ／ｶﾞﾟかカヽ゛\u3099\u0301\ufe0f\U000e0100"
    " \u3000\t\n\r\x85\u200b\u00ad\x00\ud83d\udc00㎏㍉𝐀\U0001d15e\ufa19ﬁ\u1100\u1161"
)
any_text = st.text(st.one_of(st.sampled_from(NEIGHBOURS), st.characters(exclude_categories=[])), max_size=30)


@settings(deadline=None)
@given(st.lists(any_text, max_size=5))
def test_a_batch_is_normalised_as_the_steps_say_text_by_text(texts: list[str]) -> None:
    assert normalise_batch(texts) == [in_steps(text) for text in texts]


def test_every_code_point_is_normalised_as_the_steps_say() -> None:
    beyond = (chr(code) for code in range(0x10000, 0x30000))
    plain = range(0x4E00, 0xD7A4)  # ideographs and syllables: one of 16 will do
    first_plane = (chr(code) for code in range(0x10000) if code not in plain or code % 16 == 0)
    characters = [*first_plane, *(c for c in beyond if c in FOLDINGS or unicodedata.category(c) != "Lo")]
    texts = [f"1{c}2a{c}bか{c}ﾞ\n{c} ｶ{c}\u0301{c}\ufe0f～{c}a {c}\n\n" for c in characters]
    for first in range(0, len(texts), 4096):
        some = texts[first : first + 4096]
        assert normalise_batch(some) == [in_steps(text) for text in some], hex(first)


@settings(deadline=None)  # the first call compiles
@given(st.lists(any_text, min_size=1, max_size=5))
def test_compiled_loops_and_their_fallbacks_agree(texts: list[str]) -> None:
    tables = module._tables()
    every = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32) for text in texts]
    starts = np.cumsum([0, *map(len, every)])
    scan, codes = module.scan, np.concatenate(every)
    assert (scan.compiled(codes, starts, tables.tasks) == scan.fallback(codes, starts, tables.tasks)).all()
    given_tables = (tables.row, tables.units, tables.lengths, tables.voiced, tables.spaces)
    for one in every:
        clean = one[(one < 0xD800) | (one > 0xDFFF)]
        folded = module.fold.compiled(clean, *given_tables)
        assert folded.tolist() == module.fold.fallback(clean, *given_tables).tolist()


def test_text_that_is_normal_is_not_copied() -> None:
    text = "吾輩は猫である。Neko 100%\n\n名前はまだ無い。"
    assert normalise_batch([text])[0] is text
