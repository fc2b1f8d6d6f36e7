"""The table of published training runs that the plan is calibrated against: form, and plausibility by other arithmetic.

A figure typed wrongly here would silently bend every prediction, so each row is recomputed from its own shape with a
short formula of its own (multiply-adds of the matrices only), independent of kiban.plan's counts.
"""

import csv
import math
from collections import Counter
from pathlib import Path

import pytest

import kiban.plan

TABLE = Path(kiban.plan.__file__).parent / "data" / "published-runs.csv"

COLUMNS = [
    "model",
    "layers",
    "d_model",
    "heads",
    "kv_heads",
    "ffn_dim",
    "gated_ffn",
    "attention",
    "experts",
    "active_experts",
    "shared_experts",
    "expert_ffn_dim",
    "first_dense_layers",
    "vocab",
    "seq_len",
    "precision",
    "tokens_t",
    "gpu",
    "gpu_count",
    "tp",
    "pp",
    "ep",
    "cp",
    "global_batch_seqs",
    "gpu_hours",
    "step_seconds",
    "tokens_per_s_per_gpu",
    "tflops_per_gpu",
    "tflops_convention",
    "mfu",
    "mfu_convention",
    "head_dim",
    "micro_batch_seqs",
    "vpp",
    "schedule",
    "recompute",
    "zero",
    "software",
    "source",
]
SHAPE = ["layers", "d_model", "heads", "kv_heads", "ffn_dim", "vocab", "seq_len"]
EXPERTS = ["experts", "active_experts", "shared_experts", "expert_ffn_dim", "first_dense_layers"]
PUBLISHED = ["gpu_hours", "step_seconds", "tokens_per_s_per_gpu", "tflops_per_gpu", "mfu"]
INTEGERS = [*SHAPE, *EXPERTS, "head_dim", "gpu_count", "tp", "pp", "ep", "cp", "global_batch_seqs", "micro_batch_seqs"]
NUMBERS = [*INTEGERS, *PUBLISHED, "vpp", "zero", "tokens_t"]
MLA = "mla (q rank 1536, kv rank 512, nope 128, rope 64, v 128)"

# Dense peaks in TFLOP/s from the makers' data sheets (A100 2020, V100 2018, H100 SXM 2023, HGX B200/B300 and
# GB200/GB300 NVL72 2024-2025, Ada whitepaper 2022), written here again so that the catalogue is not its own judge.
PEAK_TFLOPS = {
    ("V100", "fp16"): 125,
    ("A100-40", "bf16"): 312,
    ("A100-40", "fp16"): 312,
    ("A100-80", "bf16"): 312,
    ("A100-80", "fp16"): 312,
    ("H100", "bf16"): 989,
    ("H100", "fp8"): 1979,
    ("H800", "bf16"): 989,
    ("H800", "fp8"): 1979,
    ("H200", "fp8"): 1979,
    ("B200", "fp8"): 4500,
    ("B300", "fp8"): 4500,
    ("GB200", "bf16"): 2500,
    ("GB200", "fp8"): 5000,
    ("GB200", "fp4"): 10000,
    ("GB300", "bf16"): 2500,
    ("GB300", "fp8"): 5000,
    ("GB300", "fp4"): 15000,
    ("RTX-4090", "bf16"): 165,
}

Row = dict[str, str]


def _rows() -> list[Row]:
    with TABLE.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


ROWS = _rows()


def _each(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=[row["model"] for row in rows])


each_row = _each(ROWS)


def _number(row: Row, column: str) -> float:
    return float(row[column])


def _known(row: Row, *columns: str) -> bool:
    return all(row[column] for column in columns)


def _matrix_weights(row: Row) -> float:
    """Weights of the matrices one token passes through, the output head among them, the input embedding not."""
    layers, width, heads, kv_heads, ffn, vocab = (_number(row, c) for c in SHAPE[:6])
    head = _number(row, "head_dim") if row["head_dim"] else width / heads
    matrices = 3 if row["gated_ffn"] == "1" else 2
    if row["attention"] == MLA:
        query = 1536 * (width + heads * (128 + 64))
        attention = query + width * (512 + 64) + 512 * heads * (128 + 128) + heads * 128 * width
    else:
        attention = 2 * width * head * (heads + kv_heads)
    dense_layers, expert_layer = layers, 0.0
    if row["experts"]:
        dense_layers = _number(row, "first_dense_layers")
        chosen = _number(row, "active_experts") + _number(row, "shared_experts")
        expert_layer = width * (matrices * _number(row, "expert_ffn_dim") * chosen + _number(row, "experts"))
    blocks = dense_layers * matrices * width * ffn + (layers - dense_layers) * expert_layer
    return layers * attention + blocks + vocab * width


def _attention_flops(row: Row) -> float:
    """Training FLOPs per token of scores and values over the full square of positions."""
    width_per_head = _number(row, "d_model") / _number(row, "heads")
    if row["head_dim"]:
        width_per_head = _number(row, "head_dim")
    both = 192 + 128 if row["attention"] == MLA else 2 * width_per_head
    return 6 * _number(row, "layers") * _number(row, "heads") * both * _number(row, "seq_len")


def _tokens_per_second(row: Row) -> dict[str, float]:
    """Tokens per second per accelerator that each published time or throughput of the row means."""
    found = {}
    if _known(row, "gpu_hours", "tokens_t"):
        found["gpu_hours"] = _number(row, "tokens_t") * 1e12 / _number(row, "gpu_hours") / 3600
    if _known(row, "step_seconds", "gpu_count", "global_batch_seqs"):
        tokens = _number(row, "global_batch_seqs") * _number(row, "seq_len")
        found["step_seconds"] = tokens / _number(row, "step_seconds") / _number(row, "gpu_count")
    if row["tokens_per_s_per_gpu"]:
        found["tokens_per_s_per_gpu"] = _number(row, "tokens_per_s_per_gpu")
    return found


def test_columns_are_the_agreed_ones_in_order() -> None:
    with TABLE.open(newline="", encoding="utf-8") as lines:
        assert next(csv.reader(lines)) == COLUMNS
    assert all(None not in row and None not in row.values() for row in ROWS), "a row longer or shorter than the header"


def test_enough_runs_of_enough_kinds() -> None:
    assert len(ROWS) >= 40
    assert len({row["gpu"] for row in ROWS}) >= 8
    assert {row["precision"] for row in ROWS} >= {"fp16", "bf16", "fp8"}
    assert sum(bool(row["experts"]) for row in ROWS) >= 10


def test_no_run_twice_and_few_of_a_kind() -> None:
    assert max(Counter(row["model"] for row in ROWS).values()) == 1
    content = Counter(tuple(v for c, v in row.items() if c not in ("model", "source", "software")) for row in ROWS)
    assert max(content.values()) == 1
    kinds = Counter(tuple(row[c] for c in [*SHAPE[:5], "experts", "gpu", "precision"]) for row in ROWS)
    assert [kind for kind, n in kinds.items() if n > 4] == []


@each_row
def test_form(row: Row) -> None:
    assert all(row[c] for c in [*SHAPE, "gated_ffn", "attention", "precision", "gpu"])
    assert (row["gpu"], row["precision"]) in PEAK_TFLOPS
    assert row["gated_ffn"] in ("0", "1")
    assert row["recompute"] in ("", "none", "selective", "full")
    assert row["zero"] in ("", "0", "1", "2", "3")
    for column in NUMBERS:
        value = float(row[column] or 1)
        assert math.isfinite(value)
        assert value > 0 or column in ("zero", "shared_experts", "first_dense_layers")
    assert all(row[column].isdecimal() for column in INTEGERS if row[column])
    heads, kv_heads = _number(row, "heads"), _number(row, "kv_heads")
    expected = "mha" if heads == kv_heads else "mqa" if kv_heads == 1 else "gqa"
    assert row["attention"] in (expected, MLA)
    assert heads % kv_heads == 0
    assert row["head_dim"] or row["attention"] == MLA or _number(row, "d_model") % heads == 0
    assert len({bool(row[column]) for column in EXPERTS}) == 1


@each_row
def test_source_and_conventions_are_said(row: Row) -> None:
    assert len(row["source"]) > 10
    assert any(row[column] for column in PUBLISHED)
    assert bool(row["tflops_per_gpu"]) == bool(row["tflops_convention"])
    assert bool(row["mfu"]) == bool(row["mfu_convention"])
    assert not row["gpu_hours"] or row["tokens_t"], "hours of an unknown number of tokens compare with nothing"


@_each([row for row in ROWS if _known(row, "gpu_count", "tp", "pp")])
def test_layout_divides_the_machine_and_the_batch(row: Row) -> None:
    gpus, pipeline = int(row["gpu_count"]), int(row["pp"])
    model_parallel = int(row["tp"]) * pipeline * int(row["cp"] or 1)
    assert gpus % model_parallel == 0
    assert gpus % (int(row["ep"] or 1) * pipeline) == 0
    assert not row["ep"] or int(row["experts"]) % int(row["ep"]) == 0
    assert int(row["vpp"] or 1) == 1 or pipeline > 1
    if row["global_batch_seqs"]:
        replicas = gpus // model_parallel
        assert int(row["global_batch_seqs"]) % (replicas * int(row["micro_batch_seqs"] or 1)) == 0


@each_row
def test_implied_utilisation_is_possible(row: Row) -> None:
    peak = PEAK_TFLOPS[row["gpu"], row["precision"]]
    six_n = 6 * _matrix_weights(row)
    shares = {name: tokens * six_n / 1e12 / peak for name, tokens in _tokens_per_second(row).items()}
    if row["tflops_per_gpu"]:
        # Leave only 6N: three of four passes where a recomputed forward is counted, and without attention's part.
        passes = 0.75 if row["tflops_convention"].startswith("hardware") else 1.0
        only_6n = six_n / (six_n + _attention_flops(row))
        shares["tflops_per_gpu"] = _number(row, "tflops_per_gpu") * passes * only_6n / peak
    if row["mfu"]:
        shares["mfu"] = _number(row, "mfu")
    assert shares
    assert all(0.02 < share < 1 for share in shares.values()), shares


@_each([row for row in ROWS if _known(row, "step_seconds", "tokens_per_s_per_gpu")])
def test_step_and_throughput_agree(row: Row) -> None:
    tokens = _tokens_per_second(row)
    assert tokens["step_seconds"] == pytest.approx(tokens["tokens_per_s_per_gpu"], rel=0.02)


TWICE_STATED = [
    row
    for row in ROWS
    if "attention" in row["tflops_convention"] and (row["tokens_per_s_per_gpu"] or row["step_seconds"])
]


@_each(TWICE_STATED)
def test_flops_follow_from_the_pace(row: Row) -> None:
    """Where a source gives tokens or seconds and FLOP/s, its FLOP/s are those of this shape at that pace."""
    convention, tokens = row["tflops_convention"], _tokens_per_second(row)
    pace = tokens.get("tokens_per_s_per_gpu") or tokens["step_seconds"]
    attention = _attention_flops(row) * (0.5 if "causal-halved" in convention else 1.0)
    flops = 6 * _matrix_weights(row) + attention
    if convention.startswith("hardware"):
        flops *= 4 / 3
    # A multi-token-prediction layer, counted in the figure, is not in the columns; rounding of step times otherwise.
    slack = 0.05 if "multi-token-prediction" in row["source"] else 0.02
    assert _number(row, "tflops_per_gpu") == pytest.approx(pace * flops / 1e12, rel=slack)


@pytest.mark.parametrize("column", ["tokens_per_s_per_gpu", "layers", "ffn_dim", "tflops_per_gpu"])
def test_a_slip_of_a_tenth_in_one_figure_is_caught(column: str) -> None:
    row = dict(next(row for row in TWICE_STATED if row["model"].startswith("Llama-3-70B (NeMo")))
    row[column] = str(round(_number(row, column) * 1.1))
    with pytest.raises(AssertionError):
        test_flops_follow_from_the_pace(row)


def test_most_rows_are_checked_against_their_own_second_figure() -> None:
    assert len(TWICE_STATED) >= len(ROWS) // 3
