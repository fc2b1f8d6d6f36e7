from __future__ import annotations

import re
import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.make.corpus.normalise import normalise

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
