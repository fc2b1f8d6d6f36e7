"""Planning backwards: the best model, and the tokens to train it on, that a budget or a deadline buys.

A scaling law weighs parameters against tokens; what either costs is predicted by the same layout search and step-time
model as a plan's. Where the law gives a loss, the sizes around its optimum are all priced and the one chosen whose
training and lifetime inference come closest to the least that its loss could take (Sardana et al., 2024); without
inference that is the least loss. Sizes are tried on a grid of fixed steps, so that a larger budget never has fewer to
choose from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kiban.kit.errors import BadInput
from kiban.kit.units import format_seconds
from kiban.plan.budget import scaling
from kiban.plan.budget.scaling import Optimum, ScalingLaw
from kiban.plan.budget.sizes import VOCAB_SIZE, Family, shape_of_size
from kiban.plan.budget.sizing import Marginal, SizeSearch
from kiban.plan.estimate import (
    Cluster,
    TrainingEstimate,
    check_precision,
    read_cluster,
)
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanBudget, PlanCluster, PlanFile, PlanModel, PlanSite, PlanTraining
from kiban.plan.quantity import Quantity
from kiban.plan.training.workload import Precision

# Where neither GPUs nor a deadline are given, enough GPUs for about the two months that the largest published runs
# took (Llama 3, 2024: 54 days; DeepSeek-V3, 2024: under two months).
DEFAULT_DURATION_SECONDS = 60 * 86400.0


@dataclass(frozen=True)
class Limit:
    """What bounds the run.

    Attributes:
        gpu_hours: that may be used.
        what: the budget that binds: 'yen', 'gpu_hours' or 'duration'.
        why: in words.
    """

    gpu_hours: float
    what: str
    why: str


@dataclass(frozen=True)
class BestPlan:
    """The best model for a budget, with its full estimate.

    Attributes:
        law_choice: what the law alone would choose for the compute the budget buys.
        marginal: what 10% more budget would change.
        fixed: 'tokens' or 'parameters' where the user decided it, else ''.
        others: what other published laws would choose for the same compute, by name.
    """

    estimate: TrainingEstimate
    limit: Limit
    law: ScalingLaw
    law_choice: Optimum
    family: Family
    inference_tokens: float
    fixed: str
    marginal: Marginal
    others: dict[str, Optimum]

    @property
    def plan(self) -> PlanFile:
        return self.estimate.plan

    @property
    def shape(self) -> ModelShape:
        return self.estimate.shape

    @property
    def parameters(self) -> int:
        """Those that the scaling law sees: the active ones."""
        return self.estimate.parameters.active

    @property
    def tokens(self) -> Quantity:
        """With the band of what the budget turns out to buy."""
        hours = self.estimate.gpu_hours
        assert hours.low is not None
        assert hours.high is not None
        value = float(self.estimate.tokens)
        low, high = value * hours.value / hours.high, value * hours.value / hours.low
        source = "given" if self.fixed == "tokens" else f"what is left of the budget: {self.limit.why}"
        return Quantity(value, "tokens", (source, *hours.sources), low, high)

    @property
    def loss(self) -> Quantity | None:
        """Nats per token of the law's own text; the band is that of the tokens, not of the law."""
        tokens = self.tokens
        assert tokens.low is not None
        assert tokens.high is not None
        found = [
            scaling.predict_loss(self.law, self.parameters, each) for each in (tokens.value, tokens.high, tokens.low)
        ]
        value, low, high = found
        if value is None:
            return None
        band = "the band is that of what the budget buys; the law's own error is not in it"
        return Quantity(value, "nats per token of the law's own text", (self.law.source, band), low, high)

    @property
    def caveats(self) -> list[str]:
        found = []
        compute = scaling.TRAINING_FLOPS * self.parameters * self.estimate.tokens
        if self.family == "moe":
            found.append(scaling.EXPERTS_CAVEAT)
        low, high = self.law.fitted_flops
        if not low <= compute <= high:
            side = "beyond" if compute > high else "below"
            found.append(
                f"{compute:.2g} FLOPs lie {side} the runs that the law was fitted to ({low:.0e} to {high:.0e})"
            )
        if self.law.notes:
            found.append(self.law.notes)
        return found

    def plan_json(self) -> dict[str, Any]:
        """A plan file's content: written as YAML or JSON, `load_plan` reads it back."""
        return plan_content(self.plan)

    def json(self) -> dict[str, Any]:
        estimate, loss = self.estimate, self.loss
        shape_source = (
            f"the size of the grid nearest to the optimum of {self.law.name}, proportioned as a {self.family} model"
        )
        if self.fixed == "parameters":
            shape_source = "given"
        return {
            "name": estimate.name,
            "family": self.family,
            "limit": {"what": self.limit.what, "gpu_hours": self.limit.gpu_hours, "why": self.limit.why},
            "law": {
                "name": self.law.name,
                "source": self.law.source,
                "checked": self.law.checked,
                "choice": {"parameters": self.law_choice.parameters, "tokens": self.law_choice.tokens},
                "others": {name: {"parameters": o.parameters, "tokens": o.tokens} for name, o in self.others.items()},
            },
            "parameters": Quantity(self.parameters, "active parameters", (shape_source,)).json(),
            "tokens": self.tokens.json(),
            "tokens_per_parameter": estimate.tokens / self.parameters,
            "loss": loss.json() if loss else {"value": None, "why": f"{self.law.name} gives no loss"},
            "inference_tokens": self.inference_tokens,
            "lifetime_flops": Quantity(
                Optimum(self.parameters, estimate.tokens, None).lifetime_flops(self.inference_tokens),
                "FLOPs",
                ("6 N D for training and 2 N per token served (Kaplan et al., 2020)",),
            ).json(),
            "marginal": self.marginal.json(),
            "caveats": self.caveats,
            "estimate": estimate.json(),
            "plan": self.plan_json(),
        }


def plan_content(plan: PlanFile) -> dict[str, Any]:
    """A plan as its file would hold it: only what was given, durations and powers with their units."""
    content: dict[str, Any] = plan.model_dump(mode="json", exclude_unset=True)
    if (duration := content.get("budget", {}).get("duration")) is not None:
        content["budget"]["duration"] = f"{duration:.0f} s"
    if (restart := content.get("cluster", {}).get("restart")) is not None:
        content["cluster"]["restart"] = f"{restart:.0f} s"
    return content


# Fewer would not train the smallest model of a laptop; more than a thousand million GPU-hours a year nobody can rent.
FEWEST_TOKENS = 1_000_000
MOST_GPU_HOURS = 1e9


def best_for(
    budget: PlanBudget,
    gpu: str,
    gpus: int | None = None,
    *,
    family: Family = "dense",
    inference_tokens: float = 0.0,
    law: str | None = None,
    tokens: int | None = None,
    parameters: int | None = None,
    seq_len_tokens: int = 4096,
    vocab_size: int = VOCAB_SIZE,
    precision: Precision = "bf16",
    price_yen_per_gpu_hour: float | None = None,
    site: PlanSite | None = None,
    name: str = "best",
) -> BestPlan:
    """The best model and token count that `budget` buys on `gpu`.

    Args:
        budget: yen, GPU-hours or a duration, or several: the tightest binds. A duration alone needs `gpus`.
        gpu: a name of the catalogue.
        gpus: how many; default: as few whole nodes as meet the duration, by default two months.
        family: dense, or a mixture of experts whose active parameters the law is applied to.
        inference_tokens: to be served over the model's life, prompts included; they favour a smaller model.
        law: a name in `data/scaling-laws.yaml`.
        tokens, parameters: one of them may be decided already; the other is found.

    Raises:
        BadInput: no budget, an unknown GPU or law, both tokens and parameters given, or nothing that fits.
    """
    if tokens is not None and parameters is not None:
        raise BadInput("tokens and parameters are both given, so nothing is left to find", hint="leave one of them out")
    for what, number, least in (("tokens", tokens, FEWEST_TOKENS), ("parameters", parameters, 1), ("gpus", gpus, 1)):
        if number is not None and number < least:
            raise BadInput(f"must be at least {least:,}, not {number:,}", where=what)
    if inference_tokens < 0:
        raise BadInput(f"must not be negative, not {inference_tokens:g}", where="inference_tokens")
    chosen = scaling.find_law(law)
    training = PlanTraining(tokens=tokens or 1, seq_len_tokens=seq_len_tokens, precision=precision)
    cluster_given = PlanCluster(gpu=gpu, gpus=gpus or 1)
    if price_yen_per_gpu_hour is not None:
        cluster_given = PlanCluster(gpu=gpu, gpus=gpus or 1, price_yen_per_gpu_hour=price_yen_per_gpu_hour)
    blank = PlanFile(
        name=name,
        model=PlanModel(shape=shape_of_size(1e9, family, vocab_size)),
        training=training,
        cluster=cluster_given,
        site=site or PlanSite(),
        budget=budget,
    )
    cluster = read_cluster(blank, Path())
    check_precision(cluster.accelerator, precision)
    limit = _limit(budget, cluster, gpus)
    if limit.gpu_hours > MOST_GPU_HOURS:
        raise BadInput(f"{limit.why}: {limit.gpu_hours:.2g} GPU-hours are more than there are GPUs for", where="budget")
    if gpus is None:
        gpus = _enough_gpus(cluster, limit.gpu_hours, budget.duration or DEFAULT_DURATION_SECONDS)
        blank = blank.model_copy(update={"cluster": cluster_given.model_copy(update={"gpus": gpus})})
    search = SizeSearch(blank, replace(cluster, gpus=gpus), family, vocab_size, chosen, inference_tokens)
    shape, found_tokens = search.choose(limit.gpu_hours, tokens, parameters)
    estimate = search.settle(shape, found_tokens, limit.gpu_hours, tokens, parameters)
    if estimate.tokens < FEWEST_TOKENS:
        raise BadInput(
            f"it buys {estimate.tokens:,} tokens of training, too few for any model",
            where="budget",
            hint=f"{FEWEST_TOKENS:,} are the least worth planning",
        )
    compute = scaling.TRAINING_FLOPS * estimate.parameters.active * estimate.tokens
    others = {
        each.name: scaling.best_allocation(each, compute, inference_tokens if each.loss else 0.0)
        for each in scaling.laws().values()
        if each.name != chosen.name and (each.loss or not inference_tokens)
    }
    return BestPlan(
        estimate=estimate,
        limit=limit,
        law=chosen,
        law_choice=scaling.best_allocation(chosen, compute, inference_tokens),
        family=family,
        inference_tokens=inference_tokens,
        fixed="tokens" if tokens else "parameters" if parameters else "",
        marginal=search.marginal(estimate, limit.gpu_hours, tokens, parameters),
        others=others,
    )


def _limit(budget: PlanBudget, cluster: Cluster, gpus: int | None) -> Limit:
    """The tightest of what was given, in GPU-hours."""
    price = cluster.price.yen_per_gpu_hour
    found = []
    if budget.yen is not None:
        why = f"{budget.yen:,.0f} yen at {price:,.0f} yen per GPU-hour"
        found.append(Limit(budget.yen / price, "yen", why))
    if budget.gpu_hours is not None:
        found.append(Limit(budget.gpu_hours, "gpu_hours", f"{budget.gpu_hours:,.0f} GPU-hours"))
    if budget.duration is not None and gpus is not None:
        why = f"{format_seconds(budget.duration)} on {gpus:,} GPUs"
        found.append(Limit(budget.duration / 3600 * gpus, "duration", why))
    if found:
        return min(found, key=lambda limit: limit.gpu_hours)
    if budget.duration is not None:
        raise BadInput("a deadline alone says nothing of the means", hint="give gpus, a budget in yen, or GPU-hours")
    raise BadInput("there is no budget to plan for", hint="give yen, GPU-hours, or a deadline and a number of GPUs")


def _enough_gpus(cluster: Cluster, gpu_hours: float, duration_seconds: float) -> int:
    """The fewest GPUs, in nodes of 1, 2, 3, 4, 6, 8, 12 …, that use `gpu_hours` within the duration."""
    needed = gpu_hours * 3600 / duration_seconds
    node = cluster.accelerator.gpus_per_node
    sizes = [n for n in (1, 2, 4) if n < node]
    sizes += sorted({node * 2**k for k in range(21)} | {3 * node * 2**k for k in range(20)})
    return next((size for size in sizes if size >= needed and size <= 2**20), 2**20)
