from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest
import zstandard

from kiban.make.corpus.encoding import Undecodable, character_bits, decode, detect, half_width_bits

PROSE = """当社は1954年に汐見の浜で創業し、漁船のポンプを直す小さな町工場から始まりました。いまは水道、農業用水、工場の
冷却水など、くらしと産業を支えるポンプを年に一万二千台つくっています。お客様から「夜中でも電話がつながる」と言われる
ことを、いちばんの誇りにしています。カタログの型式番号はＳＫ２００のように書きます。メンテナンス契約は3種類です。"""
ENCODINGS = ["utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp", "utf-16", "utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_pieces_of_japanese_prose_are_told_apart(encoding: str) -> None:
    for start in range(0, len(PROSE) - 20, 3):
        piece = PROSE[start : start + 20]
        data = piece.encode(encoding)
        assert data.decode(detect(data)).removeprefix("\ufeff") == piece


@pytest.mark.parametrize("text", ["ｵｷｬｸｻﾏ ﾊﾞﾝｺﾞｳ ｲﾁﾗﾝ", "ﾃｽﾄ ﾃﾞｰﾀ ｶｸﾆﾝ 001", "品名,ﾎﾟﾝﾌﾟ ﾕﾆｯﾄ\n数量,12"])
def test_half_width_katakana_is_not_taken_for_euc(text: str) -> None:
    assert detect(text.encode("cp932")) == "cp932"


def test_what_japanese_is_made_of_is_more_probable_than_what_wrong_decodings_leave() -> None:
    ranks = ["e", "の", "カ", "日", "瑠", "縺", "\ufffd"]
    assert sorted(ranks, key=character_bits, reverse=True) == ranks
    assert half_width_bits("ｶ", "ﾞ") > half_width_bits("ｱ", "ﾞ")
    assert half_width_bits("ｶ", "ﾞ") > half_width_bits("あ", "ｶ")


@pytest.mark.parametrize("text", ["", "plain ASCII text, a,b,c\n1,2,3\n", "x"])
def test_ascii_is_utf8(text: str) -> None:
    assert detect(text.encode()) == "utf-8"


def test_a_few_bad_bytes_are_replaced_and_counted() -> None:
    data = (PROSE * 3).encode("cp932")
    broken = data.replace("漁船".encode("cp932"), b"\xff" + "漁船".encode("cp932"), 1)
    found = decode(broken)
    assert found.encoding == "cp932"
    assert found.bad_bytes == 1
    assert "汐見" in found.text
    assert "\ufffd" in found.text
    found = decode(PROSE.encode()[:-1])
    assert (found.encoding, found.bad_bytes) == ("utf-8", 2)


def test_more_than_one_percent_of_bad_bytes_is_refused() -> None:
    data = b"".join(character.encode() + b"\xff" for character in PROSE)
    with pytest.raises(Undecodable):
        decode(data)
    with pytest.raises(Undecodable):
        decode(random.Random(1).randbytes(5000))


def test_what_the_recipe_says_wins_and_what_the_page_says_is_believed_only_if_it_decodes() -> None:
    data = "ÄÖ".encode("cp1252")
    assert decode(data, encoding="cp1252").text == "ÄÖ"
    assert decode(data, declared="iso-8859-1").text == "ÄÖ"
    assert decode(PROSE.encode(), declared="euc-jp").text == PROSE
    assert decode(PROSE.encode(), declared="no-such-charset").text == PROSE


def test_a_character_cut_by_the_end_of_the_sample_does_not_confuse() -> None:
    for shift in range(4):
        data = ("x" * shift + PROSE * 200).encode()
        assert detect(data) == "utf-8"


def test_japanese_after_a_long_ascii_part_is_found() -> None:
    data = b"<!-- licence -->\n" * 5000 + PROSE.encode("euc_jp")
    assert detect(data) == "euc_jp"


@pytest.mark.shared_data
def test_accuracy_on_real_texts(shared_data: Path) -> None:
    """At least 99.5% of pieces of 20 to 60 characters, and of each encoding."""
    rng = random.Random(7)
    texts: list[str] = []
    for name in ("debian-ja", "aozora-sample"):
        with (shared_data / "corpus" / f"{name}.jsonl.zst").open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file)
            block = reader.read(6 * 2**20)
            texts += [orjson.loads(line)["text"] for line in block.split(b"\n")[:-1]]
    right, total = dict.fromkeys(ENCODINGS, 0), dict.fromkeys(ENCODINGS, 0)
    while total["utf-8"] < 1000:
        text = rng.choice(texts)
        size = rng.randint(20, 60)
        start = rng.randrange(max(1, len(text) - size))
        piece = text[start : start + size]
        if sum(character > "\u2fff" for character in piece) < size // 4:
            continue
        for encoding in ENCODINGS:
            try:
                data = piece.encode(encoding)
            except UnicodeEncodeError:
                continue
            total[encoding] += 1
            right[encoding] += data.decode(encoding) == data.decode(detect(data), "replace")
    for encoding in ENCODINGS:
        assert right[encoding] >= 0.995 * total[encoding], encoding
