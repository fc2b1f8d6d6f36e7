"""Planning backwards: the best model, and the tokens to train it on, that a budget or a deadline buys.

A scaling law weighs parameters against tokens; what either costs is predicted by the same layout search and step-time
model as a plan's. Where the law gives a loss, the sizes around its optimum are all priced and the one chosen whose
training and lifetime inference come closest to the least that its loss could take (Sardana et al., 2024); without
inference that is the least loss. Sizes are tried on a grid of fixed steps, so that a larger budget never has fewer to
choose from.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kiban.kit.errors import BadInput
from kiban.kit.units import format_count, format_seconds
from kiban.plan import counts, scaling
from kiban.plan.adaptation import plan_workload
from kiban.plan.batch import default_batch
from kiban.plan.estimate import (
    Cluster,
    TrainingEstimate,
    cluster_machine,
    estimate_workload,
    goodput_of,
    read_cluster,
)
from kiban.plan.layout import Fixed, Layout
from kiban.plan.planfile import PlanBudget, PlanCluster, PlanFile, PlanModel, PlanSite, PlanTraining
from kiban.plan.quantity import Quantity
from kiban.plan.scaling import Optimum, ScalingLaw
from kiban.plan.search import Candidate, search_layouts
from kiban.plan.shape import ModelShape
from kiban.plan.sizes import VOCAB_SIZE, Family, shape_of_size
from kiban.plan.workload import Precision, peak_flops

# Where neither GPUs nor a deadline are given, enough GPUs for about the two months that the largest published runs
# took (Llama 3, 2024: 54 days; DeepSeek-V3, 2024: under two months).
DEFAULT_DURATION_SECONDS = 60 * 86400.0
SIZE_STEP = 1.12  # between model sizes tried; the loss is flat around its optimum
SIZES_AROUND = 3  # tried on either side of the law's own choice
START_UTILISATION = 0.35
WITHIN = 0.004  # of the budget is left over at most, where tokens can take up what is left
MORE = 1.1  # budget that the marginal value is told for
DIGITS = 4  # of the number of tokens proposed


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
class Marginal:
    """What another tenth of the budget would buy; `loss` is the change of it, None where the law gives none."""

    gpu_hours: float
    yen: float
    parameters: float
    tokens: float
    loss: float | None

    def json(self) -> dict[str, Any]:
        return {
            "budget": MORE,
            "gpu_hours": self.gpu_hours,
            "yen": self.yen,
            "parameters": self.parameters,
            "tokens": self.tokens,
            "loss_change": self.loss,
        }


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
    for what, number in (("tokens", tokens), ("parameters", parameters), ("gpus", gpus)):
        if number is not None and number <= 0:
            raise BadInput(f"must be above 0, not {number}", where=what)
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
    limit = _limit(budget, cluster, gpus)
    if gpus is None:
        gpus = _enough_gpus(cluster, limit.gpu_hours, budget.duration or DEFAULT_DURATION_SECONDS)
        blank = blank.model_copy(update={"cluster": cluster_given.model_copy(update={"gpus": gpus})})
    desk = _Desk(blank, replace(cluster, gpus=gpus), family, vocab_size, chosen, inference_tokens)
    shape, found_tokens = desk.choose(limit.gpu_hours, tokens, parameters)
    estimate = desk.settle(shape, found_tokens, limit.gpu_hours, tokens, parameters)
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
        marginal=desk.marginal(estimate, limit.gpu_hours, tokens, parameters),
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


class _Desk:
    """Prices model sizes on one cluster, remembering layouts that were fast for neighbours."""

    def __init__(
        self, blank: PlanFile, cluster: Cluster, family: Family, vocab_size: int, law: ScalingLaw, inference: float
    ) -> None:
        self.blank, self.cluster, self.family, self.vocab_size = blank, cluster, family, vocab_size
        self.law, self.inference = law, inference
        self.layouts: list[Fixed] = []
        self.priced: dict[tuple[str, float], tuple[ModelShape, float] | None] = {}

    # -- choosing a size --------------------------------------------------------------------------------------------

    def choose(self, gpu_hours: float, tokens: int | None, parameters: int | None) -> tuple[ModelShape, float]:
        """The best shape, and about how many tokens `gpu_hours` train it on."""
        if parameters is not None:
            shape = self.shape(parameters)
            return shape, self._tokens(shape, gpu_hours) or self._refuse(shape)
        if tokens is not None:
            return self._largest(tokens, gpu_hours), float(tokens)
        at = self._law_position(gpu_hours)
        if self.law.loss is None:
            return self._at(at, gpu_hours) or self._refuse(self.shape(SIZE_STEP**at))
        # Downhill on the grid; the window is wide enough that a fast layout on one side does not stop it early.
        while True:
            around = range(at - SIZES_AROUND, at + SIZES_AROUND + 1)
            best = min(around, key=lambda position: self._badness(position, gpu_hours))
            if best in around[1:-1]:
                found = self._at(best, gpu_hours)
                return found or self._refuse(self.shape(SIZE_STEP**best))
            at = best

    def _law_position(self, gpu_hours: float) -> int:
        """Grid position of the law's optimum for the compute that the GPU-hours buy at the predicted efficiency.

        Where that does not fit the cluster's memory, of the largest that does.
        """
        peak = peak_flops(self.cluster.accelerator, self.blank.training.precision)
        compute = gpu_hours * 3600 * peak * START_UTILISATION
        at = 0
        for _ in range(3):
            optimum = scaling.best_allocation(self.law, compute, self.inference)
            at, before = max(round(math.log(optimum.parameters, SIZE_STEP)), self._smallest()), at
            if at == before:
                break
            at = self._fitting(at, gpu_hours)
            shape, tokens = self._at(at, gpu_hours) or self._refuse(self.shape(SIZE_STEP**at))
            compute = scaling.TRAINING_FLOPS * counts.count_parameters(shape).active * tokens
        return at

    @functools.cache  # noqa: B019 - a desk lives for one plan
    def _smallest(self) -> int:
        """The first grid position that the vocabulary leaves room for."""
        for position in range(round(math.log(1e6, SIZE_STEP)), round(math.log(1e12, SIZE_STEP))):
            try:
                self.shape(SIZE_STEP**position)
            except BadInput:
                continue
            return position
        raise BadInput(f"no sensible model has a vocabulary of {self.vocab_size:,}", where="vocab_size")

    def _fitting(self, at: int, gpu_hours: float) -> int:
        """`at`, or the largest position below it that fits the cluster's memory."""
        if self._at(at, gpu_hours):
            return at
        step, low = 1, at
        while low > self._smallest() and not self._at(low, gpu_hours):
            low, step = max(low - step, self._smallest()), 2 * step
        high = min(at, low + step)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._at(middle, gpu_hours) else (low, middle)
        return low

    def _badness(self, position: int, gpu_hours: float) -> float:
        """GPU-seconds of training and serving per FLOP that the cheapest model of the same loss would need."""
        found = self._at(position, gpu_hours)
        if found is None:
            return math.inf
        shape, tokens = found
        size = counts.count_parameters(shape).active
        loss = scaling.predict_loss(self.law, size, tokens)
        assert loss is not None
        least = scaling.cheapest_for_loss(self.law, loss, self.inference).lifetime_flops(self.inference)
        served = scaling.INFERENCE_FLOPS / scaling.TRAINING_FLOPS * self.inference
        return gpu_hours * (1 + served / tokens) / least

    def _at(self, position: int, gpu_hours: float) -> tuple[ModelShape, float] | None:
        key = (str(position), gpu_hours)
        if key not in self.priced:
            try:
                shape = self.shape(SIZE_STEP**position)
            except BadInput:  # smaller than the vocabulary allows
                self.priced[key] = None
            else:
                tokens = self._tokens(shape, gpu_hours)
                self.priced[key] = (shape, tokens) if tokens else None
        return self.priced[key]

    def shape(self, parameters: float) -> ModelShape:
        return shape_of_size(parameters, self.family, self.vocab_size)

    def _largest(self, tokens: int, gpu_hours: float) -> ModelShape:
        """The largest model that `gpu_hours` train on `tokens`."""
        low, high = math.log(1e6), math.log(1e14)
        found: ModelShape | None = None
        while high - low > 0.002:
            middle = (low + high) / 2
            try:
                shape = self.shape(math.exp(middle))
            except BadInput:  # at either end of what is sensible
                low, high = (middle, high) if middle < math.log(1e10) else (low, middle)
                continue
            hours = self._hours(shape, float(tokens))
            if hours is not None and hours <= gpu_hours:
                low, found = middle, shape
            else:
                high = middle
        if found is None:
            raise BadInput(
                f"{format_count(tokens)} tokens are too many for {gpu_hours:,.0f} GPU-hours, whatever the model",
                where="tokens",
                hint="take fewer tokens or a larger budget",
            )
        return found

    def _refuse(self, shape: ModelShape) -> Any:
        size = format_count(counts.count_parameters(shape).total)
        raise BadInput(
            f"a model of {size} parameters does not fit {self.cluster.gpus:,} x {self.cluster.accelerator.name}",
            where="gpus",
            hint="take more GPUs or a smaller model",
        )

    # -- prices -----------------------------------------------------------------------------------------------------

    def _tokens(self, shape: ModelShape, gpu_hours: float) -> float | None:
        """Tokens that `gpu_hours` train `shape` on, a little under; None where it does not fit."""
        machine_rate = peak_flops(self.cluster.accelerator, self.blank.training.precision) * START_UTILISATION
        size = counts.count_parameters(shape).active
        tokens = gpu_hours * 3600 * machine_rate / (scaling.TRAINING_FLOPS * size)
        best = 0.0
        for _ in range(8):
            hours = self._hours(shape, tokens)
            if hours is None:
                return None
            if hours <= gpu_hours:
                best = max(best, tokens)
                if hours >= gpu_hours * (1 - WITHIN / 4):
                    break
            tokens *= gpu_hours / hours * (1 - WITHIN / 8)
        return best or tokens * (1 - WITHIN)

    def _hours(self, shape: ModelShape, tokens: float) -> float | None:
        """GPU-hours of training, as an estimate accounts them, on the fastest layout known or, if none fits, found."""
        work = plan_workload(self.blank, shape)
        machine, fitted = cluster_machine(self.cluster, work.precision)
        given = self.blank.training.hours_overhead
        overhead = fitted.hours_overhead if given is None else given
        flops = counts.training_flops_per_token(shape, work.seq_len_tokens).with_attention * tokens
        batch = default_batch(flops, work.seq_len_tokens)

        def best(fixed: Fixed, keep: int) -> Iterator[Candidate]:
            yield from search_layouts(
                work, machine, self.cluster.gpus, batch, fixed=fixed, keep=keep, explain=False
            ).best

        found = [each for fixed in self.layouts for each in best(fixed, 1)]
        if not found:
            found = list(best({}, 3))
            self.layouts += [as_fixed(each.layout) for each in found if as_fixed(each.layout) not in self.layouts]
        if not found:
            return None
        fastest = min(found, key=lambda each: each.seconds_per_sequence)
        useful = fastest.seconds_per_sequence * tokens / work.seq_len_tokens
        share = goodput_of(work, self.cluster, useful).share
        return useful / share * overhead * self.cluster.gpus / 3600

    # -- the plan ---------------------------------------------------------------------------------------------------

    def plan(self, shape: ModelShape, tokens: float) -> PlanFile:
        content = {
            "model": PlanModel(shape=shape),
            "training": self.blank.training.model_copy(update={"tokens": round_down(tokens)}),
        }
        return self.blank.model_copy(update=content)

    def _estimate(self, shape: ModelShape, tokens: float, explain: bool) -> TrainingEstimate:
        plan = self.plan(shape, tokens)
        work = plan_workload(plan, shape)
        keep = 5 if explain else 1
        return estimate_workload(plan, work, plan.training.tokens, self.cluster, keep=keep, explain=explain)

    def settle(
        self, shape: ModelShape, tokens: float, gpu_hours: float, fixed_tokens: int | None, parameters: int | None
    ) -> TrainingEstimate:
        """The full estimate, its tokens (or, with the tokens decided, its size) mended until it is on budget.

        The full search may find a faster layout than the sizes were compared with.
        """
        best: TrainingEstimate | None = None
        for _ in range(4):
            estimate = self._estimate(shape, fixed_tokens or tokens, explain=False)
            fixed = as_fixed(estimate.best.layout)
            if fixed not in self.layouts:
                self.layouts.append(fixed)
            hours = estimate.gpu_hours.value
            if hours <= gpu_hours and (best is None or hours > best.gpu_hours.value):
                best = estimate
            if gpu_hours * (1 - WITHIN) <= hours <= gpu_hours:
                break
            if fixed_tokens is not None:
                mended = self._largest(fixed_tokens, gpu_hours * (1 if hours <= gpu_hours else 0.995))
                if mended == shape:
                    break
                shape = mended
            else:
                tokens *= gpu_hours / hours * (1 - WITHIN / 4)
        if best is None:
            raise BadInput(
                f"no plan stays within {gpu_hours:,.1f} GPU-hours on {self.cluster.gpus:,} GPUs",
                hint="take a larger budget or fewer GPUs",
            )
        return self._estimate(best.shape, best.tokens, explain=True)

    def marginal(
        self, estimate: TrainingEstimate, gpu_hours: float, tokens: int | None, parameters: int | None
    ) -> Marginal:
        """Compared with the same budget planned the same way, with the layouts known by now."""
        self.priced.clear()
        at = self.choose(gpu_hours, tokens, parameters)
        more = self.choose(gpu_hours * MORE, tokens, parameters)
        sizes = [counts.count_parameters(shape).active for shape, _ in (at, more)]
        losses = [
            scaling.predict_loss(self.law, size, trained) for size, (_, trained) in zip(sizes, (at, more), strict=True)
        ]
        change = None if losses[0] is None or losses[1] is None else losses[1] - losses[0]
        hours = gpu_hours * (MORE - 1)
        price = self.cluster.price.yen_per_gpu_hour
        return Marginal(hours, hours * price, sizes[1] - sizes[0], more[1] - at[1], change)


def as_fixed(layout: Layout) -> Fixed:
    """The layout's spread as a restriction of the search; micro-batches stay free."""
    names = ("tp", "cp", "pp", "ep", "etp", "vpp", "zero", "shard", "recompute", "schedule")
    return {name: (getattr(layout, name),) for name in names}


def round_down(tokens: float) -> int:
    """To four significant digits: 1_234_567 -> 1_234_000."""
    if tokens < 10**DIGITS:
        return max(1, math.floor(tokens))
    scale = int(10 ** (math.floor(math.log10(tokens)) - DIGITS + 1))
    return math.floor(tokens / scale) * scale
