"""From a plan to what it will take: counts, layout, memory, time, money, energy and carbon, each with its sources."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kiban import __version__
from kiban.kit.errors import BadInput
from kiban.plan.energy.footprint import Footprint, footprint
from kiban.plan.evidence.efficiencies import Efficiencies, efficiencies, machine_for
from kiban.plan.hardware.accelerators import Accelerator, accelerators, find_accelerator
from kiban.plan.hardware.prices import Price, price_of
from kiban.plan.hardware.this_machine import ThisMachine, is_this_machine, read_this_machine
from kiban.plan.model import counts
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanFile, plan_shape
from kiban.plan.quantity import Quantity
from kiban.plan.training import batch as batches
from kiban.plan.training.adaptation import (
    Adapters,
    describe_adaptation,
    lora_flops_per_token,
    plan_adapters,
    plan_workload,
)
from kiban.plan.training.layout import Batch
from kiban.plan.training.reliability import MTBF_GPU_HOURS, MTBF_SOURCE, RESTART_SECONDS, Goodput, predict_goodput
from kiban.plan.training.search import Candidate, SearchResult, require_layout, search_layouts
from kiban.plan.training.step import Machine
from kiban.plan.training.workload import Workload, peak_flops
from kiban.plan.warnings import PlanWarning, find_warnings

STRUCTURE = "counted from the structure"
MEMORY = "activations as Korthikanti et al. (2022), sharding as ZeRO (Rajbhandari et al., 2020), from the structure"


@dataclass(frozen=True)
class Cluster:
    """Hardware a plan runs on, with what it costs and how often it fails."""

    accelerator: Accelerator
    gpus: int
    price: Price
    mtbf_gpu_hours: float
    mtbf_source: str
    restart_seconds: float
    here: ThisMachine | None = None  # what was measured, where the hardware is this machine


@dataclass(frozen=True)
class TrainingEstimate:
    """Everything predicted about one training run; `json` gives the object that `kiban plan --json` prints."""

    name: str
    shape: ModelShape
    work: Workload
    tokens: int
    cluster: Cluster
    machine: Machine
    fitted: Efficiencies
    search: SearchResult
    best: Candidate
    goodput: Goodput
    search_seconds: float
    batch_asked: int  # sequences, before a layout rounded them
    batch_source: str
    plan: PlanFile

    # -- what it comes to -------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> counts.ParameterCount:
        return counts.count_parameters(self.shape)

    @property
    def is_sparse(self) -> bool:
        return bool(self.shape.num_experts)

    @property
    def flops(self) -> counts.TrainingFlops:
        """Per token."""
        if self.adapters is not None:
            return lora_flops_per_token(self.shape, self.work.seq_len_tokens, self.adapters)
        return counts.training_flops_per_token(self.shape, self.work.seq_len_tokens)

    @functools.cached_property
    def adapters(self) -> Adapters | None:
        """What is trained instead of the model's own parameters, where a plan adapts a base with LoRA."""
        return plan_adapters(self.plan, self.shape)

    @property
    def batch_tokens(self) -> int:
        return self.best.sequences * self.work.seq_len_tokens

    @property
    def steps(self) -> int:
        return max(1, -(-self.tokens // self.batch_tokens))

    @property
    def step_seconds(self) -> Quantity:
        value = self.best.step_seconds
        low, high = self.fitted.band_of(self.machine.accelerator, self.work.precision, sparse=self.is_sparse)
        key = f"{self.machine.accelerator.name} {self.work.precision}"
        sources = (
            f"roofline and alpha-beta model; efficiency of products {self.machine.efficiency:.2f} for {key}, fitted to "
            f"{self.fitted.source}",
        )
        return Quantity(value, "s", sources, value * low, value * high)

    @property
    def duration_seconds(self) -> Quantity:
        """Wall-clock time from start to end, as projects account it."""
        step, given = self.step_seconds, self.plan.training.hours_overhead
        overhead = self.fitted.hours_overhead if given is None else given
        value = step.value * self.tokens / self.batch_tokens / self.goodput.share * overhead
        low, high = self.fitted.hours_band_of(self.machine.accelerator, self.work.precision, sparse=self.is_sparse)
        sources = (
            *step.sources,
            f"{self.goodput.share:.1%} of the time trains: failures and checkpoints after Young (1974) and Daly "
            f"(2006), {self.goodput.source}",
            f"times {overhead:.2f} for evaluation, trials, rewound and repeated steps: "
            + (
                "the plan"
                if given is not None
                else f"the median of published GPU-hours over predicted ones, {self.fitted.source}"
            ),
        )
        return Quantity(value, "s", sources, value * low, value * high)

    @property
    def tokens_per_s_per_gpu(self) -> Quantity:
        step = self.step_seconds
        assert step.low is not None
        assert step.high is not None
        per_gpu = self.batch_tokens / self.cluster.gpus
        return Quantity(per_gpu / step.value, "tokens/s per GPU", step.sources, per_gpu / step.high, per_gpu / step.low)

    @property
    def gpu_hours(self) -> Quantity:
        return self.duration_seconds.times(self.cluster.gpus / 3600, "GPU-hours")

    @property
    def yen(self) -> Quantity:
        price = self.cluster.price
        return self.gpu_hours.with_range(
            price.yen_per_gpu_hour,
            price.low_yen_per_gpu_hour,
            price.high_yen_per_gpu_hour,
            "JPY",
            f"{price.yen_per_gpu_hour:,.0f} yen per GPU-hour ({price.low_yen_per_gpu_hour:,.0f} to "
            f"{price.high_yen_per_gpu_hour:,.0f}): {price.method}",
            *price.sources,
        )

    @property
    def mfu(self) -> dict[str, float]:
        """Model FLOP utilisation by convention, of the dense 16-bit peak."""
        rate = self.batch_tokens / self.best.step_seconds / self.cluster.gpus
        peak = peak_flops(self.cluster.accelerator, "bf16")
        flops, seq_len = self.flops, self.work.seq_len_tokens
        whole = counts.training_flops_per_token(self.shape, seq_len).with_causal_attention
        again = counts.hardware_flops_per_token(self.shape, seq_len, self.best.layout.recompute, "causal") - whole
        per_token = {
            "six_n": flops.six_n,
            "with_attention": flops.with_attention,
            "with_causal_attention": flops.with_causal_attention,
            "hardware": flops.with_causal_attention + again,
        }
        return {convention: rate * count / peak for convention, count in per_token.items()}

    @functools.cached_property
    def footprint(self) -> Footprint:
        hours = self.duration_seconds.value / 3600
        return footprint(self.gpu_hours, hours, self.cluster.accelerator, self.cluster.gpus, self.plan.site)

    @property
    def warnings(self) -> list[PlanWarning]:
        return find_warnings(self)

    # -- as one JSON object -----------------------------------------------------------------------------------------

    def json(self) -> dict[str, Any]:
        parameters, flops = self.parameters, self.flops
        sources = (STRUCTURE, *self.plan.sources)
        return {
            "kiban": __version__,
            "name": self.name,
            "description": self.plan.description,
            "params_total": Quantity(parameters.total, "parameters", sources).json(),
            "params_active": Quantity(parameters.active, "parameters", sources).json(),
            "params_by_part": parameters.by_part(),
            "adaptation": describe_adaptation(self.plan, self.shape, self.work.element_bytes),
            "tokens": Quantity(self.tokens, "tokens", ("the plan",)).json(),
            "flops": {
                **Quantity(
                    flops.with_causal_attention * self.tokens, "FLOPs", (STRUCTURE, CONVENTIONS[HEADLINE])
                ).json(),
                "convention": CONVENTIONS[HEADLINE],
                "by_convention": {
                    name: getattr(flops, name) * self.tokens for name in CONVENTIONS if name != "hardware"
                },
            },
            "cluster": {
                "gpu": self.cluster.accelerator.name,
                "gpus": self.cluster.gpus,
                "precision": self.work.precision,
                "sources": list(self.cluster.accelerator.sources),
            },
            "layout": {
                **asdict(self.best.layout),
                "value": self.best.layout.describe(),
                "sources": [
                    f"the fastest per token of {self.search.fitting:,} layouts that fit, "
                    f"of {self.search.examined:,} examined"
                ],
            },
            "layouts": [self._candidate(each) for each in self.search.best],
            "alternatives": [
                {
                    "dimension": each.dimension,
                    "value": each.value,
                    "layout": each.layout.describe(),
                    "slower": each.slower,
                    "needs_bytes": each.needs_bytes,
                    "why": each.why,
                }
                for each in self.search.alternatives
            ],
            "search": {
                "examined": self.search.examined,
                "fitting": self.search.fitting,
                "rejected": dict(self.search.rejected.most_common()),
                "seconds": self.search_seconds,
            },
            "memory_per_gpu_bytes": {
                **Quantity(self.best.memory_bytes, "bytes", (MEMORY,)).json(),
                "by_category": self.best.memory,
                "usable_bytes": self.search.usable_bytes,
            },
            "batch": {
                "sequences": self.best.sequences,
                "tokens": self.batch_tokens,
                "steps": self.steps,
                "sources": [self.batch_source],
            },
            "step_seconds": {**self.step_seconds.json(), "by_part": self.best.seconds},
            "tokens_per_s_per_gpu": self.tokens_per_s_per_gpu.json(),
            "mfu": {
                **self._mfu().json(),
                "convention": CONVENTIONS[HEADLINE] + PEAK,
                "by_convention": self.mfu,
            },
            "goodput": asdict(self.goodput),
            "duration_seconds": self.duration_seconds.json(),
            "gpu_hours": self.gpu_hours.json(),
            "yen": {**self.yen.json(), "yen_per_gpu_hour": self.cluster.price.yen_per_gpu_hour},
            **self.footprint.json(),
            "budget": self.plan.budget.model_dump(exclude_none=True),
            "warnings": [asdict(each) for each in self.warnings],
        }

    def _mfu(self) -> Quantity:
        step, value = self.step_seconds, self.mfu[HEADLINE]
        assert step.low is not None
        assert step.high is not None
        low, high = value * step.value / step.high, value * step.value / step.low
        return Quantity(value, "share of the dense 16-bit peak", step.sources, low, high)

    def _candidate(self, candidate: Candidate) -> dict[str, Any]:
        return {
            **asdict(candidate.layout),
            "text": candidate.layout.describe(),
            "step_seconds": candidate.step_seconds,
            "sequences": candidate.sequences,
            "slower": candidate.seconds_per_sequence / self.best.seconds_per_sequence - 1,
            "memory_per_gpu_bytes": candidate.memory_bytes,
            "seconds_by_part": candidate.seconds,
        }


CONVENTIONS: Mapping[str, str] = {
    "six_n": "6 x active parameters, attention not counted (Kaplan et al., 2020)",
    "with_attention": "6 x weights of matrix products + attention over all pairs of tokens (PaLM, 2022, appendix B)",
    "with_causal_attention": "6 x weights of matrix products + attention over the pairs a causal mask lets through",
    "hardware": "causal pairs, and what is recomputed counted again (HFU)",
}
# What the hardware has to do to train, and so never more than its peak, however long the sequences.
HEADLINE = "with_causal_attention"
PEAK = "; of the dense 16-bit peak, whatever the precision"


def estimate(plan: PlanFile, folder: Path, *, keep: int = 5, explain: bool = True) -> TrainingEstimate:
    """Predict what `plan` takes; `folder` is where relative paths in it start.

    Raises:
        BadInput: an impossible shape, an unknown GPU or area, a cluster too small (with the smallest that works), a
            batch that no layout divides.
    """
    shape = plan_shape(plan.model, folder)
    work = plan_workload(plan, shape)
    cluster = read_cluster(plan, folder)
    check_precision(cluster.accelerator, work.precision)
    return estimate_workload(plan, work, plan.training.tokens, cluster, keep=keep, explain=explain)


def cluster_machine(cluster: Cluster, precision: str) -> tuple[Machine, Efficiencies]:
    """What the cluster's accelerator reaches at a precision, and the fit behind it."""
    if cluster.here is not None:
        return cluster.here.machine(), cluster.here.efficiencies(efficiencies())
    fitted = efficiencies()
    return machine_for(cluster.accelerator, precision, fitted), fitted


def goodput_of(work: Workload, cluster: Cluster, useful_seconds: float) -> Goodput:
    """What failures and checkpoints leave of the time of a run on the cluster."""
    state = counts.count_parameters(work.shape).total * (work.optimizer_bytes * work.trainable + work.element_bytes)
    return predict_goodput(
        useful_seconds=useful_seconds,
        gpus=cluster.gpus,
        state_bytes_per_gpu=state / cluster.gpus,
        mtbf_gpu_hours=cluster.mtbf_gpu_hours,
        restart_seconds=cluster.restart_seconds,
        source=cluster.mtbf_source,
    )


def estimate_workload(
    plan: PlanFile, work: Workload, tokens: int, cluster: Cluster, *, keep: int = 5, explain: bool = True
) -> TrainingEstimate:
    """The estimate of a workload on a cluster; the plan gives batch, layout, site and names."""
    training = plan.training
    machine, fitted = cluster_machine(cluster, work.precision)
    flops = counts.training_flops_per_token(work.shape, work.seq_len_tokens).with_attention * tokens
    if training.global_batch_sequences:
        batch, batch_source = Batch(training.global_batch_sequences, exact=True), "the plan"
    else:
        batch, batch_source = batches.default_batch(flops, work.seq_len_tokens), batches.SOURCE
    if batch.sequences * work.seq_len_tokens > tokens:
        whole = tokens // work.seq_len_tokens
        if batch.exact or not whole:
            raise BadInput(
                f"a step of {batch.sequences * work.seq_len_tokens:,} tokens is more than the {tokens:,} trained on",
                where="training.tokens",
            )
        batch = Batch(whole, exact=False)
    started = time.perf_counter()
    fixed = training.layout.fixed()
    found = search_layouts(work, machine, cluster.gpus, batch, fixed=fixed, keep=keep, explain=explain)
    best = require_layout(found, work, machine, cluster.gpus, batch, fixed)
    if cluster.here is not None and cluster.here.device == "cpu":
        # A process on a processor has no GPU's context; what its libraries hold was measured.
        memory = {**best.memory, "framework": cluster.here.measured.framework_bytes}
        best = replace(best, memory=memory)
        found = replace(found, best=[best, *found.best[1:]])
    seconds = time.perf_counter() - started
    useful = best.step_seconds * tokens / (best.sequences * work.seq_len_tokens)
    goodput = goodput_of(work, cluster, useful)
    name = plan.name
    return TrainingEstimate(
        name,
        work.shape,
        work,
        tokens,
        cluster,
        machine,
        fitted,
        found,
        best,
        goodput,
        seconds,
        batch.sequences,
        batch_source,
        plan,
    )


def read_cluster(plan: PlanFile, folder: Path) -> Cluster:
    """The hardware of a plan, with its price.

    Raises:
        BadInput: an unknown GPU, with the nearest names.
    """
    given = plan.cluster
    here = read_this_machine() if is_this_machine(given.gpu) else None
    if here and given.gpus > 1:
        raise BadInput(
            "this-machine is one device, and nothing is known of others", where="cluster.gpus", hint="give 1"
        )
    catalogue = accelerators(folder / given.catalogue) if given.catalogue else None
    accelerator = here.accelerator if here else find_accelerator(given.gpu, "cluster.gpu", catalogue)
    yen = given.price_yen_per_gpu_hour
    price = here.price(yen) if here else price_of(accelerator, yen)
    mtbf = given.mtbf_gpu_hours
    source = "the plan" if mtbf else MTBF_SOURCE
    restart = RESTART_SECONDS if given.restart is None else given.restart
    return Cluster(accelerator, given.gpus, price, mtbf or MTBF_GPU_HOURS, source, restart, here)


def check_precision(accelerator: Accelerator, precision: str) -> None:
    """Refuse a precision the hardware has no units for.

    Raises:
        BadInput: with those it has.
    """
    known = set(accelerator.peak_flops) | ({"fp16"} if "bf16" in accelerator.peak_flops else set())
    if precision not in known:
        raise BadInput(
            f"{accelerator.name} has no {precision}",
            where="training.precision",
            hint=f"it has {', '.join(accelerator.peak_flops)}",
        )
