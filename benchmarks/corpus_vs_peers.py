"""The corpus stage against HojiChar, HojiChar with automata, and datatrove: speed, memory, and what each keeps.

All apply the same rules to the same files on the same cores, in processes of their own whose whole wall time counts,
start-up included: NFKC, length, kana at the start, length of sentences, bulletin boards, advertisements, four lists of
words (adult, discrimination, violence, adult in English), repeated characters, telephone numbers and e-mail addresses
masked, near duplicates. Runs are interleaved and ratios are of medians; what is compiled or cached on first use was
used before. How the peers are set up: `shared/corpus_peers.py`.

What differs: kiban's normalising leaves more as it was written than plain NFKC, and puts blanks in order. It compares
candidates (20 bands of 6 rows) and drops those that are 0.8 alike; the peers drop whatever agrees in one of 14 bands of
8 rows, which at a similarity of 0.7 is every second. kiban writes Parquet with an account of every drop and every mask,
and what it did so far survives a crash; HojiChar writes lines of JSON and keeps nothing.

Two texts, because what a rule drops spares the rules after it:
- "all": debian-ja and aozora-sample (95 MB; KIBAN_SHARED_DATA or ../shared/data; without them made-up Japanese). These
  rules drop six of seven documents, most by the cheap rules at the beginning.
- "passing": sentences of what all engines keep, in another order (`shared/corpus_texts.more`), as much text. Nearly
  every document goes through every rule, as where there is much good text.
Speeds are held against the bars on both. With --cores 1 it takes 21 minutes; --text and --cores choose some.

Besides: the full `kiban` profile (repair, quality, privacy, near duplicates) on two cores, over "all"; and its cost and
memory as the text grows, over the sentences of "all" in another order, to 200 MB or with --scale to 2 GB (10 minutes
more). Memory is the sum over all processes, see `shared/measured.py`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.machine import machine

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "shared" / "corpus_peers.py"
# xxhash 4 takes no str, which datatrove gives it.
PACKAGES = (
    "hojichar[dedup]==0.18.1", "datatrove==0.10.1", "pyahocorasick==2.3.1", "orjson", "regex", "tokenizers", "xxhash<4",
)  # fmt: skip
TEXTS = ("all", "passing")
ENGINES = ("kiban", "hojichar", "hojichar-tuned", "datatrove")
# (peer, cores) -> how many times as fast kiban is to be.
SPEED_BARS = {
    ("hojichar", 1): 12.0,
    ("datatrove", 1): 12.0,
    ("hojichar-tuned", 1): 4.0,
    ("hojichar", 2): 16.0,
    ("datatrove", 2): 16.0,
    ("hojichar-tuned", 2): 4.0,
}
FULL_BAR_MB_PER_S = 15.0
MEMORY_BAR_MB = 400
AGREEMENT_BAR = 0.99
GROWTH_BAR = 1.25
MIN_CHARACTERS = 200
NOT_COMPARED = ("short_lines", "character_run", "ellipsis_lines", "special_tokens", "nouns", "word_repetition")
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 round in place of 3, on a third of the text")
    parser.add_argument("--scale", action="store_true", help="let the text grow to 2 GB")
    parser.add_argument("--text", choices=TEXTS, action="append", help="only this one (may be repeated)")
    parser.add_argument("--cores", type=int, choices=(1, 2), action="append", help="only so many (may be repeated)")
    parser.add_argument("--rounds", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--run", choices=("rules", "full"), help=argparse.SUPPRESS)
    parser.add_argument("--input", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_ours(options.run, options.input, options.output, options.workers)
        return
    rounds = options.rounds or (1 if options.quick else 3)
    with tempfile.TemporaryDirectory() as scratch:
        comparison = Comparison(Path(scratch), options.quick, options.json)
        parts = [(text, cores) for text in options.text or TEXTS for cores in options.cores or (1, 2)]
        result = comparison.everything(parts, rounds, scale=options.scale)
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


@dataclass
class Outcome:
    """Of one engine on one text and number of cores."""

    mb_per_s: list[float] = field(default_factory=list)
    mb_per_cpu_s: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    largest_mb: float = 0.0
    kept: set[str] = field(default_factory=set)


class Comparison:
    """Runs engines on texts; everything lies below `scratch`."""

    def __init__(self, scratch: Path, quick: bool, quiet: bool) -> None:
        self.scratch, self.quick, self.quiet = scratch, quick, quiet
        self.peer_python = peer_environment()
        self.cores = sorted(os.sched_getaffinity(0))
        self.runs = 0

    def everything(self, parts: Sequence[tuple[str, int]], rounds: int, *, scale: bool) -> dict[str, Any]:
        from shared import corpus_texts as texts

        real, name = texts.texts()
        if self.quick:
            real = real[::3]
        given = {name: self.scratch / name for name in TEXTS}
        sizes = {"all": texts.write_shards(real, given["all"], texts.size_of(real) // 8 + 1)}
        keeps = self._keeps_of_all(given["all"], sizes["all"])
        passing = [one for one in real if one[0] in keeps]
        enough = texts.until(texts.more(passing, SEED), 8_000_000 if self.quick else sizes["all"])
        sizes["passing"] = texts.write_shards(enough, given["passing"], sizes["all"] // 8 + 1)
        outcomes = {
            (text, count): self._interleaved(given[text], sizes[text], count, rounds)
            for text, count in parts
            if count <= len(self.cores)
        }
        full = self._full(given["all"], sizes["all"], rounds)
        steps = (10, 40) if self.quick else (10, 100, 500, 2000) if scale else (10, 50, 200)
        growth = self._growth(lambda: texts.more(real, SEED), [int(step * 1e6) for step in steps])
        return summary(name, sizes, outcomes, full, growth, rounds)

    def _keeps_of_all(self, folder: Path, size: int) -> set[str]:
        """What every engine keeps; and the first use of everything."""
        kept = [self._run(engine, folder, size, len(self.cores[:2]), Outcome()) for engine in ENGINES]
        return set.intersection(*kept)

    def _interleaved(self, folder: Path, size: int, cores: int, rounds: int) -> dict[str, Outcome]:
        outcomes = {engine: Outcome() for engine in ENGINES}
        for _ in range(rounds):
            for engine, outcome in outcomes.items():
                outcome.kept = self._run(engine, folder, size, cores, outcome)
                self._say(f"{folder.name}, {cores} cores, {engine}", outcome)
        return outcomes

    def _full(self, folder: Path, size: int, rounds: int) -> Outcome:
        outcome = Outcome()
        for _ in range(rounds):
            outcome.kept = self._run("full", folder, size, len(self.cores[:2]), outcome)
            self._say("full profile", outcome)
        return outcome

    def _growth(self, make: Callable[[], Iterable[tuple[str, str]]], sizes: Sequence[int]) -> list[dict[str, float]]:
        """The full profile on more and more text."""
        from shared import corpus_texts as texts

        points: list[dict[str, float]] = []
        for wanted in sizes:
            folder = self.scratch / "more"
            size = texts.write_shards(texts.until(make(), wanted), folder, 12_000_000)
            outcome = Outcome()
            kept = self._run("full", folder, size, len(self.cores[:2]), outcome)
            shutil.rmtree(folder)
            self._say(f"{size / 1e6:.0f} MB", outcome)
            points.append(
                {
                    "mb": round(size / 1e6, 1),
                    "seconds": round(size / 1e6 / outcome.mb_per_s[0], 2),
                    "mb_per_s": round(outcome.mb_per_s[0], 2),
                    "mb_per_cpu_s": round(outcome.mb_per_cpu_s[0], 2),
                    "peak_memory_mb": round(outcome.peak_mb),
                    "largest_process_mb": round(outcome.largest_mb),
                    "documents_kept": len(kept),
                }
            )
        return points

    def _run(self, engine: str, folder: Path, size: int, cores: int, outcome: Outcome) -> set[str]:
        """One run; adds to the outcome and returns the ids that were kept."""
        from shared.measured import measured

        self.runs += 1
        output = self.scratch / f"run-{self.runs}"
        output.mkdir()
        given = ["--input", str(folder), "--output", str(output), "--workers", str(cores)]
        if engine in ("kiban", "full"):
            command = [sys.executable, __file__, "--run", "full" if engine == "full" else "rules", *given]
        else:
            command = [self.peer_python, str(PEERS), engine, *given, "--min-characters", str(MIN_CHARACTERS)]
        found = measured(command, self.cores[:cores], self.scratch / "log")
        outcome.mb_per_s.append(size / found.seconds / 1e6)
        outcome.mb_per_cpu_s.append(size / found.cpu_seconds / 1e6)
        outcome.peak_mb = max(outcome.peak_mb, found.peak_bytes / 1e6)
        outcome.largest_mb = max(outcome.largest_mb, found.largest_bytes / 1e6)
        kept = kept_ids(output)
        shutil.rmtree(output)
        return kept

    def _say(self, what: str, outcome: Outcome) -> None:
        if not self.quiet:
            said = f"{outcome.mb_per_s[-1]:.1f} MB/s, {outcome.peak_mb:.0f} MB in memory"
            print(f"{what}: {said}", file=sys.stderr, flush=True)


def kept_ids(output: Path) -> set[str]:
    """From Parquet (kiban: train and held out) or lines of JSON (the peers)."""
    import orjson
    import pyarrow.parquet as pq

    parquet = [path for split in ("train", "heldout") for path in (output / "files" / split).glob("*.parquet")]
    found = {identity for path in parquet for identity in pq.read_table(path, columns=["id"])["id"].to_pylist()}
    for path in (*output.glob("kept.jsonl"), *output.glob("kept/*.jsonl")):
        with path.open("rb") as lines:
            found.update(orjson.loads(line)["id"] for line in lines)
    return found


def summary(
    name: str,
    sizes: dict[str, int],
    outcomes: dict[tuple[str, int], dict[str, Outcome]],
    full: Outcome,
    growth: list[dict[str, float]],
    rounds: int,
) -> dict[str, Any]:
    bars: dict[str, dict[str, Any]] = {}

    def bar(what: str, value: float, limit: float, *, at_most: bool = False) -> None:
        good = value <= limit if at_most else value >= limit
        bars[what] = {"value": round(value, 3), "at_most" if at_most else "at_least": limit, "ok": good}

    speed: dict[str, Any] = {}
    for (which, cores), each in outcomes.items():
        medians = {engine: statistics.median(outcome.mb_per_s) for engine, outcome in each.items()}
        ratios = {peer: medians["kiban"] / medians[peer] for peer in ENGINES[1:]}
        speed[f"{which}, {cores}"] = {
            "mb_per_s": {engine: round(value, 2) for engine, value in medians.items()},
            "mb_per_cpu_s": {
                engine: round(statistics.median(outcome.mb_per_cpu_s), 2) for engine, outcome in each.items()
            },
            "ratio": {peer: round(value, 2) for peer, value in ratios.items()},
            "peak_memory_mb": {engine: round(outcome.peak_mb) for engine, outcome in each.items()},
            "kept": {engine: len(outcome.kept) for engine, outcome in each.items()},
            "kept_jaccard": {peer: round(jaccard(each["kiban"].kept, each[peer].kept), 4) for peer in ENGINES[1:]},
        }
        for peer, ratio in ratios.items():
            bar(f"speed over {peer}, {which}, cores: {cores}", ratio, SPEED_BARS[peer, cores])
            agreement = jaccard(each["kiban"].kept, each[peer].kept)
            bar(f"documents kept as by {peer}, {which}, cores: {cores}", agreement, AGREEMENT_BAR)
    bar("full profile, MB/s", statistics.median(full.mb_per_s), FULL_BAR_MB_PER_S)
    bar("memory, MB", max(full.peak_mb, *(point["peak_memory_mb"] for point in growth)), MEMORY_BAR_MB, at_most=True)
    bar("cost of a MB, last over first", last_over_first(growth), GROWTH_BAR, at_most=True)
    first = next(iter(speed))
    return {
        "name": "corpus_vs_peers",
        "unit": f"MB of text/s; text and cores: {first}",
        "ours": speed[first]["mb_per_s"]["kiban"],
        "peer": speed[first]["mb_per_s"]["hojichar"],
        "ratio": speed[first]["ratio"]["hojichar"],
        "bar": SPEED_BARS["hojichar", next(cores for _, cores in outcomes)],
        "ok": all(each["ok"] for each in bars.values()),
        "n": rounds,
        "bars": bars,
        "by_text_and_cores": speed,
        "full_profile": {
            "mb_per_s": round(statistics.median(full.mb_per_s), 2),
            "mb_per_cpu_s": round(statistics.median(full.mb_per_cpu_s), 2),
            "peak_memory_mb": round(full.peak_mb),
            "largest_process_mb": round(full.largest_mb),
        },
        "growth": growth,
        "text": name,
        "text_mb": {which: round(size / 1e6, 1) for which, size in sizes.items()},
        "peer_is": "HojiChar 0.18.1; datatrove 0.10.1",
        "machine": machine(),
    }


def jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def last_over_first(growth: list[dict[str, float]]) -> float:
    """Seconds that one more MB takes at the end over the same at the beginning; start-up is in neither."""
    if len(growth) < 3:
        return 1.0
    costs = [
        (after["seconds"] - before["seconds"]) / (after["mb"] - before["mb"])
        for before, after in itertools.pairwise(growth)
    ]
    return costs[-1] / costs[0]


# -- kiban ------------------------------------------------------------------------------------------------------------


def run_ours(which: str, folder: Path, output: Path, workers: int) -> None:
    from kiban.make.corpus.stage import run
    from kiban.make.recipe import Recipe
    from kiban.make.stage import StageContext

    uses = ("train", "evaluate")
    source = {"name": "text", "path": str(folder), "owner": "x", "licence": "x", "uses": uses, "id_field": "id"}
    recipe = Recipe.model_validate(
        {
            "name": "benchmark",
            "corpus": {"sources": (source,), **(peers_rules() if which == "rules" else FULL)},
            "model": {"shape": {"depth": 1}},
            "training": {"tokens": 1},
        }
    )
    for name in ("files", "scratch"):
        (output / name).mkdir()
    run(StageContext("corpus", recipe, output, {}, output / "files", output / "scratch", 1, workers=workers))


FULL: dict[str, Any] = {"repair": {}, "quality": {"profile": "kiban"}, "privacy": {}, "duplicates": {}}


def peers_rules() -> dict[str, Any]:
    """The part of the recipe that says what the peers do."""
    from kiban.make.corpus.privacy.config import KINDS

    (words,) = environment().glob("lib/python*/site-packages/hojichar/dict")
    return {
        "filters": {"min_characters": MIN_CHARACTERS},
        "quality": {"profile": "hojichar", "word_lists": str(words), "limits": dict.fromkeys(NOT_COMPARED)},
        "privacy": {"actions": {kind: "mask" if kind in ("email", "phone") else "ignore" for kind in KINDS}},
        "duplicates": {"near": True},
    }


def environment() -> Path:
    return ROOT / ".benchmarks" / "corpus_vs_peers"


def peer_environment() -> str:
    """Python of an environment with the peers, made once."""
    folder = environment()
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr)
        (folder / "ready").touch()
    return str(python)


if __name__ == "__main__":
    main()
