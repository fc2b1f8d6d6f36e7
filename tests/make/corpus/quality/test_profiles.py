"""What profiles decide: the published ones at their limits, and kiban's own on rubbish of each kind."""

from __future__ import annotations

import base64
import importlib.util
import json
import random
import time
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
import zstandard

from kiban.kit.errors import BadInput
from kiban.make.corpus.letters import letters
from kiban.make.corpus.normalise import normalise
from kiban.make.corpus.quality.config import ProfileName, QualityConfig
from kiban.make.corpus.quality.ngrams import ngrams, of_one_length
from kiban.make.corpus.quality.profile import KEEP, Profile, Verdict, compile_loops, explain, load_profile
from kiban.make.corpus.quality.profiles import hojichar, llm_jp, swallow_v1
from kiban.make.corpus.quality.statistics import classes, layout, sentences
from kiban.make.corpus.quality.words import find

from .texts import ENGLISH, PROSE

WITHOUT_PACKAGES = {"special_tokens": None, "nouns": None, "word_repetition": None}


def load(name: ProfileName, **more: object) -> Profile:
    return load_profile(QualityConfig.model_validate({"profile": name, **more}), Path())


def judge(profile: Profile, text: str) -> Verdict:
    return profile.judge([text], letters([text]))[0]


@pytest.fixture(scope="module")
def kiban() -> Profile:
    return load("kiban")


@pytest.fixture(scope="module")
def swallow() -> Profile:
    return load("swallow-v1", limits={"ng_words": None})


# kiban: rubbish of each kind.


def adult_words() -> str:
    words = ["エロ動画", "無修正", "人妻動画", "ハメ撮り", "素人ナンパ", "巨乳"]
    return "".join(f"{PROSE[i * 9 : i * 9 + 25]}{words[i % 6]}の{words[(i + 1) % 6]}、" for i in range(40))


def keywords() -> str:
    rng = random.Random(1)
    names = [
        "格安",
        "財布",
        "時計",
        "限定",
        "新作",
        "人気",
        "通販",
        "専門店",
        "公式",
        "新品",
        "正規品",
        "税込",
        "東京",
        "評判",
    ]
    return " ".join(rng.choice(names) for _ in range(500))


def advertising() -> str:
    offers = ["送料無料", "激安通販", "今すぐクリック", "スーパーコピー", "無料登録はこちら", "オンラインカジノ"]
    rng = random.Random(2)
    return "\n".join(f"{rng.choice(offers)}なら{PROSE[i * 7 : i * 7 + 22]}、{rng.choice(offers)}！" for i in range(60))


def template() -> str:
    places = [
        first + second
        for first in ("青森", "岩手", "宮城", "秋田")
        for second in ("北部", "南部", "西部", "東部", "中央")
    ]
    sentence = "{0}で外壁塗装の業者をお探しなら当サイトにお任せください。{0}の優良業者を無料で一括比較できます。"
    return "".join(sentence.format(place) for place in places)


def links() -> str:
    rng = random.Random(3)
    names = ["".join(rng.choices("abcdefghijklmnop", k=9)) for _ in range(60)]
    return "\n".join(f"おすすめサイト{i} http://www.{name}.example/{name[:4]}/?p={i}" for i, name in enumerate(names))


def random_hiragana() -> str:
    rng = random.Random(4)
    return "".join(chr(rng.randrange(0x3042, 0x3094)) + ("。" if i % 30 == 29 else "") for i in range(900))


def random_kanji() -> str:
    rng = random.Random(5)
    return "".join(chr(rng.randrange(0x4E00, 0x9F00)) for _ in range(800))


def random_latin() -> str:
    rng = random.Random(6)
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(300))


def encoded() -> str:
    data = base64.b64encode(random.Random(7).randbytes(1200)).decode()
    return "添付\n" + "\n".join(data[i : i + 76] for i in range(0, len(data), 76))


RUBBISH = {
    "adult": adult_words(),
    "advertising": advertising(),
    "keywords": keywords(),
    "template": template(),
    "same line": "本日のお知らせはこちらをご覧ください、担当者まで。\n" * 40,
    "one letter": "あ" * 800,
    "links": links(),
    "random hiragana": random_hiragana(),
    "random kanji": random_kanji(),
    "random latin": random_latin(),
    "base64": encoded(),
    "UTF-8 as CP932": PROSE.encode().decode("cp932", "replace"),
    "UTF-8 as Latin-1": PROSE.encode().decode("latin-1"),
    "UTF-8 as CP1252": PROSE.encode().decode("cp1252", "replace"),
    "CP932 as CP1252": PROSE.encode("cp932").decode("cp1252", "replace"),
    "EUC-JP as CP932": PROSE.encode("euc_jp").decode("cp932", "replace"),
    "EUC-JP as Latin-1": PROSE.encode("euc_jp").decode("latin-1"),
    "CP932 as UTF-8": PROSE.encode("cp932").decode("utf-8", "replace"),
}


@pytest.mark.parametrize("kind", RUBBISH)
def test_kiban_drops_rubbish(kind: str, kiban: Profile) -> None:
    verdict = judge(kiban, normalise(RUBBISH[kind]))
    assert verdict.decision == "drop", (verdict, explain(kiban, normalise(RUBBISH[kind])).statistics)
    assert verdict.rule


CODE = """
class Tank:
    def __init__(self, litres: float, height: float = 2.5) -> None:
        self.litres, self.height = litres, height

    def level(self, reading: int) -> float:
        if not 0 <= reading < 4096:
            raise ValueError(f"sensor gave {reading}")
        return reading / 4095 * self.height

def schedule(rain_forecast, valves):
    for valve in sorted(valves, key=lambda each: each.priority):
        expected = sum(hour.millimetres for hour in rain_forecast[:6])
        yield valve, "close" if expected > 12.0 else "open"
"""

POEM = "\n".join(line[:9] for sentence in PROSE.split("。") for line in [sentence[:11], sentence[11:26]] if line)

GOOD = {
    "prose": PROSE,
    "English": ENGLISH,
    "code": CODE,
    "both": PROSE + ENGLISH,
    "a medical text with one such word": PROSE + "勃起薬にはバイアグラなどがある。" + PROSE[:300],
    "addresses in a text": PROSE + "参照: https://www.example.org/pump/manual.html\nhttps://example.com/a/b/c\n",
    "few letters lost": PROSE + "\ufffd",
}


@pytest.mark.parametrize("kind", GOOD)
def test_kiban_keeps_what_is_good(kind: str, kiban: Profile) -> None:
    assert judge(kiban, normalise(GOOD[kind])) == KEEP


POOR = {
    "short": "会議は三時からに変わりました。",
    "short_lines": POEM,
    "damaged": "\ufffd".join(PROSE[i : i + 60] for i in range(0, len(PROSE), 60)),
    "list_of_words": "\n".join(
        f"株式会社{a}{b}製作所 東京都{b}区{a}町 電話番号登録済"
        for a, b in zip("青赤白黒金銀銅鉄水火", "港北南西東中央大田原", strict=True)
    ),
    "cut_off": "\n".join(f"{PROSE[i : i + 30].replace('。', '、')}…" for i in range(0, 400, 30)).replace("\n\n", "\n"),
    "unpunctuated": PROSE.replace("。", "、").replace("\n", ""),
    "repeated_lines": "\n".join([*PROSE.splitlines(), *PROSE.splitlines()]),
}


@pytest.mark.parametrize("rule", POOR)
def test_kiban_rephrases_what_is_poor(rule: str, kiban: Profile) -> None:
    verdict = judge(kiban, normalise(POOR[rule]))
    assert (verdict.decision, verdict.rule) == ("rephrase", rule), explain(kiban, POOR[rule]).statistics


@pytest.mark.shared_data
def test_kiban_keeps_literature_and_manuals(shared_data: Path, kiban: Profile) -> None:
    """At most 3% of works and 5% of documents are dropped, and 10% are to be rephrased."""
    for name, most in (("aozora-sample", 0.03), ("debian-ja", 0.05)):
        with (shared_data / "corpus" / f"{name}.jsonl.zst").open("rb") as file:
            block = zstandard.ZstdDecompressor().stream_reader(file).read(12 * 2**20)
        texts = [normalise(orjson.loads(line)["text"]) for line in block.split(b"\n")[:-1]]
        decisions = [verdict.decision for verdict in kiban.judge(texts, letters(texts))]
        assert decisions.count("drop") <= most * len(texts), name
        assert decisions.count("rephrase") <= 0.1 * len(texts), name


# Swallow


def test_swallow_decides_at_its_limits(swallow: Profile) -> None:
    text = PROSE.replace("\n", "")
    assert judge(swallow, text) == KEEP
    assert judge(swallow, text[:399]) == Verdict("drop", "letters", 399, 400)
    assert judge(swallow, text[:400]).rule != "letters"
    # Kanji that stand nowhere else, so that no n-gram comes twice.
    longest = "".join(map(chr, range(0x6000, 0x60C8)))
    assert judge(swallow, text + longest) == KEEP
    assert judge(swallow, text + longest + "字") == Verdict("drop", "longest_sentence", 201, 200)
    latin = "".join(map(chr, range(0x100, 0x100 + len(text) + 50)))
    assert judge(swallow, text + latin).rule == "japanese_share"


def test_swallow_counts_ng_words_by_the_longest(tmp_path: Path) -> None:
    (tmp_path / "Offensive.txt").write_text("ポンプ\n港\n", encoding="utf-8")
    (tmp_path / "Sexual.txt").write_text("ポンプ製作所\n", encoding="utf-8")
    profile = load_profile(QualityConfig(profile="swallow-v1", word_lists=str(tmp_path)), Path())
    text = PROSE.replace("\n", "")
    expected = (
        6 * text.count("ポンプ製作所") + 3 * (text.count("ポンプ") - text.count("ポンプ製作所")) + text.count("港")
    )
    statistics = explain(profile, text).statistics
    assert statistics["ng_letter_share"] == pytest.approx(expected / (statistics["japanese_letters"] or 0))
    assert judge(profile, text + "、港" * 40).rule == "ng_words"


def test_swallow_unifies_punctuation_by_majority() -> None:
    assert swallow_v1.edit("それは，波の音．ＡＢ，は残る．雨も，風も．") == "それは、波の音。ＡＢ，は残る。雨も、風も。"
    assert swallow_v1.edit("それは、波の音。雨も、風も，。") == "それは、波の音。雨も、風も，。"
    assert swallow_v1.edit("待て．．．そして，，") == "待て。。。そして、、"


def test_swallow_unifies_ascii_punctuation_after_japanese() -> None:
    text = "機械は3.5 kg,あるいは1,000個, v1.2を使う.設定.txtを読み,file.cを消す.続く..."
    assert swallow_v1.edit(text) == "機械は3.5 kg,あるいは1,000個、 v1.2を使う。設定.txtを読み,file.cを消す。続く..."


def test_swallow_trims_footers() -> None:
    body = "\n".join(f"{i}行目の本文" for i in range(12))
    assert swallow_v1.edit(f"{body}\nトップページ | サイトマップ\n本文のような行") == body
    far = f"サイトマップ\n{body}"
    assert swallow_v1.edit(far) == far
    assert swallow_v1.edit(f"{body}\n検索の話をした、長めの一行") == f"{body}\n検索の話をした、長めの一行"


# LLM-jp and HojiChar, as far as they go without their packages (see test_peers.py)


def test_llm_jp_judges_compression_and_words(tmp_path: Path) -> None:
    for name in ("adult", "discrimination", "violence"):
        (tmp_path / f"ja_{name}_keywords.txt").write_text("インポ\n悪口\n", encoding="utf-8")
    (tmp_path / "advertisement_keywords_ja.txt").write_text("営業時間\n", encoding="utf-8")
    profile = load_profile(QualityConfig(profile="llm-jp", word_lists=str(tmp_path)), Path())
    assert judge(profile, PROSE) == KEEP
    assert judge(profile, PROSE + "悪口インポート" * 3 + "悪口") == Verdict("drop", "adult", 4, 3)
    assert judge(profile, PROSE + "悪口インポート" * 3) == KEEP
    assert judge(profile, PROSE + "営業時間。" * 11) == Verdict("drop", "advertisement", 11, 10)
    assert judge(profile, " \n").rule == "empty"
    assert judge(profile, "No kana here. " * 9).rule == "kana_at_start"
    assert judge(profile, "同じ文です。" * 200).rule == "compression_min"
    assert judge(profile, "短い文。").rule == "compression_max"


def test_llm_jp_keeps_lines_with_kana() -> None:
    text = "目次 1 2 3\nこれは文です https://example.com/a?b=1 続き\n" + "x" * 120 + "\nそして" + "y" * 100 + "終わり"
    assert llm_jp.edit(text) == "これは文です  続きそして終わり"


def test_hojichar_needs_only_what_its_rules_need(tmp_path: Path) -> None:
    for name in ("adult_keywords_ja", "adult_keywords_en", "discrimination_keywords_ja", "violence_keywords_ja"):
        (tmp_path / f"{name}.txt").write_text("悪口\nBadword\n", encoding="utf-8")
    (tmp_path / "advertisement_keywords_ja.txt").write_text("営業時間\n", encoding="utf-8")
    profile = load("hojichar", word_lists=str(tmp_path), limits=WITHOUT_PACKAGES)
    assert judge(profile, PROSE) == KEEP
    assert judge(profile, PROSE + "悪口").rule == "adult"
    for end, hit in ((" badWORD.", True), (" badword", True), (" badwordly", False), ("badword ", False)):
        assert (judge(profile, PROSE + "長い行になるように続ける" + end).rule == "adult_english") == hit, end
    assert judge(profile, PROSE + "ー" * 200).rule == "character_run"
    assert judge(profile, PROSE + "あ-い" * 15).rule == "bulletin_board"


# Configuration


def test_every_profile_says_what_is_missing() -> None:
    with pytest.raises(BadInput, match="NG words") as raised:
        load("swallow-v1")
    assert "ng_words: null" in str(raised.value)
    with pytest.raises(BadInput, match="ja_adult_keywords"):
        load("llm-jp")
    with pytest.raises(BadInput, match="no such folder"):
        load("kiban", word_lists="nowhere")
    if importlib.util.find_spec("hojichar") is None:
        with pytest.raises(BadInput, match="pip install hojichar"):
            load("hojichar")
    if importlib.util.find_spec("sudachipy") is None:
        with pytest.raises(BadInput, match="pip install sudachipy"):
            load("fineweb2-ja")
    if importlib.util.find_spec("fugashi") is None:
        off = dict.fromkeys(("adult", "discrimination", "violence", "advertisement", "adult_english"))
        with pytest.raises(BadInput, match="fugashi"):
            load("hojichar", limits=off | {"special_tokens": None})


def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(BadInput) as raised:
        load("kiban", limits={"adult_word": 0.2})
    assert raised.value.where == "quality.limits.adult_word"
    assert "'adult_words'" in str(raised.value)
    with pytest.raises(BadInput, match="no rules"):
        load("none", limits={"short": 1})


def test_limits_can_be_moved_and_rules_left_out() -> None:
    text = normalise(RUBBISH["links"])
    assert judge(load("kiban"), text).rule == "addresses"
    assert judge(load("kiban", limits={"addresses": 0.99}), text).rule != "addresses"
    assert "addresses" not in {rule.name for rule in load("kiban", limits={"addresses": None}).rules}
    assert judge(load("kiban", limits={"short": 10_000}), PROSE).decision == "rephrase"


def test_own_lists_take_the_place_of_kibans(tmp_path: Path) -> None:
    (tmp_path / "spam.txt").write_text("ポンプ\n", encoding="utf-8")
    profile = load("kiban", word_lists=str(tmp_path), limits={"spam_words": 0.005})
    assert judge(profile, PROSE).rule == "spam_words"
    assert judge(profile, RUBBISH["adult"]).rule == "adult_words"
    (tmp_path / "spam.txt").unlink()
    with pytest.raises(BadInput, match=r"spam\.txt"):
        load("kiban", word_lists=str(tmp_path))


def test_none_keeps_everything() -> None:
    profile = load("none")
    assert profile.judge(["", "あ"], letters(["", "あ"])) == [KEEP, KEEP]
    assert profile.edit("あ") == "あ"


def test_an_explanation_has_every_rule_and_is_json(kiban: Profile) -> None:
    for text in (PROSE, "", RUBBISH["template"], "短い"):
        told = explain(kiban, text)
        assert [check.rule for check in told.checks] == [rule.name for rule in kiban.rules]
        failed = [check.rule for check in told.checks if check.failed]
        assert told.verdict.rule == (failed[0] if failed else "")
        assert told.verdict == judge(kiban, text)
        json.dumps(asdict(told), allow_nan=False)
    assert {rule.statistic for rule in kiban.rules} <= told.statistics.keys()


def test_loops_are_compiled_for_what_is_judged_with() -> None:
    """With one set of types each, so that what `make loops` has put on the disk is what later processes load."""
    compile_loops()
    for loop in (classes, layout, sentences, ngrams, of_one_length, find, hojichar.board_marks):
        assert len(loop.compiled.signatures) == 1, loop.compiled.signatures  # type: ignore[attr-defined]


def test_empty_batches_are_judged(kiban: Profile) -> None:
    assert kiban.judge([], letters([])) == []


HOSTILE = [
    "1",
    "1話",
    "2020-",
    "2020-1-1日",
    "- ",
    "ア",
    "http://",
    "www.",
    "。",
    "a,",
    "あ,",
    " ",
    "\n",
    "…\n",
    "x" * 99 + "あ",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_linear_in_hostile_texts(unit: str, tmp_path: Path, kiban: Profile, swallow: Profile) -> None:
    """A million letters take seconds at most; a quadratic rule would take hours."""
    for name in (
        *("adult_keywords_ja", "adult_keywords_en", "discrimination_keywords_ja", "violence_keywords_ja"),
        *("advertisement_keywords_ja", "ja_adult_keywords", "ja_discrimination_keywords", "ja_violence_keywords"),
    ):
        (tmp_path / f"{name}.txt").write_text("悪口\nアイ\n", encoding="utf-8")
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    for profile in (
        *(kiban, swallow),
        load("hojichar", word_lists=str(tmp_path), limits=WITHOUT_PACKAGES),
        load("llm-jp", word_lists=str(tmp_path)),
    ):
        explain(profile, text)
        profile.edit(text)
    assert time.process_time() - started < 30
