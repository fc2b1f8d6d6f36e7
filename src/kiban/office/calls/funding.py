"""A published call's budget in the ledger: its yen, and the GPU-seconds of each pool over its months."""

from __future__ import annotations

from kiban.office import months
from kiban.office.calls.models import Call
from kiban.office.calls.service import offered_pools
from kiban.office.ledger import movements
from kiban.office.ledger.service import post
from kiban.office.work import Work


def fund(work: Work, call: Call) -> None:
    """Appropriate what the call may award. A call that is funded already stays as it is."""
    seconds = sum(months.seconds(month) for month in months.month_range(call.first_month, call.months))
    gpu_seconds = {pool_id: gpus * seconds for pool_id, gpus in offered_pools(work, call.id).items()}
    post(work, movements.appropriate(call.id, call.budget_yen, gpu_seconds, cause_id=str(call.id)))
