"""The layout search: every layout that could run, its memory and step time, the best few and why the others lose."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from kiban.kit.errors import BadInput
from kiban.kit.units import format_bytes
from kiban.plan.training.layout import RECOMPUTE, SCHEDULES, Array, Batch, Fixed, Layout, LayoutTable, enumerate_layouts
from kiban.plan.training.memory import USABLE_SHARE, predict_memory
from kiban.plan.training.step import PARTS, Machine, StepTable, predict_step
from kiban.plan.training.workload import Workload

# What a reader may ask "and why not another" of.
DIMENSIONS = ("tp", "pp", "cp", "ep", "etp", "zero", "micro_batch", "recompute", "schedule")
ZERO_BUBBLE = SCHEDULES.index("zero-bubble")
PART_WORDS = {
    "products": "less efficient matrix products",
    "attention": "attention",
    "elementwise": "elementwise kernels",
    "recomputation": "recomputation",
    "tensor_parallel": "tensor-parallel traffic",
    "context_parallel": "context-parallel traffic",
    "expert_parallel": "expert all-to-all",
    "imbalance": "imbalance between stages or experts",
    "bubble": "pipeline bubble",
    "pipeline_transfers": "transfers between stages",
    "data_parallel": "gradient and weight traffic",
    "optimizer": "optimizer step",
    "overhead": "launches and stragglers",
}


@dataclass(frozen=True)
class Candidate:
    """A layout with what it was predicted to take.

    Attributes:
        seconds: of one step, by part.
        memory: bytes per GPU, by category.
        sequences: of one step; a batch that need not be exact is rounded to what the layout divides.
    """

    layout: Layout
    seconds: dict[str, float]
    memory: dict[str, int]
    sequences: int

    @property
    def step_seconds(self) -> float:
        return sum(self.seconds.values())

    @property
    def memory_bytes(self) -> int:
        return sum(self.memory.values())

    @property
    def seconds_per_sequence(self) -> float:
        return self.step_seconds / self.sequences


@dataclass(frozen=True)
class Alternative:
    """The best layout that differs in one dimension, and why it is not the best one.

    Attributes:
        slower: its time per token over the best one's, minus one; None where it does not fit.
        needs_bytes: the least memory per GPU that such a layout needs, where none fits.
        part, share: what costs it most, of PARTS, and how much more of a step; None where it is as fast or faster.
    """

    dimension: str
    value: Any
    layout: Layout
    slower: float | None
    needs_bytes: int | None
    why: str
    part: str | None = None
    share: float = 0.0


@dataclass
class SearchResult:
    """What a search found."""

    best: list[Candidate]
    alternatives: list[Alternative]
    examined: int
    fitting: int
    rejected: Counter[str]
    usable_bytes: int
    least_memory: tuple[float, Layout] | None = None


@dataclass
class _Best:
    """The fastest fitting and the smallest not fitting layout with one value in one dimension."""

    rate: float = float("inf")
    candidate: Candidate | None = None
    memory: float = float("inf")
    layout: Layout | None = None


@dataclass
class _State:
    examined: int = 0
    fitting: int = 0
    least: float = float("inf")
    least_layout: Layout | None = None
    top: list[tuple[float, int, Candidate]] = field(default_factory=list)
    by_value: dict[tuple[str, int], _Best] = field(default_factory=dict)


def search_layouts(
    work: Workload,
    machine: Machine,
    gpus: int,
    batch: Batch,
    *,
    fixed: Fixed | None = None,
    keep: int = 5,
    explain: bool = True,
    usable_bytes: int | None = None,
) -> SearchResult:
    """Examine every layout of `work` on `gpus` GPUs; the fastest per token first.

    Args:
        fixed: fields of Layout restricted to the given values.
        keep: how many of the best to return.
        explain: also find, for every other value of every dimension, its best layout and why it loses.
        usable_bytes: of one GPU's memory; by default nearly all of it.

    Returns:
        a result whose `best` is empty where nothing fits.
    """
    fixed = fixed or {}
    rejected: Counter[str] = Counter()
    state = _State()
    usable = int(machine.accelerator.memory_bytes * USABLE_SHARE) if usable_bytes is None else usable_bytes
    for table in enumerate_layouts(work.shape, machine.accelerator, gpus, work.seq_len_tokens, batch, fixed, rejected):
        memory = predict_memory(work, table)
        total = memory.total
        state.examined += len(table)
        smallest = int(np.argmin(total))
        if total[smallest] < state.least:
            state.least, state.least_layout = float(total[smallest]), table[smallest]
        fits = np.flatnonzero(total <= usable)
        if explain:
            _note_misfits(state, table, total, usable)
        if not len(fits):
            continue
        before = state.fitting
        asked = "schedule" in fixed
        state.fitting += len(fits)
        kept = table.take(fits)
        steps = predict_step(work, machine, kept)
        sequences = (kept.microbatches * kept.micro_batch * kept.dp).astype(float)
        rate = steps.total / sequences
        # Few frameworks have zero-bubble schedules, and none of the runs behind the efficiencies is known to have used
        # one unless it says so; they win only where they are asked for.
        usual = np.ones(len(kept), dtype=bool) if asked else kept.schedule != ZERO_BUBBLE

        def candidate(at: int, kept: LayoutTable = kept, steps: StepTable = steps, fits: Array = fits) -> Candidate:
            layout = kept[at]
            sequences = layout.microbatches * layout.micro_batch * layout.dp
            return Candidate(layout, steps.at(at), memory.at(int(fits[at])), sequences)  # noqa: B023 - used at once

        for at in np.argsort(np.where(usual, rate, np.inf), kind="stable")[: min(keep, int(usual.sum()))]:
            # Among equals the one found first stays: simpler layouts come first.
            entry = (-float(rate[at]), -before - int(at))
            if len(state.top) < keep:
                heapq.heappush(state.top, (*entry, candidate(int(at))))
            elif entry > state.top[0][:2]:
                heapq.heapreplace(state.top, (*entry, candidate(int(at))))
        if explain:
            _note_fits(state, kept, rate, usual, candidate)
    best = [entry[2] for entry in sorted(state.top, key=lambda entry: entry[:2], reverse=True)]
    alternatives = _alternatives(state, best[0], usable) if best and explain else []
    least = (state.least, state.least_layout) if state.least_layout else None
    return SearchResult(best, alternatives, state.examined, state.fitting, rejected, usable, least)


def _note_misfits(state: _State, table: LayoutTable, total: Array, usable: int) -> None:
    for dimension in DIMENSIONS:
        column: Array = getattr(table, dimension)
        for value in np.unique(column):
            at = np.flatnonzero(column == value)
            smallest = int(at[np.argmin(total[at])])
            best = state.by_value.setdefault((dimension, int(value)), _Best())
            if total[smallest] > usable and total[smallest] < best.memory:
                best.memory, best.layout = float(total[smallest]), table[smallest]


def _note_fits(state: _State, kept: LayoutTable, rate: Array, usual: Array, candidate: Any) -> None:
    for dimension in DIMENSIONS:
        column: Array = getattr(kept, dimension)
        for value in np.unique(column):
            found = column == value
            at = np.flatnonzero(found if dimension == "schedule" else found & usual)
            if not len(at):
                continue
            fastest = int(at[np.argmin(rate[at])])
            best = state.by_value.setdefault((dimension, int(value)), _Best())
            if rate[fastest] < best.rate:
                best.rate, best.candidate = float(rate[fastest]), candidate(fastest)


def _alternatives(state: _State, winner: Candidate, usable: int) -> list[Alternative]:
    names = {"recompute": RECOMPUTE, "schedule": SCHEDULES}
    found = []
    for (dimension, number), best in state.by_value.items():
        value = names[dimension][number] if dimension in names else number
        if value == getattr(winner.layout, dimension):
            continue
        if best.candidate is not None:
            found.append(_slower(dimension, value, best.candidate, winner))
        elif best.layout is not None:
            needs = int(best.memory)
            why = f"does not fit: at least {format_bytes(needs)} of {format_bytes(usable)} usable"
            found.append(Alternative(dimension, value, best.layout, None, needs, why))
    order = {dimension: index for index, dimension in enumerate(DIMENSIONS)}
    return sorted(found, key=lambda a: (order[a.dimension], a.slower is None, a.slower or 0.0))


def _slower(dimension: str, value: Any, loser: Candidate, winner: Candidate) -> Alternative:
    """With the part of the step that costs the loser most, per sequence."""
    slower = loser.seconds_per_sequence / winner.seconds_per_sequence - 1
    if slower < 0:
        why = "faster, but in few frameworks: ask for it with layout.schedule"
        return Alternative(dimension, value, loser.layout, slower, None, why)
    more = {part: loser.seconds[part] / loser.sequences - winner.seconds[part] / winner.sequences for part in PARTS}
    worst = max(more, key=lambda part: more[part])
    share = more[worst] / winner.seconds_per_sequence
    if share < 0.0005:
        return Alternative(dimension, value, loser.layout, slower, None, "as fast; the simpler one is preferred")
    why = f"{PART_WORDS[worst]} +{share:.1%} of a step"
    return Alternative(dimension, value, loser.layout, slower, None, why, worst, share)


def smallest_cluster(
    work: Workload, machine: Machine, batch: Batch, fixed: Fixed | None = None, limit: int = 2**18
) -> tuple[int, Layout] | None:
    """The fewest GPUs, in whole nodes, on which some layout with what is fixed fits; None up to `limit`."""
    node = max(machine.accelerator.gpus_per_node, 1)
    sizes = sorted({*range(1, node)} | {node * k for k in _counts(limit // node)})
    flexible = Batch(batch.sequences, exact=False)
    low, high = 0, len(sizes) - 1
    # More GPUs never need more memory each, so halving finds the first that fits, within the sizes tried.
    while low < high:
        middle = (low + high) // 2
        if _fits(work, machine, sizes[middle], flexible, fixed or {}):
            high = middle
        else:
            low = middle + 1
    layout = _fits(work, machine, sizes[low], flexible, fixed or {})
    return (sizes[low], layout) if layout else None


def _counts(limit: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24, … nodes"""
    powers = [2**k for k in range(limit.bit_length())]
    return sorted(n for n in {*powers, *(p + p // 2 for p in powers if p > 1)} if n <= limit)


def _nearest_divisible(work: Workload, machine: Machine, gpus: int, batch: Batch, fixed: Fixed) -> int | None:
    """The nearest number of whole nodes, fewer first, over which some layout divides."""
    node = max(machine.accelerator.gpus_per_node, 1)
    nodes = gpus // node
    powers = [2**k for k in range(nodes.bit_length() + 8)]
    tried = {*range(max(1, nodes - 16), nodes + 17), *powers}
    for count in sorted(tried, key=lambda n: (abs(n * node - gpus), n)):
        tables = enumerate_layouts(
            work.shape, machine.accelerator, count * node, work.seq_len_tokens, batch, fixed, Counter()
        )
        if next(tables, None) is not None:
            return int(count * node)
    return None


def _fits(work: Workload, machine: Machine, gpus: int, batch: Batch, fixed: Fixed) -> Layout | None:
    usable = machine.accelerator.memory_bytes * USABLE_SHARE
    best: tuple[float, Layout] | None = None
    tables = enumerate_layouts(work.shape, machine.accelerator, gpus, work.seq_len_tokens, batch, fixed, Counter())
    for table in tables:
        total = predict_memory(work, table).total
        at = int(np.argmin(total))
        if best is None or total[at] < best[0]:
            best = (float(total[at]), table[at])
    return best[1] if best and best[0] <= usable else None


def require_layout(
    result: SearchResult, work: Workload, machine: Machine, gpus: int, batch: Batch, fixed: Fixed | None = None
) -> Candidate:
    """The best layout found.

    Raises:
        BadInput: none fits, with the smallest cluster that works; or none divides, with what stood in the way.
    """
    if result.best:
        return result.best[0]
    name = machine.accelerator.name
    if result.least_memory is None:
        reasons = "; ".join(reason for reason, _ in result.rejected.most_common(3))
        near = _nearest_divisible(work, machine, gpus, batch, fixed or {})
        raise BadInput(
            f"no layout of this model divides over {gpus:,} x {name}: {reasons}",
            where="cluster.gpus",
            hint=f"{near:,} GPUs would divide" if near else None,
        )
    needed, layout = result.least_memory
    found = smallest_cluster(work, machine, batch, fixed)
    hint = (
        f"the smallest cluster that works is {found[0]:,} x {name} ({found[1].describe()})"
        if found
        else f"no number of {name} holds it{' with this layout' if fixed else ''}"
    )
    raise BadInput(
        f"the model does not fit {gpus:,} x {name}: {format_bytes(needed)} per GPU at least ({layout.describe()}), "
        f"{format_bytes(result.usable_bytes)} usable",
        where="cluster.gpus",
        hint=hint,
    )


assert {each.name for each in fields(Layout)} >= set(DIMENSIONS)
