"""This machine as plans see it: what `kiban plan measure` found, kept in the user's cache until the processor changes.

Measuring needs torch and lives in kiban.make.model.machine; here its record is read and turned into an accelerator
with the efficiency that kiban's own training reaches on it.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kiban.kit.config import StrictModel, load_model
from kiban.kit.errors import BadInput
from kiban.kit.files import write_atomically
from kiban.kit.manifest import processor_name
from kiban.kit.meter import gpu_names
from kiban.plan.hardware.accelerators import Accelerator, Link, Precision, find_accelerator

if TYPE_CHECKING:
    from kiban.plan.evidence.efficiencies import Efficiencies
    from kiban.plan.hardware.prices import Price
    from kiban.plan.training.step import Machine

THIS_MACHINE = "this-machine"
MEASURE_HINT = "run `kiban plan measure` on it; it takes a few seconds"
# An undisturbed training keeps its threads busy for more of the time than this.
UNDISTURBED_SHARE = 0.75
# Processors compute products row by row and start them without a launch queue: what GPUs lose by tiles, waves and
# short inner sizes, they do not (measured rates differ by a tenth from inner sizes of 64 to 2,048).
PROCESSOR_CONSTANTS = {"tile_rows": 1.0, "tile_columns": 1.0, "inner_ramp": 1.0, "host_seconds_per_step": 0.001}


class Measured(StrictModel):
    """One device of a machine.

    Attributes:
        processor: the processor's or GPU's name, as the system gives it; another one makes the record void.
        cores: that training uses; 1 for a GPU.
        peak_flops: of the best matrix product found, by precision.
        busy_power_w: of the machine while it trains, without the building's overhead.
        precision: in which the trainings were measured, the one that recipes get by default.
        efficiency: of matrix products in training, of the peak, with which the larger training is predicted.
        host_seconds_per_layer: with which the smaller one is.
        framework_bytes: of the larger training's process, beyond what the training itself is predicted to hold.
        trainings: what was trained and how fast, in tokens per second.
        core_share: of its cores' time, what the larger training got: nearly all of it on an idle machine.
    """

    processor: str
    cores: int = Field(gt=0)
    memory_bytes: int = Field(gt=0)
    memory_bandwidth_bytes_per_s: float = Field(gt=0)
    peak_flops: dict[Precision, float] = Field(min_length=1)
    busy_power_w: float = Field(gt=0)
    power_source: str
    precision: Literal["fp32", "bf16"]
    efficiency: float = Field(gt=0, le=1)
    host_seconds_per_layer: float = Field(gt=0)
    framework_bytes: int = Field(gt=0)
    trainings: dict[str, float]
    core_share: float = Field(gt=0)
    software: str
    measured: str = Field(description="when, ISO 8601")

    @property
    def was_busy(self) -> bool:
        """Whether other work disturbed the measurement: the machine can do more than it says."""
        return self.core_share < UNDISTURBED_SHARE


class MachineFile(StrictModel):
    """The form of the record: the processor, and the first GPU where there is one."""

    cpu: Measured | None = None
    cuda: Measured | None = None


def machine_path() -> Path:
    """KIBAN_MACHINE, else `kiban/machine.yaml` in the user's cache (XDG base directories)."""
    if named := os.environ.get("KIBAN_MACHINE"):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "kiban" / "machine.yaml"


def is_this_machine(gpu: str) -> bool:
    folded = "".join(letter for letter in unicodedata.normalize("NFKC", gpu).casefold() if letter.isalnum())
    return folded in ("thismachine", "このマシン", "この計算機", "localhost")


def write_machine(record: MachineFile, path: Path) -> None:
    """Keep a measurement for later plans.

    Raises:
        BadInput: the place cannot be written to.
    """
    import io

    from ruamel.yaml import YAML

    text = io.StringIO()
    text.write("# What `kiban plan measure` found on this machine. Measure again rather than edit.\n")
    YAML().dump(record.model_dump(mode="json", exclude_none=True), text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.getvalue())
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(path)) from None


@dataclass(frozen=True)
class ThisMachine:
    """A measured device, ready to be planned with."""

    device: Literal["cpu", "cuda"]
    measured: Measured

    @cached_property
    def accelerator(self) -> Accelerator:
        """A GPU is the catalogue's entry where it has one; a processor is a node of its own."""
        if self.device == "cuda":
            try:
                return find_accelerator(self.measured.processor)
            except BadInput:
                pass  # a GPU that the catalogue does not hold is what was measured of it
        from kiban.plan.energy.siting import power_model

        measured = self.measured
        nothing = Link(name="none", gpus=1, bandwidth_bytes_per_s=measured.memory_bandwidth_bytes_per_s, latency_s=0.0)
        return Accelerator(
            name=f"{THIS_MACHINE} ({measured.processor})",
            vendor="this machine",
            kind="cpu" if self.device == "cpu" else "gpu",
            architecture=THIS_MACHINE,
            memory_bytes=measured.memory_bytes,
            memory_bandwidth_bytes_per_s=measured.memory_bandwidth_bytes_per_s,
            peak_flops=measured.peak_flops,
            compute_units=measured.cores,
            gpus_per_node=1,
            scale_up=nothing,
            scale_out=nothing,
            board_power_w=measured.busy_power_w,
            # Plans take a machine that trains to draw this share of its rated power; here the draw is what is known.
            node_power_w_per_gpu=measured.busy_power_w / power_model().busy_share,
            sources=(
                f"measured by kiban plan measure, {measured.measured[:10]}, {measured.software}, {measured.cores} "
                f"core{'s' if measured.cores > 1 else ''}",
                f"power: {measured.power_source}",
            ),
            checked=measured.measured[:10],
        )

    def efficiencies(self, shipped: Efficiencies) -> Efficiencies:
        """The measured efficiency in place of fitted ones, with the band of hardware left out of the fit."""
        name = self.accelerator.name
        precisions = {"fp32", "bf16", *self.accelerator.peak_flops}
        return shipped.model_copy(
            update={
                "accelerator": {f"{name} {precision}": self.measured.efficiency for precision in precisions},
                "hours_overhead": 1.0,  # one run on one's own machine: nothing but its steps
                "band": dict.fromkeys(shipped.band, shipped.unseen_band),
                "hours_band": shipped.unseen_band,
                "source": f"trainings of tiny models measured on this machine, {self.measured.measured[:10]}; the band "
                f"is that of hardware without a run of its own among {shipped.source}",
            }
        )

    def machine(self) -> Machine:
        """With the measured efficiency, launch time and memory of the framework."""
        from kiban.plan.training.constants import constants
        from kiban.plan.training.step import Machine

        changed: dict[str, float] = {"host_seconds_per_layer": self.measured.host_seconds_per_layer}
        if self.device == "cpu":
            changed |= PROCESSOR_CONSTANTS
        efficiency = self.measured.efficiency
        return Machine(self.accelerator, efficiency, efficiency, constants().model_copy(update=changed))

    def price(self, yen_per_hour: float | None) -> Price:
        """The given price of an hour, else a catalogued GPU's, else the electricity alone."""
        from kiban.plan.hardware.prices import Price, electricity_price, price_of

        if yen_per_hour is not None or self.accelerator.architecture != THIS_MACHINE:
            return price_of(self.accelerator, yen_per_hour)
        rate = electricity_price("高圧")
        yen = self.measured.busy_power_w / 1000 * rate.yen_per_kwh
        method = f"electricity alone, {self.measured.busy_power_w:.0f} W at {rate.yen_per_kwh:g} yen per kWh; "
        source = f"{rate.source}, {rate.date}"
        return Price(
            accelerator=self.accelerator.name,
            yen_per_gpu_hour=yen,
            low_yen_per_gpu_hour=yen / 1.5,
            high_yen_per_gpu_hour=yen * 1.5,
            estimated=False,
            entries=0,
            dates=(rate.date, rate.date),
            method=method + "what the machine itself costs is not counted, half as much either way",
            sources=(source, f"power: {self.measured.power_source}"),
        )


def read_this_machine(
    device: Literal["cpu", "cuda"] | None = None, *, path: Path | None = None, gpus: tuple[str, ...] | None = None
) -> ThisMachine:
    """The measured device that `device` names; by default the GPU where this machine has one, else the processor.

    Raises:
        BadInput: it was not measured, or the processor or GPU is another one now.
    """
    path = path or machine_path()
    if not path.is_file():
        raise BadInput("this machine was not measured yet", where=str(path), hint=MEASURE_HINT)
    record, _ = load_model(path, MachineFile)
    present = gpu_names() if gpus is None else gpus
    if device is None:
        device = "cuda" if present and record.cuda else "cpu"
    found = record.cpu if device == "cpu" else record.cuda
    if found is None:
        what = "processor" if device == "cpu" else "GPU"
        raise BadInput(f"this machine's {what} was not measured yet", where=str(path), hint=MEASURE_HINT)
    now: Mapping[str, str] = {"cpu": processor_name(), "cuda": present[0] if present else "no GPU"}
    if found.processor != now[device]:
        raise BadInput(
            f"it was measured on {found.processor}, and this machine has {now[device]}",
            where=str(path),
            hint=MEASURE_HINT,
        )
    return ThisMachine(device, found)
