from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiban.kit.errors import BadInput
from kiban.plan.estimate import estimate
from kiban.plan.evidence.efficiencies import efficiencies
from kiban.plan.hardware.this_machine import (
    MachineFile,
    Measured,
    ThisMachine,
    is_this_machine,
    machine_path,
    read_this_machine,
    write_machine,
)
from kiban.plan.model.shape import ModelShape
from kiban.plan.planfile import PlanCluster, PlanFile, PlanModel, PlanTraining
from kiban.plan.training.local import LocalRun, Trial, implied_rates, predict_local

SHAPE = ModelShape(
    hidden_size=256,
    num_hidden_layers=4,
    vocab_size=4096,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=64,
    intermediate_size=704,
    tie_word_embeddings=True,
    qk_norm="head",
)


def run(tokens: int = 100_000, *, shape: ModelShape = SHAPE, **changed: int) -> LocalRun:
    sizes = {"seq_len_tokens": 256, "micro_batch_sequences": 8, "sequences_per_step": 8} | changed
    return LocalRun(shape, tokens, precision="bf16", **sizes)


def record(path: Path) -> Measured:
    measured = read_this_machine("cpu", path=path, gpus=()).measured
    assert measured == read_this_machine(path=path, gpus=()).measured, "without a GPU the processor is meant"
    return measured


def test_what_was_measured_is_read_back(measured_machine: Path, tmp_path: Path) -> None:
    measured = record(measured_machine)
    write_machine(MachineFile(cpu=measured), tmp_path / "new" / "machine.yaml")
    assert record(tmp_path / "new" / "machine.yaml") == measured


def test_the_record_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KIBAN_MACHINE", str(tmp_path / "own.yaml"))
    assert machine_path() == tmp_path / "own.yaml"
    monkeypatch.delenv("KIBAN_MACHINE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine_path() == tmp_path / "kiban" / "machine.yaml"


def test_a_machine_not_measured_or_changed_is_refused_with_what_to_do(measured_machine: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"not measured yet.*kiban plan measure"):
        read_this_machine(path=tmp_path / "none.yaml", gpus=())
    measured = record(measured_machine)
    other = tmp_path / "other.yaml"
    write_machine(MachineFile(cpu=measured.model_copy(update={"processor": "Another Processor"})), other)
    with pytest.raises(BadInput, match=r"measured on Another Processor, and this machine has .*kiban plan measure"):
        read_this_machine(path=other, gpus=())
    with pytest.raises(BadInput, match="GPU was not measured"):
        read_this_machine("cuda", path=measured_machine, gpus=("NVIDIA H200",))
    (tmp_path / "broken.yaml").write_text("cpu: {processor: x}\n")
    with pytest.raises(BadInput, match=r"broken.yaml:1.*missing"):
        read_this_machine(path=tmp_path / "broken.yaml", gpus=())


def test_a_gpu_is_the_catalogues_entry_or_what_was_measured(measured_machine: Path, tmp_path: Path) -> None:
    measured = record(measured_machine).model_copy(update={"processor": "NVIDIA H200", "cores": 1})
    path = tmp_path / "machine.yaml"
    write_machine(MachineFile(cuda=measured), path)
    here = read_this_machine(path=path, gpus=("NVIDIA H200",))
    assert (here.device, here.accelerator.name) == ("cuda", "H200")
    with pytest.raises(BadInput, match="measured on NVIDIA H200, and this machine has no GPU"):
        read_this_machine("cuda", path=path, gpus=())
    unknown = ThisMachine("cuda", measured.model_copy(update={"processor": "Tenstorrent Galaxy"}))
    assert unknown.accelerator.peak_flops == measured.peak_flops


@pytest.mark.parametrize("name", ["this-machine", "This Machine", "ｔｈｉｓ－ｍａｃｈｉｎｅ", "このマシン"])
def test_the_name_is_understood_as_people_write_it(name: str) -> None:
    assert is_this_machine(name)
    assert not is_this_machine("H100")


def plan_on(gpu: str, gpus: int = 1) -> PlanFile:
    return PlanFile(
        name="p",
        model=PlanModel(shape=SHAPE),
        training=PlanTraining(tokens=1_000_000, seq_len_tokens=256, global_batch_sequences=8),
        cluster=PlanCluster(gpu=gpu, gpus=gpus),
    )


def test_a_plan_may_name_this_machine(measured_machine: Path) -> None:
    found = estimate(plan_on("this-machine"), Path())
    measured = record(measured_machine)
    assert found.cluster.accelerator.kind == "cpu"
    assert found.machine.efficiency == measured.efficiency
    low, high = found.duration_seconds.low, found.duration_seconds.high
    assert low is not None
    assert high is not None
    assert (low, high) != (found.duration_seconds.value,) * 2
    shipped = efficiencies()
    assert high / found.duration_seconds.value == pytest.approx(shipped.unseen_band[1])
    assert "kiban plan measure" in " ".join(found.json()["cluster"]["sources"])
    with pytest.raises(BadInput, match="one device"):
        estimate(plan_on("this-machine", 2), Path())


def test_energy_and_yen_follow_from_the_measured_power(measured_machine: Path) -> None:
    here = read_this_machine("cpu", path=measured_machine, gpus=())
    found = predict_local(run(), here, "local")
    hours = found.duration_seconds.value / 3600
    assert found.footprint.kwh.value == pytest.approx(hours * 16.0 / 1000)
    assert found.yen.value == pytest.approx(found.footprint.kwh.value * found.cluster.price.yen_per_gpu_hour / 0.016)
    assert any("electricity alone" in source for source in found.yen.sources)
    rented = predict_local(run(), here, "local", 500.0)
    assert rented.yen.value == pytest.approx(hours * 500)


def test_memory_counts_the_measured_process_instead_of_a_gpus(measured_machine: Path) -> None:
    here = read_this_machine("cpu", path=measured_machine, gpus=())
    assert predict_local(run(), here, "local").best.memory["framework"] == here.measured.framework_bytes
    huge = SHAPE.model_copy(update={"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 40})
    with pytest.raises(BadInput, match="does not fit 1 x this-machine"):
        predict_local(run(shape=huge), here, "local")


@settings(max_examples=10, deadline=None)
@given(efficiency=st.floats(0.1, 0.95), launch=st.floats(5e-5, 2e-2))
def test_the_rates_behind_two_trainings_are_found_again(
    measured_machine: Path, efficiency: float, launch: float
) -> None:
    """Trainings predicted with known rates are measured trainings of a machine that has exactly these."""
    measured = read_this_machine("cpu", path=measured_machine, gpus=()).measured
    true = measured.model_copy(update={"efficiency": efficiency, "host_seconds_per_layer": launch})
    tiny = SHAPE.model_copy(update={"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2})
    small = run(512, shape=tiny, seq_len_tokens=128, micro_batch_sequences=4, sequences_per_step=4)
    trials = [
        Trial(each, predict_local(each, ThisMachine("cpu", true), "t").tokens_per_s_per_gpu.value)
        for each in (small, run())
    ]
    found = dict(zip(("efficiency", "host_seconds_per_layer"), implied_rates("cpu", measured, *trials), strict=True))
    again = ThisMachine("cpu", measured.model_copy(update=found))
    for trial in trials:
        rate = predict_local(trial.run, again, "t").tokens_per_s_per_gpu.value
        assert rate == pytest.approx(trial.tokens_per_s, rel=0.01)


def test_more_tokens_take_longer_and_a_faster_machine_less(measured_machine: Path) -> None:
    here = read_this_machine("cpu", path=measured_machine, gpus=())
    faster = ThisMachine("cpu", here.measured.model_copy(update={"efficiency": 0.9}))
    base = predict_local(run(), here, "l").duration_seconds.value
    assert predict_local(run(200_000), here, "l").duration_seconds.value > 1.9 * base
    assert predict_local(run(), faster, "l").duration_seconds.value < base
