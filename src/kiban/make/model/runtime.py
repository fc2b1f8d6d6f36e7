"""What training runs on: device, precision, threads, memory allocator, and how fast the machine could be."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import torch

from kiban.kit.errors import BadInput
from kiban.make.recipe import TrainingConfig
from kiban.plan.hardware.accelerators import find_accelerator

PEAK_SECONDS = 1.0

# glibc: mallopt parameters (malloc.h)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


@dataclass(frozen=True)
class Runtime:
    """How a training run computes; kept with its checkpoints, because another way gives other last bits."""

    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    threads: int

    @property
    def dtype(self) -> torch.dtype:
        """Of matrix products; weights, sums, softmax and optimizer state are float32 always."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bf16")


def resolve_runtime(config: TrainingConfig) -> Runtime:
    """Fill in what the recipe leaves to the machine.

    Raises:
        BadInput: CUDA or compiling is asked for and not there.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise BadInput("this machine has no CUDA device that torch sees", where="training.device")
    device: Literal["cpu", "cuda"] = "cpu"
    if config.device != "cpu" and torch.cuda.is_available():
        device = "cuda"
    if config.compile and device == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
        raise BadInput(
            "compiling needs a C++ compiler, and this machine has none",
            where="training.compile",
            hint="install g++, or set training.compile to false",
        )
    automatic: Literal["fp32", "bf16"] = "bf16" if has_fast_bf16(device) else "fp32"
    precision = automatic if config.precision == "auto" else config.precision
    return Runtime(device, precision, usable_cores())


def has_fast_bf16(device: str) -> bool:
    """Whether matrix products in bfloat16 are done by the hardware, not emulated."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})  # the last is Arm's


def usable_cores() -> int:
    """Physical cores this process may use, or what OMP_NUM_THREADS says."""
    if "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def prepare_process(runtime: Runtime) -> None:
    """Threads, determinism and allocator of this process, before the model is built."""
    torch.set_num_threads(runtime.threads)
    keep_freed_memory()
    if runtime.device == "cuda":
        # cuBLAS reads it when it starts; without it deterministic algorithms refuse matrix products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks for the next step.

    By default each large tensor is mapped anew and unmapped again, and the kernel zeroes its pages each time: on a
    5 M-parameter model that was a fifth of a step. The price is memory: the process stays as large as its largest step.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


@dataclass(frozen=True)
class Peak:
    """What model FLOP utilisation is measured against."""

    flops_per_s: float
    source: str


def peak_flops(runtime: Runtime) -> Peak:
    """The maker's figure for a known GPU, else the best square matrix product that a second of trying gives."""
    if runtime.device == "cuda":
        name = torch.cuda.get_device_name()
        with contextlib.suppress(BadInput):  # a GPU that the catalogue does not know, or not in this precision
            flops_per_s = find_accelerator(name).peak(runtime.precision)
            return Peak(flops_per_s, f"data sheet of {name}, dense {runtime.precision}")
    size = 8192 if runtime.device == "cuda" else 1024
    left = torch.randn(size, size, device=runtime.device).to(runtime.dtype)
    right = torch.randn(size, size, device=runtime.device).to(runtime.dtype)
    best = float("inf")
    until = time.perf_counter() + PEAK_SECONDS
    while time.perf_counter() < until:
        started = time.perf_counter()
        left @ right
        if runtime.device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
    return Peak(
        2 * size**3 / best,
        f"measured: best {size} x {size} matrix product in {runtime.precision}, {runtime.threads} threads",
    )


def flops_per_token(model: Any, seq_len_tokens: int) -> float:
    """FLOPs that training on one token needs: 6 per weight of a matrix product, plus attention.

    The convention of PaLM (Chowdhery et al., 2022, appendix B): 6 N + 12 L H Q T, where N counts the weights of
    matrix products (the output layer with them, an embedding lookup not, 4 instead of 6 where a weight is frozen),
    L layers, H heads of size Q, T the tokens attention sees (a sliding window bounds it); causal attention is not
    halved, recomputation not counted.
    """
    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    weights = {id(module.weight): module.weight for module in linears}  # a tied table is one weight
    products = sum((6 if weight.requires_grad else 4) * weight.numel() for weight in weights.values())
    config = model.config
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    kinds = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    window = getattr(config, "sliding_window", None) or seq_len_tokens
    seen = sum(min(window, seq_len_tokens) if kind == "sliding_attention" else seq_len_tokens for kind in kinds)
    return float(products + 12 * heads * head_dim * seen)
