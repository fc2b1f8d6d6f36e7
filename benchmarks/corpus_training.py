"""Does curation matter? The same small model trained on raw and on curated text, in bits per byte on clean text.

Raw text is clean pages of debian-ja and aozora-sample (KIBAN_SHARED_DATA or ../shared/data; without them made-up
Japanese, which says nothing) with copies, machine-made pages, menus and damage, as much of each as was published about
the web: `shared/raw_text.py`. Curated is what the corpus stage makes of it with repair, the `kiban` quality profile,
privacy, near duplicates, passages and boilerplate, none of them tuned. Raw goes through the same stage without these
steps, so it too is in kiban's normal form and without equal texts: what is compared is the steps one chooses.

Both are trained with the same tokenizer (learned from the raw text), shape, settings and number of tokens, and neither
text is read twice: there is more of both. (Where there is not, curated text, which is shorter, is repeated sooner, and
what was gained is lost: see docs/log.md.) Each pair has a seed of its own, for what is added, the
first weights and the order. Scored are the first 4,096 bytes of documents that were set aside before: from other parts
of the sources, with a gap between, repaired, none with a Jaccard similarity of 0.5 or more to a training page or to
another (the stage's `against`), and none of which more than a fiftieth stands in sentences that training pages have:
on those, who reads copies is ahead by heart (Lee et al., "Deduplicating Training Data Makes Language Models Better",
2022, score such texts apart). No rule of quality chose them.

"added" is that comparison, and the one with a bar: the 95% interval of the difference in bits per byte, by a bootstrap
over documents and pairs, is to be above 0. "as_shipped" is the same with nothing added: curated by the same settings
against the clean pages as they were published. It is reported and has no bar. "recovered" is how much of the difference
between clean and raw text curation gives back.

Everything runs on one thread per training, so results do not depend on the number of cores; trainings run side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.machine import machine

Floats = npt.NDArray[np.float64]

SCORED_BYTES = 4_096
SEED = 7
ARMS = ("raw", "curated")
CURATION: dict[str, Any] = {
    "repair": {},
    "quality": {"profile": "kiban"},
    "duplicates": {"passages": {}, "boilerplate": {}},
}
NO_CURATION: dict[str, Any] = {"filters": {"min_characters": 1}}


@dataclass(frozen=True)
class Size:
    """
    Attributes:
        clean_bytes: of the pages that raw text is made from.
        tokens: of one training.
        heldout: documents scored, at most.
        depth: layers of 128; the model has 0.9 M parameters with two and 4,096 tokens, 0.5 M with one and 2,048.
    """

    clean_bytes: int
    tokens: int
    pairs: int
    pairs_as_shipped: int
    heldout: int
    vocabulary: int
    depth: int


FULL = Size(6_000_000, 1_000_000, pairs=6, pairs_as_shipped=2, heldout=160, vocabulary=4_096, depth=2)
QUICK = Size(1_500_000, 250_000, pairs=2, pairs_as_shipped=0, heldout=60, vocabulary=2_048, depth=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="less text, smaller models, two pairs: one to three minutes",
    )
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    options = parser.parse_args()
    # Before torch starts its threads, in the processes to come.
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        result = compare(Path(scratch), QUICK if options.quick else FULL, quiet=options.json)
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def compare(scratch: Path, size: Size, *, quiet: bool) -> dict[str, Any]:
    from kiban.make.corpus.reader import read_documents
    from shared import corpus_texts, raw_text

    started = time.perf_counter()
    texts, name = corpus_texts.texts()
    clean, candidates = raw_text.split(texts, size.clean_bytes, 6 * size.heldout, SEED)
    sites: list[list[str]] = [[] for _ in range(raw_text.SITES)]
    for place, page in enumerate(clean):
        sites[place * raw_text.SITES // len(clean)].append(page)
    corpora = {"shipped, raw": corpus(scratch / "shipped", sites, NO_CURATION)}
    compared = {"repair": {}, "duplicates": {"threshold": 0.5, "against": ("clean",)}, **NO_CURATION}
    heldout = corpus(scratch / "heldout", [candidates], compared, {"clean": corpora["shipped, raw"]})
    pages = [document.text for document in read_documents(corpora["shipped, raw"], "train")]
    documents = raw_text.unseen([document.text for document in read_documents(heldout, "train")], pages)
    scored = [raw_text.cut(text, SCORED_BYTES) for text in documents[:: -(-len(documents) // size.heldout)]]
    corpora["shipped, curated"] = corpus(scratch / "shipped-curated", sites, CURATION)
    added = []
    for pair in range(size.pairs):
        pages = raw_text.make_raw(clean, SEED + pair)
        by_site = [[page for page in pages if page.site == site] for site in range(raw_text.SITES)]
        raw = [[page.text for page in some] for some in by_site]
        corpora[f"added {pair}, raw"] = corpus(scratch / f"added-{pair}", raw, NO_CURATION)
        corpora[f"added {pair}, curated"] = corpus(scratch / f"added-{pair}-curated", raw, CURATION)
        added.append(account(by_site, corpora[f"added {pair}, curated"]))
    tokenizer = learn_tokenizer(scratch / "tokenizer", corpora["added 0, raw"], size)
    say(f"{len(clean)} clean pages, {len(scored)} scored documents, {time.perf_counter() - started:.0f} s", quiet)
    trainings = [
        Training(f"{kind}, {pair}, {arm}", corpora[f"{key}, {arm}"], tokenizer, size, SEED + pair, scored)
        for pair in range(size.pairs)
        for kind, key, pairs in (("added", f"added {pair}", size.pairs), ("shipped", "shipped", size.pairs_as_shipped))
        for arm in ARMS
        if pair < pairs
    ]
    scores = train_all(trainings, scratch / "models", quiet)
    return summary(name, size, scores, scored, corpora, added, time.perf_counter() - started)


def say(what: str, quiet: bool) -> None:
    if not quiet:
        print(what, file=sys.stderr, flush=True)


# -- kiban's stages ---------------------------------------------------------------------------------------------------


def recipe(corpus_settings: Mapping[str, Any], size: Size = FULL, seed: int = 1) -> Any:
    from kiban.make.recipe import Recipe

    return Recipe.model_validate(
        {
            "name": "benchmark",
            "seed": seed,
            "corpus": corpus_settings,
            "tokenizer": {"vocab_size": size.vocabulary},
            "model": {"shape": {"depth": size.depth, "hidden_size": 128}},
            "training": {
                "tokens": size.tokens,
                "seq_len_tokens": 256,
                "micro_batch_sequences": 4,
                "learning_rate": 3e-3,
                "device": "cpu",
                "checkpoint_every_seconds": 1e9,
            },
        }
    )


def stage(name: str, folder: Path, made_by: Any, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Run a stage of kiban in `folder`; what it makes lies below files/. Returns its figures."""
    from importlib import import_module

    from kiban.make.stage import StageContext

    for part in ("files", "scratch"):
        (folder / part).mkdir(parents=True)
    artifacts: Any = {role: SimpleNamespace(path=path) for role, path in inputs.items()}
    run = import_module(f"kiban.make.{name}.stage").run
    files, scratch, cores = folder / "files", folder / "scratch", len(os.sched_getaffinity(0))
    context = StageContext(name, made_by, folder, artifacts, files, scratch, made_by.seed, workers=cores)
    with redirected(folder / "log"):
        figures: dict[str, Any] = run(context).stats
    shutil.rmtree(folder / "scratch")
    return figures


def source(name: str) -> dict[str, Any]:
    return {"name": name, "path": name, "owner": "x", "licence": "x", "uses": ("train",), "id_field": "id"}


def corpus(
    folder: Path, sites: Sequence[Sequence[str]], settings: Mapping[str, Any], known: Mapping[str, Path] | None = None
) -> Path:
    """A corpus of which each site is a source."""
    from kiban.kit.withdrawals import COMPARED
    from shared.corpus_texts import write_shards

    sources = []
    for number, pages in enumerate(sites):
        write_shards(((str(place), page) for place, page in enumerate(pages)), folder / f"site-{number}", 2**40)
        sources.append(source(f"site-{number}"))
    inputs = {f"{COMPARED}{name}": path for name, path in (known or {}).items()}
    stage("corpus", folder, recipe({"sources": tuple(sources), **settings}), inputs)
    return folder / "files"


def learn_tokenizer(folder: Path, learned_from: Path, size: Size) -> Path:
    stage("tokenizer", folder, recipe({"sources": (source("text"),)}, size), {"corpus": learned_from})
    return folder / "files"


@dataclass(frozen=True)
class Training:
    name: str
    corpus: Path
    tokenizer: Path
    size: Size
    seed: int
    scored: Sequence[str]


@dataclass(frozen=True)
class Score:
    """Bits of each scored document, and the training's figures."""

    bits: Sequence[float]
    figures: Mapping[str, Any]


def train_all(trainings: Sequence[Training], folder: Path, quiet: bool) -> dict[str, Score]:
    """As many at a time as there are cores."""
    cores = len(os.sched_getaffinity(0))
    scores: dict[str, Score] = {}
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        folders = [folder / str(number) for number in range(len(trainings))]
        for training, score in zip(trainings, pool.map(train_and_score, trainings, folders), strict=True):
            scores[training.name] = score
            size = sum(len(text.encode()) for text in training.scored)
            say(
                f"{training.name}: {sum(score.bits) / size:.4f} bits per byte, "
                f"{score.figures['tokens_per_s']:,.0f} tokens/s, {score.figures['epochs']:.2f} epochs",
                quiet,
            )
    return scores


def train_and_score(training: Training, folder: Path) -> Score:
    from kiban.prove.evaluation.bits_per_byte import HeldOut, score_documents
    from kiban.prove.evaluation.scorer import Scorer

    with redirected(folder.parent.parent / f"{os.getpid()}.log"):
        made_by = recipe({"sources": (source("text"),)}, training.size, training.seed)
        inputs = {"corpus": training.corpus, "tokenizer": training.tokenizer}
        figures = stage("model", folder, made_by, inputs)
        documents = [HeldOut(str(place), "", text, len(text.encode())) for place, text in enumerate(training.scored)]
        scores = score_documents(documents, Scorer(folder / "files"), "model", folder)
    shutil.rmtree(folder)
    return Score([score.bits for score in scores], figures)


@contextmanager
def redirected(log: Path) -> Iterator[None]:
    """What is written to stderr meanwhile, progress mostly, goes to `log`."""
    sys.stderr.flush()
    kept = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


# -- What comes out ---------------------------------------------------------------------------------------------------


def summary(
    text: str,
    size: Size,
    scores: Mapping[str, Score],
    scored: Sequence[str],
    corpora: Mapping[str, Path],
    added: Sequence[Mapping[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    bytes_D = np.array([len(each.encode()) for each in scored], np.float64)
    rows = {
        kind: row(kind, pairs, scores, bytes_D)
        for kind, pairs in (("added", size.pairs), ("shipped", size.pairs_as_shipped))
        if pairs
    }
    better, shipped = rows["added"], rows.get("shipped")
    return {
        "name": "corpus_training",
        "unit": "bits per byte on clean held-out text; lower is better, and ratio is peer over ours",
        "ours": better["curated"],
        "peer": better["raw"],
        "peer_is": "the same text without repair, quality, near duplicates, passages and boilerplate",
        "ratio": round(better["raw"] / better["curated"], 4),
        "difference": better["difference"],
        "difference_95": better["difference_95"],
        "bar": 0.0 if size == FULL else None,
        "bar_is": "the difference's 95% interval is above it; none with --quick, whose two pairs cannot tell",
        "ok": size != FULL or better["difference_95"][0] > 0,
        "n": size.pairs,
        "documents": len(scored),
        "added": better,
        "as_shipped": shipped or "not measured",
        "recovered": recovered(better, shipped) if shipped else "not measured",
        "text": text,
        "pages": added,
        "corpora": {name: kept_of(path) for name, path in corpora.items()},
        "training": {
            "parameters": scores["added, 0, raw"].figures["parameters"]["total"],
            "vocabulary": size.vocabulary,
            "tokens": scores["added, 0, raw"].figures["tokens_trained"],
            "tokens_per_s": round(float(np.median([score.figures["tokens_per_s"] for score in scores.values()]))),
        },
        "seconds": round(seconds),
        "machine": machine("torch"),
    }


def row(kind: str, pairs: int, scores: Mapping[str, Score], bytes_D: Floats) -> dict[str, Any]:
    """One comparison of raw with curated text."""
    from shared.paired_interval import interval

    bits = {arm: np.array([scores[f"{kind}, {pair}, {arm}"].bits for pair in range(pairs)]) for arm in ARMS}
    per_byte = {arm: each.sum(1) / bytes_D.sum() for arm, each in bits.items()}
    by_pair = per_byte["raw"] - per_byte["curated"]
    better = bits["raw"].mean(0) > bits["curated"].mean(0)
    return {
        **{arm: round(float(each.mean()), 4) for arm, each in per_byte.items()},
        "difference": round(float(by_pair.mean()), 4),
        "difference_95": [round(each, 4) for each in interval(bits["raw"] - bits["curated"], bytes_D)],
        "difference_by_pair": [round(float(each), 4) for each in by_pair],
        "documents_better": round(float(better.mean()), 3),
        "epochs": {arm: epochs(scores, kind, arm) for arm in ARMS},
        "pairs": pairs,
    }


def recovered(added: Mapping[str, Any], shipped: Mapping[str, Any]) -> float | None:
    """The share that curation gives back of what training on raw text instead of clean text costs, if it costs any."""
    lost = float(added["raw"]) - float(shipped["raw"])
    return round(float(added["difference"]) / lost, 3) if lost > 0 else None


def epochs(scores: Mapping[str, Score], kind: str, arm: str) -> float:
    """How often a training passed over its corpus; the mean of the pairs."""
    found: list[float] = [
        score.figures["epochs"] for name, score in scores.items() if name.startswith(kind) and name.endswith(arm)
    ]
    return round(sum(found) / len(found), 2)


def account(by_site: Sequence[Sequence[Any]], curated: Path) -> dict[str, Any]:
    """Of one raw text: pages by damage, and MB by what they are, before and after curation."""
    from kiban.make.corpus.reader import read_documents

    pages = {(f"site-{site}", str(place)): page for site, some in enumerate(by_site) for place, page in enumerate(some)}
    kinds: dict[str, Counter[str]] = {}
    for page in pages.values():
        kinds.setdefault(page.kind, Counter()).update(pages=1, raw=len(page.text.encode()))
    for document in read_documents(curated, "train"):
        kinds[pages[document.source, document.id].kind].update(left=1, curated=len(document.text.encode()))
    return {
        "kinds": {
            kind: {
                "pages": counts["pages"],
                "pages_left": counts["left"],
                "raw_mb": round(counts["raw"] / 1e6, 3),
                "curated_mb": round(counts["curated"] / 1e6, 3),
            }
            for kind, counts in sorted(kinds.items())
        },
        "damage": dict(sorted(Counter(page.damage for page in pages.values() if page.damage).items())),
    }


def kept_of(corpus: Path) -> dict[str, Any]:
    totals = json.loads((corpus / "report.json").read_bytes())["totals"]
    return {"documents": totals["train"]["documents"], "dropped": totals["dropped"]}


if __name__ == "__main__":
    main()
