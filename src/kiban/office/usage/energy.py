"""What a job drew: as the scheduler measured it, else estimated from the accelerator's server, else unknown."""

from __future__ import annotations

from functools import cache

from kiban.engines.slurm.usage import JobUsage
from kiban.kit.errors import BadInput
from kiban.office.supply.models import Pool
from kiban.plan.energy.siting import energy
from kiban.plan.hardware.accelerators import find_accelerator

JOULES_PER_KWH = 3.6e6


def job_energy(job: JobUsage, pool: Pool | None) -> tuple[int | None, str]:
    """Joules of the servers (without the building's overhead), and how they are known.

    An estimate takes the GPUs as busy for as long as they were allocated; `kiban.plan.energy` gives its method and
    error.
    """
    if job.energy_joules is not None:
        return job.energy_joules, "measured"
    watts = _busy_watts(pool.accelerator) if pool is not None else None
    if watts is None:
        return None, "unknown"
    return round(watts * job.gpu_seconds), "estimated"


@cache
def _busy_watts(accelerator: str) -> float | None:
    """Watts of a busy GPU with its share of the server; None for one that no catalogue knows."""
    try:
        return energy(1.0, find_accelerator(accelerator), 1.0).it_kwh * JOULES_PER_KWH / 3600
    except BadInput:
        return None
