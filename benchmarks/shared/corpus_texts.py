"""Text for `corpus_vs_peers.py`: real where there is any, and more of its kind where more is needed."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson

ROOT = Path(__file__).resolve().parents[2]
Text = tuple[str, str]  # id, text
# A sentence with its end, or a line without one.
SENTENCE = re.compile(r"[^。\n]*[。\n]+|[^。\n]+")


def texts() -> tuple[list[Text], str]:
    """debian-ja and aozora-sample from KIBAN_SHARED_DATA or ../shared/data (95 MB), else made-up Japanese (42 MB); and
    what it is."""
    folder = Path(os.environ.get("KIBAN_SHARED_DATA") or ROOT.parent / "shared" / "data") / "corpus"
    names = ("debian-ja", "aozora-sample")
    if all((folder / f"{name}.jsonl.zst").exists() for name in names):
        return [text for name in names for text in _rows(folder / f"{name}.jsonl.zst", name)], " + ".join(names)
    from corpus_throughput import synthetic_texts

    return [(str(number), text) for number, text in enumerate(synthetic_texts())], "synthetic"


def _rows(path: Path, name: str) -> Iterator[Text]:
    import zstandard

    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as rows:
        for line in io.TextIOWrapper(rows, "utf-8"):
            row = orjson.loads(line)
            yield f"{name}:{row['id']}", row["text"]


def size_of(some: Iterable[Text]) -> int:
    """Bytes of text, in UTF-8."""
    return sum(len(text.encode()) for _, text in some)


def write_shards(some: Iterable[Text], folder: Path, shard_bytes: int) -> int:
    """Files 00000.jsonl … of about `shard_bytes` of text; returns the bytes of text."""
    folder.mkdir(parents=True)
    total = size = number = 0
    file = None
    for identity, text in some:
        if file is None or size >= shard_bytes:
            if file is not None:
                file.close()
            file = (folder / f"{number:05d}.jsonl").open("wb")
            number, size = number + 1, 0
        file.write(orjson.dumps({"id": identity, "text": text}) + b"\n")
        size += len(text.encode())
        total += len(text.encode())
    if file is not None:
        file.close()
    return total


def more(some: Sequence[Text], seed: int) -> Iterator[Text]:
    """Texts of the same kind without end: the sentences of `some` in another order each time. Of no sentences, none.

    Sentences are exchanged between all texts, so that a new text shares hardly two with any other, and each text has
    as many as one of `some` has. What comes is a function of `some` and the seed.
    """
    sentences: list[str] = []
    counts = []
    for _, text in some:
        found = SENTENCE.findall(text)
        sentences += found
        counts.append(len(found))
    if not sentences:
        return
    rng = np.random.default_rng(seed)
    for turn in range(2**31):
        order = rng.permutation(len(sentences))
        at = 0
        for number in rng.permutation(len(counts)).tolist():
            chosen = order[at : at + counts[number]].tolist()
            at += counts[number]
            yield f"{turn}-{number}", "".join([sentences[each] for each in chosen])


def until(some: Iterable[Text], size: int) -> Iterator[Text]:
    """The first texts that have `size` bytes together."""
    for each in some:
        if size <= 0:
            return
        size -= len(each[1].encode())
        yield each
