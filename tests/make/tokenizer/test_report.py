"""Figures of the report against counts made by hand."""

from __future__ import annotations

import builtins
import importlib.util
from typing import Any

import pytest
from tokenizers import Tokenizer

from kiban.make.tokenizer.report import Reference, measure, references, unused_tokens
from kiban.make.tokenizer.sample import Block
from kiban.make.tokenizer.train import SPECIAL_TOKENS

BLOCKS = [Block("a", "日本語と English。"), Block("b", "数字は123。"), Block("a", "終わり")]


def test_figures_are_sums_over_texts_not_means_of_ratios(learned: Tokenizer) -> None:
    halves = Reference("halves", "two characters a token", 7, lambda texts: [-(-len(text) // 2) for text in texts])
    report = measure(learned, [halves], BLOCKS)
    characters = sum(len(block.text) for block in BLOCKS)
    utf8 = sum(len(block.text.encode()) for block in BLOCKS)
    tokens = sum(len(learned.encode(block.text).ids) for block in BLOCKS)
    assert (report["characters"], report["bytes"], report["tokens"]) == (characters, utf8, tokens)
    assert report["characters_per_token"] == pytest.approx(characters / tokens, abs=1e-4)
    assert report["bytes_per_token"] == pytest.approx(utf8 / tokens, abs=1e-4)
    assert report["reference"]["UTF-8 bytes"]["tokens"] == utf8
    assert report["reference"]["UTF-8 bytes"]["characters_per_token"] == pytest.approx(characters / utf8, abs=1e-4)
    assert report["reference"]["Unicode characters"]["characters_per_token"] == 1.0
    assert report["reference"]["halves"]["tokens"] == 7 + 4 + 2
    assert {name: figures["characters"] for name, figures in report["per_source"].items()} == {"a": 16, "b": 7}
    assert sum(figures["tokens"] for figures in report["per_source"].values()) == tokens


def test_examples_show_the_tokens_of_a_text(learned: Tokenizer) -> None:
    examples = measure(learned, [], [Block("a", "ポンプの点検を行う。")] * 7)["examples"]
    assert len(examples) == 3
    assert "".join(examples[0]["tokens"]) == examples[0]["text"] == "ポンプの点検を行う。"


def test_unused_tokens_are_those_that_no_text_has(learned: Tokenizer) -> None:
    size = learned.get_vocab_size()
    assert unused_tokens(learned, []) == size - len(SPECIAL_TOKENS)
    texts = ["ポンプの点検", "記録"]
    used = {token for text in texts for token in learned.encode(text).ids}
    assert unused_tokens(learned, iter(texts)) == size - len(SPECIAL_TOKENS) - len(used)


def test_the_reference_is_the_installed_one() -> None:
    pytest.importorskip("bpe_openai", reason="install kiban[reference]")
    (reference,) = references(lambda: [], 500)
    assert reference.name == "o200k_base"
    assert reference.vocab_size > 200_000
    # "hello world" is two tokens in o200k_base; a control token's name is read as text
    assert reference.count(["hello world", "", "<|endoftext|>"]) == [2, 0, 7]


def test_without_it_the_reference_is_learned_here(monkeypatch: pytest.MonkeyPatch, texts: list[str]) -> None:
    find_spec = importlib.util.find_spec

    def missing(name: str, *arguments: Any) -> Any:
        return None if name == "bpe_openai" else find_spec(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    importer = builtins.__import__

    def no_import(name: str, *arguments: Any, **keywords: Any) -> Any:
        assert not name.startswith("bpe_openai")
        return importer(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", no_import)
    (reference,) = references(lambda: texts[:20], 500)
    assert reference.vocab_size == 500
    assert "learned in this run" in reference.source
    assert 0 < reference.count(["ポンプの点検"])[0] < 18
