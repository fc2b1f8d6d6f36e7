"""Published runs are read as their authors meant them, and a wrong file is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiban.kit.errors import BadInput
from kiban.plan.evidence.runs import PUBLISHED_RUNS, Figure, read_runs
from kiban.plan.hardware.accelerators import find_accelerator
from kiban.plan.model.counts import count_parameters

from ..conftest import llama_8b, work

HEADER = (
    "model,layers,d_model,heads,kv_heads,ffn_dim,gated_ffn,attention,experts,active_experts,shared_experts,"
    "expert_ffn_dim,first_dense_layers,vocab,seq_len,precision,tokens_t,gpu,gpu_count,tp,pp,ep,cp,global_batch_seqs,"
    "gpu_hours,step_seconds,tokens_per_s_per_gpu,tflops_per_gpu,tflops_convention,mfu,mfu_convention,source"
)
LLAMA = "L,32,4096,32,8,14336,1,gqa,,,,,,128256,8192,bf16,,H100,8,1,1,,1,64,,,,400,model flops,,,me"


def write(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "runs.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def test_the_shipped_runs_are_read_with_their_sizes() -> None:
    runs = {run.name: run for run in read_runs()}
    published = {"Llama-3.1-405B": 405_853_388_800, "Llama-2-7B": 6_738_415_616, "Llama-2-13B": 13_015_864_320}
    for name, parameters in published.items():
        assert count_parameters(runs[name].work.shape).total == parameters
    # The report says 671 B of which 37 B are active.
    deepseek = count_parameters(runs["DeepSeek-V3"].work.shape)
    assert (round(deepseek.total / 1e9), round(deepseek.active / 1e9, 1)) == (671, 37.6)
    assert len(runs) >= 100
    assert PUBLISHED_RUNS.exists()


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        ("hardware flops incl. recomputation, as stated", "hardware"),
        ("hardware flops incl. recomputation (about 112 model flops)", "hardware"),
        ("bf16 peak, non-causal attention; 0.3894 causal", "with_attention"),
        ("model flops, causal-halved attention", "with_causal_attention"),
        ("model flops, full attention, of 312 TFLOP/s", "with_attention"),
        ("6ND", "six_n"),
        ("6 N D, attention not counted", "six_n"),
        ("as stated", "with_attention"),
        ("", "with_attention"),
    ],
)
def test_conventions_are_understood(words: str, counted: str) -> None:
    assert Figure("mfu", 0.4, words).counted == counted


def test_the_peak_is_the_one_the_authors_name() -> None:
    h100, narrow = find_accelerator("H100"), work(llama_8b(), precision="fp8")
    assert Figure("mfu", 0.4, "of 1979 TFLOP/s").peak_flops(narrow, h100) == 1979e12
    assert Figure("mfu", 0.4, "fp8 peak").peak_flops(narrow, h100) == h100.peak_flops["fp8"]
    assert Figure("mfu", 0.4, "bf16 peak").peak_flops(narrow, h100) == h100.peak_flops["bf16"]
    assert Figure("mfu", 0.4, "").peak_flops(narrow, h100) == h100.peak_flops["bf16"]


def test_what_a_run_says_of_its_layout_is_fixed_and_the_rest_is_open(tmp_path: Path) -> None:
    (run,) = read_runs(write(tmp_path, LLAMA))
    assert run.fixed == {"tp": (1,), "pp": (1,), "cp": (1,)}
    assert (run.gpus, run.batch_sequences, run.tokens) == (8, 64, None)
    recomputing = LLAMA.replace("model flops", "hardware flops incl. recomputation")
    (run,) = read_runs(write(tmp_path, recomputing))
    assert run.fixed["recompute"] == ("full",)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (LLAMA.replace(",H100,", ",H1000,"), "runs.csv:2: unknown accelerator 'H1000'"),
        (LLAMA.replace(",bf16,", ",bf61,"), "precision 'bf61' is none of"),
        (LLAMA.replace(",4096,32,8,", ",4096,33,8,"), "not divisible"),
        (LLAMA.replace("L,32,", "L,-32,"), "layers: -32 is negative"),
        (LLAMA.replace("L,32,", "L,,"), "layers is empty"),
        (LLAMA.replace("L,32,", "L,many,"), "layers: 'many' is not understood"),
        (LLAMA.replace(",400,", ",,"), "no published figure"),
        (LLAMA.replace(",64,,,,400,", ",64,12000,,,,"), "gpu_hours needs tokens_t"),
        (LLAMA.replace(",gqa,", ",mla,"), "lacks its ranks"),
        (LLAMA.replace(",H100,8,1,1,", ",H100,8,0,1,"), "tp: '0' is not a whole number from 1"),
        (LLAMA.replace(",H100,8,", ",H100,1e30,"), "gpu_count: '1e30' is not a whole number"),
        (LLAMA.replace(",400,model flops,,", ",,,41,"), "mfu: 41 is no share"),
        (LLAMA + ",surplus", "more cells than columns"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_runs(write(tmp_path, row))
    assert says in str(caught.value)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read it"):
        read_runs(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="columns are missing: gpu"):
        read_runs(write(tmp_path, LLAMA, header=HEADER.replace(",gpu,", ",card,")))
    with pytest.raises(BadInput, match="unknown columns: colour"):
        read_runs(write(tmp_path, LLAMA + ",red", header=HEADER + ",colour"))
    with pytest.raises(BadInput, match="it holds no run"):
        read_runs(write(tmp_path))
