"""Reading a finished corpus, one document at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

Split = Literal["train", "heldout"]

# One row per document. `sha256` is of the normalised text's UTF-8 bytes; it names the document, decides its split
# and orders what is sampled.
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("sha256", pa.binary(32)),
        ("text", pa.large_string()),
    ]
)


@dataclass(frozen=True)
class Document:
    id: str
    source: str
    sha256: bytes
    text: str


def read_documents(corpus: Path, split: Split) -> Iterator[Document]:
    """Documents of a corpus artifact's folder in their order; holds one batch of rows in memory."""
    for shard in sorted((corpus / split).glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(batch_size=256):
            for row in batch.to_pylist():
                yield Document(**row)
