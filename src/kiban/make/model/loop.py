"""The training loop: batches in the order of the seed, one optimizer step after another, resumable to the bit."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from kiban.kit.errors import BadInput
from kiban.kit.progress import progress
from kiban.kit.units import format_count
from kiban.make.model.checkpoint import load_checkpoint, save_checkpoint
from kiban.make.model.loss import linear_cross_entropy
from kiban.make.model.metrics import MetricsLog, StepMetrics
from kiban.make.model.optim import build_optimizer
from kiban.make.model.packing import Order
from kiban.make.model.runtime import Peak, Runtime, flops_per_token
from kiban.make.model.schedule import Length, learning_rate
from kiban.make.recipe import TrainingConfig


@dataclass(frozen=True)
class Trained:
    """What a finished training run says of itself."""

    steps: int
    resumed: int
    flops_per_token: float


def train(
    model: Any,
    sequences: Order,
    length: Length,
    config: TrainingConfig,
    seed: int,
    runtime: Runtime,
    peak: Peak,
    folder: Path,
) -> Trained:
    """Train `model` in place, going on from the newest checkpoint in `folder`.

    Killed at any moment and called again with the same arguments on the same machine, it ends with the same weights,
    bit for bit: batches follow from the step alone, and checkpoints hold weights, optimizer and random states.
    Ctrl-C and SIGTERM let the step at hand end, write a checkpoint and raise KeyboardInterrupt.

    Args:
        model: a decoder of transformers with float32 weights, on the CPU; moved to the runtime's device.
        folder: gets `metrics.jsonl` (one line per step) and `checkpoints/`.

    Raises:
        BadInput: the loss or a gradient is no number any more; an output layer that the loss cannot compute.
    """
    run = _Run(model, config, seed, runtime, folder)
    run.resume()
    flops = flops_per_token(model, length.seq_len_tokens)
    first_tokens = run.step * length.sequences_per_step * length.seq_len_tokens
    try:
        with (
            _deferred_interrupts() as interrupted,
            progress("training", length.tokens, "tokens", done=first_tokens) as shown,
        ):
            while run.step < length.steps:
                metrics = run.advance(sequences, length, flops, peak)
                step_tokens = metrics.tokens - first_tokens
                first_tokens = metrics.tokens
                speed = f"{format_count(round(metrics.tokens_per_s))} tokens/s, MFU {metrics.mfu:.0%}"
                shown.advance(step_tokens, f"loss {metrics.loss:.3f}, {speed}")
                if interrupted.is_set():
                    run.save()
                    raise KeyboardInterrupt
                if time.monotonic() - run.saved >= config.checkpoint_every_seconds and run.step < length.steps:
                    run.save()
        run.log.sync()
    finally:
        run.log.close()
    return Trained(run.step, run.resumed, flops)


class _Run:
    """The state that one step hands to the next."""

    def __init__(self, model: Any, config: TrainingConfig, seed: int, runtime: Runtime, folder: Path) -> None:
        torch.manual_seed(seed)
        self.model, self.config, self.runtime = model.to(runtime.device).train(), config, runtime
        self.head = Head(model)
        self.head.check()
        self.decoder = model.get_decoder()
        self.compiled = torch.compile(self.decoder) if config.compile else None
        self.optimizer = build_optimizer(model, config)
        self.trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self.metrics_path, self.checkpoints = folder / "metrics.jsonl", folder / "checkpoints"
        self.step = self.resumed = 0
        self.elapsed_s = 0.0

    def resume(self) -> None:
        """Take up the newest checkpoint, or begin."""
        found = load_checkpoint(self.checkpoints)
        keep_bytes = 0
        if found is not None:
            self.step, state = found
            with torch.no_grad():
                for name, parameter in self.trained.items():
                    parameter.copy_(state["weights"][name])
            self.optimizer.load_state_dict(state["optimizer"])
            torch.set_rng_state(state["rng"]["cpu"])
            if self.runtime.device == "cuda":
                torch.cuda.set_rng_state(state["rng"]["cuda"])
            self.elapsed_s, self.resumed = state["elapsed_s"], state["resumed"] + 1
            keep_bytes = state["metrics_bytes"]
            print(f"kiban: going on after step {self.step}", file=sys.stderr, flush=True)
        self.log = MetricsLog(self.metrics_path, keep_bytes)
        self.saved = time.monotonic()

    def save(self) -> None:
        rng = {"cpu": torch.get_rng_state()}
        if self.runtime.device == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state()
        state = {
            "weights": {name: parameter.detach() for name, parameter in self.trained.items()},
            "optimizer": self.optimizer.state_dict(),
            "rng": rng,
            "elapsed_s": self.elapsed_s,
            "resumed": self.resumed,
            "metrics_bytes": self.log.sync(),
        }
        save_checkpoint(self.checkpoints, self.step, state)
        self.saved = time.monotonic()

    def advance(self, sequences: Order, length: Length, flops: float, peak: Peak) -> StepMetrics:
        """One optimizer step."""
        started = time.perf_counter()
        positions = length.of_step(self.step)
        rate = learning_rate(self.step, length.steps, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        tokens = len(positions) * length.seq_len_tokens
        loss = torch.zeros((), device=self.runtime.device)
        for first in range(0, len(positions), self.config.micro_batch_sequences):
            micro = positions[first : first + self.config.micro_batch_sequences]
            ids_BT = torch.from_numpy(sequences.batch(micro)).to(self.runtime.device)
            # Each micro-batch counts by its tokens of the whole step, so their sum is the mean of one large batch.
            part = self.loss(ids_BT, scale=1 / tokens)
            part.backward()  # type: ignore[no-untyped-call]
            loss += part.detach()
        norm = torch.nn.utils.clip_grad_norm_(self.trained.values(), self.config.clip_norm)
        self.refuse_non_finite(loss.item(), norm.item(), rate)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        took = time.perf_counter() - started
        self.elapsed_s += took
        metrics = StepMetrics(
            step=self.step,
            tokens=(positions[-1] + 1) * length.seq_len_tokens,
            loss=loss.item(),
            lr=rate,
            grad_norm=norm.item(),
            tokens_per_s=tokens / took,
            mfu=tokens / took * flops / peak.flops_per_s,
            elapsed_s=self.elapsed_s,
            tokens_by_source=sequences.tokens_by_source(positions[-1] + 1),
        )
        self.log.write(metrics)
        return metrics

    def loss(self, ids_BT: Tensor, scale: float) -> Tensor:
        """`scale` times the summed cross-entropy of a micro-batch [B, T + 1]."""
        whole = ids_BT.shape[0] == self.config.micro_batch_sequences
        # Only full micro-batches are compiled for: another shape, at most once a run, would compile anew.
        decoder = self.compiled if self.compiled is not None and whole else self.decoder
        with self.runtime.autocast():
            hidden_BTH = decoder(input_ids=ids_BT[:, :-1], use_cache=False).last_hidden_state
        return self.head.loss(hidden_BTH.flatten(0, 1), ids_BT[:, 1:].flatten(), scale, self.runtime.dtype)

    def refuse_non_finite(self, loss: float, norm: float, rate: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        what = "loss" if not math.isfinite(loss) else "gradient"
        raise BadInput(
            f"training diverged: the {what} of step {self.step + 1} is {loss if what == 'loss' else norm}",
            where=f"training.learning_rate {self.config.learning_rate:g} ({rate:.3g} at this step)",
            hint="take a lower learning_rate or a longer warmup_fraction; metrics.jsonl has the steps before",
        )


class Head:
    """The output layer of a decoder, as the fused loss computes it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.weight = model.get_output_embeddings().weight
        self.softcap = getattr(model.config, "final_logit_softcapping", None)

    def loss(self, hidden_NH: Tensor, targets_N: Tensor, scale: float, dtype: torch.dtype) -> Tensor:
        return linear_cross_entropy(hidden_NH, self.weight, targets_N, scale=scale, softcap=self.softcap, dtype=dtype)

    def check(self) -> None:
        """Compare with the model's own logits on a few tokens: some architectures scale or shift them.

        Raises:
            BadInput: they differ.
        """
        count = min(8, self.weight.shape[0])
        ids_1T = torch.arange(count, device=self.weight.device)[None]
        training = self.model.training
        self.model.eval()
        with torch.no_grad():
            output = self.model(input_ids=ids_1T, use_cache=False, output_hidden_states=False)
            hidden_1TH = self.model.get_decoder()(input_ids=ids_1T, use_cache=False).last_hidden_state
            logits_1TV = hidden_1TH @ self.weight.T
            if self.softcap is not None:
                logits_1TV = self.softcap * torch.tanh(logits_1TV / self.softcap)
        self.model.train(training)
        if not torch.allclose(output.logits, logits_1TV, rtol=1e-3, atol=1e-3):
            raise BadInput(
                f"the output layer of {type(self.model).__name__} is not a plain (or soft-capped) matrix product, "
                "which is what kiban can train",
                where="model.base",
            )


@contextmanager
def _deferred_interrupts() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set an event instead of stopping between any two instructions, in the midst of an update.

    The handlers in place before are called on the way out of a step by whoever raises; they are put back at the end.
    """
    interrupted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if not interrupted.is_set():
            print("kiban: stopping after this step, with a checkpoint", file=sys.stderr, flush=True)
        interrupted.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
