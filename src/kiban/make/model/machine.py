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

from kiban.kit.manifest import processor_name
from kiban.kit.meter import WATTS_PER_BUSY_CORE, Meter, power_source
from kiban.make.model.loop import train
from kiban.make.model.packing import Packed, Sequences
from kiban.make.model.runtime import Peak, Runtime, prepare_process, resolve_runtime
from kiban.make.model.schedule import training_length
from kiban.make.model.shape import build_config, build_model
from kiban.make.recipe import Shape, TrainingConfig
from kiban.plan.hardware import Precision
from kiban.plan.local import LocalRun, implied_rates
from kiban.plan.machine import MachineFile, Measured

PRODUCT_SECONDS = 0.3
COPY_FLOATS = {"cpu": 2**25, "cuda": 2**29}
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Trial:
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
    "cpu": (Trial(2, 64, 1024, 128, 4, 30), Trial(4, 256, 4096, 256, 8, 9)),
    "cuda": (Trial(4, 128, 1024, 128, 4, 40), Trial(8, 2048, 16384, 1024, 8, 12)),
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
    framework = psutil.Process().memory_info().rss
    note(f"{device}: matrix products")
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if runtime.precision == "bf16" else ("fp32",)
    started, processed = time.perf_counter(), time.process_time()
    peaks = {precision: max(_product_rate(device, precision, *size) for size in PRODUCTS[device])
             for precision in precisions}  # fmt: skip
    core_share = (time.process_time() - processed) / (time.perf_counter() - started) / runtime.threads
    note(f"{device}: memory")
    bandwidth = _copy_rate(device)
    rates, watts, how = [], 0.0, ""
    for trial, kind in zip(TRIALS[device], ("small", "larger"), strict=True):
        note(f"{device}: training a {kind} model")
        rate, watts = _training_rate(trial, runtime)
        rates.append(rate)
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
        framework_bytes=framework,
        trainings={_describe(trial): round(rate, 1) for trial, rate in zip(TRIALS[device], rates, strict=True)},
        core_share=round(min(core_share, 1.0), 3) if device == "cpu" else 1.0,
        software=f"torch {torch.__version__}",
        measured=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )
    trials = [_as_run(trial, runtime.precision) for trial in TRIALS[device]]
    small, large = zip(trials, rates, strict=True)
    efficiency, launch = implied_rates(device, unfitted, small, large)
    return unfitted.model_copy(update={"efficiency": efficiency, "host_seconds_per_layer": launch})


def _describe(trial: Trial) -> str:
    return (
        f"depth {trial.depth}, hidden {trial.hidden_size}, vocabulary {trial.vocab_size}, "
        f"{trial.micro_batch_sequences} x {trial.seq_len_tokens} tokens"
    )


def _shape(trial: Trial) -> Shape:
    return Shape(depth=trial.depth, hidden_size=trial.hidden_size)


def _as_run(trial: Trial, precision: Literal["fp32", "bf16"]) -> LocalRun:
    return LocalRun(
        shape=_shape(trial).plan_shape(trial.vocab_size),
        tokens=trial.steps * trial.seq_len_tokens * trial.micro_batch_sequences,
        seq_len_tokens=trial.seq_len_tokens,
        micro_batch_sequences=trial.micro_batch_sequences,
        sequences_per_step=trial.micro_batch_sequences,
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


def _training_rate(trial: Trial, runtime: Runtime) -> tuple[float, float]:
    """Tokens per second of a model on random tokens, and watts while it trains."""
    tokens = trial.steps * trial.seq_len_tokens * trial.micro_batch_sequences
    config = TrainingConfig(
        tokens=tokens,
        seq_len_tokens=trial.seq_len_tokens,
        micro_batch_sequences=trial.micro_batch_sequences,
        device=runtime.device,
        checkpoint_every_seconds=1e9,
    )
    built = build_config(_shape(trial), trial.vocab_size, trial.seq_len_tokens, bos=None, eos=0, pad=None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = np.random.default_rng(0).integers(0, trial.vocab_size, tokens + 1).astype(np.uint16)
        ids.tofile(folder / "tokens.bin")
        packed = Packed(folder / "tokens.bin", trial.vocab_size, None, 1, len(ids), 0, len(ids), len(ids))
        sequences = Sequences(packed, trial.seq_len_tokens, 0)
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
    return statistics.median(settled[len(settled) // 2 :]), (used.energy_j or 0.0) / used.wall_s
