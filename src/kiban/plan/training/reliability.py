"""What failures, restarts and checkpoints add to a run: the optimum interval of Young (1974) and Daly (2006)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kiban.kit.errors import BadInput

# Llama 3 (2024, section 3.3.4): 419 unexpected interruptions in 54 days on 16,384 H100.
MTBF_GPU_HOURS = 54 * 24 * 16384 / 419
MTBF_SOURCE = "The Llama 3 Herd of Models (2024), section 3.3.4: 419 interruptions in 54 days on 16,384 GPUs"
RESTART_SECONDS = 15 * 60.0
# To copy a GPU's share of the state to the host before it is written beside the next steps.
CHECKPOINT_BYTES_PER_S_PER_GPU = 5e9


@dataclass(frozen=True)
class Goodput:
    """Share of the paid time that trains.

    Attributes:
        share: useful over paid time.
        checkpoint_seconds: training stands still for each checkpoint.
        interval_seconds: between checkpoints.
        failures: expected during the run.
        source: where the mean time between failures comes from.
    """

    share: float
    checkpoint_seconds: float
    interval_seconds: float
    failures: float
    source: str


def predict_goodput(
    *,
    useful_seconds: float,
    gpus: int,
    state_bytes_per_gpu: float,
    mtbf_gpu_hours: float = MTBF_GPU_HOURS,
    restart_seconds: float = RESTART_SECONDS,
    source: str = MTBF_SOURCE,
) -> Goodput:
    """Goodput of `useful_seconds` of training on `gpus` GPUs, each failing once per `mtbf_gpu_hours`.

    Half an interval is lost per failure on average, and the restart.

    Raises:
        BadInput: so many GPUs that nothing is left between failures.
    """
    mtbf = mtbf_gpu_hours * 3600 / gpus
    checkpoint = max(state_bytes_per_gpu / CHECKPOINT_BYTES_PER_S_PER_GPU, 1.0)
    interval = max(math.sqrt(2 * checkpoint * mtbf), 60.0)
    # Of every mean time between failures so much is left; of that, checkpoints take their share.
    left = 1 - (interval / 2 + restart_seconds) / mtbf
    if left <= 0:
        raise BadInput(
            f"{gpus:,} GPUs fail every {mtbf / 60:.0f} minutes, sooner than a run is back from the last failure",
            where="cluster.gpus",
            hint="take fewer GPUs, a shorter cluster.restart or a higher cluster.mtbf_gpu_hours",
        )
    share = left / (1 + checkpoint / interval)
    return Goodput(share, checkpoint, interval, useful_seconds / share / mtbf, source)
