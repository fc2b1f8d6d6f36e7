"""What accelerators can do: peaks, memory, links and power, as dated and cited data in `data/accelerators.yaml`."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field, model_validator

from kiban.kit.config import StrictModel, load_model
from kiban.kit.errors import BadInput

DATA = Path(__file__).parents[1] / "data"

Precision = Literal["fp32", "fp16", "bf16", "fp8", "fp4"]

# What device names carry besides the model: makers, product lines, packaging, memory technology.
FILLER = frozenset(
    (
        *("nvidia", "amd", "fujitsu", "tesla", "geforce", "instinct", "tensor", "core", "gpu", "accelerator", "hgx"),
        *("dgx", "oam", "sxm", "sxm2", "sxm4", "sxm5", "sxm6", "hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr6"),
        "gddr7",
    )
)
MEMORY_TOKEN = re.compile(r"(\d+)(gb|gib)")


class Link(StrictModel):
    """One network joining GPUs.

    `gpus` is how many one such domain joins (0 = unbounded), `bandwidth_bytes_per_s` the peak of one GPU in one
    direction, `latency_s` that of one small message between two of its GPUs.
    """

    name: str
    gpus: int = Field(ge=0)
    bandwidth_bytes_per_s: float = Field(gt=0)
    latency_s: float = Field(ge=0)


class Accelerator(StrictModel):
    """One GPU (or one node of a CPU machine) as a planner sees it; build one in code for a machine not listed.

    `peak_flops` holds dense FLOP/s of the precisions the hardware multiplies matrices in; fp32 is the vector units'
    figure, without tensor cores. `memory_bytes` is what the driver shows. `node_power_w_per_gpu` is the whole server
    at full rated load, with CPUs, fans and network cards, divided by its GPUs.
    """

    name: str
    aliases: tuple[str, ...] = ()
    vendor: str
    kind: Literal["gpu", "cpu"]
    architecture: str
    memory_bytes: int = Field(gt=0)
    memory_bandwidth_bytes_per_s: float = Field(gt=0)
    peak_flops: dict[Precision, float]
    compute_units: int = Field(gt=0)
    gpus_per_node: int = Field(gt=0)
    scale_up: Link
    scale_out: Link
    board_power_w: float = Field(gt=0)
    node_power_w_per_gpu: float = Field(gt=0)
    sources: tuple[str, ...] = Field(min_length=1)
    checked: str = Field(min_length=1, description="when and against what the figures were last compared")
    notes: str = ""

    @model_validator(mode="after")
    def _possible(self) -> Accelerator:
        if not self.peak_flops or min(self.peak_flops.values()) <= 0:
            raise ValueError("peak_flops needs at least one precision, each above 0")
        return self

    def peak(self, precision: Precision) -> float:
        """Dense peak FLOP/s in `precision`.

        Raises:
            BadInput: this hardware does not multiply in it.
        """
        if precision not in self.peak_flops:
            raise BadInput(
                f"{self.name} has no {precision}", where="precision", hint=f"it has {', '.join(self.peak_flops)}"
            )
        return self.peak_flops[precision]


class AcceleratorFile(StrictModel):
    """The form of `data/accelerators.yaml` and of a user's own file."""

    accelerators: tuple[Accelerator, ...]


def accelerators(extra: Path | None = None) -> Mapping[str, Accelerator]:
    """The catalogue by name, in the file's order; entries of the YAML file `extra` are added or take another's place.

    Raises:
        BadInput: `extra` cannot be read or has a wrong key or value.
    """
    if extra is None:
        return _built_in()
    own = {each.name: each for each in load_model(extra, AcceleratorFile)[0].accelerators}
    return MappingProxyType({**_built_in(), **own})


@cache
def _built_in() -> Mapping[str, Accelerator]:
    loaded, _ = load_model(DATA / "accelerators.yaml", AcceleratorFile)
    return MappingProxyType({each.name: each for each in loaded.accelerators})


def find_accelerator(
    name: str, where: str | None = None, catalogue: Mapping[str, Accelerator] | None = None
) -> Accelerator:
    """The entry meant by `name`: a catalogue name, an alias, or what a driver reports ("NVIDIA H100 80GB HBM3").

    Case, spaces, hyphens, the maker's name and a fitting memory size do not matter. Anything else left over means
    another product: "RTX 4090 Laptop GPU" and a MIG slice are not found rather than taken for the whole card.

    Raises:
        BadInput: nothing fits; the nearest names are given.
    """
    known = accelerators() if catalogue is None else catalogue
    asked = _tokens(name)
    compact = "".join(token for token in asked if token not in FILLER)
    best: tuple[int, Accelerator] | None = None
    for entry in known.values():
        for title in (entry.name, *entry.aliases):
            wanted = [token for token in _tokens(title) if token not in FILLER or token in asked]
            if compact and compact == "".join(token for token in _tokens(title) if token not in FILLER):
                return entry
            if set(wanted) <= set(asked) and _only_filler(set(asked) - set(wanted), entry):
                score = len(wanted)
                if wanted and (best is None or score > best[0]):
                    best = (score, entry)
    if best:
        return best[1]
    raise BadInput(f"unknown accelerator {name!r}", where=where, hint=_nearest(name, known))


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


def _only_filler(rest: set[str], entry: Accelerator) -> bool:
    for token in rest - FILLER:
        size = MEMORY_TOKEN.fullmatch(token)
        # Makers write GB for GiB as often as not.
        if not size or not 0.9 <= entry.memory_bytes / (int(size[1]) * 1e9) <= 1.1:
            return False
    return True


def _nearest(name: str, known: Mapping[str, Accelerator]) -> str:
    titles = {"".join(_tokens(title)): entry.name for entry in known.values() for title in (entry.name, *entry.aliases)}
    asked = "".join(token for token in _tokens(name) if token not in FILLER)
    close = difflib.get_close_matches(asked, titles, n=5, cutoff=0.5)
    names = list(dict.fromkeys(titles[title] for title in close))
    return f"nearest: {', '.join(names)}" if names else f"known: {', '.join(known)}"
