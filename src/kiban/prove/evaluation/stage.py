"""The stage `evaluation`: a model's scores on held-out documents and tasks, with everything they were computed from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kiban.kit.files import write_json
from kiban.make.recipe import EvaluationConfig
from kiban.make.stage import StageContext, StageResult
from kiban.prove.evaluation.bits_per_byte import (
    DocumentScore,
    HeldOut,
    choose_documents,
    score_documents,
    summarise,
    unigram_bits,
)
from kiban.prove.evaluation.multiple_choice import Item, answer_items, answer_lines, read_task, summarise_task
from kiban.prove.evaluation.samples import choose_prompts, sample
from kiban.prove.evaluation.scorer import Scorer


def run(context: StageContext) -> StageResult:
    """Score the model (and its base) and write evaluation.json, documents.jsonl, items-<task>.jsonl, samples.jsonl.

    Raises:
        BadInput: a task file that is malformed, before any model is loaded.
    """
    config = context.recipe.evaluation
    tasks = {task.name: read_task(task, context.base_folder) for task in config.tasks}
    documents = choose_documents(context.inputs["corpus"].path, config.bits_per_byte)
    prompts = choose_prompts(config.samples, documents)

    ours = _Measured(context, "model", documents, tasks)
    samples = sample(prompts, ours.scorer, config.samples, context.seed)
    unigram: list[float] = []
    if documents:
        counts_V = np.load(context.inputs["model"].path / "unigram.npy")
        unigram = unigram_bits(documents, ours.scorer, counts_V)
    ours.free()
    base = _Measured(context, "base", documents, tasks) if "base" in context.inputs else None

    evaluation = {
        "bits_per_byte": _bits_per_byte(documents, ours.documents, unigram, base, config, context.seed),
        "tasks": [
            summarise_task(name, items, ours.answers[name], base.answers[name] if base else None)
            for name, items in tasks.items()
        ],
        "samples": samples,
        "conventions": {
            "context_tokens": ours.context_tokens,
            "windows": "overlapping by half a context; a document begins after BOS or EOS; EOS itself is not scored",
            "precision": "fp32",
        },
    }
    write_json(context.files / "evaluation.json", evaluation)
    if documents:
        _write_documents(context, documents, ours.documents, unigram, base.documents if base else None)
    for name, items in tasks.items():
        lines = answer_lines(items, ours.answers[name], base.answers[name] if base else None)
        (context.files / f"items-{name}.jsonl").write_text(lines, encoding="utf-8")
    with (context.files / "samples.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in samples)
    return StageResult(stats=_headlines(evaluation))


class _Measured:
    """All that is measured with one model loaded; two large models need not fit in memory together."""

    def __init__(
        self, context: StageContext, role: str, documents: Sequence[HeldOut], tasks: Mapping[str, Sequence[Item]]
    ) -> None:
        self.scorer = Scorer(context.inputs[role].path)
        self.context_tokens = self.scorer.context_tokens
        self.documents: list[DocumentScore] = score_documents(documents, self.scorer, role, context.scratch)
        self.answers = {name: answer_items(items, self.scorer, f"{role}, {name}") for name, items in tasks.items()}

    def free(self) -> None:
        del self.scorer


def _bits_per_byte(
    documents: Sequence[HeldOut],
    ours: Sequence[DocumentScore],
    unigram: Sequence[float],
    base: _Measured | None,
    config: EvaluationConfig,
    seed: int,
) -> dict[str, Any]:
    if not documents:
        return {"status": "not measured", "reason": "the corpus has no held-out documents"}
    baselines = {"unigram": unigram}
    if base is not None:
        baselines["base"] = [score.bits for score in base.documents]
    return summarise(documents, [score.bits for score in ours], baselines, config.bits_per_byte, seed)


def _write_documents(
    context: StageContext,
    documents: Sequence[HeldOut],
    ours: Sequence[DocumentScore],
    unigram: Sequence[float],
    base: Sequence[DocumentScore] | None,
) -> None:
    with (context.files / "documents.jsonl").open("w", encoding="utf-8") as file:
        for index, document in enumerate(documents):
            line: dict[str, Any] = {
                "id": document.id,
                "source": document.source,
                "bytes": document.bytes,
                "tokens": ours[index].tokens,
                "bits": {"model": ours[index].bits, "unigram": unigram[index]},
            }
            if base is not None:
                line["bits"]["base"] = base[index].bits
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _headlines(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest shows of an evaluation; the whole of it is in evaluation.json."""
    scored = evaluation["bits_per_byte"]
    stats: dict[str, Any] = {
        "bits_per_byte": {key: scored[key] for key in ("value", "ci95", "n_documents") if key in scored}
    }
    if "status" in scored:
        stats["bits_per_byte"] = scored
    for name, baseline in scored.get("baselines", {}).items():
        stats[f"bits_per_byte_{name}"] = {key: baseline[key] for key in ("value", "ci95", "difference")}
    for task in evaluation["tasks"]:
        keys = ("accuracy", "ci95", "n", "errors", "status", "reason")
        stats[f"task_{task['name']}"] = {key: task[key] for key in keys if key in task}
    return stats
