"""What a tokenizer learns from and is measured on: blocks of documents, spread evenly over a corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from kiban.make.corpus.reader import Split, read_documents

# Blocks, not whole documents, are drawn: one novel of 50 MiB must not decide what fits.
BLOCK_CHARACTERS = 16_384


@dataclass(frozen=True)
class Block:
    source: str
    text: str


def corpus_bytes(corpus: Path, split: Split) -> int:
    """UTF-8 bytes of all texts of a split, counted without decoding them."""
    total = 0
    for shard in sorted((corpus / split).glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(batch_size=256, columns=["text"]):
            total += pc.sum(pc.binary_length(batch["text"])).as_py() or 0
    return total


def sample_blocks(corpus: Path, split: Split, max_bytes: int, total_bytes: int) -> Iterator[Block]:
    """Blocks of a split's documents in corpus order; all of them when the split fits into `max_bytes`.

    Otherwise a block is kept when the hash of its document's sha256 and its position is below
    `max_bytes / total_bytes`: an even sample of about `max_bytes`, the same on every machine, that needs no more
    memory than one document. The hash is independent of the one that put the document into its split.
    """
    fraction = max_bytes / total_bytes if total_bytes > max_bytes else 1.0
    for document in read_documents(corpus, split):
        for position, text in enumerate(blocks(document.text)):
            if fraction == 1.0 or _draw(document.sha256, position) < fraction:
                yield Block(document.source, text)


def blocks(text: str) -> Iterator[str]:
    """Cut text after the last line break of every 16,384 characters, or there if no line ends; joined it is `text`."""
    start = 0
    while len(text) - start > BLOCK_CHARACTERS:
        end = text.rfind("\n", start, start + BLOCK_CHARACTERS) + 1
        if end <= start:
            end = start + BLOCK_CHARACTERS
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _draw(sha256: bytes, position: int) -> float:
    """Uniform in [0, 1)."""
    digest = hashlib.blake2b(sha256 + position.to_bytes(8, "big"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
