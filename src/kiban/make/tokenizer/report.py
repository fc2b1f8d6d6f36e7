"""How well a tokenizer does on text it did not learn from, beside tokenizers made elsewhere."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from kiban.make.tokenizer.sample import Block
from kiban.make.tokenizer.train import train_reference

EXAMPLES, EXAMPLE_CHARACTERS = 3, 60
REFERENCE_VOCAB_SIZE = 32_768
BATCH_BLOCKS = 128


@dataclass(frozen=True)
class Reference:
    """A tokenizer to compare with, by what it does to texts."""

    name: str
    source: str
    vocab_size: int
    count: Callable[[Sequence[str]], list[int]]


@dataclass
class Sizes:
    """The same text in characters, UTF-8 bytes and tokens."""

    characters: int = 0
    utf8_bytes: int = 0
    tokens: int = 0

    def add(self, text: str, tokens: int) -> None:
        self.characters += len(text)
        self.utf8_bytes += len(text.encode())
        self.tokens += tokens

    def figures(self) -> dict[str, Any]:
        return {
            "characters": self.characters,
            "bytes": self.utf8_bytes,
            "tokens": self.tokens,
            "characters_per_token": round(self.characters / self.tokens, 4),
            "bytes_per_token": round(self.utf8_bytes / self.tokens, 4),
        }


def measure(tokenizer: Tokenizer, references: Sequence[Reference], blocks: Sequence[Block]) -> dict[str, Any]:
    """Characters and bytes per token of `tokenizer` and of every reference on `blocks`, in all and per source."""
    texts = [block.text for block in blocks]
    figures = _by_source(blocks, _count(tokenizer, texts))
    reference = {
        "UTF-8 bytes": {
            "source": "one token per byte, closed form",
            "vocab_size": 256,
            **_by_source(blocks, [len(text.encode()) for text in texts]),
        },
        "Unicode characters": {
            "source": "one token per character, closed form",
            "vocab_size": len(set().union(*texts)),
            **_by_source(blocks, [len(text) for text in texts]),
        },
    }
    for other in references:
        reference[other.name] = {
            "source": other.source,
            "vocab_size": other.vocab_size,
            **_by_source(blocks, other.count(texts)),
        }
    return {**figures, "reference": reference, "examples": _examples(tokenizer, blocks)}


def _by_source(blocks: Sequence[Block], tokens: Sequence[int]) -> dict[str, Any]:
    total, per_source = Sizes(), {block.source: Sizes() for block in blocks}
    for block, count in zip(blocks, tokens, strict=True):
        total.add(block.text, count)
        per_source[block.source].add(block.text, count)
    return {**total.figures(), "per_source": {name: sizes.figures() for name, sizes in sorted(per_source.items())}}


def _examples(tokenizer: Tokenizer, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The beginnings of three texts, token by token; a token that is a part of a character shows as �."""
    shown = []
    for block in blocks[:: max(1, len(blocks) // EXAMPLES)][:EXAMPLES]:
        text = block.text[:EXAMPLE_CHARACTERS]
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        shown.append(
            {
                "source": block.source,
                "text": text,
                "tokens": [tokenizer.decode([token], skip_special_tokens=False) for token in ids],
            }
        )
    return shown


def unused_tokens(tokenizer: Tokenizer, texts: Iterable[str]) -> int:
    """How many tokens of the vocabulary, control tokens aside, appear nowhere in `texts`."""
    special = {index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    used: set[int] = set()
    remaining = iter(texts)
    while batch := list(itertools.islice(remaining, BATCH_BLOCKS)):
        used.update(*(found.ids for found in tokenizer.encode_batch_fast(batch, add_special_tokens=False)))
    return tokenizer.get_vocab_size(with_added_tokens=True) - len(used | special)


def references(texts: Callable[[], Iterable[str]], vocab_size: int) -> list[Reference]:
    """OpenAI's o200k_base where `kiban[reference]` is installed, else a tokenizer learned here from `texts`.

    The latter is a byte-level BPE with GPT-2's pattern, learned from the same text with the same vocabulary size (up
    to 32,768). It says what our way of cutting text adds, not how a published tokenizer does.
    """
    if importlib.util.find_spec("bpe_openai") is not None:
        return [_o200k()]
    tokenizer = train_reference(texts(), min(vocab_size, REFERENCE_VOCAB_SIZE))
    source = "byte-level BPE with GPT-2's pattern, learned in this run from the same sample"
    return [Reference("BPE, GPT-2 pattern", source, tokenizer.get_vocab_size(), functools.partial(_count, tokenizer))]


def _count(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    return [len(found.ids) for found in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _o200k() -> Reference:
    from bpe_openai import get_encoding

    encoding = get_encoding("o200k_base")

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in encoding.encode_ordinary_batch(list(texts))]

    source = f"OpenAI's tokenizer of GPT-4o, in the package bpe-openai {importlib.metadata.version('bpe-openai')}"
    return Reference("o200k_base", source, encoding.n_vocab, count)
