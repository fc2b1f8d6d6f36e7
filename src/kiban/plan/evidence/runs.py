"""Published training runs: what was trained on what, and the figure its authors gave."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from kiban.kit.errors import BadInput
from kiban.kit.quantities import parse_number
from kiban.plan.hardware.accelerators import DATA, Accelerator, find_accelerator
from kiban.plan.model.shape import ModelShape
from kiban.plan.training.layout import RECOMPUTE, SCHEDULES
from kiban.plan.training.workload import (
    PRECISIONS,
    Precision,
    Workload,
    default_gradient_bytes,
    default_optimizer_bytes,
    peak_flops,
)

FigureKind = Literal["gpu_hours", "step_seconds", "tokens_per_s_per_gpu", "tflops_per_gpu", "mfu"]
FIGURES: tuple[FigureKind, ...] = get_args(FigureKind)
# What counts as work in a figure of operations per second.
Counted = Literal["six_n", "with_attention", "with_causal_attention", "hardware"]

REQUIRED = ("model", "layers", "d_model", "heads", "vocab", "seq_len", "precision", "gpu")
KNOWN = (
    *("model", "layers", "d_model", "heads", "kv_heads", "head_dim", "ffn_dim", "gated_ffn", "attention"),
    *("experts", "active_experts", "shared_experts", "expert_ffn_dim", "first_dense_layers", "vocab", "seq_len"),
    *("precision", "tokens_t", "gpu", "gpu_count", "tp", "pp", "ep", "cp", "global_batch_seqs"),
    *("gpu_hours", "step_seconds", "tokens_per_s_per_gpu", "tflops_per_gpu", "tflops_convention"),
    *("mfu", "mfu_convention", "micro_batch_seqs", "vpp", "schedule", "recompute", "zero", "software", "source"),
)
MOST = 10**8
LATENT = re.compile(r"(q|kv) rank (\d+)|(nope|rope|v) (\d+)")
PUBLISHED_RUNS = DATA / "published-runs.csv"


@dataclass(frozen=True)
class Figure:
    """One published figure."""

    kind: FigureKind
    value: float
    convention: str = ""

    @property
    def counted(self) -> Counted:
        """Which operations the authors counted, by their words; attention over all pairs where they are silent."""
        words = self.convention.lower()
        if "hardware" in words:
            return "hardware"
        if "6nd" in words.replace(" ", "") or "without attention" in words:
            return "six_n"
        first = words.split(";")[0]
        if "causal" in first and "non-causal" not in first and "full" not in first and "not causal" not in first:
            return "with_causal_attention"
        return "with_attention"

    def peak_flops(self, work: Workload, accelerator: Accelerator) -> float:
        """What the utilisation is against: as the authors say ('of 312 TFLOP/s', 'bf16 peak'), else the 16-bit peak."""
        words = self.convention.lower()
        if found := re.search(r"of ([0-9.]+) tflop", words):
            return float(found.group(1)) * 1e12
        said = re.search(r"(fp8|bf16|fp16|fp4) peak", words)
        precision = said.group(1) if said else "bf16" if work.is_narrow else work.precision
        return peak_flops(accelerator, precision)


@dataclass(frozen=True)
class Run:
    """One row: a workload on a machine, the part of the layout that is known, and the published figures."""

    name: str
    work: Workload
    accelerator: Accelerator
    tokens: float | None
    gpus: int | None
    batch_sequences: int | None
    fixed: Mapping[str, tuple[Any, ...]]
    figures: tuple[Figure, ...]
    software: str
    source: str

    @property
    def origin(self) -> str:
        """The document it comes from: runs of one table share software, people and luck."""
        return re.split(r"[,;(:]", self.source)[0].strip().lower()

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same run in another file."""
        return (self.name, self.accelerator.name, self.work.precision, self.gpus, self.work.seq_len_tokens)


def read_runs(path: Path = PUBLISHED_RUNS) -> list[Run]:
    """Read a CSV of published runs; an empty cell is unknown.

    Raises:
        BadInput: no file, a column missing or unknown, a value that is none; with file, line and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read it: {error}", where=str(path)) from None
    reader = csv.DictReader(text.splitlines())
    columns = reader.fieldnames or ()
    if missing := [name for name in REQUIRED if name not in columns]:
        raise BadInput(f"columns are missing: {', '.join(missing)}", where=str(path))
    if unknown := [name for name in columns if name not in KNOWN]:
        raise BadInput(f"unknown columns: {', '.join(unknown)}", where=str(path), hint=f"known: {', '.join(KNOWN)}")
    runs = []
    for row in reader:
        if None in row:
            raise BadInput("more cells than columns", where=f"{path}:{reader.line_num}")
        if any(row.values()):
            runs.append(_read(row, f"{path}:{reader.line_num}"))
    if not runs:
        raise BadInput("it holds no run", where=str(path))
    return runs


class _Row:
    def __init__(self, cells: Mapping[str, str | None], where: str) -> None:
        self.cells, self.where = cells, where

    def text(self, name: str) -> str:
        return (self.cells.get(name) or "").strip()

    def whole(self, name: str, least: int = 1) -> int | None:
        value = self.number(name)
        if value is None:
            return None
        if value != int(value) or not least <= value <= MOST:
            raise BadInput(
                f"{name}: {self.text(name)!r} is not a whole number from {least} to {MOST}", where=self.where
            )
        return int(value)

    def number(self, name: str) -> float | None:
        if not self.text(name):
            return None
        try:
            value = parse_number(self.text(name))
        except ValueError as error:
            raise BadInput(f"{name}: {error}", where=self.where) from None
        if value < 0:
            raise BadInput(f"{name}: {self.text(name)} is negative", where=self.where)
        return value

    def needed(self, name: str) -> int:
        value = self.whole(name)
        if value is None:
            raise BadInput(f"{name} is empty", where=self.where)
        return value


def _read(cells: Mapping[str, str | None], where: str) -> Run:
    row = _Row(cells, where)
    precision = row.text("precision").lower()
    if precision not in PRECISIONS:
        raise BadInput(f"precision {precision!r} is none of {', '.join(PRECISIONS)}", where=where)
    figures = tuple(
        Figure(kind, value, row.text({"tflops_per_gpu": "tflops_convention", "mfu": "mfu_convention"}.get(kind, "")))
        for kind in FIGURES
        if (value := row.number(kind))
    )
    if not figures:
        raise BadInput(f"no published figure: fill one of {', '.join(FIGURES)}", where=where)
    tokens = row.number("tokens_t")
    if any(figure.kind == "gpu_hours" for figure in figures) and not tokens:
        raise BadInput("gpu_hours needs tokens_t", where=where)
    if any(figure.kind == "mfu" and figure.value > 1.5 for figure in figures):
        raise BadInput(f"mfu: {row.text('mfu')} is no share; 41% is 0.41", where=where)
    fixed: dict[str, tuple[Any, ...]] = {}
    for column, name in {"tp": "tp", "pp": "pp", "ep": "ep", "cp": "cp", "vpp": "vpp", "zero": "zero"}.items():
        if (value := row.whole(column, 0 if name == "zero" else 1)) is not None:
            fixed[name] = (value,)
    if (micro := row.whole("micro_batch_seqs")) is not None:
        fixed["micro_batch"] = (micro,)
    if fixed.get("zero", (0,))[0] > 3:
        raise BadInput(f"zero: {row.text('zero')} is none of 0, 1, 2, 3", where=where)
    for name, known in (("schedule", SCHEDULES), ("recompute", RECOMPUTE)):
        if said := row.text(name):
            if said not in known:
                raise BadInput(f"{name}: {said!r} is none of {', '.join(known)}", where=where)
            fixed[name] = (said,)
    if "recompute" not in fixed and any(figure.counted == "hardware" for figure in figures):
        # Operations that include recomputation were counted because there was some, at the time all of it.
        fixed["recompute"] = ("full",)
    return Run(
        name=row.text("model"),
        work=Workload(
            _shape(row),
            row.needed("seq_len"),
            _as_precision(precision),
            optimizer_bytes=default_optimizer_bytes(precision),
            gradient_bytes=default_gradient_bytes(precision),
        ),
        accelerator=find_accelerator(row.text("gpu"), where),
        tokens=tokens * 1e12 if tokens is not None else None,
        gpus=row.whole("gpu_count"),
        batch_sequences=row.whole("global_batch_seqs"),
        fixed=fixed,
        figures=figures,
        software=row.text("software"),
        source=row.text("source"),
    )


def _as_precision(text: str) -> Precision:
    found: Precision = next(each for each in PRECISIONS if each == text)
    return found


def _shape(row: _Row) -> ModelShape:
    experts = row.whole("experts", 0) or 0
    width = row.whole("expert_ffn_dim", 0)
    sizes: dict[str, Any] = {
        "name": row.text("model"),
        "num_hidden_layers": row.needed("layers"),
        "hidden_size": row.needed("d_model"),
        "num_attention_heads": row.needed("heads"),
        "vocab_size": row.needed("vocab"),
        "gated_ffn": row.text("gated_ffn") != "0",
    }
    optional = {"num_key_value_heads": "kv_heads", "intermediate_size": "ffn_dim", "head_dim": "head_dim"}
    sizes |= {name: value for name, column in optional.items() if (value := row.whole(column)) is not None}
    if experts:
        sizes |= {
            "num_experts": experts,
            "num_experts_per_tok": row.needed("active_experts"),
            "moe_intermediate_size": width or row.needed("ffn_dim"),
            "shared_expert_intermediate_size": (row.whole("shared_experts", 0) or 0) * (width or 0),
            "num_dense_layers": row.whole("first_dense_layers", 0) or 0,
        }
    if row.text("attention").lower().startswith("mla"):
        found = {a or b: int(c or d) for a, c, b, d in LATENT.findall(row.text("attention").lower())}
        sizes.pop("num_key_value_heads", None)
        names = {"q": "q_lora_rank", "kv": "kv_lora_rank", "nope": "qk_nope_head_dim", "rope": "qk_rope_head_dim"}
        sizes |= {name: found[part] for part, name in (names | {"v": "v_head_dim"}).items() if part in found}
        if "kv_lora_rank" not in sizes:
            hint = "write it as: mla (q rank 1536, kv rank 512, nope 128, rope 64, v 128)"
            raise BadInput(f"attention {row.text('attention')!r} lacks its ranks", where=row.where, hint=hint)
    elif row.text("attention").lower() == "mqa":
        sizes.setdefault("num_key_value_heads", 1)
    try:
        return ModelShape.model_validate(sizes)
    except ValidationError as error:
        raise BadInput(error.errors()[0]["msg"].removeprefix("Value error, "), where=row.where) from None
