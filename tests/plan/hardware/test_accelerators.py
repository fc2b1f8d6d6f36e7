"""The accelerator catalogue: names people and drivers use, figures that agree with each other, users' own entries."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.hardware.accelerators import Accelerator, Link, accelerators, find_accelerator

# Every accelerator that a plan must know, with dense bf16 (fp16 for A64FX and V100) from the makers' documents.
REQUIRED = {
    "A100-40": 312e12,
    "A100-80": 312e12,
    "H100": 989e12,
    "H100-PCIe": 756e12,
    "H800": 989e12,
    "H200": 989e12,
    "B200": 2.25e15,
    "GB200": 2.5e15,
    "MI300X": 1307.4e12,
    "A64FX": 13.52e12,
    "RTX 4090": 165.2e12,
    "RTX 5090": 209.5e12,
    "V100": 125e12,
    "L40S": 362e12,
    "L4": 121e12,
}


@pytest.mark.parametrize(("name", "flops"), REQUIRED.items())
def test_peaks_are_the_makers(name: str, flops: float) -> None:
    entry = accelerators()[name]
    assert entry.peak("bf16" if "bf16" in entry.peak_flops else "fp16") == flops


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100-PCIe"),
        ("NVIDIA H100 NVL", "H100-NVL"),
        ("NVIDIA A100-SXM4-40GB", "A100-40"),
        ("NVIDIA A100-PCIE-40GB", "A100-40"),
        ("NVIDIA A100-SXM4-80GB", "A100-80"),
        ("NVIDIA A100 80GB PCIe", "A100-80"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("Tesla V100-SXM2-32GB", "V100"),
        ("AMD Instinct MI300X", "MI300X"),
        ("rtx4090", "RTX 4090"),
        ("ＧＢ２００ nvl72", "GB200"),
        ("a100 40", "A100-40"),
        ("富岳", "A64FX"),
    ],
)
def test_names_as_drivers_and_people_give_them(reported: str, name: str) -> None:
    assert find_accelerator(reported).name == name


@pytest.mark.parametrize(
    "other",
    [
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA H200 NVL",
        "H100 40GB",
        "NVIDIA",
        "",
    ],
)
def test_another_product_is_not_taken_for_a_known_one(other: str) -> None:
    with pytest.raises(BadInput):
        find_accelerator(other)


def test_an_unknown_name_names_the_nearest_and_the_place() -> None:
    with pytest.raises(BadInput, match="H100") as caught:
        find_accelerator("H101", where="plan.yaml:3")
    assert str(caught.value).startswith("plan.yaml:3")
    with pytest.raises(BadInput, match="A64FX"):  # nothing near: all are named
        find_accelerator("banana")


@pytest.mark.parametrize("entry", accelerators().values(), ids=lambda entry: entry.name)
def test_every_entry_is_cited_and_consistent(entry: Accelerator) -> None:
    assert entry.checked
    assert all(len(source) > 20 and any(digit.isdigit() for digit in source) for source in entry.sources)
    assert entry.node_power_w_per_gpu > entry.board_power_w * 0.9
    assert entry.peak("fp16") == entry.peak_flops.get("bf16", entry.peak("fp16"))
    narrow = [entry.peak_flops[p] for p in ("fp32", "fp16", "fp8", "fp4") if p in entry.peak_flops]
    assert narrow == sorted(narrow)  # fewer bits are never slower
    assert entry.memory_bandwidth_bytes_per_s > entry.scale_up.bandwidth_bytes_per_s
    assert entry.scale_up.bandwidth_bytes_per_s >= entry.scale_out.bandwidth_bytes_per_s
    assert entry.scale_out.gpus == 0
    assert entry.scale_up.gpus == entry.gpus_per_node or entry.name in {"GB200", "GB300"}
    for title in (entry.name, *entry.aliases):
        assert find_accelerator(title) is entry, title


def test_a_precision_it_lacks_is_named() -> None:
    with pytest.raises(BadInput, match="V100 has no bf16"):
        find_accelerator("V100").peak("bf16")


OWN = """
accelerators:
  - {{name: {name}, vendor: us, kind: gpu, architecture: new, memory_bytes: 1000, memory_bandwidth_bytes_per_s: 10,
     peak_flops: {{bf16: {flops}}}, compute_units: 1, gpus_per_node: 8, board_power_w: 1, node_power_w_per_gpu: 2,
     scale_up: {{name: a, gpus: 8, bandwidth_bytes_per_s: 1, latency_s: 0}},
     scale_out: {{name: b, gpus: 0, bandwidth_bytes_per_s: 1, latency_s: 0}}, sources: [ours], checked: now}}
"""


def test_a_users_file_adds_and_replaces(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN.format(name="Next1", flops="5e15"))
    assert find_accelerator("next 1", catalogue=accelerators(file)).peak("bf16") == 5e15
    file.write_text(OWN.format(name="H100", flops="1e12"))
    assert accelerators(file)["H100"].peak("bf16") == 1e12
    assert accelerators()["H100"].peak("bf16") == 989e12


@pytest.mark.parametrize("wrong", ["0", "-1", "{}"])
def test_a_users_file_without_a_peak_is_refused(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN.format(name="Next1", flops=wrong))
    with pytest.raises(BadInput, match=r"own\.yaml"):
        accelerators(file)


def test_this_machine_can_be_built_in_code() -> None:
    link = Link(name="memory", gpus=1, bandwidth_bytes_per_s=1e10, latency_s=0)
    entry = Accelerator(
        name="this machine", vendor="", kind="cpu", architecture="x86", memory_bytes=10**9,
        memory_bandwidth_bytes_per_s=1e10, peak_flops={"fp32": 1e11}, compute_units=2, gpus_per_node=1,
        scale_up=link, scale_out=link, board_power_w=50, node_power_w_per_gpu=80, sources=("measured",), checked="now",
    )  # fmt: skip
    assert entry.peak("fp32") == 1e11


@given(st.text(max_size=30))
def test_any_text_is_found_or_refused(text: str) -> None:
    try:
        found = find_accelerator(text)
    except BadInput:
        return
    assert found in accelerators().values()
