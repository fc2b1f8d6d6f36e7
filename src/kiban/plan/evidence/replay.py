"""A published run as the model would have predicted it, with whatever was not published filled in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kiban.kit.errors import BadInput
from kiban.plan.evidence.efficiencies import TYPICAL_EFFICIENCY
from kiban.plan.evidence.runs import Figure, Run
from kiban.plan.model import counts
from kiban.plan.training.batch import default_batch
from kiban.plan.training.constants import constants
from kiban.plan.training.layout import Batch, Layout, LayoutTable
from kiban.plan.training.reliability import predict_goodput
from kiban.plan.training.search import search_layouts
from kiban.plan.training.step import Machine, predict_step
from kiban.plan.training.workload import Workload, peak_flops

# A run whose number of GPUs was not published is taken to have been sized to take about this long.
TYPICAL_DAYS = 30.0


@dataclass(frozen=True)
class Settled:
    """A run with everything unknown about it filled in."""

    run: Run
    work: Workload
    gpus: int
    layout: Layout
    searched: bool
    fits: bool

    def figures(self, machine: Machine, hours_overhead: float) -> list[tuple[Figure, float]]:
        """Each published figure with the predicted one; `hours_overhead` scales GPU-hours alone."""
        table = LayoutTable.of(self.layout)
        step = float(predict_step(self.work, machine, table).total[0])
        tokens = self.layout.microbatches * self.layout.micro_batch * self.layout.dp * self.work.seq_len_tokens
        return [(figure, self._predict(figure, step, tokens, machine, hours_overhead)) for figure in self.run.figures]

    def _predict(self, figure: Figure, step: float, tokens: int, machine: Machine, hours_overhead: float) -> float:
        rate = tokens / step / self.gpus  # tokens per second and GPU
        if figure.kind == "step_seconds":
            return step
        if figure.kind == "tokens_per_s_per_gpu":
            return rate
        if figure.kind == "gpu_hours":
            assert self.run.tokens is not None
            hours = self.run.tokens / rate / 3600
            state = counts.count_parameters(self.work.shape).total * (self.work.optimizer_bytes + 2) / self.gpus
            useful = hours * 3600 / self.gpus
            goodput = predict_goodput(useful_seconds=useful, gpus=self.gpus, state_bytes_per_gpu=state)
            return hours / goodput.share * hours_overhead
        per_s = rate * flops_per_token(self.work, figure, self.layout)
        if figure.kind == "tflops_per_gpu":
            return per_s / 1e12
        return per_s / figure.peak_flops(self.work, machine.accelerator)


def flops_per_token(work: Workload, figure: Figure, layout: Layout) -> float:
    """Operations per token as the figure's authors counted them."""
    flops = counts.training_flops_per_token(work.shape, work.seq_len_tokens)
    if figure.counted != "hardware":
        return float(getattr(flops, figure.counted))
    return counts.hardware_flops_per_token(work.shape, work.seq_len_tokens, layout.recompute)


def settle(run: Run) -> Settled:
    """Fill in GPUs, batch and layout where they were not published, the layout by search.

    Raises:
        BadInput: no layout of the published part exists.
    """
    machine = Machine(run.accelerator, TYPICAL_EFFICIENCY, TYPICAL_EFFICIENCY, constants())
    flops = counts.training_flops_per_token(run.work.shape, run.work.seq_len_tokens).with_attention
    gpus = run.gpus or _typical_gpus(run, flops)
    tokens = run.tokens or 20.0 * counts.count_parameters(run.work.shape).active
    sequences = run.batch_sequences
    batch = Batch(sequences, exact=True) if sequences else default_batch(flops * tokens, run.work.seq_len_tokens)
    # Zero-bubble schedules are in few frameworks; who used one says so.
    fixed = {"schedule": ("1f1b", "interleaved"), **run.fixed}
    for exact, usable in ((True, None), (True, 2**62), (False, None), (False, 2**62)):
        tried = batch if exact else Batch(batch.sequences, exact=False)
        found = search_layouts(run.work, machine, gpus, tried, fixed=fixed, keep=1, explain=False, usable_bytes=usable)
        if found.best:
            return Settled(run, run.work, gpus, found.best[0].layout, found.examined > 1, usable is None)
    reasons = "; ".join(reason for reason, _ in found.rejected.most_common(2))
    raise BadInput(f"{run.name}: no layout of {gpus:,} GPUs is possible: {reasons}")


def _typical_gpus(run: Run, flops_per_token: float) -> int:
    per_s = 0.4 * peak_flops(run.accelerator, "bf16")
    needed = flops_per_token * (run.tokens or 0.0) / per_s / (TYPICAL_DAYS * 86400)
    return int(2 ** max(3, math.ceil(math.log2(max(needed, 1.0)))))
