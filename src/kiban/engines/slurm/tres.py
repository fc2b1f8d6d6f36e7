"""Trackable resources as Slurm writes them: `cpu=4,gres/gpu=8,gres/gpu:h100=8`."""

from __future__ import annotations

GPU = "gres/gpu"


def parse_tres(text: str) -> dict[str, int]:
    """Name to count. Unlimited (`N`) and unreadable counts are left out; `4096M` counts 4096 (callers use counts).

    Slurm writes the used part of a limit in brackets, `gres/gpu=20(3)`; see `used_tres`.
    """
    found = {}
    for item in text.split(","):
        name, separator, count = item.partition("=")
        digits = count.partition("(")[0].rstrip("KMGTP")
        if separator and digits.isdigit():
            found[name] = int(digits)
    return found


def used_tres(text: str) -> dict[str, int]:
    """The bracketed part of `gres/gpu=20(3),cpu=N(2)`."""
    found = {}
    for item in text.split(","):
        name, separator, count = item.partition("=")
        used = count.partition("(")[2].rstrip(")")
        if separator and used.isdigit():
            found[name] = int(used)
    return found


def gpus(text: str) -> int:
    """GPUs of an allocation, each once.

    Where a site tracks types too, `gres/gpu` is their sum; where it tracks only types, they are summed.
    """
    tres = parse_tres(text)
    if GPU in tres:
        return tres[GPU]
    return sum(count for name, count in tres.items() if name.startswith(f"{GPU}:"))
