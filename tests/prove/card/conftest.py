"""The artifacts of two made recipes, one from scratch and one from a base model, as their stages write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kiban.kit.manifest import Party
from kiban.kit.store import Artifact, Store
from kiban.make.recipe import Recipe
from kiban.make.stage import StageContext

Put = Callable[..., Artifact]
Build = Callable[..., StageContext]

SOURCES = {"手順書": ("潮見ヶ丘ポンプ製作所", "CC0-1.0"), "faq": ("サポート部", "CC-BY-4.0")}
SKIPPED = {"files_skipped_by_reason": {"encrypted": 1, "damaged": 1}}
LOSS_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 220"><path d="M20 20C120 150 260 185 580 195" '
    'fill="none" stroke="#1d4f7c" stroke-width="2"/><path d="M20 10V205H590" fill="none" stroke="#888"/></svg>'
)


def corpus_stats() -> dict[str, Any]:
    return {
        "train": {"documents": 1_204, "characters": 1_834_502, "bytes": 5_402_118},
        "heldout": {"documents": 98, "characters": 151_233, "bytes": 447_900},
        "sources": {
            "手順書": {
                "documents_read": 913,
                "train": {"documents": 820, "characters": 1_350_000, "bytes": 3_960_000},
                "heldout": {"documents": 81, "characters": 150_000, "bytes": 440_000},
                "dropped": {"duplicate": 12},
                "files": {"read": 100, "skipped": 2, "repaired": 1, "damaged": 1},
            },
            "faq": {
                "documents_read": 401,
                "train": {"documents": 384, "characters": 484_502, "bytes": 1_442_118},
                "heldout": {"documents": 17, "characters": 1_233, "bytes": 7_900},
                "dropped": {},
                "files": {"read": 13, "skipped": 0, "repaired": 0, "damaged": 0},
            },
        },
        "dropped": {"duplicate": 12},
        "files": {"read": 113, "skipped": 2, "repaired": 1, "damaged": 1},
    }


def model_stats(start: str) -> dict[str, Any]:
    return {
        "architecture": "Qwen3ForCausalLM",
        "parameters": {"total": 5_243_904, "embedding": 1_048_576, "trained": 5_243_904},
        "shape": {"num_hidden_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "vocab_size": 4096},
        "tokens_trained": 700_416,
        "corpus_tokens": 1_021_330,
        "epochs": 0.686,
        "steps": 342,
        "first_loss": 8.3391,
        "final_loss": 4.1127,
        "tokens_per_s": 2_911.4,
        "flops_total": 22_036_000_000_000,
        "mfu": 0.312,
        "mfu_convention": "(6 N + 12 L H Q T) x tokens/s over the peak",
        "precision": "bf16",
        "device": "cpu",
        "start": start,
    }


def evaluation(*, base: bool) -> dict[str, Any]:
    baselines: dict[str, Any] = {
        "unigram": {"value": 4.8812, "ci95": [4.79, 4.97], "difference": {"value": -2.5691, "ci95": [-2.66, -2.48]}}
    }
    if base:
        baselines["base"] = {"value": 2.29, "ci95": [2.2, 2.39], "difference": {"value": 0.0221, "ci95": [-0.01, 0.05]}}
    task: dict[str, Any] = {
        "name": "shiomigaoka-quiz",
        "items": 61,
        "n": 60,
        "errors": 1,
        "chance": 0.25,
        "accuracy": 0.3,
        "ci95": [0.199, 0.425],
        "per_byte": {"right": 20, "accuracy": 0.3333, "ci95": [0.227, 0.459]},
    }
    if base:
        task["base"] = {"n": 60, "right": 15, "accuracy": 0.25, "ci95": [0.158, 0.372], "p": 0.55}
    return {
        "bits_per_byte": {
            "value": 2.3121,
            "ci95": [2.2307, 2.3986],
            "n_documents": 98,
            "bytes": 447_900,
            "baselines": baselines,
        },
        "tasks": [task],
        "samples": [
            {
                "prompt": "SK-200形渦巻ポンプの点検手順\n",
                "text": "1. 吸込弁を閉める。\n2. 電源を切り、札を掛ける。",
                "seed": 1,
            },
            {"prompt": "議事録\n日時: ", "text": "2024年4月18日 <b>10:00</b>\n出席者: `製造部`", "seed": 2},
        ],
    }


def _put_at(tree: Any, where: str, value: Any) -> None:
    *path, last = where.split(".")
    for key in path:
        tree = tree[int(key) if isinstance(tree, list) else key]
    tree[last] = value


@pytest.fixture
def build(tmp_path: Path, put_artifact: Put) -> Build:
    """`build(base=True, card={…}, evaluated={…}, change={"model.epochs": 5})` -> the context of a card.

    What is given replaces the fixture's; `change` replaces single figures of what a stage has written.
    """

    def make(
        *,
        base: bool = False,
        card: Mapping[str, Any] | None = None,
        sources: Mapping[str, tuple[str, str]] = SOURCES,
        corpus: Mapping[str, Any] | None = None,
        model: Mapping[str, Any] | None = None,
        evaluated: Mapping[str, Any] | None = None,
        change: Mapping[str, Any] | None = None,
        uses: tuple[str, ...] = ("train", "evaluate"),
        resources: Mapping[str, Any] | None = None,
    ) -> StageContext:
        store = Store(tmp_path / "store")
        written: dict[str, Any] = {
            "corpus": corpus_stats() if corpus is None else corpus,
            "model": model_stats("base" if base else "scratch") if model is None else model,
            "evaluation": evaluation(base=base) if evaluated is None else evaluated,
        }
        for where, value in (change or {}).items():
            _put_at(written, where, value)
        recipe = Recipe.model_validate(
            {
                "name": "demo",
                "corpus": {
                    "sources": [
                        {"name": name, "path": "x", "owner": owner, "licence": licence, "uses": list(uses)}
                        for name, (owner, licence) in sources.items()
                    ]
                },
                "model": {"base": {"model": "x", "owner": "財団", "licence": "Apache-2.0"}}
                if base
                else {"shape": {"depth": 4}},
                "training": {"tokens": 700_000},
                "card": {
                    "title": "潮見ヶ丘ポンプ製作所 試作モデル",
                    "intended_use": "kibanの動作を手元で確かめるための見本。",
                    "limits": ["数百KBの文書だけから学習した、ごく小さなモデルである。"],
                    **(card or {}),
                },
            },
            strict=False,
        )
        inputs: dict[str, Artifact] = {}
        inputs["corpus"] = put_artifact(
            store,
            "demo/corpus",
            config=recipe.corpus.model_dump(mode="json"),
            inputs={f"source:{name}": "a" * 64 for name in sources},
            parties=[
                Party(source=name, owner=owner, licence=licence, uses=uses)
                for name, (owner, licence) in sources.items()
            ],
            stats=written["corpus"],
            files={"report.json": json.dumps({"sources": dict.fromkeys(sources, SKIPPED)})},
            resources=resources,
        )
        if base:
            inputs["base"] = put_artifact(
                store,
                "demo/base",
                kind="model",
                inputs={"base": "b" * 64},
                parties=[Party(source="base", owner="財団", licence="Apache-2.0")],
                stats={"parameters": {"total": 5_243_904}},
            )
        inputs["tokenizer"] = put_artifact(
            store,
            "demo/tokenizer",
            inputs=dict(inputs),
            stats={
                "algorithm": "bpe",
                "vocab_size": 4096,
                "characters_per_token": 1.842,
                "bytes_per_token": 5.41,
                "reference": {
                    "UTF-8 bytes": {"characters_per_token": 0.3471},
                    "o200k_base": {"status": "not measured", "reason": "not installed"},
                },
            },
        )
        inputs["model"] = put_artifact(
            store,
            "demo/model",
            config={"shape": {"depth": 4}, **recipe.training.model_dump(mode="json")},
            inputs=dict(inputs),
            stats=written["model"],
            files={
                "config.json": json.dumps({"tie_word_embeddings": True}),
                "loss.svg": LOSS_SVG,
            },
            resources={
                "wall_s": 312.7,
                "cpu_s": 590.2,
                "peak_memory_bytes": 1_310_000_000,
                "energy_j": 4_721.6,
                "attempts": 2,
            },
        )
        inputs["evaluation"] = put_artifact(
            store,
            "demo/evaluation",
            config=recipe.evaluation.model_dump(mode="json"),
            inputs={**inputs, "task:shiomigaoka-quiz": "c" * 64},
            files={"evaluation.json": json.dumps(written["evaluation"], ensure_ascii=False)},
            stats={"bits_per_byte": {"value": 2.3121}},
        )
        files, scratch = tmp_path / "files", tmp_path / "scratch"
        for folder in (files, scratch):
            folder.mkdir(exist_ok=True)
        return StageContext("demo/card", recipe, tmp_path, inputs, files, scratch, recipe.seed)

    return make
