"""The efficiency that software reaches on hardware, as fitted to published runs, and how far off predictions were."""

from __future__ import annotations

from functools import cache

from kiban.kit.config import StrictModel
from kiban.plan.hardware.accelerators import DATA, Accelerator
from kiban.plan.training.constants import constants
from kiban.plan.training.step import Machine

EFFICIENCIES = DATA / "efficiencies.json"
TYPICAL_EFFICIENCY = 0.7
# No published run tells what frameworks reach on processors without tensor cores, so it is set low and its band wide.
CPU_EFFICIENCY = 0.3
CPU_BAND = (0.5, 2.5)


class Efficiencies(StrictModel):
    """Fitted efficiency of large matrix products, by accelerator, architecture and width of precision.

    Attributes:
        accelerator: "H100 bf16" -> share of the peak.
        architecture: "hopper bf16" -> the same for hardware without runs of its own.
        width: "wide" (16 or 32 bits) or "narrow" -> the same for architectures without runs.
        runs: how many runs stand behind each key of `accelerator`.
        hours_overhead: published GPU-hours over those of uninterrupted steps, failures apart: what is spent on
            evaluation, restarts, rewound steps and trials before and after.
        band: 10th and 90th percentile of published over predicted time when all runs of a source were left out of the
            fit, of dense and of sparse models.
        hours_band: the same of published GPU-hours.
        unseen_band: the same of time when all runs of an accelerator were left out.
        unknown_band: the same when all runs of an architecture were left out.
        source: the runs' file and how many.
    """

    accelerator: dict[str, float]
    architecture: dict[str, float]
    width: dict[str, float]
    runs: dict[str, int]
    hours_overhead: float
    band: dict[str, tuple[float, float]]
    hours_band: tuple[float, float]
    unseen_band: tuple[float, float]
    unknown_band: tuple[float, float]
    source: str

    def of(self, accelerator: Accelerator, precision: str) -> float:
        precision = kind_of(precision)
        for table, name in ((self.accelerator, accelerator.name), (self.architecture, accelerator.architecture)):
            if f"{name} {precision}" in table:
                return table[f"{name} {precision}"]
        return CPU_EFFICIENCY if accelerator.kind == "cpu" else self.width.get(width_of(precision), TYPICAL_EFFICIENCY)

    def band_of(self, accelerator: Accelerator, precision: str, *, sparse: bool = False) -> tuple[float, float]:
        """Factors on a predicted time between which 80% of runs fell."""
        own = self.band["sparse" if sparse else "dense"]
        if self.has_seen(accelerator, precision):
            return own
        if accelerator.kind == "cpu":
            return CPU_BAND
        known = any(title.startswith(f"{accelerator.architecture} ") for title in self.architecture)
        low, high = self.unseen_band if known else self.unknown_band
        return min(low, own[0]), max(high, own[1])

    def hours_band_of(self, accelerator: Accelerator, precision: str, *, sparse: bool = False) -> tuple[float, float]:
        """The same for GPU-hours, which vary with how a team works as well."""
        low, high = self.band_of(accelerator, precision, sparse=sparse)
        return min(low, self.hours_band[0]), max(high, self.hours_band[1])

    def has_seen(self, accelerator: Accelerator, precision: str) -> bool:
        """Whether a published run on this hardware at this precision is behind the fit."""
        return f"{accelerator.name} {kind_of(precision)}" in self.accelerator


def kind_of(precision: str) -> str:
    """16-bit formats share units and peaks."""
    return "bf16" if precision == "fp16" else precision


def width_of(precision: str) -> str:
    return "narrow" if precision in ("fp8", "fp4") else "wide"


@cache
def efficiencies() -> Efficiencies:
    """The shipped fit."""
    return Efficiencies.model_validate_json(EFFICIENCIES.read_bytes())


def machine_for(accelerator: Accelerator, precision: str, fitted: Efficiencies) -> Machine:
    """`accelerator` with the efficiencies that software reaches on it."""
    own = fitted.of(accelerator, precision)
    wide = fitted.of(accelerator, "bf16") if precision in ("fp8", "fp4") else own
    return Machine(accelerator, own, wide, constants())
