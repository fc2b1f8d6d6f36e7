"""A model small enough to be checked by hand, on a byte-level tokenizer, and a corpus to score it on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from kiban.make.corpus.reader import SCHEMA

TEXTS = [
    f"ポンプ{n}号機の点検記録。\n軸受の温度は{40 + n}度、振動は0.{n:02}ミリであった。異常はない。" for n in range(40)
]


def save_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>")
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_model(folder: Path, *, context: int = 64, scale: float = 1.0, seed: int = 0) -> Path:
    """A random model; `scale` 0 makes every token equally likely."""
    tokenizer = save_tokenizer(folder)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    model = Qwen3ForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.normal_(0, 1).mul_(scale)
    model.save_pretrained(folder)
    np.save(folder / "unigram.npy", np.arange(len(tokenizer), dtype=np.int64))
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def uniform_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("uniform"), scale=0.0)


def write_corpus(folder: Path, heldout: Sequence[str]) -> Path:
    for split, texts in (("train", TEXTS[:3]), ("heldout", heldout)):
        (folder / split).mkdir(parents=True)
        rows = [
            {"id": f"{split}/{n}", "source": "s", "sha256": hashlib.sha256(text.encode()).digest(), "text": text}
            for n, text in enumerate(texts)
        ]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / split / "00000.parquet")
    return folder
