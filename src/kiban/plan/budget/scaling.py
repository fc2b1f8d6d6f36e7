"""Scaling laws: the loss of a model of N parameters trained on D tokens, and the N and D that use a compute best.

Compute is 6 N D for training and 2 N for each token served (Kaplan et al., 2020). The laws were fitted to dense
models; here N is the active parameters of a mixture of experts too. Routed experts lower the loss below that of a
dense model of the active size, by less the larger the model (Clark et al., 2022, Unified Scaling Laws for Routed
Language Models), so the loss given for one is an upper estimate.
"""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Self

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel, load_model
from kiban.kit.errors import BadInput
from kiban.plan.hardware.accelerators import DATA

Positive = Annotated[float, Field(gt=0)]

TRAINING_FLOPS = 6.0  # per parameter and token
INFERENCE_FLOPS = 2.0
EXPERTS_CAVEAT = (
    "laws fitted to dense models, applied to the active parameters: routed experts lower the loss further, by less the "
    "larger the model (Clark et al., 2022), so the loss is an upper estimate"
)


class LossLaw(StrictModel):
    """loss = floor + parameter_coefficient / N^parameter_exponent + token_coefficient / D^token_exponent"""

    floor: Positive
    parameter_coefficient: Positive
    parameter_exponent: Positive
    token_coefficient: Positive
    token_exponent: Positive


class OptimumLaw(StrictModel):
    """Training tokens that use a compute best: token_coefficient x C^token_exponent."""

    token_coefficient: Positive
    token_exponent: Annotated[float, Field(gt=0, lt=1)]


class ScalingLaw(StrictModel):
    """One published law."""

    name: str
    loss: LossLaw | None = None
    optimum: OptimumLaw | None = None
    fitted_flops: tuple[float, float] = Field(description="training compute of the smallest and largest run fitted to")
    source: str
    checked: str
    notes: str = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.loss is None) == (self.optimum is None):
            raise ValueError("give either `loss` or `optimum`")
        return self


class ScalingLawFile(StrictModel):
    """The form of `data/scaling-laws.yaml`."""

    default: str
    laws: tuple[ScalingLaw, ...]


@dataclass(frozen=True)
class Optimum:
    """A model size and its training tokens.

    Attributes:
        loss: nats per token of the law's own text and tokenizer; None where the law gives no loss.
    """

    parameters: float
    tokens: float
    loss: float | None

    @property
    def training_flops(self) -> float:
        return TRAINING_FLOPS * self.parameters * self.tokens

    def lifetime_flops(self, inference_tokens: float) -> float:
        """Training and serving `inference_tokens`, prompts included."""
        return self.training_flops + INFERENCE_FLOPS * self.parameters * inference_tokens


@functools.cache
def _file() -> ScalingLawFile:
    return load_model(DATA / "scaling-laws.yaml", ScalingLawFile)[0]


def laws() -> Mapping[str, ScalingLaw]:
    """The published laws by name."""
    return MappingProxyType({law.name: law for law in _file().laws})


def find_law(name: str | None = None) -> ScalingLaw:
    """The law of that name; without one the default.

    Raises:
        BadInput: no such law, with the nearest name.
    """
    known = laws()
    wanted = name or _file().default
    if wanted in known:
        return known[wanted]
    nearest = difflib.get_close_matches(wanted, known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"
    raise BadInput(f"unknown scaling law {wanted!r}", where="law", hint=hint)


def predict_loss(law: ScalingLaw, parameters: float, tokens: float) -> float | None:
    """Nats per token; None where the law gives no loss."""
    fit = law.loss
    if fit is None:
        return None
    by_size = fit.parameter_coefficient / parameters**fit.parameter_exponent
    return float(fit.floor + by_size + fit.token_coefficient / tokens**fit.token_exponent)


def best_allocation(law: ScalingLaw, training_flops: float, inference_tokens: float = 0.0) -> Optimum:
    """The model and tokens that `training_flops` of training should buy.

    Without inference tokens the least loss for that training (Hoffmann et al., 2022, equation 4). With them, the model
    that no other of the same loss undercuts in training plus lifetime inference (Sardana et al., 2024, Beyond
    Chinchilla-Optimal), among those the one whose training takes `training_flops`: smaller, and trained on more.

    Raises:
        BadInput: inference tokens with a law that gives no loss.
    """
    product = training_flops / TRAINING_FLOPS  # N x D
    if law.optimum is not None:
        if inference_tokens:
            raise BadInput(
                f"the scaling law {law.name} gives no loss, so inference cannot be weighed against training",
                where="law",
                hint=f"take {_file().default}",
            )
        tokens = law.optimum.token_coefficient * training_flops**law.optimum.token_exponent
        return Optimum(product / tokens, tokens, None)

    def excess(log_tokens: float) -> float:
        tokens = math.exp(log_tokens)
        return log_tokens + math.log(_size_for(law, tokens, inference_tokens)) - math.log(product)

    tokens = math.exp(_root(excess, math.log(1e-3), math.log(1e30)))
    return Optimum(product / tokens, tokens, predict_loss(law, product / tokens, tokens))


def cheapest_for_loss(law: ScalingLaw, loss: float, inference_tokens: float = 0.0) -> Optimum:
    """The model and tokens that reach `loss` with the least training and lifetime inference (Sardana et al., 2024).

    Raises:
        BadInput: the law gives no loss, or none as low.
    """
    fit = law.loss
    if fit is None or loss <= fit.floor:
        low = f"goes no lower than {fit.floor}" if fit else "gives none"
        raise BadInput(f"a loss of {loss} cannot be planned for: the scaling law {law.name} {low}", where="loss")

    def excess(log_tokens: float) -> float:
        tokens = math.exp(log_tokens)
        reached = predict_loss(law, _size_for(law, tokens, inference_tokens), tokens)
        assert reached is not None
        return loss - reached

    tokens = math.exp(_root(excess, math.log(1e-3), math.log(1e30)))
    return Optimum(_size_for(law, tokens, inference_tokens), tokens, loss)


def _size_for(law: ScalingLaw, tokens: float, inference_tokens: float) -> float:
    """The size for which the last FLOP spent on parameters and on tokens lowers the loss alike.

    Minimising 6 N D + 2 N I at a fixed loss: alpha A / N^alpha = (1 + I / (3 D)) beta B / D^beta.
    """
    fit = law.loss
    assert fit is not None
    by_tokens = fit.token_exponent * fit.token_coefficient / tokens**fit.token_exponent
    dearer = 1 + INFERENCE_FLOPS / TRAINING_FLOPS * inference_tokens / tokens
    by_size = fit.parameter_exponent * fit.parameter_coefficient
    return float((by_size / (by_tokens * dearer)) ** (1 / fit.parameter_exponent))


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function crosses zero, by halving."""
    while high - low > 1e-12 * max(abs(low), abs(high), 1.0):
        middle = (low + high) / 2
        if rising(middle) > 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2
