"""Finding the size: prices models of a grid of sizes on one cluster, and settles on one that uses a budget up.

A size is compared with its neighbours on layouts that were fast for them, and its plan then mended with the full
search, so that a dozen sizes cost little more than one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from kiban.kit.errors import BadInput
from kiban.kit.units import format_count
from kiban.plan.budget import scaling
from kiban.plan.budget.scaling import ScalingLaw
from kiban.plan.budget.sizes import Family, shape_of_size
from kiban.plan.estimate import Cluster, TrainingEstimate, cluster_machine, estimate_workload, goodput_of
from kiban.plan.model import counts
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanFile, PlanModel
from kiban.plan.training.adaptation import plan_workload
from kiban.plan.training.batch import default_batch
from kiban.plan.training.layout import Fixed, Layout
from kiban.plan.training.search import Candidate, search_layouts
from kiban.plan.training.workload import peak_flops

SIZE_STEP = 1.12  # between model sizes tried; the loss is flat around its optimum
SIZES_AROUND = 3  # tried on either side of the law's own choice
START_UTILISATION = 0.35
WITHIN = 0.004  # of the budget is left over at most, where tokens can take up what is left
MORE = 1.1  # budget that the marginal value is told for
DIGITS = 4  # of the number of tokens proposed


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


class SizeSearch:
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
            at, before = max(round(math.log(optimum.parameters, SIZE_STEP)), self._smallest), at
            if at == before:
                break
            at = self._fitting(at, gpu_hours)
            shape, tokens = self._at(at, gpu_hours) or self._refuse(self.shape(SIZE_STEP**at))
            compute = scaling.TRAINING_FLOPS * counts.count_parameters(shape).active * tokens
        return at

    @functools.cached_property
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
        while low > self._smallest and not self._at(low, gpu_hours):
            low, step = max(low - step, self._smallest), 2 * step
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

    def _refuse(self, shape: ModelShape) -> NoReturn:
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
