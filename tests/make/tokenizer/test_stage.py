"""The stage from corpus to files and stats, as `kiban make` runs it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from kiban.kit.errors import BadInput
from kiban.kit.store import Artifact
from kiban.make.corpus.config import CorpusConfig, Source
from kiban.make.recipe import Base, ModelConfig, Recipe, Shape, TokenizerConfig, TrainingConfig
from kiban.make.stage import StageContext, StageResult
from kiban.make.tokenizer.files import save_tokenizer
from kiban.make.tokenizer.stage import run

from .conftest import write_corpus

MakeArtifact = Callable[[Path, str], Artifact]


def make(folder: Path, inputs: Mapping[str, Artifact], tokenizer: TokenizerConfig | None) -> StageResult:
    recipe = Recipe(
        name="test",
        corpus=CorpusConfig(sources=(Source(name="s", path="s", owner="o", licence="MIT", uses=("train",)),)),
        tokenizer=tokenizer,
        model=ModelConfig(base=Base(model="b", owner="o", licence="MIT"))
        if "base" in inputs
        else ModelConfig(shape=Shape(depth=1)),
        training=TrainingConfig(tokens=1),
    )
    for name in ("files", "scratch"):
        (folder / name).mkdir(parents=True)
    return run(StageContext("test/tokenizer", recipe, folder, inputs, folder / "files", folder / "scratch", 1))


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_from_scratch(algorithm: Any, texts: list[str], tmp_path: Path, artifact: MakeArtifact) -> None:
    corpus = artifact(write_corpus(tmp_path / "corpus", texts[4:], texts[:4]), "corpus")
    config = TokenizerConfig(algorithm=algorithm, vocab_size=1_000)
    stats = make(tmp_path / "a", {"corpus": corpus}, config).stats
    total = sum(len(text.encode()) for text in texts[4:])
    assert stats["algorithm"] == algorithm
    assert stats["vocab_size"] == 1_000
    assert stats["training_bytes"] == stats["training_split_bytes"] == total
    assert 0 <= stats["unused_tokens"] < 300
    loaded = AutoTokenizer.from_pretrained(tmp_path / "a" / "files")
    heldout = sum(map(len, texts[:4]))
    tokens = sum(len(loaded(text, split_special_tokens=True)["input_ids"]) for text in texts[:4])
    assert stats["characters_per_token"] == pytest.approx(heldout / tokens, rel=0.01)
    assert stats["reference"]["UTF-8 bytes"]["characters_per_token"] < stats["characters_per_token"]
    assert len(stats["reference"]) == 3
    report = json.loads((tmp_path / "a" / "files" / "report.json").read_bytes())
    assert set(report["per_source"]) == {"manuals", "letters"}
    assert len(report["examples"]) == 3
    assert "examples" not in stats
    json.dumps(stats, allow_nan=False)

    make(tmp_path / "b", {"corpus": corpus}, config)
    for file in (tmp_path / "a" / "files").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "files" / file.name).read_bytes(), file.name


def test_a_limit_on_training_text_is_kept(texts: list[str], tmp_path: Path, artifact: MakeArtifact) -> None:
    corpus = artifact(write_corpus(tmp_path / "corpus", texts[4:], texts[:4]), "corpus")
    config = TokenizerConfig(vocab_size=400, max_training_bytes=50_000)
    stats = make(tmp_path / "a", {"corpus": corpus}, config).stats
    assert 25_000 < stats["training_bytes"] < 75_000
    with pytest.raises(BadInput, match="so few"):
        make(tmp_path / "b", {"corpus": corpus}, TokenizerConfig(vocab_size=400, max_training_bytes=1))


def test_without_heldout_documents_nothing_is_made_up(tmp_path: Path, artifact: MakeArtifact) -> None:
    corpus = artifact(write_corpus(tmp_path / "corpus", ["点検の記録を残す。" * 20]), "corpus")
    stats = make(tmp_path / "a", {"corpus": corpus}, TokenizerConfig(vocab_size=400)).stats
    assert stats["characters_per_token"] == {
        "status": "not measured",
        "reason": "the corpus has no held-out documents",
    }
    assert stats["reference"] == {}
    assert stats["vocab_size"] < stats["requested_vocab_size"] == 400


def test_an_empty_training_split_is_refused(tmp_path: Path, artifact: MakeArtifact) -> None:
    corpus = artifact(write_corpus(tmp_path / "corpus", [], ["残り"]), "corpus")
    with pytest.raises(BadInput, match="training split"):
        make(tmp_path / "a", {"corpus": corpus}, TokenizerConfig(vocab_size=400))


def test_from_a_base_model(learned: Tokenizer, texts: list[str], tmp_path: Path, artifact: MakeArtifact) -> None:
    base = tmp_path / "base"
    base.mkdir()
    save_tokenizer(learned, base)
    corpus = artifact(write_corpus(tmp_path / "corpus", texts[4:], texts[:4]), "corpus")
    stats = make(tmp_path / "a", {"corpus": corpus, "base": artifact(base, "model")}, None).stats
    assert stats["algorithm"] == "from base model"
    assert stats["vocab_size"] == learned.get_vocab_size()
    assert stats["characters_per_token"] > 0.5
    copied = tmp_path / "a" / "files" / "tokenizer.json"
    assert copied.read_bytes() == (base / "tokenizer.json").read_bytes()


@pytest.mark.slow
@pytest.mark.shared_data
def test_on_technical_japanese_it_needs_fewer_tokens_than_a_vocabulary_25_times_its_size(
    shared_data: Path, tmp_path: Path, artifact: MakeArtifact
) -> None:
    pytest.importorskip("bpe_openai", reason="install kiban[reference]")
    train, heldout = [], []
    with (shared_data / "corpus" / "debian-ja.jsonl.zst").open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8"):
            text = json.loads(line)["text"]
            (heldout if hashlib.sha256(text.encode()).digest()[0] < 6 else train).append(text)
    corpus = artifact(write_corpus(tmp_path / "corpus", train, heldout), "corpus")
    config = TokenizerConfig(vocab_size=8_192, max_training_bytes=4 * 2**20)
    stats = make(tmp_path / "a", {"corpus": corpus}, config).stats
    assert stats["vocab_size"] == 8_192
    assert stats["characters_per_token"] > stats["reference"]["o200k_base"]["characters_per_token"]
    tokenizer = Tokenizer.from_file(str(tmp_path / "a" / "files" / "tokenizer.json"))
    assert all(tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text for text in heldout)
