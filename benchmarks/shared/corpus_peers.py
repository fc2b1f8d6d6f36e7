"""The peers of `corpus_vs_peers.py`: the same rules by HojiChar and datatrove, in an environment that has both.

    python corpus_peers.py hojichar --input shards --output folder --workers 2

All three take HojiChar's own filters with its own word lists. Where a peer can be used in a faster way than its manual
shows, it is: JSON by orjson, output without compression, datatrove's signatures by rensa (its own are 8 times as slow).

- hojichar: `Compose.apply_stream`; with more workers `Parallel` with the duplicates looked for in the parent process,
  because HojiChar's keys live in one process (or in Redis).
- hojichar-tuned: the same with automata of pyahocorasick in place of the alternations of words.
- datatrove: a task per file; MinHash in its four stages.

MinHash has 14 bands of 8 rows, as in datatrove; HojiChar by itself would compute 500 rows, not 112.
"""

# mypy: disable-error-code="import-not-found,misc"

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ahocorasick
import numpy as np
import orjson
from hojichar import Compose, Document, Filter, Parallel
from hojichar.filters import document_filters as rules
from hojichar.filters.deduplication import GenerateDedupLSH, InlineDeduplicator

BANDS, ROWS = 14, 8


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=("hojichar", "hojichar-tuned", "datatrove"))
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--min-characters", type=int, required=True)
    options = parser.parse_args()
    if options.engine == "datatrove":
        run_datatrove(options.input, options.output, options.workers, options.min_characters)
    else:
        chosen = judging(options.min_characters, tuned=options.engine == "hojichar-tuned")
        run_hojichar(options.input, options.output, options.workers, chosen)


def judging(min_characters: int, *, tuned: bool = False) -> list[Filter]:
    """Everything up to the duplicates."""
    words = rules.BASE_PATH / "dict"
    listed: list[Filter] = [
        rules.DiscardAds(),
        rules.DiscardAdultContentJa(),
        rules.DiscardDiscriminationContentJa(),
        rules.DiscardViolenceContentJa(),
        rules.DiscardAdultContentEn(),
    ]
    if tuned:
        listed = [
            TunedAds(words / "advertisement_keywords_ja.txt", 14),
            TunedWords(words / "adult_keywords_ja.txt"),
            TunedWords(words / "discrimination_keywords_ja.txt"),
            TunedWords(words / "violence_keywords_ja.txt"),
            TunedEnglish(words / "adult_keywords_en.txt"),
        ]
    return [
        rules.DocumentNormalizer(),
        rules.DocumentLengthFilter(min_doc_len=min_characters),
        rules.AcceptJapanese(),
        rules.DiscardRareKuten(),
        rules.DiscardBBSComments(),
        *listed,
        rules.CharRepetitionRatioFilter(),
        rules.MaskPersonalInformation(),
    ]


# -- HojiChar with automata -------------------------------------------------------------------------------------------


def _automaton(words: list[str]) -> Any:
    automaton = ahocorasick.Automaton()
    for rank, word in enumerate(words):
        if word not in automaton:
            automaton.add_word(word, (rank, len(word)))
    automaton.make_automaton()
    return automaton


def _words(path: Path) -> list[str]:
    return [word.strip() for word in path.read_text(encoding="utf-8").split("\n") if word]


class TunedWords(Filter):
    """One word rejects."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.automaton = _automaton(_words(path))

    def apply(self, document: Document) -> Document:
        if next(self.automaton.iter(document.text), None) is not None:
            document.is_rejected = True
        return document


class TunedAds(Filter):
    """More than `limit` words reject, counted as the expression finds them: from the left, without overlap."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__()
        self.automaton, self.limit = _automaton(_words(path)), limit

    def apply(self, document: Document) -> Document:
        found = sorted((last + 1 - size, rank, size) for last, (rank, size) in self.automaton.iter(document.text))
        count = free = 0
        for start, _, size in found:
            if start >= free:
                count, free = count + 1, start + size
        if count > self.limit:
            document.is_rejected = True
        return document


class TunedEnglish(rules.DiscardAdultContentEn):
    """The expression, asked only where an automaton finds a word."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.automaton = _automaton([word.lower() for word in _words(path)])

    def apply(self, document: Document) -> Document:
        if next(self.automaton.iter(document.text.lower()), None) is None:
            return document
        return super().apply(document)


# -- HojiChar ---------------------------------------------------------------------------------------------------------


def documents(folder: Path) -> Iterator[Document]:
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as lines:
            for line in lines:
                row = orjson.loads(line)
                yield Document(row["text"], extras={"id": row["id"]})


def run_hojichar(folder: Path, output: Path, workers: int, chosen: list[Filter]) -> None:
    chosen = [*chosen, GenerateDedupLSH(num_bands=BANDS, band_size=ROWS)]
    with (output / "kept.jsonl").open("wb") as kept:
        if workers == 1:
            for document in Compose([*chosen, InlineDeduplicator()]).apply_stream(documents(folder)):
                _write(document, kept)
            return
        duplicates = InlineDeduplicator()
        with Parallel(Compose(chosen), num_jobs=workers, ordered=True) as parallel:
            for document in parallel.imap_apply(documents(folder)):
                if not document.is_rejected:
                    _write(duplicates.apply(document), kept)


def _write(document: Document, kept: Any) -> None:
    if not document.is_rejected:
        kept.write(orjson.dumps({"id": document.extras["id"], "text": document.text}) + b"\n")


# -- datatrove --------------------------------------------------------------------------------------------------------


@functools.cache
def _judging(min_characters: int) -> list[Filter]:
    return judging(min_characters)


def run_datatrove(folder: Path, output: Path, workers: int, min_characters: int) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.base import PipelineStep
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(num_buckets=BANDS, hashes_per_bucket=ROWS, hash_config=HashConfig(precision=32))
    files = len(list(folder.glob("*.jsonl")))

    class Rule(BaseFilter):
        """One of HojiChar's filters, by its number: what a step holds is pickled for every task."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number
            self.name = type(_judging(min_characters)[number]).__name__

        def filter(self, doc: Any) -> bool:
            document = _judging(min_characters)[self.number].apply(Document(doc.text))
            doc.text = document.text
            return not document.is_rejected

    class Signature(MinhashDedupSignature):
        """Shingles of 5 characters, as the others'; minima by rensa."""

        def __init__(self) -> None:
            PipelineStep.__init__(self)
            from datatrove.io import get_datafolder

            self.output_folder = get_datafolder(str(output / "signatures"))
            self.config, self.num_hashes, self.skip_existing_sigs = config, BANDS * ROWS, False

        def get_shingles(self, text: str) -> Any:
            return np.array(_minhash()._calculate_minhash_digest(text), np.uint32)

        def get_signature(self, shingles: Any) -> list[list[int]]:
            found: list[list[int]] = shingles.reshape(BANDS, ROWS).tolist()
            return found

    def run(name: str, tasks: int, *steps: Any) -> None:
        LocalPipelineExecutor(
            list(steps),
            tasks=tasks,
            workers=min(workers, tasks),
            logging_dir=str(output / "logs" / name),
            start_method="fork",  # the others import everything again
        ).run()

    def written(name: str) -> Any:
        return JsonlWriter(str(output / name), output_filename="${rank}.jsonl", compression=None)

    judged = [Rule(number) for number in range(len(_judging(min_characters)))]
    run("judge", files, JsonlReader(str(folder), glob_pattern="*.jsonl"), *judged, written("judged"), Signature())
    buckets = MinhashDedupBuckets(str(output / "signatures"), str(output / "buckets"), config=config)
    run("buckets", BANDS, buckets)
    run("cluster", 1, MinhashDedupCluster(str(output / "buckets"), str(output / "remove"), config=config))
    reader = JsonlReader(str(output / "judged"), glob_pattern="*.jsonl")
    run("filter", files, reader, MinhashDedupFilter(str(output / "remove")), written("kept"))


@functools.cache
def _minhash() -> GenerateDedupLSH:
    return GenerateDedupLSH(num_bands=BANDS, band_size=ROWS)


if __name__ == "__main__":
    main()
