"""What the step-time model assumes of software and machines in general: one value each for all of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated

from pydantic import Field

from kiban.kit.config import StrictModel, load_model
from kiban.plan.hardware.accelerators import DATA

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Constants(StrictModel):
    """One value each for every machine and run; docs/plan.md says what each rests on."""

    tile_rows: Positive = Field(description="rows of the output tile that one compute unit makes at a time")
    tile_columns: Positive
    wave_tail: Positive = Field(description="waves of tiles lost at the end of a product, on average")
    inner_ramp: Positive = Field(description="inner size of a product at which half the rate is reached")
    attention_relative_efficiency: Share = Field(description="of fused attention on long sequences over large products")
    attention_ramp_tokens: Positive = Field(description="sequence length at which half of that is reached")
    attention_backward_ratio: Positive = Field(description="attention's backward over forward operations")
    elementwise_backward_ratio: Positive = Field(description="elementwise kernels' backward over forward bytes")
    selective_elementwise_share: Share = Field(
        description="of the forward elementwise work, redone by selective recomputation"
    )
    memory_efficiency: Share = Field(description="of the memory's peak rate in elementwise kernels")
    scale_up_efficiency: Share = Field(description="of the peak rate inside the fast domain")
    scale_out_efficiency: Share = Field(description="of the network's peak rate")
    tensor_parallel_overlap: Share = Field(description="share of tensor-parallel traffic hidden behind products")
    expert_parallel_overlap: Share = Field(description="share of the all-to-all hidden behind products")
    pipeline_overlap: Share = Field(description="share of transfers between stages hidden in steady state")
    data_parallel_overlap: Share = Field(description="share of a micro-batch's passes that can hide gradient traffic")
    exposed_floor: Share = Field(description="share of ring and gradient traffic that sticks out at the least")
    host_seconds_per_layer: Positive = Field(description="to launch a layer's forward kernels")
    host_seconds_per_moe_layer: Positive = Field(
        description="the same with routing, permutation and its synchronisation"
    )
    host_seconds_per_step: Positive = Field(description="data, logging, clipping, synchronisation")
    expert_imbalance: Positive = Field(description="busiest rank's routed tokens over the mean")
    straggler_per_doubling: Share = Field(description="time lost to the slowest rank, per doubling of nodes")
    zero_bubble_residue: Share = Field(description="bubble of the zero-bubble schedule over that of 1F1B")


_TRIED: ContextVar[Constants | None] = ContextVar("tried", default=None)


def constants() -> Constants:
    """The shipped values, or those being tried."""
    return _TRIED.get() or _shipped()


@contextmanager
def trying(**changed: float) -> Iterator[Constants]:
    """Inside it, `constants()` has `changed` values: to see what a prediction, or the error of all, owes to one."""
    tried = constants().model_copy(update=changed)
    token = _TRIED.set(tried)
    try:
        yield tried
    finally:
        _TRIED.reset(token)


@functools.cache
def _shipped() -> Constants:
    loaded, _ = load_model(DATA / "constants.yaml", Constants)
    return loaded
