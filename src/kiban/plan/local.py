"""A training of kiban's own on one device: predicted before it runs, as `kiban make` shows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kiban.plan.estimate import Cluster, TrainingEstimate, estimate_workload
from kiban.plan.layout import Layout, LayoutTable
from kiban.plan.machine import Measured, ThisMachine
from kiban.plan.planfile import LayoutChoice, PlanCluster, PlanFile, PlanModel, PlanSite, PlanTraining
from kiban.plan.reliability import MTBF_GPU_HOURS, MTBF_SOURCE, RESTART_SECONDS
from kiban.plan.shape import ModelShape
from kiban.plan.step import predict_step
from kiban.plan.workload import Workload

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class LocalRun:
    """What `kiban make` trains, as its recipe or its manifest says.

    Attributes:
        sequences_per_step: micro-batches of all accumulation steps together.
        trainable: share of the parameters that are trained.
    """

    shape: ModelShape
    tokens: int
    seq_len_tokens: int
    micro_batch_sequences: int
    sequences_per_step: int
    precision: Literal["fp32", "bf16"]
    trainable: float = 1.0

    def workload(self) -> Workload:
        """Weights, gradients and moments in float32; with bfloat16, a copy of the weights for each product."""
        optimizer = 12 if self.precision == "bf16" else 8
        return Workload(self.shape, self.seq_len_tokens, self.precision, optimizer, 4, self.trainable)


def predict_local(run: LocalRun, here: ThisMachine, name: str, yen_per_hour: float | None = None) -> TrainingEstimate:
    """What training `run` on this machine will take.

    Energy is that of the machine, as it is metered: no share of a building's.

    Raises:
        BadInput: it does not fit the device's memory.
    """
    plan = PlanFile(
        name=name,
        model=PlanModel(shape=run.shape),
        training=PlanTraining(
            tokens=run.tokens,
            seq_len_tokens=run.seq_len_tokens,
            global_batch_sequences=run.sequences_per_step,
            precision=run.precision,
            layout=LayoutChoice(recompute="none", micro_batch=run.micro_batch_sequences),
        ),
        cluster=PlanCluster(gpu=here.accelerator.name, gpus=1, price_yen_per_gpu_hour=yen_per_hour),
        site=PlanSite(pue=1.0),
    )
    cluster = Cluster(here.accelerator, 1, here.price(yen_per_hour), MTBF_GPU_HOURS, MTBF_SOURCE, RESTART_SECONDS, here)
    return estimate_workload(plan, run.workload(), run.tokens, cluster, keep=1, explain=False)


Trained = tuple[LocalRun, float]  # with its tokens per second


def implied_rates(device: Device, measured: Measured, small: Trained, large: Trained) -> tuple[float, float]:
    """The efficiency of products and the launch seconds per layer with which both trainings would be predicted.

    The larger one decides the efficiency, the smaller one the launches, in turn until both hold; within what is
    physically possible, so that a disturbed measurement cannot give a machine beyond its own peak.
    """
    efficiency, launch = measured.efficiency, measured.host_seconds_per_layer
    for _ in range(4):
        efficiency = _solve(lambda x: _seconds(device, measured, x, launch, large), 0.01, 1.0, _step(large))
        launch = _solve(lambda x: -_seconds(device, measured, efficiency, x, small), 1e-7, 1e-1, -_step(small))
    return round(efficiency, 4), float(f"{launch:.3g}")


def _step(trained: Trained) -> float:
    run, tokens_per_s = trained
    return run.sequences_per_step * run.seq_len_tokens / tokens_per_s


def _seconds(device: Device, measured: Measured, efficiency: float, launch: float, trained: Trained) -> float:
    tried = measured.model_copy(update={"efficiency": efficiency, "host_seconds_per_layer": launch})
    run = trained[0]
    layout = Layout(
        tp=1, cp=1, dp=1, pp=1, ep=1, etp=1, vpp=1, zero=0, shard=1, micro_batch=run.micro_batch_sequences,
        microbatches=run.sequences_per_step // run.micro_batch_sequences, recompute="none", schedule="1f1b",
    )  # fmt: skip
    return float(predict_step(run.workload(), ThisMachine(device, tried).machine(), LayoutTable.of(layout)).total[0])


def _solve(falling: Callable[[float], float], low: float, high: float, target: float) -> float:
    """Where a function that falls from `low` to `high` takes the value `target`, by halving the logarithm."""
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if falling(middle) > target else (low, middle)
    return math.sqrt(low * high)
