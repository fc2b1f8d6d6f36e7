"""Measuring this machine for plans: matrix products, memory, and two short trainings through kiban's own loop."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import torch

from kiban.kit.manifest import Resources, processor_name
from kiban.kit.meter import WATTS_PER_BUSY_CORE, Meter, power_source
from kiban.make.model.loop import train
from kiban.make.model.packing import Packed, Sequences
from kiban.make.model.runtime import Peak, Runtime, prepare_process, resolve_runtime
from kiban.make.model.schedule import training_length
from kiban.make.model.shape import build_config, build_model
from kiban.make.recipe import Shape, TrainingConfig
from kiban.plan.hardware.accelerators import Precision
from kiban.plan.hardware.this_machine import MachineFile, Measured
from kiban.plan.training.local import LocalRun, Trial, implied_rates, trained_bytes

PRODUCT_SECONDS = 0.3
COPY_FLOATS = {"cpu": 2**25, "cuda": 2**29}
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Sizes:
    """A training that is measured: sizes, and how many steps.

    The small one shows what starting the work costs, the large one how well the work itself runs.
    """

    depth: int
    hidden_size: int
    vocab_size: int
    seq_len_tokens: int
    micro_batch_sequences: int
    steps: int


TRIALS = {
    "cpu": (Sizes(2, 64, 1024, 128, 4, 30), Sizes(4, 256, 4096, 256, 8, 9)),
    "cuda": (Sizes(4, 128, 1024, 128, 4, 40), Sizes(8, 2048, 16384, 1024, 8, 12)),
}
# Products of the larger trial's kind, and square ones, at which libraries do best.
PRODUCTS = {
    "cpu": ((1024, 1024, 1024), (2048, 256, 1024), (2048, 512, 2048)),
    "cuda": ((8192, 8192, 8192), (8192, 2048, 8192)),
}


def measure(note: Callable[[str], None]) -> MachineFile:
    """Measure the processor and, where torch sees one, the GPU: under 15 seconds on a machine that is otherwise idle.

    Args:
        note: is told what is measured next.
    """
    cpu = _measure("cpu", note)
    return MachineFile(cpu=cpu, cuda=_measure("cuda", note) if torch.cuda.is_available() else None)


def _measure(device: Device, note: Callable[[str], None]) -> Measured:
    runtime = resolve_runtime(TrainingConfig(tokens=1, device=device))
    prepare_process(runtime)
    trials = []
    for sizes, kind in zip(TRIALS[device], ("small", "larger"), strict=True):
        # First of all: what products and copies leave in the allocator would count as the training's memory.
        note(f"{device}: training a {kind} model")
        rate, used = _train(sizes, runtime)
        trials.append(Trial(_as_run(sizes, runtime.precision), rate))
    small, large = trials
    watts = (used.energy_j or 0.0) / used.wall_s
    note(f"{device}: matrix products")
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if runtime.precision == "bf16" else ("fp32",)
    peaks = {
        precision: max(_product_rate(device, precision, *size) for size in PRODUCTS[device]) for precision in precisions
    }
    note(f"{device}: memory")
    bandwidth = _copy_rate(device)
    if device == "cpu":
        # Energy of a run is metered by the same rule, so predictions and meters speak of the same thing.
        how = power_source()
        watts = watts if "RAPL" in how else runtime.threads * WATTS_PER_BUSY_CORE
        name, memory, cores = processor_name(), psutil.virtual_memory().total, runtime.threads
    else:
        how = "NVML and the processor's estimate during the larger training"
        properties = torch.cuda.get_device_properties(0)
        name, memory, cores = torch.cuda.get_device_name(0), properties.total_memory, 1
    unfitted = Measured(
        processor=name,
        cores=cores,
        memory_bytes=memory,
        memory_bandwidth_bytes_per_s=bandwidth,
        peak_flops=peaks,
        busy_power_w=max(watts, 1.0),
        power_source=how,
        precision=runtime.precision,
        efficiency=0.5,
        host_seconds_per_layer=1e-6,
        framework_bytes=max(used.peak_memory_bytes - trained_bytes(large.run), 2**20),
        trainings={
            _describe(sizes): round(trial.tokens_per_s, 1) for sizes, trial in zip(TRIALS[device], trials, strict=True)
        },
        core_share=round(min(used.cpu_s / used.wall_s / runtime.threads, 1.0), 3) if device == "cpu" else 1.0,
        software=f"torch {torch.__version__}",
        measured=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
    efficiency, launch = implied_rates(device, unfitted, small, large)
    return unfitted.model_copy(update={"efficiency": efficiency, "host_seconds_per_layer": launch})


def _describe(sizes: Sizes) -> str:
    return (
        f"depth {sizes.depth}, hidden {sizes.hidden_size}, vocabulary {sizes.vocab_size}, "
        f"{sizes.micro_batch_sequences} x {sizes.seq_len_tokens} tokens"
    )


def _shape(sizes: Sizes) -> Shape:
    return Shape(depth=sizes.depth, hidden_size=sizes.hidden_size)


def _as_run(sizes: Sizes, precision: Literal["fp32", "bf16"]) -> LocalRun:
    return LocalRun(
        shape=_shape(sizes).plan_shape(sizes.vocab_size),
        tokens=sizes.steps * sizes.seq_len_tokens * sizes.micro_batch_sequences,
        seq_len_tokens=sizes.seq_len_tokens,
        micro_batch_sequences=sizes.micro_batch_sequences,
        sequences_per_step=sizes.micro_batch_sequences,
        precision=precision,
    )


def _synchronize(device: Device) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _best_seconds(work: Callable[[], object], device: Device) -> float:
    """The shortest of as many repetitions as PRODUCT_SECONDS hold, at least three."""
    work()
    _synchronize(device)
    best, tried = math.inf, 0
    until = time.perf_counter() + PRODUCT_SECONDS
    while tried < 3 or time.perf_counter() < until:
        started = time.perf_counter()
        work()
        _synchronize(device)
        best, tried = min(best, time.perf_counter() - started), tried + 1
    return best


def _product_rate(device: Device, precision: Precision, rows: int, inner: int, columns: int) -> float:
    """FLOP/s of (rows, inner) times the transpose of (columns, inner), as a linear layer does it."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left = torch.randn(rows, inner, device=device).to(dtype)
    right = torch.randn(columns, inner, device=device).to(dtype)
    return 2.0 * rows * inner * columns / _best_seconds(lambda: torch.nn.functional.linear(left, right), device)


def _copy_rate(device: Device) -> float:
    """Bytes per second read and written by a copy of what no cache holds (STREAM's copy; McCalpin, 1995)."""
    source = torch.zeros(COPY_FLOATS[device], device=device)
    target = torch.empty_like(source)
    return 2.0 * source.nbytes / _best_seconds(lambda: target.copy_(source), device)


def _train(sizes: Sizes, runtime: Runtime) -> tuple[float, Resources]:
    """Tokens per second of a model on random tokens, and what training it took."""
    tokens = sizes.steps * sizes.seq_len_tokens * sizes.micro_batch_sequences
    config = TrainingConfig(
        tokens=tokens,
        seq_len_tokens=sizes.seq_len_tokens,
        micro_batch_sequences=sizes.micro_batch_sequences,
        device=runtime.device,
        checkpoint_every_seconds=1e9,
    )
    built = build_config(_shape(sizes), sizes.vocab_size, sizes.seq_len_tokens, bos=None, eos=0, pad=None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = np.random.default_rng(0).integers(0, sizes.vocab_size, tokens + 1).astype(np.uint16)
        ids.tofile(folder / "tokens.bin")
        packed = Packed(folder / "tokens.bin", sizes.vocab_size, None, 1, len(ids), 0, len(ids), len(ids))
        sequences = Sequences(packed, sizes.seq_len_tokens, 0)
        try:
            # Its own progress would only confuse: this is not a training that anyone asked for.
            with contextlib.redirect_stderr(io.StringIO()), Meter() as meter:
                length = training_length(config, sequences.per_epoch)
                train(build_model(built, 0), sequences, length, config, 0, runtime, Peak(1.0, ""), folder)
                used = meter.resources()
        finally:
            sequences.close()
        rates = [json.loads(line)["tokens_per_s"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    # The first steps allocate, choose kernels and warm caches; of the others the faster half was disturbed less.
    settled = sorted(rates[len(rates) // 3 :])
    return statistics.median(settled[len(settled) // 2 :]), used
