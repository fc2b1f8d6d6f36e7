"""Reading a finished corpus, one document at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

Split = Literal["train", "heldout"]

ANCHORS = pa.list_(pa.struct([("at", pa.int64()), ("label", pa.string())]))
# One row per document. `sha256` is of the text's UTF-8 bytes; it names the document, decides its split and orders
# what is sampled. `anchors` say from which letter on the text stands where in its file; `rights` names a row of
# rights.parquet.
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("sha256", pa.binary(32)),
        ("text", pa.large_string()),
        ("anchors", ANCHORS),
        ("rights", pa.uint32()),
    ]
)


@dataclass(frozen=True)
class Document:
    id: str
    source: str
    sha256: bytes
    text: str


READ = ["id", "source", "sha256", "text"]


def read_documents(corpus: Path, split: Split) -> Iterator[Document]:
    """Documents of a corpus artifact's folder in their order; holds one batch of rows in memory."""
    for shard in sorted((corpus / split).glob("*.parquet")):
        with pq.ParquetFile(shard) as file:
            for batch in file.iter_batches(batch_size=256, columns=READ):
                for row in batch.to_pylist():
                    yield Document(**row)
