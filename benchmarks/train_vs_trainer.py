"""Training speed of kiban's loop over transformers' Trainer: tokens per second, same model, data, batch, precision.

Both train the same decoder (about 5 M parameters, vocabulary 8,192, sequences of 256) from the same weights over the
same token ids with AdamW in bfloat16 autocast (float32 where the processor has no bfloat16). One process per run,
interleaved A B A B; each run's first steps are left out; the ratio is of medians. The Trainer has its best sensible
settings: fused AdamW, no logging, evaluation or saving, batches ready in memory, no worker processes. It needs
`accelerate` and lives in an environment of its own below .benchmarks/, which sees this one's packages, so that both
run the same torch and transformers.

`--ablate` says where the difference comes from: kiban's loop again with one part after another taken out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from shared.machine import machine

ROOT = Path(__file__).resolve().parents[1]
BAR = 1.15
VOCABULARY, SEQ_LEN, MICRO_BATCH = 8_192, 256, 8
WARMUP_STEPS = 3
SHAPE = {"depth": 4, "hidden_size": 256}
Mark = tuple[float, float]  # wall clock and processor time of this process, s
# What can be taken out of kiban's loop, and what takes its place.
PARTS = {
    "allocator": "glibc's defaults: large blocks go back to the system and are mapped anew every step",
    "loss": "the model's own logits, whole, and torch's cross-entropy",
    "optimizer": "AdamW not fused",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer steps and rounds; about a minute")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--ablate", action="store_true", help="also measure kiban without each of its parts")
    parser.add_argument("--run", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--without", choices=tuple(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        measure = run_ours if options.run == "ours" else run_peer
        print(json.dumps(measure(options.steps, options.without)))
        return
    result = compare(options.quick, options.ablate, quiet=options.json)
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def compare(quick: bool, ablate: bool, *, quiet: bool) -> dict[str, Any]:
    steps, rounds = (8, 2) if quick else (25, 5)
    peer_python = peer_environment()
    contenders = {"ours": (sys.executable, None), "peer": (peer_python, None)}
    if ablate:
        contenders |= {f"without {part}": (sys.executable, part) for part in PARTS}
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    cpu_speeds: dict[str, list[float]] = {name: [] for name in contenders}
    losses: dict[str, float] = {}
    for _ in range(rounds):
        for name, (python, without) in contenders.items():
            command = [python, __file__, "--run", "peer" if name == "peer" else "ours", "--steps", str(steps)]
            command += ["--without", without] if without else []
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            found = json.loads(done.stdout.splitlines()[-1])
            speeds[name].append(found["tokens_per_s"])
            cpu_speeds[name].append(found["tokens_per_cpu_s"])
            losses[name] = found["loss"]
            if not quiet:
                line = f"{name}: {found['tokens_per_s']:,.0f} tokens/s, {found['tokens_per_cpu_s']:,.0f} per CPU s"
                print(line, file=sys.stderr, flush=True)
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    ratio = medians["ours"] / medians["peer"]
    cpu = {name: statistics.median(values) for name, values in cpu_speeds.items()}
    result: dict[str, Any] = {
        "name": "train_vs_trainer",
        "unit": "tokens/s",
        "ours": round(medians["ours"], 1),
        "peer": round(medians["peer"], 1),
        "ratio": round(ratio, 3),
        "bar": BAR,
        "ok": ratio >= BAR,
        "n": rounds,
        "ratio_range": [round(each, 3) for each in extremes(speeds["ours"], speeds["peer"])],
        # Of processor time: what the ratio would be if nobody else used the machine's cores meanwhile.
        "cpu_time_ratio": round(cpu["ours"] / cpu["peer"], 3),
        "steps_per_run": steps,
        "loss_after": {name: round(value, 4) for name, value in losses.items()},
        "machine": machine("torch", "transformers"),
    }
    if ablate:
        result["ratio_to_ours_without"] = {
            part: round(medians[f"without {part}"] / medians["ours"], 3) for part in PARTS
        }
        result["cpu_time_ratio_to_ours_without"] = {
            part: round(cpu[f"without {part}"] / cpu["ours"], 3) for part in PARTS
        }
    return result


def extremes(ours: list[float], peer: list[float]) -> tuple[float, float]:
    """Lowest and highest ratio of one round; the two runs of a round are neighbours in time."""
    ratios = [left / right for left, right in zip(ours, peer, strict=True)]
    return min(ratios), max(ratios)


def peer_environment() -> str:
    """Python of an environment with accelerate that sees this environment's other packages; made once."""
    folder = ROOT / ".benchmarks" / "train_vs_trainer"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        own = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        (Path(own) / "project.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT / 'src'}\n")
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--no-deps", "accelerate"], check=True, stdout=sys.stderr
        )
        (folder / "ready").touch()
    return str(python)


def build() -> Any:
    from kiban.make.model.shape import build_config, build_model
    from kiban.make.recipe import Shape

    return build_model(build_config(Shape(**SHAPE), VOCABULARY, SEQ_LEN, bos=None, eos=1, pad=0), seed=1)


def token_ids(steps: int) -> Any:
    """Zipf-distributed ids, so that the embedding gradient has the collisions of text."""
    import numpy as np

    count = (steps + WARMUP_STEPS) * MICRO_BATCH * SEQ_LEN + 1
    return np.minimum(np.random.default_rng(1).zipf(1.2, count), VOCABULARY - 1)


def configuration(steps: int) -> Any:
    from kiban.make.recipe import TrainingConfig

    return TrainingConfig(
        tokens=(steps + WARMUP_STEPS) * MICRO_BATCH * SEQ_LEN,
        seq_len_tokens=SEQ_LEN,
        micro_batch_sequences=MICRO_BATCH,
        learning_rate=1e-3,
        warmup_fraction=0.0,
        decay_fraction=0.0,
        device="cpu",
        checkpoint_every_seconds=1e9,
    )


def run_ours(steps: int, without: str | None) -> dict[str, float]:
    """kiban's own loop, as the stage calls it."""
    from kiban.make.model import loop, optim, runtime
    from kiban.make.model.packing import Packed, Sequences, token_dtype
    from kiban.make.model.schedule import training_length

    if without == "allocator":
        runtime.keep_freed_memory = lambda: None
    if without == "loss":
        loop.Head.loss = plain_loss  # type: ignore[method-assign]
    if without == "optimizer":
        built = optim.build_optimizer

        def not_fused(*arguments: Any) -> Any:
            optimizer = built(*arguments)
            for group in optimizer.param_groups:
                group["fused"], group["foreach"] = False, None
            return optimizer

        loop.build_optimizer = not_fused
    config = configuration(steps)
    resolved = runtime.resolve_runtime(config)
    runtime.prepare_process(resolved)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokens.bin"
        ids = token_ids(steps)
        ids.astype(token_dtype(VOCABULARY)).tofile(path)
        packed = Packed(
            path, VOCABULARY, bos=None, documents=1, tokens=len(ids), separators=0, characters=0, utf8_bytes=0
        )
        sequences = Sequences(packed, SEQ_LEN, seed=1)
        length = training_length(config, sequences.per_epoch)
        marks: list[Mark] = []
        advance = loop._Run.advance

        def marked(*arguments: Any) -> Any:
            metrics = advance(*arguments)
            marks.append((time.perf_counter(), time.process_time()))
            return metrics

        loop._Run.advance = marked  # type: ignore[method-assign]
        model = build()
        loop.train(model, sequences, length, config, 1, resolved, runtime.Peak(1e12, ""), Path(folder))
    return speed(marks, steps) | {"loss": loss_after(model, steps)}


def plain_loss(head: Any, hidden_NH: Any, targets_N: Any, scale: float, dtype: Any) -> Any:
    import torch
    from torch.nn.functional import cross_entropy, linear

    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = linear(hidden_NH, head.weight)
    return cross_entropy(logits.float(), targets_N, reduction="sum") * scale


def run_peer(steps: int, without: str | None) -> dict[str, float]:
    """transformers' Trainer."""
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    from kiban.make.model.runtime import has_fast_bf16, usable_cores

    torch.set_num_threads(usable_cores())
    rows = torch.from_numpy(token_ids(steps)[:-1]).view(-1, SEQ_LEN)
    data = [{"input_ids": row, "labels": row} for row in rows]
    marks: list[Mark] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            marks.append((time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps + WARMUP_STEPS,
            per_device_train_batch_size=MICRO_BATCH,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            weight_decay=0.1,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            optim="adamw_torch_fused",
            bf16=has_fast_bf16("cpu"),
            use_cpu=True,
            logging_strategy="no",
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            dataloader_num_workers=0,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            remove_unused_columns=False,
            seed=1,
        )
        trainer = Trainer(
            model=build(),
            args=arguments,
            train_dataset=data,
            data_collator=lambda items: {key: torch.stack([item[key] for item in items]) for key in items[0]},
            callbacks=[Clock()],
        )
        trainer.train()
    return speed(marks, steps) | {"loss": loss_after(trainer.model, steps)}


def loss_after(model: Any, steps: int) -> float:
    """Of a trained model on the same few sequences, so that one can see that both have learned as much."""
    import torch

    rows = torch.from_numpy(token_ids(steps)[:-1]).view(-1, SEQ_LEN)[-MICRO_BATCH:]
    with torch.no_grad():
        return float(model(input_ids=rows, labels=rows).loss)


def speed(marks: list[Mark], steps: int) -> dict[str, float]:
    """Tokens per second, and per second of processor time, by the median step after the warm-up."""
    pairs = list(zip(marks[WARMUP_STEPS - 1 :], marks[WARMUP_STEPS:], strict=False))
    assert len(pairs) == steps
    wall, cpu = (statistics.median(after[kind] - before[kind] for before, after in pairs) for kind in (0, 1))
    return {"tokens_per_s": MICRO_BATCH * SEQ_LEN / wall, "tokens_per_cpu_s": MICRO_BATCH * SEQ_LEN / cpu}


if __name__ == "__main__":
    main()
