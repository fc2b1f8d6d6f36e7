"""The tokenizer stage: corpus (and base model) in; tokenizer files, report.json and their figures out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from kiban.kit.errors import BadInput
from kiban.kit.files import write_json
from kiban.kit.progress import progress
from kiban.make.recipe import TokenizerConfig
from kiban.make.stage import StageContext, StageResult
from kiban.make.tokenizer.files import copy_base_tokenizer, load_for_text, save_tokenizer
from kiban.make.tokenizer.report import measure, references, unused_tokens
from kiban.make.tokenizer.sample import corpus_bytes, sample_blocks
from kiban.make.tokenizer.train import PATTERN_NAME, train

# Held-out text that the report measures; more would not change the third digit.
MAX_REPORT_BYTES = 8 * 2**20
# What the reference learns from and unused tokens are looked for in, out of the training sample.
MAX_REFERENCE_BYTES = 8 * 2**20


def run(context: StageContext) -> StageResult:
    """Learn a tokenizer from the corpus, or take over the base model's, and measure it on held-out text.

    Raises:
        BadInput: the training split has no text, or the base model has no tokenizer.json.
    """
    corpus = context.inputs["corpus"].path
    total = corpus_bytes(corpus, "train")
    if not total:
        raise BadInput("the training split of the corpus has no text", where=str(corpus))
    if context.recipe.start == "base":
        copy_base_tokenizer(context.inputs["base"].path, context.files)
        made: dict[str, Any] = {"algorithm": "from base model"}
    else:
        made = _learn(context, corpus, total)
    tokenizer = load_for_text(context.files)
    # Counted, not the largest id: what planning and the card call the vocabulary.
    vocab_size = tokenizer.get_vocab_size(with_added_tokens=True)
    report = {**made, "vocab_size": vocab_size, **_report(corpus, total, tokenizer, vocab_size)}
    write_json(context.files / "report.json", report)
    return StageResult(stats=_headline(report))


def _learn(context: StageContext, corpus: Path, total: int) -> dict[str, Any]:
    config = context.recipe.tokenizer or TokenizerConfig()
    used = 0

    def texts() -> Iterator[str]:
        nonlocal used
        with progress("tokenizer: reading", min(total, config.max_training_bytes), "bytes") as shown:
            for block in sample_blocks(corpus, "train", config.max_training_bytes, total):
                size = len(block.text.encode())
                used += size
                shown.advance(size)
                yield block.text
        print(f"tokenizer: learning up to {config.vocab_size:,} tokens", file=sys.stderr, flush=True)

    tokenizer = train(texts(), config, context.scratch)
    if not used:
        raise BadInput(
            f"{config.max_training_bytes} bytes are so few that no text was drawn from the corpus's {total:,}",
            where="tokenizer.max_training_bytes",
            hint="raise it, or leave it out",
        )
    save_tokenizer(tokenizer, context.files)
    return {
        "algorithm": config.algorithm,
        "pre_tokenizer": PATTERN_NAME,
        "requested_vocab_size": config.vocab_size,
        "training_bytes": used,
        "training_split_bytes": total,
    }


def _report(corpus: Path, total: int, tokenizer: Tokenizer, vocab_size: int) -> dict[str, Any]:
    def learned_from() -> Iterator[str]:
        return (block.text for block in sample_blocks(corpus, "train", MAX_REFERENCE_BYTES, total))

    unused = {"unused_tokens": unused_tokens(tokenizer, learned_from())}
    heldout_bytes = corpus_bytes(corpus, "heldout")
    blocks = list(sample_blocks(corpus, "heldout", MAX_REPORT_BYTES, heldout_bytes))
    if not blocks:
        missing = {"status": "not measured", "reason": "the corpus has no held-out documents"}
        return {**unused, "characters_per_token": missing, "bytes_per_token": missing, "reference": {}}
    print("tokenizer: measuring it on held-out text", file=sys.stderr, flush=True)
    return {**unused, **measure(tokenizer, references(learned_from, vocab_size), blocks)}


def _headline(report: dict[str, Any]) -> dict[str, Any]:
    """The report without what is per source or an example."""
    stats = {key: value for key, value in report.items() if key not in ("per_source", "examples")}
    stats["reference"] = {
        name: {key: value for key, value in figures.items() if key != "per_source"}
        for name, figures in report["reference"].items()
    }
    return stats
