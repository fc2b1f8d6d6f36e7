"""What GPU-seconds cost a grant."""

from __future__ import annotations

from decimal import Decimal


def charged_yen(gpu_seconds: int, price_yen_per_gpu_hour: int, subsidy_rate: float) -> int:
    """What the programme pays for a job so far, rounded down to whole yen: the parts never exceed the award's whole."""
    return int(Decimal(gpu_seconds * price_yen_per_gpu_hour) * Decimal(str(subsidy_rate)) / 3600)
