"""Bits per byte on held-out documents, against a unigram model and, where there is one, the base model.

Bits per byte do not depend on the tokenizer: the bits a model needs for a text, over the text's UTF-8 bytes.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kiban.kit.progress import progress
from kiban.make.corpus.reader import Document, read_documents
from kiban.make.recipe import BitsPerByteConfig
from kiban.prove.evaluation.scorer import Scorer
from kiban.prove.evaluation.statistics import DocumentBootstrap, Interval

# Documents scored between two notes of progress; a killed evaluation repeats at most these.
GROUP_DOCUMENTS = 16
DIGITS = 6


@dataclass(frozen=True)
class HeldOut:
    """A held-out document as it is scored: cut to the recipe's limit."""

    id: str
    source: str
    text: str
    bytes: int


@dataclass(frozen=True)
class DocumentScore:
    tokens: int
    bits: float


def choose_documents(corpus: Path, config: BitsPerByteConfig) -> list[HeldOut]:
    """The held-out documents with the smallest hashes: a fixed random sample that grows with `max_documents`."""
    chosen: list[Document] = heapq.nsmallest(
        config.max_documents, read_documents(corpus, "heldout"), key=lambda document: document.sha256
    )
    found = []
    for document in chosen:
        text = document.text.encode()[: config.max_document_bytes].decode(errors="ignore")
        found.append(HeldOut(document.id, document.source, text, len(text.encode())))
    return found


def score_documents(documents: Sequence[HeldOut], scorer: Scorer, label: str, scratch: Path) -> list[DocumentScore]:
    """Tokens and bits of each document under a model, going on from what an earlier attempt left in `scratch`."""
    path = scratch / f"documents-{label}.jsonl"
    done = [DocumentScore(**score) for score in read_lines(path)]
    with path.open("a") as file, progress(f"scoring ({label})", len(documents), "documents", done=len(done)) as shown:
        for start in range(len(done), len(documents), GROUP_DOCUMENTS):
            group = documents[start : start + GROUP_DOCUMENTS]
            bits = scorer.token_bits([scorer.encode(document.text) for document in group])
            scores = [DocumentScore(len(each), float(each.sum())) for each in bits]
            file.writelines(json.dumps(vars(score)) + "\n" for score in scores)
            file.flush()
            done += scores
            shown.advance(len(group))
    return done


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Whole JSON lines of a file that a killed process may have left unfinished; the rest is cut off."""
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)
    return [json.loads(line) for line in whole.splitlines()]


def unigram_bits(documents: Sequence[HeldOut], scorer: Scorer, counts_V: npt.NDArray[np.int64]) -> list[float]:
    """Bits of each document when every token is predicted from its frequency in training alone (add-one smoothed)."""
    table_V = -np.log2((counts_V + 1) / (counts_V.sum() + len(counts_V)))
    return [float(table_V[scorer.encode(document.text)].sum()) for document in documents]


def summarise(
    documents: Sequence[HeldOut],
    ours: Sequence[float],
    baselines: Mapping[str, Sequence[float]],
    config: BitsPerByteConfig,
    seed: int,
) -> dict[str, Any]:
    """The headline figure and its baselines, each with a 95% interval over documents; differences are paired.

    Args:
        ours: bits of each document under the model.
        baselines: the same under others, by name; a negative difference means that the model needs fewer bits.
    """
    bootstrap = DocumentBootstrap([document.bytes for document in documents], config.resamples, seed)
    bits = np.asarray(ours)
    return {
        **_figure(*bootstrap.ratio(bits)),
        "n_documents": len(documents),
        "bytes": sum(document.bytes for document in documents),
        "interval": f"percentile bootstrap over documents, {config.resamples} resamples",
        "baselines": {
            name: {
                **_figure(*bootstrap.ratio(np.asarray(theirs))),
                "difference": _figure(*bootstrap.difference(bits, np.asarray(theirs))),
                "ratio": _figure(*bootstrap.quotient(bits, np.asarray(theirs))),
            }
            for name, theirs in baselines.items()
        },
    }


def _figure(value: float, interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        reason = "one document shows no spread between documents"
        return {"value": round(value, DIGITS), "ci95": {"status": "not measured", "reason": reason}}
    return {"value": round(value, DIGITS), "ci95": [round(end, DIGITS) for end in interval]}
