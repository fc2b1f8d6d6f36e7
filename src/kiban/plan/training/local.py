"""A training of kiban's own on one device: predicted before it runs, as `kiban make` shows it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kiban.plan.estimate import Cluster, TrainingEstimate, estimate_workload
from kiban.plan.hardware.this_machine import Measured, ThisMachine
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import LayoutChoice, PlanCluster, PlanFile, PlanModel, PlanSite, PlanTraining
from kiban.plan.training.layout import Layout, LayoutTable
from kiban.plan.training.memory import predict_memory
from kiban.plan.training.reliability import MTBF_GPU_HOURS, MTBF_SOURCE, RESTART_SECONDS
from kiban.plan.training.step import predict_step
from kiban.plan.training.workload import Workload

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
    # A recipe of fewer tokens than a step holds is trained for one step.
    tokens = max(run.tokens, run.sequences_per_step * run.seq_len_tokens)
    plan = PlanFile(
        name=name,
        model=PlanModel(shape=run.shape),
        training=PlanTraining(
            tokens=tokens,
            seq_len_tokens=run.seq_len_tokens,
            global_batch_sequences=run.sequences_per_step,
            precision=run.precision,
            hours_overhead=1.0,  # no trials, no evaluation in between
            layout=LayoutChoice(recompute="none", micro_batch=run.micro_batch_sequences),
        ),
        cluster=PlanCluster(gpu=here.accelerator.name, gpus=1, price_yen_per_gpu_hour=yen_per_hour),
        site=PlanSite(pue=1.0),
    )
    cluster = Cluster(here.accelerator, 1, here.price(yen_per_hour), MTBF_GPU_HOURS, MTBF_SOURCE, RESTART_SECONDS, here)
    return estimate_workload(plan, run.workload(), tokens, cluster, keep=1, explain=False)


@dataclass(frozen=True)
class Trial:
    """A training that was measured."""

    run: LocalRun
    tokens_per_s: float

    @property
    def step_seconds(self) -> float:
        return self.run.sequences_per_step * self.run.seq_len_tokens / self.tokens_per_s


def implied_rates(device: Device, measured: Measured, small: Trial, large: Trial) -> tuple[float, float]:
    """The efficiency of products and the launch seconds per layer with which both trainings would be predicted.

    The larger one decides the efficiency, the smaller one the launches, in turn until both hold; within what is
    physically possible, so that a disturbed measurement cannot give a machine beyond its own peak.
    """

    def step(trial: Trial, efficiency: float, launch: float) -> float:
        tried = measured.model_copy(update={"efficiency": efficiency, "host_seconds_per_layer": launch})
        machine = ThisMachine(device, tried).machine()
        return float(predict_step(trial.run.workload(), machine, LayoutTable.of(_layout(trial.run))).total[0])

    efficiency, launch = measured.efficiency, measured.host_seconds_per_layer
    for _ in range(4):
        inefficiency = _solve(functools.partial(_slowed, step, large, launch), 1.0, 100.0, large.step_seconds)
        efficiency = 1 / inefficiency
        launch = _solve(functools.partial(step, small, efficiency), 1e-7, 1e-1, small.step_seconds)
    return round(efficiency, 4), float(f"{launch:.3g}")


def _slowed(step: Callable[[Trial, float, float], float], trial: Trial, launch: float, inefficiency: float) -> float:
    return step(trial, 1 / inefficiency, launch)


def trained_bytes(run: LocalRun) -> int:
    """What training holds beside the framework."""
    table = predict_memory(run.workload(), LayoutTable.of(_layout(run)))
    return int(table.total[0]) - int(table.framework[0])


def _layout(run: LocalRun) -> Layout:
    return Layout(
        tp=1, cp=1, dp=1, pp=1, ep=1, etp=1, vpp=1, zero=0, shard=1, micro_batch=run.micro_batch_sequences,
        microbatches=run.sequences_per_step // run.micro_batch_sequences, recompute="none", schedule="1f1b",
    )  # fmt: skip


def _solve(rising: Callable[[float], float], low: float, high: float, target: float) -> float:
    """Where a function that rises from `low` to `high` takes the value `target`, by halving the logarithm."""
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if rising(middle) > target else (middle, high)
    return math.sqrt(low * high)
