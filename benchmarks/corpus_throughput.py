"""MB of text per second from one .jsonl.zst file to Parquet: kiban's corpus stage over datatrove 0.10.

Both read the same file, normalise (kiban its own rules, the peer plain NFKC), drop short texts and exact duplicates,
and write zstd Parquet, each in a process of its own whose whole wall time counts, start-up included. Runs are
interleaved; the ratio is of medians. The peer is a datatrove pipeline (JsonlReader, ParquetWriter, one worker: one
file is one task to it) with the normalising and an exact filter as steps; the filter keeps its hashes in memory,
because datatrove's own exact deduplication reads the input three times and would be slower. kiban besides splits off
held-out documents, keeps its hashes on disk, checkpoints, and reports every drop.

The text is debian-ja (42 MB) from KIBAN_SHARED_DATA or ../shared/data; without it, made-up Japanese of that size.
The peer lives in an environment of its own below .benchmarks/, made once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.machine import machine

ROOT = Path(__file__).resolve().parents[1]
BAR = 1.0
SYNTHETIC_BYTES = 42_000_000
MIN_CHARACTERS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 rounds in place of 7; under a minute")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--run", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--input", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        (run_ours if options.run == "ours" else run_peer)(options.input, options.output)
        return
    with tempfile.TemporaryDirectory() as scratch:
        result = compare(Path(scratch), rounds=3 if options.quick else 7, quiet=options.json)
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def compare(scratch: Path, *, rounds: int, quiet: bool) -> dict[str, Any]:
    corpus, name = find_text(scratch)
    size = text_bytes(corpus)
    pythons = {"ours": sys.executable, "peer": peer_environment()}
    speeds: dict[str, list[float]] = {who: [] for who in pythons}
    documents: dict[str, int] = {}
    peak_bytes: dict[str, int] = {}
    for turn in range(rounds + 1):
        for who, python in pythons.items():
            output = scratch / f"{who}-{turn}"
            output.mkdir()
            command = [python, __file__, "--run", who, "--input", str(corpus), "--output", str(output)]
            started = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            seconds = time.perf_counter() - started
            if done.returncode:
                sys.exit(f"{who} failed:\n{done.stderr}")
            found = json.loads(done.stdout.splitlines()[-1])
            documents[who], peak_bytes[who] = found["documents"], found["peak_bytes"]
            if turn:  # the first run of each is slower
                speeds[who].append(size / seconds / 1e6)
                if not quiet:
                    print(f"{who}: {size / seconds / 1e6:.1f} MB/s", file=sys.stderr, flush=True)
    medians = {who: statistics.median(values) for who, values in speeds.items()}
    ratio = medians["ours"] / medians["peer"]
    each = [ours / peer for ours, peer in zip(speeds["ours"], speeds["peer"], strict=True)]
    return {
        "name": "corpus_throughput",
        "unit": "MB of text/s",
        "ours": round(medians["ours"], 2),
        "peer": round(medians["peer"], 2),
        "ratio": round(ratio, 3),
        "bar": BAR,
        "ok": ratio >= BAR,
        "n": rounds,
        "ratio_range": [round(min(each), 3), round(max(each), 3)],
        "text": name,
        "text_mb": round(size / 1e6, 1),
        "documents": documents,
        "peak_memory_mb": {who: round(count / 1e6) for who, count in peak_bytes.items()},
        "peer_is": "datatrove 0.10.1",
        "machine": machine(),
    }


def find_text(scratch: Path) -> tuple[Path, str]:
    folder = Path(os.environ.get("KIBAN_SHARED_DATA") or ROOT.parent / "shared" / "data")
    real = folder / "corpus" / "debian-ja.jsonl.zst"
    if real.exists():
        return real, "debian-ja"
    import zstandard

    made = scratch / "synthetic.jsonl.zst"
    with made.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as packed:
        for number, text in enumerate(synthetic_texts()):
            packed.write(json.dumps({"id": str(number), "text": text}, ensure_ascii=False).encode() + b"\n")
    return made, "synthetic"


def synthetic_texts() -> Iterator[str]:
    """Sentences of random words: half-width and full-width, a tenth of the documents twice."""
    rng = random.Random(1)
    kana = [chr(code) for code in range(0x3042, 0x3094)]
    kanji = [chr(code) for code in range(0x4E00, 0x5200)]
    words = ["".join(rng.choices(rng.choice((kana, kanji)), k=rng.randint(1, 5))) for _ in range(5_000)]
    words += ["ＡＢＣ", "ﾎﾟﾝﾌﾟ", "１２３", "Debian", "①", "㎏"]
    total, texts = 0, [""]
    while total < SYNTHETIC_BYTES:
        if rng.random() < 0.1:
            text = rng.choice(texts)
        else:
            lines = ("".join(rng.choices(words, k=15)) + "。" for _ in range(rng.randint(5, 150)))
            text = "\n".join(lines)
            texts = [*texts[-500:], text]
        total += len(text.encode())
        yield text


def text_bytes(corpus: Path) -> int:
    import orjson
    import zstandard

    with corpus.open("rb") as file:
        rows = zstandard.ZstdDecompressor().stream_reader(file).read()
    return sum(len(orjson.loads(line)["text"].encode()) for line in rows.splitlines())


def run_ours(corpus: Path, output: Path) -> None:
    from kiban.make.corpus.stage import run
    from kiban.make.recipe import Recipe
    from kiban.make.stage import StageContext

    source = {"name": "text", "path": str(corpus), "owner": "x", "licence": "x", "uses": ("train",), "id_field": "id"}
    recipe = Recipe.model_validate(
        {
            "name": "benchmark",
            "corpus": {"sources": (source,), "filters": {"min_characters": MIN_CHARACTERS}},
            "model": {"shape": {"depth": 1}},
            "training": {"tokens": 1},
        }
    )
    for folder in ("files", "scratch"):
        (output / folder).mkdir()
    stats = run(StageContext("corpus", recipe, output, {}, output / "files", output / "scratch", 1)).stats
    say(stats["train"]["documents"] + stats["heldout"]["documents"])


def run_peer(corpus: Path, output: Path) -> None:
    import hashlib
    import unicodedata

    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.base import PipelineStep
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import ParquetWriter

    class Normalise(PipelineStep):
        name = "NFKC"

        def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Any:
            for document in data:
                document.text = unicodedata.normalize("NFKC", document.text).strip()
                yield document

    class FirstOfItsText(BaseFilter):
        name = "exact duplicates"
        seen: set[bytes] = set()  # noqa: RUF012
        kept = 0

        def filter(self, doc: Any) -> bool:
            digest = hashlib.sha256(doc.text.encode()).digest()
            if len(doc.text) < MIN_CHARACTERS or digest in self.seen:
                return False
            self.seen.add(digest)
            FirstOfItsText.kept += 1
            return True

    steps = [
        JsonlReader(str(corpus.parent), glob_pattern=corpus.name),
        Normalise(),
        FirstOfItsText(),
        ParquetWriter(str(output / "parquet"), compression="zstd"),
    ]
    LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(output / "logs")).run()
    say(FirstOfItsText.kept)


def say(documents: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"documents": documents, "peak_bytes": peak}))


def peer_environment() -> str:
    """Python of an environment with datatrove, made once."""
    folder = ROOT / ".benchmarks" / "corpus_throughput"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        packages = ["datatrove==0.10.1", "orjson", "zstandard", "pyarrow", "regex"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, stdout=sys.stderr)
        (folder / "ready").touch()
    return str(python)


if __name__ == "__main__":
    main()
