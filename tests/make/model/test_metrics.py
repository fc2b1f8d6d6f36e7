from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kiban.make.model.metrics import MetricsLog, StepMetrics, draw_loss, read_metrics, smooth


def step(number: int) -> StepMetrics:
    return StepMetrics(number, number * 10, 5.0 / number, 0.1, 1.0, 100.0, 0.3, number * 0.5)


def test_going_on_cuts_off_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.write(step(1))
    kept = log.sync()
    log.write(step(2))
    log.close()
    with path.open("ab") as file:
        file.write(b'{"step": 3, "tok')
    log = MetricsLog(path, kept)
    log.write(step(2))
    log.close()
    assert read_metrics(path) == [step(1), step(2)]


def test_the_curve_is_drawn_in_both_formats(tmp_path: Path) -> None:
    for count in (1, 5000):
        svg, png = tmp_path / f"{count}.svg", tmp_path / f"{count}.png"
        draw_loss([step(n + 1) for n in range(count)], "案件", svg, png)
        text = svg.read_text()
        assert "loss (nats per token)" in text
        assert "training tokens" in text
        assert "案件" in text
        assert len(text) < 500_000
        width, height = struct.unpack(">II", png.read_bytes()[16:24])
        assert (width, height) > (1000, 500)


def test_smoothing_keeps_the_mean_and_does_not_lag() -> None:
    assert smooth([3.0] * 10, 4) == pytest.approx([3.0] * 10)
    line = [float(n) for n in range(50)]
    assert smooth(line, 6)[3:-3] == pytest.approx(line[3:-3])
    assert smooth([1.0, 2.0], 1) == [1.0, 2.0]
