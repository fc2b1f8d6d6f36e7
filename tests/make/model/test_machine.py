"""Measuring a machine, with trials of a few steps: what matters is that the record holds together."""

from __future__ import annotations

import pytest

from kiban.make.model import machine
from kiban.plan.hardware.this_machine import ThisMachine
from kiban.plan.training.local import predict_local


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> ThisMachine:
    trials = (machine.Sizes(2, 64, 300, 64, 2, 6), machine.Sizes(2, 128, 1024, 128, 4, 4))
    monkeypatch.setattr(machine, "TRIALS", {"cpu": trials})
    monkeypatch.setattr(machine, "PRODUCTS", {"cpu": ((256, 256, 256),)})
    monkeypatch.setattr(machine, "COPY_FLOATS", {"cpu": 2**20})
    monkeypatch.setattr(machine, "PRODUCT_SECONDS", 0.02)
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    told: list[str] = []
    record = machine.measure(told.append)
    assert told
    assert record.cuda is None
    assert record.cpu is not None
    return ThisMachine("cpu", record.cpu)


def test_the_larger_training_is_predicted_as_it_was_measured(
    measured: ThisMachine, capfd: pytest.CaptureFixture[str]
) -> None:
    """Within what the efficiency's bounds allow: a training slower than a hundredth of the peak is not met, nor one
    (of so few steps, where launches disturb) for which the peak itself would not be enough."""
    run = machine._as_run(machine.TRIALS["cpu"][1], measured.measured.precision)
    rate = list(measured.measured.trainings.values())[1]
    predicted = predict_local(run, measured, "t").tokens_per_s_per_gpu.value
    efficiency = measured.measured.efficiency
    if 0.01 < efficiency < 1:
        assert predicted == pytest.approx(rate, rel=0.05)
    elif efficiency == 1:
        assert predicted < rate
    else:
        assert predicted > rate
    assert measured.measured.framework_bytes > 2**27, "a process with torch in it"
    assert "training:" not in capfd.readouterr().err, "its own progress is not shown"


def test_products_are_faster_than_training(measured: ThisMachine) -> None:
    shape = machine._as_run(machine.TRIALS["cpu"][1], "fp32").shape
    rate = list(measured.measured.trainings.values())[1]
    from kiban.plan.model.counts import training_flops_per_token

    flops = rate * training_flops_per_token(shape, 128).six_n
    assert flops < max(measured.measured.peak_flops.values())
