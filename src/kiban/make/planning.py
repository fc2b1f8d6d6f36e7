"""What `kiban plan` can read as a plan: a plan file, a recipe, a transformers configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kiban.kit.config import Origins, blamed
from kiban.kit.errors import BadInput
from kiban.make.recipe import Recipe, TokenizerConfig, load_recipe
from kiban.plan.hardware.this_machine import THIS_MACHINE
from kiban.plan.planfile import (
    LayoutChoice,
    PlanBudget,
    PlanCluster,
    PlanFile,
    PlanModel,
    PlanSite,
    PlanTraining,
    load_plan,
)
from kiban.plan.serving.load import ServingCluster, ServingLoad, ServingPlan, load_serving_plan

P = TypeVar("P", PlanFile, ServingPlan)

# Options of `kiban plan` and the keys of a plan file that they stand for.
KEYS = {
    "gpu": "cluster.gpu",
    "gpus": "cluster.gpus",
    "tokens": "training.tokens",
    "precision": "training.precision",
    "seq_len": "training.seq_len_tokens",
    "batch": "training.global_batch_sequences",
    "area": "site.area",
    "budget_yen": "budget.yen",
    "budget_gpu_hours": "budget.gpu_hours",
    "deadline": "budget.duration",
}


def read_plan(path: Path, overrides: Sequence[str], given: Mapping[str, Any]) -> tuple[PlanFile, Path]:
    """The plan that `path` holds or amounts to, and the folder its relative paths start from.

    Args:
        overrides: `key=value` for the file's own keys; a config.json takes none.
        given: options by their name in KEYS, checked; durations in seconds.

    Raises:
        BadInput: what cannot be read or is wrong, with file and line; a config.json without hardware or tokens.
    """
    if path.is_dir() or _is_model_config(path):
        return _of_config(path, overrides, given), path.parent
    if _has_key(path, "corpus"):
        recipe, _ = load_recipe(path, overrides)
        return _of_recipe(recipe, path, given), path.absolute().parent
    if _has_key(path, "serving"):
        raise BadInput("it plans a service, not a training", where=str(path), hint=f"kiban plan serve {path}")
    return _load(load_plan, path, overrides, given, KEYS), path.parent


def _load(
    load: Callable[[Path, Sequence[str]], tuple[P, Origins]],
    path: Path,
    overrides: Sequence[str],
    given: Mapping[str, Any],
    keys: Mapping[str, str],
) -> P:
    """A plan file with the options' values in place of its own; what is wrong with one is blamed on the option."""
    own: dict[str, str] = {
        f"{keys[name]}={json.dumps(_timed(name, value), ensure_ascii=False)}": option(name)
        for name, value in given.items()
    }
    try:
        return load(path, (*overrides, *own))[0]
    except BadInput as error:
        typed = own.get((error.where or "").removeprefix("--set "))
        if typed is None:
            raise
        raise BadInput(error.message, where=typed, hint=error.hint) from None


def option(name: str) -> str:
    """As it is typed."""
    return f"--{name.replace('_', '-')}"


def _options(given: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, str]:
    """The option that each field's value was given with."""
    return {keys[name].rpartition(".")[2]: option(name) for name in given}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""  # whoever reads it in earnest says why it cannot be read


def _is_model_config(path: Path) -> bool:
    """JSON that is no plan: plans have a cluster."""
    return path.suffix.lower() == ".json" and '"cluster"' not in _text(path)


def _has_key(path: Path, key: str) -> bool:
    """Whether YAML at `path` has `key` at its top."""
    return re.search(rf"^{key}\s*:", _text(path), re.MULTILINE) is not None


def _budget(given: Mapping[str, Any]) -> PlanBudget:
    return PlanBudget.model_construct(
        yen=given.get("budget_yen"), gpu_hours=given.get("budget_gpu_hours"), duration=given.get("deadline")
    )


def _site(given: Mapping[str, Any]) -> PlanSite:
    return PlanSite(area=given["area"]) if "area" in given else PlanSite()


def _of_config(path: Path, overrides: Sequence[str], given: Mapping[str, Any]) -> PlanFile:
    if missing := [option(name) for name in ("gpu", "gpus", "tokens") if name not in given]:
        raise BadInput(
            f"a model's configuration says nothing of the training: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing",
            where=str(path),
            hint="for example --gpu H100 --gpus 512 --tokens 2T",
        )
    if overrides:
        raise BadInput("--set changes plan files and recipes; a model's configuration is taken as it is",
                       where=f"--set {overrides[0]}", hint="give the options, or write a plan file")  # fmt: skip
    config = path / "config.json" if path.is_dir() else path
    name = config.resolve().parent.name if config.name == "config.json" else config.stem
    training = {"tokens": given["tokens"], "seq_len_tokens": given.get("seq_len"), "precision": given.get("precision")}
    training["global_batch_sequences"] = given.get("batch")
    with blamed(_options(given, KEYS), str(path)):
        return PlanFile(
            name=name or "model",
            model=PlanModel(config=str(config.absolute())),
            training=PlanTraining.model_validate({key: value for key, value in training.items() if value is not None}),
            cluster=PlanCluster(gpu=given["gpu"], gpus=given["gpus"]),
            site=_site(given),
            budget=_budget(given),
            sources=(f"the sizes in {config.name}",),
        )


def _of_recipe(recipe: Recipe, path: Path, given: Mapping[str, Any]) -> PlanFile:
    """One device of this machine unless a cluster is given; a recipe's micro-batch stays what it is."""
    training = recipe.training
    tokens = given.get("tokens", training.tokens)
    if tokens is None:
        raise BadInput(
            "how many tokens its epochs have is known when the corpus is made",
            where=f"{path}: training.epochs",
            hint="give --tokens",
        )
    if recipe.model.shape is not None:
        vocab_size = (recipe.tokenizer or TokenizerConfig()).vocab_size
        model = PlanModel(shape=recipe.model.shape.plan_shape(vocab_size))
    else:
        assert recipe.model.base is not None
        base = path.absolute().parent / recipe.model.base.model
        if not (base / "config.json").is_file():
            raise BadInput("there is no config.json of the base model to read its sizes from", where=str(base))
        model = PlanModel(config=str(base))
    gpu = given.get("gpu", THIS_MACHINE)
    alone = "gpu" not in given
    micro_batch = training.micro_batch_sequences
    sequences = given.get("batch", micro_batch * training.gradient_accumulation_steps)
    seq_len = given.get("seq_len", training.seq_len_tokens)
    with blamed(_options(given, KEYS), str(path)):
        return PlanFile(
            name=recipe.name,
            description=recipe.card.intended_use or "",
            model=model,
            training=PlanTraining(
                tokens=max(tokens, sequences * seq_len),  # at least one step
                seq_len_tokens=seq_len,
                global_batch_sequences=sequences,
                precision=given.get("precision", "fp32" if training.precision == "fp32" else "bf16"),
                layout=LayoutChoice(micro_batch=micro_batch, recompute="none") if alone else LayoutChoice(),
            ),
            cluster=PlanCluster(
                gpu=gpu, gpus=given.get("gpus", 1), price_yen_per_gpu_hour=recipe.budget.price_yen_per_hour
            ),
            site=_site(given),
            budget=_budget(given) if any(name in given for name in ("budget_yen", "budget_gpu_hours", "deadline"))
            else PlanBudget.model_construct(yen=recipe.budget.yen, gpu_hours=recipe.budget.gpu_hours,
                                            duration=recipe.budget.hours and recipe.budget.hours * 3600),
            sources=(f"the recipe {path.name}",),
        )  # fmt: skip


# Options of `kiban plan serve` and the keys of a serving plan that they stand for.
SERVING_KEYS = {
    "gpu": "cluster.gpu",
    "rate": "serving.requests_per_second",
    "prompt_tokens": "serving.prompt_tokens",
    "output_tokens": "serving.output_tokens",
    "ttft": "serving.ttft",
    "tpot": "serving.tpot",
}
NEEDED_TO_SERVE = ("gpu", "rate", "prompt_tokens", "output_tokens")


def read_serving_plan(path: Path, overrides: Sequence[str], given: Mapping[str, Any]) -> tuple[ServingPlan, Path]:
    """The service that `path` describes, or that of the model it describes with the options' load.

    Args:
        given: options by their name in SERVING_KEYS, checked; times in seconds.

    Raises:
        BadInput: what cannot be read or is wrong; a model without a GPU or a load.
    """
    if not path.is_dir() and _has_key(path, "serving"):
        return _load(load_serving_plan, path, overrides, given, SERVING_KEYS), path.parent
    if not path.is_dir() and _has_key(path, "corpus"):
        raise BadInput(
            "it is a recipe; a service is planned from a serving plan (YAML with `serving:`), a training plan, "
            "a transformers config.json or a model folder",
            where=str(path),
            hint="once the recipe is made, give its model's folder",
        )
    if missing := [option(name) for name in NEEDED_TO_SERVE if name not in given]:
        raise BadInput(
            f"it says nothing of the service: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            where=str(path),
            hint="for example --gpu H100 --rate 10 --prompt-tokens 1,000 --output-tokens 300",
        )
    if path.is_dir() or _is_model_config(path):
        name, model = path.stem, PlanModel(config=str(path.absolute()))
        sources: tuple[str, ...] = (f"the sizes in {path.name}",)
    else:
        training, _ = load_plan(path, overrides)
        name, model, sources = training.name, training.model, training.sources
    load = {"requests_per_second": given["rate"]}
    load |= {key: given[key] for key in ("prompt_tokens", "output_tokens")}
    load |= {key: _timed(key, given[key]) for key in ("ttft", "tpot") if key in given}
    with blamed(_options(given, SERVING_KEYS), str(path)):
        serving = ServingLoad.model_validate(load)
        cluster = ServingCluster(gpu=given["gpu"])
        plan = ServingPlan(name=name or "model", model=model, serving=serving, cluster=cluster, sources=sources)
    return plan, path.parent


def _timed(name: str, value: Any) -> Any:
    """Durations are read with their unit; every digit of them is kept."""
    return f"{value!r} s" if name in ("deadline", "ttft", "tpot") else value
