from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiban.kit import meter as meter_module
from kiban.kit.meter import WATTS_PER_BUSY_CORE, Meter


@pytest.fixture
def no_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_module, "_gpus", list)
    monkeypatch.setattr(meter_module, "_rapl_domains", list)


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.mark.usefixtures("no_counters")
def test_cpu_time_wall_time_and_an_estimate_that_says_so() -> None:
    with Meter() as meter:
        burn(0.3)
        used = meter.resources()
    assert 0.3 <= used.cpu_s < 1.0
    assert used.wall_s >= 0.3
    assert used.energy_j == pytest.approx(used.cpu_s * WATTS_PER_BUSY_CORE, abs=0.1)
    assert used.energy_source == "estimated"
    assert "W per busy core" in used.energy_method
    assert used.attempts == 1


@pytest.mark.usefixtures("no_counters")
def test_peak_memory_sees_what_was_freed_and_what_children_held() -> None:
    with Meter() as meter:
        before = meter.resources().peak_memory_bytes
        block = bytearray(300_000_000)
        block[::4096] = b"x" * len(block[::4096])
        del block
        assert meter.resources().peak_memory_bytes > before + 200_000_000


@pytest.mark.usefixtures("no_counters")
def test_attempts_add_up(tmp_path: Path) -> None:
    path = tmp_path / "resources.json"
    with Meter(path):
        burn(0.2)
    first = json.loads(path.read_text())
    with Meter(path) as meter:
        burn(0.2)
        both = meter.resources()
    assert both.attempts == 2
    assert both.cpu_s >= first["cpu_s"] + 0.2
    assert both.wall_s >= first["wall_s"] + 0.2


def test_a_killed_attempt_still_counts(tmp_path: Path) -> None:
    path = tmp_path / "resources.json"
    code = f"""
import kiban.kit.meter as m, pathlib
m.SAVE_SECONDS = 0.0; m.SAMPLE_SECONDS = 0.05
with m.Meter(pathlib.Path({str(path)!r})):
    print("running", flush=True)
    while True: pass
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (path.exists() and json.loads(path.read_text())["cpu_s"] > 0.2):
        time.sleep(0.02)
    process.kill()
    process.wait()
    process.stdout.close()
    with Meter(path) as meter:
        used = meter.resources()
    assert used.attempts == 2
    assert used.cpu_s > 0.2


def test_rapl_counters_are_measured_and_may_wrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = tmp_path / "intel-rapl:0"
    domain.mkdir()
    (domain / "energy_uj").write_text("900000000")
    (domain / "max_energy_range_uj").write_text("1000000000")
    monkeypatch.setattr(meter_module, "_gpus", list)
    monkeypatch.setattr(meter_module, "_rapl_domains", lambda: [domain])
    with Meter() as meter:
        (domain / "energy_uj").write_text("100000000")
        meter._sample()
        used = meter.resources()
    assert used.energy_j == pytest.approx(200.0)
    assert (used.energy_source, used.energy_method) == ("measured", "RAPL (1 packages)")
