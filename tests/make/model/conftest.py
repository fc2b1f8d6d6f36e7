"""A small corpus, tokenizer and base model, made here so that this room's tests need no other room."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from kiban.kit.manifest import CodeRef, Manifest, Resources
from kiban.kit.store import Artifact
from kiban.make.corpus.config import CorpusConfig, Source
from kiban.make.corpus.reader import SCHEMA
from kiban.make.recipe import Base, ModelConfig, Recipe, Shape, TrainingConfig
from kiban.make.stage import StageContext

TEXT = [
    f"第{n}章。これは学習のための短い文書です。番号は{n * 37 % 101}、合計は{n * 3}です。\n" * (1 + n % 4)
    for n in range(120)
]


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    """Other tests may run beside; and results do not depend on how many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_corpus(folder: Path, texts: Sequence[str], *, shards: int = 2, split: str = "train") -> Path:
    (folder / split).mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        part = texts[shard * len(texts) // shards : (shard + 1) * len(texts) // shards]
        rows = [
            {"id": f"{shard}-{n}", "source": "s", "sha256": hashlib.sha256(text.encode()).digest(), "text": text}
            for n, text in enumerate(part)
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / split / f"{shard:05}.parquet")
    return folder


def byte_tokenizer(*, bos: bool = False) -> PreTrainedTokenizerFast:
    """One token per UTF-8 byte, then <eos> 256, <pad> 257 and, where asked for, <bos> 258 before every text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = {"eos_token": "<eos>", "pad_token": "<pad>"} | ({"bos_token": "<bos>"} if bos else {})
    tokenizer.add_special_tokens(list(specials.values()))
    if bos:
        from tokenizers.processors import TemplateProcessing

        tokenizer.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 258)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials)
    fast.chat_template = "{{ messages[0]['content'] }}"
    return fast


def artifact(path: Path, kind: str) -> Artifact:
    nothing = Resources(
        wall_s=0, cpu_s=0, peak_memory_bytes=0, gpu_s=0, energy_j=None, energy_source="unknown", energy_method=""
    )
    now = dt.datetime.now(dt.UTC).isoformat()
    manifest = Manifest(
        kind=kind, digest=hashlib.sha256(str(path).encode()).hexdigest(), name=f"test/{kind}", stage=kind,
        stage_version="1", config={}, inputs={}, code=CodeRef(version="0", git_commit=None, git_dirty=None),
        environment={}, seed=1, started=now, finished=now, resources=nothing, parties=(), stats={}, files=(),
    )  # fmt: skip
    return Artifact(path, manifest)


def recipe(training: TrainingConfig, model: ModelConfig) -> Recipe:
    source = Source(name="s", path=".", owner="o", licence="l", uses=("train",))
    return Recipe(name="test", seed=7, corpus=CorpusConfig(sources=(source,)), model=model, training=training)


TINY = Shape(depth=2, hidden_size=32, num_attention_heads=2, num_key_value_heads=1, head_dim=16, intermediate_size=48)
TRAINING = TrainingConfig(
    epochs=1.0, seq_len_tokens=32, micro_batch_sequences=4, learning_rate=3e-3, device="cpu", precision="fp32",
    warmup_fraction=0.1, checkpoint_every_seconds=1e9,
)  # fmt: skip


def tiny_base(folder: Path, *, seed: int = 3, max_position_embeddings: int = 64, vocab_size: int = 258) -> Path:
    config = Qwen3Config(
        vocab_size=vocab_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, intermediate_size=48, max_position_embeddings=max_position_embeddings, eos_token_id=256,
    )  # fmt: skip
    torch.manual_seed(seed)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., StageContext]:
    """A context of the stage `model` over the small corpus, from scratch or from a small base."""

    def make(
        *,
        texts: Sequence[str] = TEXT,
        base: bool = False,
        shape: Shape = TINY,
        base_options: Any = None,
        **training: Any,
    ) -> StageContext:
        corpus = write_corpus(tmp_path / "corpus", texts)
        tokenizer = tmp_path / "tokenizer"
        byte_tokenizer().save_pretrained(tokenizer)
        inputs = {"corpus": artifact(corpus, "corpus"), "tokenizer": artifact(tokenizer, "tokenizer")}
        model = ModelConfig(shape=shape)
        if base:
            folder = tiny_base(tmp_path / "base", **(base_options or {}))
            inputs["base"] = artifact(folder, "model")
            model = ModelConfig(base=Base(model=str(folder), owner="o", licence="l"))
        config = TrainingConfig.model_validate(TRAINING.model_dump() | training)
        files, scratch = tmp_path / "files", tmp_path / "scratch"
        files.mkdir(exist_ok=True)
        scratch.mkdir(exist_ok=True)
        return StageContext("test/model", recipe(config, model), tmp_path, inputs, files, scratch, 7)

    return make


def fresh(context: StageContext, folder: Path) -> StageContext:
    """The same work in an empty place."""
    (folder / "files").mkdir(parents=True)
    (folder / "scratch").mkdir()
    return replace(context, files=folder / "files", scratch=folder / "scratch")
