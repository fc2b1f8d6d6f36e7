"""Tiny random models with real tokenizers, and servers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from kiban.use.serving.loading import LoadedModel, load

SENTENCES = [
    "今日は良い天気です。明日も晴れるでしょう。",
    "基盤モデルは多くの文書から学びます。",
    "the quick brown fox jumps over the lazy dog",
    "😀 emoji, naïve café",
] * 3
CONTEXT = 1024
TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'system' and not loop.first %}"
    "{{ raise_exception('the system message comes first') }}{% endif %}"
    "<|{{ message.role }}|>{{ message.content }}<|endoftext|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def byte_level_tokenizer() -> PreTrainedTokenizerFast:
    """As GPT-2, Qwen and kiban's own: byte-level BPE."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


def sentencepiece_like_tokenizer() -> PreTrainedTokenizerFast:
    """As Llama 2 and Gemma: ▁ for spaces, and bytes where the alphabet ends."""
    special = ["<eos>", "<bos>"]
    alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
    characters = sorted({char for sentence in SENTENCES[:3] for char in sentence.replace(" ", "▁")} | {"▁"})
    vocabulary = {piece: at for at, piece in enumerate([*special, *alphabet, *characters, "▁t", "he", "▁the"])}
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", bos_token="<bos>")


def save_qwen3(folder: Path, template: str | None = None) -> Path:
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        intermediate_size=128,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


def save_gemma3(folder: Path) -> Path:
    """With a sliding window much shorter than the tests' prompts."""
    tokenizer = sentencepiece_like_tokenizer()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(2)
    config = Gemma3TextConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=128,
        max_position_embeddings=CONTEXT,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"] * 2,
        query_pre_attn_scalar=16,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    Gemma3ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def qwen3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen3(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with a chat template."""
    return save_qwen3(tmp_path_factory.mktemp("models") / "tuned", TEMPLATE)


@pytest.fixture(scope="session")
def gemma3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_gemma3(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(scope="session")
def qwen3(qwen3_folder: Path) -> LoadedModel:
    return load(qwen3_folder, device="cpu")


@pytest.fixture(scope="session")
def gemma3(gemma3_folder: Path) -> LoadedModel:
    return load(gemma3_folder, device="cpu")


@dataclass
class Server:
    url: str
    model: str
    digest: str
    process: subprocess.Popen[str]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def kiban_environment() -> dict[str, str]:
    """One thread per process: small matrices on shared processors are slower with more."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "KIBAN_API_KEYS": ""}


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Start `kiban serve FOLDER OPTIONS…` and wait until it is ready; all are killed at the end."""
    started: list[Server] = []
    logs = tmp_path_factory.mktemp("logs")

    def start(folder: Path | str, *options: str, store: Path | None = None) -> Server:
        log = (logs / f"{len(started)}.log").open("w+")
        before = ("--store", str(store)) if store else ()
        command = [sys.executable, "-m", "kiban", *before, "serve", str(folder), "--port", "0", "--json", *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=kiban_environment(), cwd=logs
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            log.seek(0)
            pytest.fail(f"the server did not start: {log.read()}")
        ready = json.loads(line)
        server = Server(ready["url"], ready["model"], ready["digest"], process)
        started.append(server)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.fixture(scope="session")
def server(start_server: StartServer, qwen3_folder: Path) -> Server:
    return start_server(qwen3_folder)
