from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kiban.make.corpus.formats.aozora import described, read_aozora

ReadSource = Callable[..., Any]

RULER = "-" * 55
WORK = f"""汐の音
汐見太郎
花子訳

{RULER}
【テキスト中に現れる記号について】

《》：ルビ
（例）吾輩《わがはい》

｜：ルビの付く文字列の始まりを特定する記号
（例）十一｜匹《ぴき》
{RULER}

［＃３字下げ］一［＃「一」は中見出し］

　吾輩《わがはい》は十一｜匹《ぴき》の※［＃「口＋世」、U+546D、1-14-88］を見た。［＃「見た」に傍点］
［＃ここから２字下げ］
※［＃始め二重山括弧、1-1-52］題※［＃終わり二重山括弧、1-1-53］は〔cafe'〕である。（［＃割り注］注［＃割り注終わり］）
［＃ここで字下げ終わり］
いよ／＼、しみ／″＼と。※［＃「てへん＋劣」、12-3］

底本：「汐見集」汐見書房
　　　1950年発行
入力：花子
"""


def test_a_work_without_its_notation() -> None:
    text, fields = read_aozora(WORK, "drop")
    assert text == (
        "汐の音\n汐見太郎\n花子訳\n\n\n一\n\n　吾輩は十一匹の呭を見た。\n《題》はcaféである。（注）\n"
        "いよ〳〵、しみ〴〵と。〓\n".replace("呭", described("1-14-88"))
    )
    assert fields == {
        "title": "汐の音",
        "author": "汐見太郎",
        "colophon": "底本：「汐見集」汐見書房\n　　　1950年発行\n入力：花子",
    }


def test_readings_are_kept_in_brackets_when_asked_for() -> None:
    assert (
        read_aozora("吾輩《わがはい》は｜十一匹《じゅういっぴき》", "keep")[0]
        == "吾輩(わがはい)は十一匹(じゅういっぴき)"
    )


@pytest.mark.parametrize(
    ("note", "character"),
    [
        ("「土へん＋世」、第3水準1-15-36", "\u577f"),
        ("二の字点、1-2-22", "\u303b"),
        ("「魚＋祭」、第4水準2-93-73", "\u9c36"),
        ("「さんずい＋(廣－广)」、第3水準1-87-13", "\u6f62"),
        ("「けものへん＋爰」、U+733F、123-4", "\u733f"),
        ("U+110000", "〓"),
        ("U+D800", "〓"),
        ("「てへん＋劣」、12-3", "〓"),
        ("1-99-1", "〓"),
        ("", "〓"),
    ],
)
def test_characters_outside_the_codes(note: str, character: str) -> None:
    if "水準" in note:  # against Unicode's own record of where a character stands, through another codec
        plane, row, cell = map(int, note.rpartition("水準")[2].split("-"))
        assert len(described(note)) == 1
        assert unicodedata.name(described(note)).startswith("CJK")
        encoded = described(note).encode("iso2022_jp_2004")
        assert bytes((row + 0x20, cell + 0x20)) in encoded
        assert (b"\x1b$(P" in encoded) == (plane == 2)
    else:
        assert described(note) == character


@pytest.mark.parametrize(
    "text", ["二〔注〕と［注］と※印", "a《" + "長" * 200 + "》", "底本：の話\n" + "本文\n" * 3000, "《《", "－－"]
)
def test_what_is_not_notation_stays(text: str) -> None:
    assert read_aozora(text, "drop") == (text, {})


@pytest.mark.parametrize(
    "sign", ["［＃", "※［＃", "《", "〔a'", "-" * 20 + "\n", "底本：", "｜", "［＃「［＃", "テキスト中に現れる記号"]
)
def test_hostile_text_takes_linear_time(sign: str) -> None:
    def seconds(count: int) -> float:
        text = sign * count
        started = time.process_time()
        read_aozora(text, "drop")
        return time.process_time() - started

    small, large = seconds(20_000), seconds(160_000)
    assert large < 40 * small + 0.1  # quadratic would be 64 times


def test_the_notation_is_read_in_files_and_records(read_source: ReadSource, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(WORK.replace("\n", "\r\n").encode("cp932"))
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": WORK, "licence": "public domain"}))
    read = read_source("*.*", notation="aozora", fields={"licence": "licence"})
    assert read.texts["a.txt"] == read.texts["b.jsonl:1"] == read_aozora(WORK, "drop")[0]
    assert read.records["b.jsonl:1"].fields["licence"] == "public domain"
    assert read.records["b.jsonl:1"].fields["author"] == "汐見太郎"
