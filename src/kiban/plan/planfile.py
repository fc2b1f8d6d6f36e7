"""The plan file: what is to be made, on what, where, and within what budget, as strict data with units in the names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from kiban.kit.config import Origins, StrictModel, load_model
from kiban.kit.quantities import GpuHours, Gpus, Seconds, Tokens, Watts, Yen
from kiban.plan.model.families import read_config
from kiban.plan.model.shape import ModelShape
from kiban.plan.training.layout import Recompute, Schedule
from kiban.plan.training.workload import Precision

Positive = Annotated[Tokens, Field(gt=0, le=10**9)]
# A thousand times the largest published pretraining corpora; more is a slip of units.
MOST_TOKENS = 10**17


class PlanModel(StrictModel):
    """Where the structure comes from."""

    shape: ModelShape | None = None
    config: str | None = Field(None, description="a transformers config.json or its folder; relative to the plan")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.shape is None) == (self.config is None):
            raise ValueError("give either `shape` (sizes) or `config` (a transformers config.json)")
        return self


class LayoutChoice(StrictModel):
    """Parts of the layout that are decided already; what is not given is searched."""

    tp: Positive | None = None
    pp: Positive | None = None
    vpp: Positive | None = None
    cp: Positive | None = None
    ep: Positive | None = None
    etp: Positive | None = None
    zero: Literal[0, 1, 2, 3] | None = Field(None, description="3: FSDP")
    shard: Positive | None = Field(None, description="ranks that share one sharded copy (HSDP)")
    micro_batch: Positive | None = Field(None, description="sequences")
    recompute: Recompute | None = None
    schedule: Schedule | None = None

    def fixed(self) -> dict[str, tuple[Any, ...]]:
        return {name: (value,) for name, value in self.model_dump().items() if value is not None}


class PlanTraining(StrictModel):
    tokens: Annotated[Tokens, Field(gt=0, le=MOST_TOKENS)] = Field(description="15T, 15兆 or 15,000,000,000,000")
    seq_len_tokens: Positive = 4096
    global_batch_sequences: Positive | None = Field(None, description="per optimizer step; default: by compute")
    precision: Precision = "bf16"
    layout: LayoutChoice = LayoutChoice()
    optimizer_bytes_per_parameter: Annotated[int, Field(ge=0, le=16)] | None = Field(
        None, description="master weights and moments; default: 12 for Adam in float32, 8 where the weights are float32"
    )
    gradient_bytes_per_parameter: Literal[2, 4] | None = Field(
        None, description="as they are summed; default: 4, and 2 with fp8 and fp4"
    )
    hours_overhead: Annotated[float, Field(ge=1, le=10)] | None = Field(
        None, description="GPU-hours over those of uninterrupted steps, failures apart; default: as published runs had"
    )


class PlanAdaptation(StrictModel):
    """Training on from a model that exists."""

    method: Literal["full", "lora"] = Field(description="full: every parameter; lora: low-rank adapters only")
    rank: Positive | None = Field(None, description="of the adapters; default: 16")
    targets: tuple[str, ...] | None = Field(
        None, description="adapted modules: transformers' names, attention, mlp or all-linear (the default)"
    )

    @model_validator(mode="after")
    def _of_adapters(self) -> Self:
        if self.method == "full" and (self.rank is not None or self.targets is not None):
            raise ValueError("rank and targets belong to method lora")
        return self


class PlanCluster(StrictModel):
    gpu: str = Field(description="a name of the catalogue: H100, B200, MI300X …")
    gpus: Annotated[Gpus, Field(gt=0, le=2**20)]
    catalogue: str | None = Field(None, description="a file of further accelerators; relative to the plan")
    price_yen_per_gpu_hour: Annotated[float, Field(gt=0, le=1e7)] | None = Field(
        None, description="default: published prices"
    )
    mtbf_gpu_hours: Annotated[float, Field(gt=0, le=1e9)] | None = Field(
        None, description="mean hours of one GPU to a failure"
    )
    restart: Annotated[Seconds, Field(ge=0, le=30 * 86400)] | None = Field(
        None, description="from a failure to training again: 15 min"
    )


class PlanSite(StrictModel):
    area: str = Field("東京", description="supply area: 北海道 … 沖縄, Hokkaido … Okinawa, or a foreign grid")
    pue: Annotated[float, Field(ge=1, le=4)] | None = Field(None, description="facility over IT energy")
    feed: Annotated[Watts, Field(gt=0, le=1e12)] | None = Field(None, description="power the site can draw: 30 MW")
    start_month: Annotated[int, Field(ge=1, le=12)] | None = None
    site: str | None = Field(None, description="a site of the catalogue, for its PUE and water use")


class PlanBudget(StrictModel):
    """What must not be exceeded."""

    yen: Annotated[Yen, Field(gt=0)] | None = None
    gpu_hours: Annotated[GpuHours, Field(gt=0)] | None = None
    duration: Annotated[Seconds, Field(gt=0, le=1e10)] | None = Field(
        None, description="from start to end: 90 days, 3か月"
    )


class PlanFile(StrictModel):
    """A training run to be costed."""

    name: str = Field(pattern=r"^[^/\s][^/]*$")
    description: str = ""
    model: PlanModel
    training: PlanTraining
    adaptation: PlanAdaptation | None = Field(None, description="the model exists and is trained on; default: made")
    cluster: PlanCluster
    site: PlanSite = PlanSite()
    budget: PlanBudget = PlanBudget()
    sources: tuple[str, ...] = Field((), description="where the sizes come from")


def load_plan(path: Path, overrides: Sequence[str] = ()) -> tuple[PlanFile, Origins]:
    """Read and check a plan file.

    Raises:
        BadInput: with file and line, or the override, of the first problem.
    """
    return load_model(path, PlanFile, overrides)


def plan_shape(model: PlanModel, folder: Path) -> ModelShape:
    """The structure a plan names; `folder` is where the plan file lies.

    Raises:
        BadInput: the config.json cannot be read or is of an unsupported family.
    """
    if model.shape is not None:
        return model.shape
    assert model.config is not None
    return read_config(folder / model.config)


def plan_json_schema() -> str:
    """JSON Schema (2020-12) of a plan file, for editors. Quantities are numbers or text such as 15T."""
    schema: dict[str, Any] = PlanFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "kiban plan"
    return json.dumps(schema, ensure_ascii=False, indent=2)
