"""What a stage takes: wall and CPU seconds, peak memory, GPU seconds, energy and how the energy is known.

Energy is measured where it can be — NVML for GPUs, RAPL counters for the processor — and otherwise estimated from
CPU seconds with a stated power per busy core. Totals are kept in a file while the stage runs, so that a stage
killed and resumed reports what all of its attempts used.
"""

from __future__ import annotations

import json
import os
import resource
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kiban.kit.files import write_json
from kiban.kit.manifest import EnergySource, Resources

# A server core at full load including its share of memory and power supply: a 2-socket SPECpower-class server
# (about 500 W at 100% load, 64 cores, SPECpower_ssj2008 results 2020-2023) gives 6-9 W; 8 W is used.
WATTS_PER_BUSY_CORE = 8.0
SAMPLE_SECONDS = 1.0
SAVE_SECONDS = 5.0


class Meter:
    """`with Meter(path) as meter: …` then `meter.resources()`.

    Args:
        path: where totals are kept between attempts.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._before = _read(path)
        self._stop = threading.Event()
        self._peak_bytes = 0
        self._gpu_s = 0.0
        self._gpu_j = 0.0
        self._gpus = _gpus()
        self._rapl = _rapl_domains()
        self._rapl_last = [_read_counter(domain / "energy_uj") for domain in self._rapl]
        self._rapl_j = 0.0
        self._sampled = time.monotonic()

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._cpu_started = _cpu_seconds()
        self._sampled = self._started
        self._thread = threading.Thread(target=self._sample_until_stopped, name="meter", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()
        try:
            self._save()
        except OSError:
            if kind is None:
                raise  # on the way out of another error (a full disk, say) that error is the one to show

    def resources(self) -> Resources:
        """Totals of this attempt and the ones before."""
        before = self._before
        wall_s = time.monotonic() - self._started
        cpu_s = _cpu_seconds() - self._cpu_started
        energy_j, source, method = self._energy(cpu_s)
        earlier_j = before.get("energy_j", 0.0)
        return Resources(
            wall_s=round(before.get("wall_s", 0.0) + wall_s, 3),
            cpu_s=round(before.get("cpu_s", 0.0) + cpu_s, 3),
            peak_memory_bytes=max(before.get("peak_memory_bytes", 0), self._peak_bytes, _own_peak_bytes()),
            gpu_s=round(before.get("gpu_s", 0.0) + self._gpu_s, 3),
            energy_j=round(earlier_j + energy_j, 1),
            energy_source=source,
            energy_method=method,
            attempts=before.get("attempts", 0) + 1,
        )

    def _energy(self, cpu_s: float) -> tuple[float, EnergySource, str]:
        if self._rapl:
            cpu_j, cpu_source, cpu_method = self._rapl_j, "measured", f"RAPL ({len(self._rapl)} packages)"
        else:
            cpu_j, cpu_source = cpu_s * WATTS_PER_BUSY_CORE, "estimated"
            cpu_method = f"{WATTS_PER_BUSY_CORE:g} W per busy core x CPU seconds"
        if not self._gpus:
            return cpu_j, "measured" if cpu_source == "measured" else "estimated", cpu_method
        method = f"NVML power of {len(self._gpus)} GPU(s); processor: {cpu_method}"
        return cpu_j + self._gpu_j, "measured" if cpu_source == "measured" else "estimated", method

    def _sample_until_stopped(self) -> None:
        saved = time.monotonic()
        while not self._stop.wait(SAMPLE_SECONDS):
            self._sample()
            if self._path and time.monotonic() - saved > SAVE_SECONDS:
                try:
                    self._save()
                except OSError:
                    pass  # the stage itself will report a full or vanished disk
                saved = time.monotonic()

    def _sample(self) -> None:
        now = time.monotonic()
        elapsed, self._sampled = now - self._sampled, now
        self._peak_bytes = max(self._peak_bytes, _family_memory_bytes())
        for index, domain in enumerate(self._rapl):
            counter = _read_counter(domain / "energy_uj")
            step = counter - self._rapl_last[index]
            if step < 0:  # the counter wrapped
                step += _read_counter(domain / "max_energy_range_uj")
            self._rapl_j += step / 1e6
            self._rapl_last[index] = counter
        for gpu in self._gpus:
            import pynvml

            if any(process.pid in _family_pids() for process in pynvml.nvmlDeviceGetComputeRunningProcesses(gpu)):
                self._gpu_s += elapsed
                self._gpu_j += elapsed * pynvml.nvmlDeviceGetPowerUsage(gpu) / 1e3

    def _save(self) -> None:
        if self._path:
            write_json(self._path, self.resources().model_dump(mode="json"))


def _read(path: Path | None) -> dict[str, Any]:
    if path is None or not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _own_peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _family_pids() -> set[int]:
    import psutil

    return {os.getpid()} | {child.pid for child in psutil.Process().children(recursive=True)}


def _family_memory_bytes() -> int:
    """Resident memory of this process and its children now; pages they share are counted once per process."""
    import psutil

    total = 0
    for pid in _family_pids():
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _gpus() -> list[Any]:
    try:
        import pynvml

        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except Exception:  # NVML raises its own classes for "no driver", "no library" and "no permission" alike
        return []


def power_source() -> str:
    """How this machine's processor power is known: as `Meter` says it."""
    domains = len(_rapl_domains())
    return f"RAPL ({domains} packages)" if domains else f"{WATTS_PER_BUSY_CORE:g} W per busy core x cores in use"


def gpu_names() -> tuple[str, ...]:
    """Names of the GPUs that NVML sees, as their driver gives them."""
    gpus = _gpus()
    if not gpus:
        return ()
    import pynvml

    return tuple(str(pynvml.nvmlDeviceGetName(gpu)) for gpu in gpus)


def _rapl_domains() -> list[Path]:
    """Package-level RAPL domains whose counters this user may read."""
    packages = sorted(Path("/sys/class/powercap").glob("intel-rapl:[0-9]"))
    return [package for package in packages if os.access(package / "energy_uj", os.R_OK)]


def _read_counter(path: Path) -> int:
    return int(path.read_text())
