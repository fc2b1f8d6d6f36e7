"""What the training of a recipe will take on this machine, before it starts, and whether its budget allows that."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kiban.kit.errors import BadInput, Refused
from kiban.kit.figures import look_up
from kiban.kit.meter import gpu_names
from kiban.kit.store import Artifact, Store
from kiban.kit.units import format_count, format_energy, format_seconds
from kiban.make.graph import Node
from kiban.make.recipe import BudgetConfig, Recipe, TokenizerConfig
from kiban.plan.hardware.this_machine import ThisMachine, read_this_machine
from kiban.plan.model.families import read_config
from kiban.plan.quantity import Quantity

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Unknown:
    """Why nothing can be predicted, now or at all."""

    why: str
    later: bool = False  # known when the stages before training are made


@dataclass(frozen=True)
class Forecast:
    """What training was predicted to take, figure by figure, with the whole estimate as JSON."""

    device: Device
    machine: str
    parameters: int
    tokens: int
    tokens_per_s: Quantity
    seconds: Quantity
    gpu_hours: Quantity
    kwh: Quantity
    yen: Quantity
    electricity_alone: bool
    was_busy: bool
    estimate: Mapping[str, Any]

    def lines(self) -> str:
        """For people, on stderr."""
        what = f"{format_count(self.parameters)} parameters, {format_count(self.tokens)} tokens on {self.machine}"
        speed = f"{format_count(round(self.tokens_per_s.value))} tokens/s, {_said(self.seconds, format_seconds)}"
        energy = _said(self.kwh, lambda kwh: format_energy(kwh * 3.6e6))
        yen = _said(self.yen, _yen) + (" of electricity" if self.electricity_alone else "")
        lines = f"▸ plan: {what}\n  {speed}; {energy}; {yen}"
        if self.was_busy:
            lines += "\n  the machine was busy when it was measured: `kiban plan measure` when it is idle tells more"
        return lines

    def json(self) -> dict[str, Any]:
        return {
            "device": self.device,
            "machine": self.machine,
            "tokens": self.tokens,
            "tokens_per_s": self.tokens_per_s.json(),
            "seconds": self.seconds.json(),
            "gpu_hours": self.gpu_hours.json(),
            "kwh": self.kwh.json(),
            "yen": self.yen.json(),
        }

    def check(self, budget: BudgetConfig) -> list[str]:
        """What only the upper end of the band exceeds, in words.

        Raises:
            Refused: the prediction itself exceeds the budget, by how much.
        """
        hours = self.seconds.times(1 / 3600, "h")
        limits = (
            ("budget.yen", budget.yen, self.yen, "yen"),
            ("budget.gpu_hours", budget.gpu_hours, self.gpu_hours, "GPU-hours"),
            ("budget.hours", budget.hours, hours, "hours"),
            ("budget.kwh", budget.kwh, self.kwh, "kWh"),
        )
        remarks = []
        for where, limit, predicted, unit in limits:
            if limit is None or predicted.high is None or predicted.high <= limit:
                continue
            if predicted.value > limit:
                raise Refused(
                    f"training is predicted to take {predicted.value:,.4g} {unit}, {predicted.value - limit:,.3g} "
                    f"({predicted.value / limit - 1:.0%}) more than the budget of {limit:,.4g}",
                    where=where,
                    hint="train on fewer tokens, take a smaller shape, or raise the budget",
                )
            remarks.append(
                f"the predicted {predicted.value:,.4g} {unit} are within the budget of {limit:,.4g}, but the upper end "
                f"of the 80% band, {predicted.high:,.4g}, is not"
            )
        return remarks


def _said(quantity: Quantity, say: Any) -> str:
    assert quantity.low is not None
    assert quantity.high is not None
    return f"{say(quantity.value)} ({say(quantity.low)} – {say(quantity.high)})"


def _yen(yen: float) -> str:
    return f"¥{yen:,.0f}" if yen >= 100 else f"¥{yen:.2g}"


def forecast_training(
    recipe: Recipe, base_folder: Path, nodes: list[Node], store: Store, *, may_measure: bool
) -> Forecast | Unknown:
    """Predict the stage `model` from what is known by now: the recipe, and the artifacts that are made already.

    Args:
        may_measure: whether to measure this machine if that was not done yet (in a process of its own).
    """
    made = {node.stage: found for node in nodes if (found := store.get(node.spec.digest))}
    shape = _shape(recipe, base_folder, made)
    if isinstance(shape, Unknown):
        return shape
    tokens = _tokens(recipe, made)
    if isinstance(tokens, Unknown):
        return tokens
    device = training_device(recipe.training.device)
    try:
        here = _measured(device, may_measure)
    except BadInput as error:
        return Unknown(str(error))
    return _predict(recipe, shape, tokens, here)


def _predict(recipe: Recipe, shape: Any, tokens: int, here: ThisMachine) -> Forecast | Unknown:
    from kiban.plan.model.counts import count_parameters
    from kiban.plan.training.local import LocalRun, predict_local  # numpy comes with it

    training = recipe.training
    count = count_parameters(shape)
    frozen = count.embedding + count.head if "embeddings" in training.freeze else 0
    run = LocalRun(
        shape=shape,
        tokens=tokens,
        seq_len_tokens=training.seq_len_tokens,
        micro_batch_sequences=training.micro_batch_sequences,
        sequences_per_step=training.micro_batch_sequences * training.gradient_accumulation_steps,
        precision=here.measured.precision if training.precision == "auto" else training.precision,
        trainable=1 - frozen / count.total,
    )
    try:
        estimate = predict_local(run, here, recipe.name, recipe.budget.price_yen_per_hour)
    except BadInput as error:  # what does not fit is for the stage to say: it knows what it allocates
        return Unknown(error.message)
    price = estimate.cluster.price
    none = Quantity(0.0, "GPU-hours", ("the processor trains",), 0.0, 0.0)
    return Forecast(
        device=here.device,
        machine=f"{here.measured.processor} ({here.measured.cores} cores)" if here.device == "cpu" else
        here.measured.processor,
        parameters=count.total,
        tokens=tokens,
        tokens_per_s=estimate.tokens_per_s_per_gpu,
        seconds=estimate.duration_seconds,
        gpu_hours=estimate.gpu_hours if here.device == "cuda" else none,
        kwh=estimate.footprint.kwh,
        yen=estimate.yen,
        electricity_alone=price.method.startswith("electricity alone"),
        was_busy=here.measured.was_busy,
        estimate=estimate.json(),
    )  # fmt: skip


def training_device(asked: Literal["auto", "cpu", "cuda"]) -> Device:
    """The device that training will choose, found without importing torch (two seconds that a plan need not take)."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1")
    without_cuda = importlib.metadata.version("torch").endswith("+cpu")
    return "cpu" if asked == "cpu" or hidden or without_cuda or not gpu_names() else "cuda"


def _measured(device: Device, may_measure: bool) -> ThisMachine:
    try:
        return read_this_machine(device)
    except BadInput:
        if not may_measure:
            raise
    print("kiban: measuring this machine once, for predictions", file=sys.stderr, flush=True)
    # In a process of its own: torch's threads and allocator are set up there, and its memory is given back.
    subprocess.run([sys.executable, "-m", "kiban", "plan", "measure"], stdout=subprocess.DEVNULL, check=False)
    return read_this_machine(device)


def _shape(recipe: Recipe, base_folder: Path, made: Mapping[str, Artifact]) -> Any:
    if recipe.model.shape is not None:
        vocab_size = (recipe.tokenizer or TokenizerConfig()).vocab_size
        if "tokenizer" in made:
            vocab_size = look_up(made["tokenizer"].manifest.stats, "vocab_size") or vocab_size
        return recipe.model.shape.plan_shape(vocab_size)
    assert recipe.model.base is not None
    folder = made["base"].path if "base" in made else base_folder / recipe.model.base.model
    if not (folder / "config.json").is_file():
        return Unknown("the base model's sizes are known when it is an artifact", later=True)
    try:
        return read_config(folder)
    except BadInput as error:
        return Unknown(error.message)


def _tokens(recipe: Recipe, made: Mapping[str, Artifact]) -> int | Unknown:
    """Tokens trained on; with `epochs`, those of the corpus as its held-out text tells."""
    training = recipe.training
    if training.tokens is not None:
        return -(-training.tokens // training.seq_len_tokens) * training.seq_len_tokens
    assert training.epochs is not None
    if not {"corpus", "tokenizer"} <= set(made):
        return Unknown("how many tokens the epochs have is known when the corpus and tokenizer are made", later=True)
    stats = made["corpus"].manifest.stats
    characters = look_up(stats, "train", "characters")
    if recipe.corpus.mix is not None and recipe.corpus.mix.epochs is not None:
        of_source = {name: look_up(stats, "sources", name, "train", "characters") for name in recipe.corpus.mix.epochs}
        characters = sum(passes * of_source[name] for name, passes in recipe.corpus.mix.epochs.items())
    per_token = look_up(made["tokenizer"].manifest.stats, "characters_per_token")
    if not isinstance(characters, int | float) or not isinstance(per_token, int | float):
        return Unknown("the corpus has no held-out text to tell how many tokens its epochs have")
    return max(training.seq_len_tokens, round(training.epochs * characters / per_token))
