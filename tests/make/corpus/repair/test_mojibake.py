from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.make.corpus.letters import letters
from kiban.make.corpus.repair.config import RepairConfig
from kiban.make.corpus.repair.repair import repair_raw
from kiban.make.corpus.repair.suspects import _classes, suspected_lines, suspects

CONFIG = RepairConfig()
TEXT = "ポンプの点検は毎月一日に行います。異常な音や振動がある場合は、直ちに運転を止めて係員に連絡してください。"


def as_browsers_do(data: bytes) -> str:
    """CP1252 with the five bytes that it leaves out as controls (WHATWG Encoding Standard)."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in data)


def fixed(text: str) -> str:
    return repair_raw([text], CONFIG)[0][0]


DAMAGE: dict[str, Callable[[str], str]] = {
    "utf_8_as_latin_1": lambda text: text.encode().decode("latin-1"),
    "utf_8_as_cp1252": lambda text: as_browsers_do(text.encode()),
    "cp932_as_latin_1": lambda text: text.encode("cp932").decode("latin-1"),
    "cp932_as_cp1252": lambda text: as_browsers_do(text.encode("cp932")),
    "euc_jp_as_latin_1": lambda text: text.encode("euc_jp").decode("latin-1"),
    "twice": lambda text: as_browsers_do(as_browsers_do(text.encode()).encode()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_lost_nothing_is_read_as_it_was(damage: Callable[[str], str]) -> None:
    assert fixed(damage(TEXT)) == TEXT
    mixed = f"ここは無事。{damage(TEXT)}\nここも。\n{damage('短い文')}"
    assert (
        fixed(f"ここは無事。\n{damage(TEXT)}\nここも。\n{damage('短い文')}")
        == f"ここは無事。\n{TEXT}\nここも。\n短い文"
    )
    assert fixed(mixed) == f"ここは無事。{TEXT}\nここも。\n短い文"


@pytest.mark.parametrize(("written", "read"), [("utf-8", "cp932"), ("euc_jp", "cp932"), ("utf-8", "cp1252")])
def test_where_characters_were_lost_the_others_come_back_and_none_is_made_up(written: str, read: str) -> None:
    damaged = TEXT.encode(written).decode(read, "replace")
    assert "\ufffd" in damaged
    repaired = fixed(damaged)
    position = 0
    for character in repaired.replace("\ufffd", ""):
        position = TEXT.index(character, position) + 1  # every character that is known is the next of the text's
    assert len(repaired.replace("\ufffd", "")) > 0.6 * len(TEXT)


def test_lost_bytes_are_guessed_where_one_choice_is_left() -> None:
    # EF BC means nothing in CP932, so the first byte of full-width forms is lost; nothing else could have been it.
    damaged = "係員（運転）へ：ただちに".encode().decode("cp932", "replace")
    assert "\ufffd" in damaged
    assert fixed(damaged) == "係員（運転）へ：ただちに"


def test_counts_name_the_kind() -> None:
    damaged = [DAMAGE[damage](TEXT) for damage in ("cp932_as_latin_1", "utf_8_as_latin_1")]
    assert repair_raw([damaged[0], TEXT, "", damaged[1]], CONFIG) == [
        (TEXT, {"mojibake_cp932_as_western": 1}),
        (TEXT, {}),
        ("", {}),
        (TEXT, {"mojibake_utf_8_as_western": 1}),
    ]
    assert repair_raw(damaged, RepairConfig(mojibake=False)) == [(text, {}) for text in damaged]
    assert repair_raw([], CONFIG) == []


@pytest.mark.parametrize(
    "text",
    [
        "彼の××××、尻尾を掴まれて、さかさまに",
        "……――〜※①㈱",
        "Michael Käppler läßt, déjà vu, Čáry, naïve, Ærø, ñandú",
        "ｶﾌﾞｼｷｶﾞｲｼｬ ﾃｽﾄｼｮｳｼﾞ ｻﾎﾟｰﾄｾﾝﾀｰ",
        "躊躇、轆轤、髑髏、魑魅魍魎、縺れる、繧繝、齷齪",
        "©2024 ± 5° «été» “quoted” – dash…",
        "\ud83d 片割れ \udc00",
        "",
    ],
)
def test_good_text_stays(text: str) -> None:
    assert repair_raw([text], CONFIG) == [(text, {})]


japanese = st.text(
    st.sampled_from("あいうえおかきくけこがぎてでなにのはをんアイテスト日本語東京文字化漢字。、ー「」 \nabc"),
    max_size=40,
)


@settings(deadline=None)
@given(japanese, st.sampled_from(sorted(DAMAGE)), st.text(max_size=20))
def test_repairing_again_changes_nothing(text: str, damage: str, other: str) -> None:
    once = fixed(DAMAGE[damage](text) + other + text)
    assert fixed(once) == once


signs = st.text(st.sampled_from("縺繧繝縲譁｡ﾊｱﾎ・ﾞ\ufffdãÂ‚ƒéö\x81\x8d…あaz \n\U0001f600"), max_size=40)


@settings(deadline=None)
@given(st.lists(signs, max_size=6))
def test_the_scan_and_its_fallback_agree_and_texts_do_not_touch_each_other(texts: list[str]) -> None:
    many = letters(texts)
    found = suspected_lines.compiled(many.codes, many.starts, _classes()).tolist()
    assert found == suspected_lines.fallback(many.codes, many.starts, _classes()).tolist()
    alone = [start + place for text, start in zip(texts, many.starts.tolist(), strict=False) for place in places(text)]
    assert found == alone
    repaired = repair_raw(texts, CONFIG)
    assert repaired == [repair_raw([text], CONFIG)[0] for text in texts]
    again = [text for text, _ in repaired]
    assert repair_raw(again, CONFIG) == [(text, {}) for text in again]


def places(text: str) -> list[int]:
    found: list[int] = suspects(letters([text])).tolist()
    return found


def test_ascii_divides_spans_unless_it_is_the_second_byte_of_what_was_read() -> None:
    damaged = "ではあaのもの".encode().decode("cp932", "replace")
    assert "Ｂ" in damaged  # 82 61 in CP932: of あ the last byte, and a
    assert fixed(f"<b>{damaged}</b>").startswith("<b>ではあaの")
    assert fixed(f"<b>{damaged}</b>").endswith("</b>")
    parts = [DAMAGE["cp932_as_latin_1"](part) for part in ("アイウエオの", "日本語の文字")]
    assert repair_raw(["=".join(parts)], CONFIG) == [("アイウエオの=日本語の文字", {"mojibake_cp932_as_western": 2})]


@pytest.mark.parametrize("text", ["縺" * 200_000, "ｱ" * 200_000, "ã\x81" * 100_000, "�縺" * 100_000, "é\n" * 100_000])
def test_hostile_text_takes_linear_time(text: str) -> None:
    started = time.process_time()
    fixed(text)
    assert time.process_time() - started < 20
