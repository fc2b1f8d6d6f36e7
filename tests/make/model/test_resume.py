"""Stages killed at random moments in processes of their own, and what their reruns end with."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

from kiban.make.model.metrics import read_metrics
from kiban.make.model.stage import run
from kiban.make.stage import StageContext

from .conftest import fresh

# A server process imports torch once; each child forks from it before any thread of torch runs.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["kiban.make.model.stage"])
DEADLINE_S = 120.0


@pytest.fixture(autouse=True, scope="module")
def _one_thread_in_children() -> Iterator[None]:
    """OpenMP threads that wait for one another on cores that others use too make a tiny model take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def start(context: StageContext) -> BaseProcess:
    process = FORKS.Process(target=run, args=(context,))
    process.start()
    return process


def finish(process: BaseProcess) -> int | None:
    process.join(DEADLINE_S)
    return process.exitcode


def steps_written(context: StageContext) -> int:
    path = context.scratch / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(process: BaseProcess, context: StageContext, steps: int) -> None:
    until = time.monotonic() + DEADLINE_S
    while steps_written(context) < steps:
        process.join(0.002)
        assert process.is_alive(), "it ended before it got there"
        assert time.monotonic() < until


def stop_when(process: BaseProcess, context: StageContext, steps: int, number: int) -> None:
    """Send `number` when `steps` are written; the poll's own jitter decides where inside a step or checkpoint."""
    assert process.pid is not None
    wait_for(process, context, steps)
    os.kill(process.pid, number)
    finish(process)


def outcome(context: StageContext) -> tuple[bytes, list[tuple[int, float]]]:
    metrics = read_metrics(context.files / "metrics.jsonl")
    return (context.files / "model.safetensors").read_bytes(), [(each.step, each.loss) for each in metrics]


@pytest.mark.parametrize("base", [False, True])
def test_killed_and_rerun_it_ends_with_the_bits_of_an_uninterrupted_run(
    make_context: Callable[..., StageContext], tmp_path: Path, base: bool
) -> None:
    freeze = ("embeddings",) if base else ()
    # A checkpoint after every step, so that many kills fall into the writing of one.
    killed = make_context(base=base, epochs=0.4, precision="bf16", freeze=freeze, checkpoint_every_seconds=1e-9)
    whole = fresh(killed, tmp_path / "whole")
    reference = start(whole)
    moments = sorted(random.Random(time.time_ns()).sample(range(1, 80), 4))
    print("killed after steps", moments)
    for moment in moments:
        process = start(killed)
        stop_when(process, killed, moment, signal.SIGKILL)
        assert process.exitcode == -signal.SIGKILL
    assert finish(start(killed)) == 0
    assert finish(reference) == 0
    weights, losses = outcome(killed)
    expected_weights, expected_losses = outcome(whole)
    assert [step for step, _ in losses] == list(range(1, len(expected_losses) + 1))
    assert losses == expected_losses
    assert weights == expected_weights


def test_a_signal_ends_the_step_leaves_a_checkpoint_and_is_gone_on_from(
    make_context: Callable[..., StageContext], tmp_path: Path
) -> None:
    stopped = make_context(epochs=0.4, checkpoint_every_seconds=1e9)
    whole = fresh(stopped, tmp_path / "whole")
    process = start(stopped)
    stop_when(process, stopped, 20, signal.SIGTERM)
    assert process.exitcode == 1
    done = steps_written(stopped)
    assert (stopped.scratch / "checkpoints" / f"step-{done:08}").is_dir()
    assert finish(start(stopped)) == 0
    assert finish(start(whole)) == 0
    assert outcome(stopped) == outcome(whole)


def test_memory_does_not_grow_with_steps(make_context: Callable[..., StageContext]) -> None:
    context = make_context(epochs=1.0, micro_batch_sequences=4, checkpoint_every_seconds=1e9)
    process = start(context)
    watched = psutil.Process(process.pid)
    wait_for(process, context, 40)
    early = watched.memory_info().rss
    wait_for(process, context, 160)
    late = watched.memory_info().rss
    assert finish(process) == 0
    # One step's activations are more than 1 MB: kept, they would be 120 MB.
    assert late - early < 10_000_000
