"""What `kiban serve` was told. Imports nothing heavy: mistakes are answered at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dtype = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class ServeOptions:
    """What `kiban serve` was told; seconds and counts."""

    host: str
    port: int
    keys: tuple[str, ...]
    max_batch: int
    queue_limit: int
    request_timeout_s: float
    max_tokens_limit: int | None
    grace_s: float
    dtype: Dtype
    as_json: bool
