# ruff: noqa: SIM905
from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from kiban.make.corpus.duplicates.fingerprints import FILE, fingerprints
from kiban.make.corpus.duplicates.plan import Shard
from kiban.make.corpus.items import making
from kiban.make.corpus.letters import letters

NOUNS = (
    *("港 工場 会議 資料 機械 水位 観測 農家 市民 図書館 予算 計画 温度 電力 列車 薬局 学校 研究".split()),
    *("橋 森林 漁船 気象 契約 住宅 道路 病院 祭り 文化 産業 税金 模型 言語 写真 音楽 料理 海岸".split()),
    *("山脈 旅行 新聞 記録 制度 職員 店舗 部品 製品 顧客 試験 結果 ポンプ センサー データ".split()),
    *("モデル サービス エネルギー プログラム バス ガラス アルミ".split()),
)
VERBS = (
    *("調べる 作る 運ぶ 直す 測る 開く 守る 比べる 集める 伝える 変える 育てる 使う 見直す".split()),
    *("助ける 選ぶ 減らす 増やす 支える 学ぶ".split()),
)
WHERE = "東京 大阪 札幌 那覇 仙台 金沢 広島 高松 長崎 新潟 京都 名古屋 福岡 青森 松江 鹿児島".split()
ENDS = "ことにした。 必要がある。 と聞いている。 ことができる。 予定です。 人が多い。 はずだった! だろうか。".split()


def sentence(random: random.Random) -> str:
    number = f"{random.randrange(2, 900)}人の" if random.random() < 0.2 else ""
    return (
        f"{random.choice(WHERE)}の{random.choice(NOUNS)}では、{number}{random.choice(NOUNS)}が{random.choice(NOUNS)}と"
        f"{random.choice(NOUNS)}を{random.choice(VERBS)}{random.choice(ENDS)}"
    )


def document(random: random.Random, sentences: int) -> str:
    """Text of made-up sentences, some ending lines."""
    return "".join(sentence(random) + ("\n" if random.random() < 0.25 else "") for _ in range(sentences))


def edited(random: random.Random, text: str, rate: float) -> str:
    """`text` with a share of `rate` characters touched: characters inserted, deleted, replaced, or sentences moved."""
    kind = random.choice(["characters", "sentences", "moved"])
    if kind == "characters":
        out = []
        for character in text:
            if random.random() < rate / 5:  # each touches five shingles
                change = random.randrange(3)
                out.append(random.choice(NOUNS)[0] if change else "")
                if change == 2:
                    out.append(character)
            else:
                out.append(character)
        return "".join(out)
    parts = text.split("。")
    for _ in range(round(rate * len(parts))):
        place = random.randrange(len(parts))
        if kind == "moved":
            parts.insert(random.randrange(len(parts)), parts.pop(place))
        else:
            parts[place] = sentence(random)
    return "。".join(parts)


WriteShards = Callable[..., list[Shard]]
SCHEMA = pa.schema([("sha256", pa.binary(32)), ("text", pa.large_string())])


@pytest.fixture
def write_shards(tmp_path: Path) -> WriteShards:
    """Shards of `sizes` documents each (default: all in one), as items with texts and fingerprints."""

    def write(
        texts: Sequence[str],
        sizes: Sequence[int] = (),
        ranks: Sequence[int] = (),
        sources: Sequence[int] = (),
        name: str = "shards",
        batch: int = 3,
        compression: str | None = "lz4",
    ) -> list[Shard]:
        shards, start = [], 0
        for number, size in enumerate(sizes or [len(texts)]):
            here = slice(start, start + size)
            part, start = list(texts[here]), start + size
            folder = tmp_path / name / f"{number:05d}"
            hashes = [hashlib.sha256(text.encode()).digest() for text in part]
            with making(folder, "key") as item:
                options = pa.ipc.IpcWriteOptions(compression=compression)
                with pa.ipc.new_file(item.folder / "00000.arrow", SCHEMA, options=options) as writer:
                    for row in range(0, len(part), batch):
                        rows = slice(row, row + batch)
                        writer.write_batch(pa.record_batch([hashes[rows], part[rows]], schema=SCHEMA))
                made = fingerprints(
                    letters(part), hashes, ranks[here] or [0] * len(part), sources[here] or [0] * len(part), 5
                )
                made.write(item.folder / FILE)
            shards.append(Shard(folder / "00000.arrow", folder / FILE, len(part), sum(map(len, part))))
        assert start == len(texts)
        return shards

    return write


class ListTexts:
    """`Texts` of a list: document number = position."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.reads = 0

    def codes(self, document: int):  # type: ignore[no-untyped-def]
        self.reads += 1
        return letters([self.texts[document]]).codes


@pytest.fixture
def japanese() -> Callable[[int, int], list[str]]:
    """So many documents of so many sentences."""

    def make(documents: int, sentences: int, seed: int = 1) -> list[str]:
        source = random.Random(seed)
        return [document(source, sentences) for _ in range(documents)]

    return make
