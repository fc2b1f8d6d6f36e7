"""Serving: the GPUs for a stated load and latency, what a million tokens cost, and what limits them.

For every way to spread a replica, the most sequences it can run at once within the cache's memory and both latencies
is found; that gives its requests per second (Little, 1961), of which a share is kept free. The load is dealt evenly
over as many replicas as it needs, and the spread with the fewest GPUs wins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from kiban import __version__
from kiban.kit.config import Origins, StrictModel, load_model
from kiban.kit.errors import BadInput
from kiban.kit.quantities import Seconds, Tokens
from kiban.kit.units import format_bytes
from kiban.plan.energy.siting import energy, find_site
from kiban.plan.evidence.efficiencies import efficiencies
from kiban.plan.hardware.accelerators import Accelerator, accelerators, find_accelerator
from kiban.plan.hardware.prices import Price, price_of
from kiban.plan.hardware.this_machine import is_this_machine
from kiban.plan.model.counts import count_parameters
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanModel, PlanSite, plan_shape
from kiban.plan.quantity import Quantity
from kiban.plan.serving.replica import (
    BASIS,
    CACHE_BYTES,
    THROUGHPUT_BAND,
    USABLE_SHARE,
    CachePrecision,
    Requests,
    Server,
    WeightPrecision,
    kv_cache_bytes,
    product_precision,
    replicas,
    serving_machine,
)

# Share of requests that wait no longer than the time to first token says.
PUNCTUAL = 0.95
MILLION = 1e6
# More than any service has, and far more than any model reads; beyond these a unit has slipped.
MOST_REQUESTS_PER_S = 1e7
MOST_TOKENS = 10**8
ALONE = 1e-4  # sequences running on average where a request practically never meets another


class ServingLoad(StrictModel):
    """What is asked of a service. Means over requests; latencies are to hold while the load is at its peak."""

    requests_per_second: Annotated[float, Field(gt=0, le=MOST_REQUESTS_PER_S)]
    prompt_tokens: Annotated[Tokens, Field(gt=0, le=MOST_TOKENS)] = Field(description="mean length of a prompt")
    output_tokens: Annotated[Tokens, Field(gt=0, le=MOST_TOKENS)] = Field(description="mean length of an answer")
    cached_prompt_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="of prompt tokens, found in a prefix cache"
    )
    ttft: Annotated[Seconds, Field(gt=0)] = Field(2.0, description="time to first token, 95% of requests: 2 s")
    tpot: Annotated[Seconds, Field(gt=0)] = Field(0.05, description="time per output token, mean of a request: 50 ms")
    headroom: Annotated[float, Field(ge=0, le=0.95)] = Field(
        0.3, description="share of each replica's capacity that the mean load leaves free for peaks"
    )
    weights: WeightPrecision = "bf16"
    kv_cache: CachePrecision = "bf16"
    usable_memory_share: Annotated[float, Field(gt=0, le=1)] = USABLE_SHARE

    @property
    def requests(self) -> Requests:
        return Requests(self.prompt_tokens, self.output_tokens, self.prompt_tokens * self.cached_prompt_share)


class ServingCluster(StrictModel):
    gpu: str = Field(description="a name of the catalogue")
    catalogue: str | None = Field(None, description="a file of further accelerators; relative to the plan")
    price_yen_per_gpu_hour: Annotated[float, Field(gt=0)] | None = Field(None, description="default: published prices")
    tp: Annotated[int, Field(gt=0)] | None = Field(None, description="tensor-parallel GPUs; default: searched")


class ServingPlan(StrictModel):
    """A service to be costed."""

    name: str = Field(pattern=r"^[^/\s][^/]*$")
    description: str = ""
    model: PlanModel
    serving: ServingLoad
    cluster: ServingCluster
    site: PlanSite = PlanSite()
    sources: tuple[str, ...] = Field((), description="where the sizes come from")


def load_serving_plan(path: Path, overrides: Sequence[str] = ()) -> tuple[ServingPlan, Origins]:
    """Read and check a serving plan file.

    Raises:
        BadInput: with file and line, or the override, of the first problem.
    """
    return load_model(path, ServingPlan, overrides)


@dataclass(frozen=True)
class Operation:
    """One replica under some load.

    Attributes:
        requests_per_s: of the whole replica.
        sequences: running in every batch.
        tpot_s: mean time between a request's output tokens.
        ttft_s: what 95% of requests wait at most for their first token, in the queue and being worked on.
        busy: share of the replica's prompt capacity in use.
    """

    requests_per_s: float
    sequences: float
    tpot_s: float
    ttft_s: float
    busy: float


def operate(server: Server, sequences: float, requests: Requests) -> Operation:
    """The replica with `sequences` running in every batch.

    A request waits for the step under way, for the prompts before it, and for its own. Prompts share steps of at most
    a chunk; their queue follows M/M/1, their lengths spreading as much as their mean: a share busy x exp(-(1 - busy)
    t / s) waits longer than t (Kleinrock, 1975, section 3.2).
    """
    rate = server.requests_per_s(sequences, requests)
    step = server.mean_step_seconds(sequences, requests)
    running = max(sequences, 1.0)
    each = server.prompt_share_seconds(running, requests)
    busy = rate / (server.replica.groups * server.replica.pp) * each
    if busy >= 1:
        return Operation(rate, sequences, step, math.inf, busy)
    queue = max(0.0, math.log(busy / (1 - PUNCTUAL))) * each / (1 - busy) if busy > 0 else 0.0
    return Operation(rate, sequences, step, step + queue + server.prompt_seconds(running, requests), busy)


@dataclass(frozen=True)
class Choice:
    """One spread with its capacity, and how many replicas the load needs."""

    server: Server
    capacity: Operation
    room: int  # sequences that the cache has room for, in every batch
    count: int
    limit: str

    @property
    def gpus(self) -> int:
        return self.count * self.server.replica.gpus


@dataclass(frozen=True)
class ServingEstimate:
    """GPUs for a load, with latencies, rates and costs; `json` gives what `kiban plan serve --json` prints."""

    plan: ServingPlan
    shape: ModelShape
    accelerator: Accelerator
    price: Price
    choice: Choice
    operation: Operation
    others: tuple[Choice, ...]

    @property
    def load(self) -> ServingLoad:
        return self.plan.serving

    @property
    def gpus(self) -> Quantity:
        """The band: what the same load needs if replicas do better or worse than predicted."""
        size = self.choice.server.replica.gpus
        able = self.choice.capacity.requests_per_s * (1 - self.load.headroom)
        low, high = (
            size * math.ceil(self.load.requests_per_second / able / factor) for factor in THROUGHPUT_BAND[::-1]
        )
        why = f"{self.load.headroom:.0%} of each replica's capacity is left free"
        return Quantity(self.choice.gpus, "GPUs", (BASIS, why), min(low, self.choice.gpus), max(high, self.choice.gpus))

    @property
    def tokens_per_s(self) -> float:
        """Prompt and output tokens of the stated load."""
        return self.load.requests_per_second * (self.load.prompt_tokens + self.load.output_tokens)

    @property
    def output_tokens_per_s(self) -> float:
        return self.load.requests_per_second * self.load.output_tokens

    @property
    def yen_per_hour(self) -> Quantity:
        price = self.price
        return self.gpus.with_range(
            price.yen_per_gpu_hour,
            price.low_yen_per_gpu_hour,
            price.high_yen_per_gpu_hour,
            "JPY per hour",
            f"{price.yen_per_gpu_hour:,.0f} yen per GPU-hour: {price.method}",
            *price.sources,
        )

    @property
    def kwh_per_hour(self) -> Quantity:
        site = find_site(self.plan.site.site, where="site.site")
        pue = self.plan.site.pue if self.plan.site.pue is not None else site.pue
        # A memory-bound GPU is as busy as any other to its driver; what stands free idles.
        used = energy(1.0, self.accelerator, 1 - self.load.headroom, pue)
        why = (used.method, *used.sources, f"PUE {pue:g}")
        return self.gpus.with_range(
            used.facility_kwh, used.low_facility_kwh, used.high_facility_kwh, "kWh per hour", *why
        )

    def _per_million(self, per_hour: Quantity, tokens_per_s: float, unit: str) -> Quantity:
        return per_hour.times(MILLION / (tokens_per_s * 3600), unit, "of the stated load")

    def _latency(self, value: float, why: str) -> Quantity:
        low, high = THROUGHPUT_BAND
        return Quantity(value, "s", (BASIS, why), value / high, value / low)

    def json(self) -> dict[str, Any]:
        parameters = count_parameters(self.shape)
        server, load, operation = self.choice.server, self.load, self.operation
        structure = ("counted from the structure", *self.plan.sources)
        low, high = THROUGHPUT_BAND
        able = self.choice.capacity.requests_per_s * self.choice.count
        per_sequence = kv_cache_bytes(self.shape, load.requests.whole, CACHE_BYTES[load.kv_cache])
        return {
            "kiban": __version__,
            "name": self.plan.name,
            "description": self.plan.description,
            "params_total": Quantity(parameters.total, "parameters", structure).json(),
            "params_active": Quantity(parameters.active, "parameters", structure).json(),
            "load": load.model_dump(mode="json"),
            "gpu": self.accelerator.name,
            "gpus": self.gpus.json(),
            "replicas": self.choice.count,
            "layout": {**asdict(server.replica), "gpus": server.replica.gpus, "text": server.replica.describe()},
            "limited_by": self.choice.limit,
            "batch": {
                "running": operation.sequences,
                "at_capacity": self.choice.capacity.sequences,
                "room": self.choice.room,
                "sources": ["Little's law; of every batch of every group"],
            },
            "memory_per_gpu_bytes": {
                "weights": int(server.weight_bytes),
                "kv_cache": int(server.free_bytes),
                "reserved": int(server.reserved_bytes),
                "kv_cache_per_sequence": int(per_sequence),
                "sources": list(structure),
            },
            "ttft_seconds": self._latency(operation.ttft_s, "95% of requests, at the stated load").json(),
            "tpot_seconds": self._latency(operation.tpot_s, "mean of a request, at the stated load").json(),
            "at_capacity": {
                "ttft_seconds": self.choice.capacity.ttft_s,
                "tpot_seconds": self.choice.capacity.tpot_s,
                "requests_per_second": Quantity(able, "requests/s", (BASIS,), able * low, able * high).json(),
            },
            "tokens_per_s": Quantity(self.tokens_per_s, "tokens/s, prompts included", ("the plan",)).json(),
            "output_tokens_per_s_per_gpu": Quantity(
                self.output_tokens_per_s / self.choice.gpus, "tokens/s per GPU", ("the plan over the GPUs",)
            ).json(),
            "yen_per_hour": {**self.yen_per_hour.json(), "yen_per_gpu_hour": self.price.yen_per_gpu_hour},
            "yen_per_million_tokens": self._per_million(
                self.yen_per_hour, self.tokens_per_s, "JPY per million tokens, prompts included"
            ).json(),
            "yen_per_million_output_tokens": self._per_million(
                self.yen_per_hour, self.output_tokens_per_s, "JPY per million output tokens"
            ).json(),
            "kwh_per_million_tokens": self._per_million(
                self.kwh_per_hour, self.tokens_per_s, "kWh per million tokens, prompts included"
            ).json(),
            "alternatives": [
                {
                    "layout": each.server.replica.describe(),
                    "replicas": each.count,
                    "gpus": each.gpus,
                    "limited_by": each.limit,
                }
                for each in self.others
            ],
            "not_counted": [
                "speculative decoding and multi-token prediction",
                "prefill and decode on separate GPUs",
                "hours with less load than stated",
            ],
        }


def estimate_serving(plan: ServingPlan, folder: Path) -> ServingEstimate:
    """The GPUs that `plan` needs; `folder` is where relative paths in it start.

    Raises:
        BadInput: as `plan_serving`, and a config.json that cannot be read.
    """
    return plan_serving(plan, plan_shape(plan.model, folder), folder)


def plan_serving(plan: ServingPlan, shape: ModelShape, folder: Path = Path()) -> ServingEstimate:
    """The fewest GPUs on which `shape` serves the plan's load within its latencies.

    Raises:
        BadInput: an unknown GPU, a model or a sequence that fits no spread, or latencies that none meets, with what
            limits and the nearest that is achieved.
    """
    load, given = plan.serving, plan.cluster
    if is_this_machine(given.gpu):
        raise BadInput(
            "of this machine, training is measured and serving is not",
            where="cluster.gpu",
            hint="name a GPU of `kiban plan gpus`; `kiban serve` runs a model here",
        )
    catalogue = accelerators(folder / given.catalogue) if given.catalogue else None
    accelerator = find_accelerator(given.gpu, "cluster.gpu", catalogue)
    machine = serving_machine(accelerator, product_precision(accelerator, load.weights), efficiencies())
    price = price_of(accelerator, given.price_yen_per_gpu_hour)
    servers = [
        Server(shape, machine, each, load.weights, load.kv_cache, load.usable_memory_share)
        for each in replicas(shape, max(accelerator.scale_up.gpus, 1))
        if given.tp is None or each.tp == given.tp
    ]
    fitting = [server for server in servers if server.most_sequences(load.requests) >= 1]
    if not fitting:
        raise _does_not_fit(servers, accelerator, load, given.tp)
    choices = [choice for server in fitting if (choice := choose(server, load))]
    if not choices:
        raise _too_slow(fitting, load)
    # Among equals small replicas: one that fails takes less with it.
    choices.sort(key=lambda choice: (choice.gpus, choice.server.replica.gpus, choice.capacity.tpot_s))
    best = choices[0]
    operation = under_load(best.server, load.requests_per_second / best.count, load.requests, best.capacity)
    return ServingEstimate(plan, shape, accelerator, price, best, operation, tuple(choices[1:5]))


def choose(server: Server, load: ServingLoad) -> Choice | None:
    """The most that a replica can do within the latencies; None where a request alone is too slow."""
    requests, room = load.requests, server.most_sequences(load.requests)

    def meets(sequences: float) -> bool:
        operation = operate(server, sequences, requests)
        return operation.tpot_s <= load.tpot and operation.ttft_s <= load.ttft

    if not meets(ALONE):
        return None
    low, high = ALONE, float(room)
    if meets(high):
        low = high
    while high / low > 1.0005:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if meets(middle) else (low, middle)
    capacity = operate(server, low, requests)
    count = math.ceil(load.requests_per_second / (capacity.requests_per_s * (1 - load.headroom)))
    beyond = operate(server, high, requests)
    limit = "memory for the key-value cache" if low == room else "ttft" if beyond.ttft_s > load.ttft else "tpot"
    return Choice(server, capacity, room, count, limit)


def under_load(server: Server, requests_per_s: float, requests: Requests, capacity: Operation) -> Operation:
    """The replica at a rate below its capacity; fewer than one sequence means that it idles in between."""
    low, high = 0.0, capacity.sequences
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if server.requests_per_s(middle, requests) > requests_per_s:
            high = middle
        else:
            low = middle
    return operate(server, high, requests)


def _does_not_fit(servers: list[Server], accelerator: Accelerator, load: ServingLoad, tp: int | None) -> BadInput:
    if not servers:
        return BadInput(f"TP {tp} does not divide the model or leaves the fast domain", where="cluster.tp")
    largest = max(servers, key=lambda server: server.free_bytes)
    if largest.free_bytes > 0:
        roomiest = max(servers, key=lambda server: server.free_bytes / server.sequence_bytes(load.requests))
        return BadInput(
            f"the model fits, but one sequence of {load.requests.whole:,.0f} tokens does not: its key-value cache "
            f"needs {format_bytes(roomiest.sequence_bytes(load.requests))} of {format_bytes(roomiest.free_bytes)} "
            f"free per GPU at best ({roomiest.replica.describe()} of {accelerator.name})",
            where="serving.prompt_tokens" if load.prompt_tokens >= load.output_tokens else "serving.output_tokens",
            hint="take shorter sequences, a narrower cache (kv_cache: fp8), or a GPU with more memory",
        )
    needed = format_bytes(largest.weight_bytes + largest.reserved_bytes)
    usable = format_bytes(accelerator.memory_bytes * load.usable_memory_share)
    return BadInput(
        f"the model fits no spread over {accelerator.name}: even {largest.replica.describe()} needs {needed} of "
        f"{usable} usable per GPU before any sequence",
        where="cluster.gpu",
        hint="take narrower weights (fp8, int4), shorter sequences, or a GPU with more memory",
    )


def _too_slow(servers: list[Server], load: ServingLoad) -> BadInput:
    """Names the latency that no spread meets alone, and the best there is."""
    alone = [(operate(server, ALONE, load.requests), server.replica.describe()) for server in servers]
    by_tpot = min(alone, key=lambda each: each[0].tpot_s)
    by_ttft = min(alone, key=lambda each: each[0].ttft_s)
    if by_tpot[0].tpot_s > load.tpot:
        what, limit, replica = "tpot", "reading weights and launching kernels", by_tpot[1]
        wanted, reached = load.tpot, by_tpot[0].tpot_s
    else:
        what, limit, replica = "ttft", "working through the prompt", by_ttft[1]
        wanted, reached = load.ttft, by_ttft[0].ttft_s
    asked = f"{wanted * 1e3:,.1f}" if wanted >= 1e-4 else f"{wanted * 1e3:.2g}"
    if reached <= wanted:
        at, replica = min(alone, key=lambda each: each[0].tpot_s / load.tpot + each[0].ttft_s / load.ttft)
        return BadInput(
            f"no spread meets both latencies: {replica} comes nearest with a time to first token of "
            f"{at.ttft_s * 1e3:,.0f} ms and {at.tpot_s * 1e3:,.1f} ms per output token",
            where="serving",
            hint="relax one of them, or take a faster GPU or narrower weights",
        )
    return BadInput(
        f"{asked} ms cannot be met, not even by a sequence alone: {limit} takes {reached * 1e3:,.1f} ms at "
        f"best ({replica})",
        where=f"serving.{what}",
        hint=f"allow {math.ceil(reached * 1.1e3):,} ms, or take a faster GPU, narrower weights or a smaller model",
    )
