"""What a change request would change, shown before anybody asks or decides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from kiban.office import months
from kiban.office.calls.service import constraints_of
from kiban.office.errors import Invalid
from kiban.office.grants import repository
from kiban.office.grants.books import Books
from kiban.office.grants.figures import at_price
from kiban.office.grants.repository import Names
from kiban.office.grants.schemas import Extension, Reduction, Scope, Supplement, Team, Transfer
from kiban.office.grants.service import last_day
from kiban.office.usage.charges import charged_yen
from kiban.office.work import Work


@dataclass(frozen=True)
class State:
    """A grant as far as requests change it. GPU-seconds are of `pool`."""

    last_day: date
    pool: str
    gpus: int
    available_yen: int
    available_gpu_seconds: int
    committed_yen: int
    committed_gpu_seconds: int


def preview(
    work: Work, books: Books, names: Names, details: Extension | Supplement | Transfer | Reduction | Team | Scope
) -> tuple[State, State]:
    """The grant now, and after the change.

    What jobs use until the decision is not foreseen. A change of team or scope leaves both alike.

    Raises:
        Invalid: a transfer to a pool that is not there.
    """
    grant, now = books.grant, books.standing
    before = State(
        last_day(grant),
        books.pool.name,
        grant.gpus,
        now.available.yen,
        now.available.gpu_seconds,
        now.committed.yen,
        now.committed.gpu_seconds,
    )
    price = books.pool.price_yen_per_gpu_hour

    def cost(given: Supplement | Reduction) -> int:
        if given.yen is not None:
            return given.yen
        return charged_yen(given.gpu_seconds, price, constraints_of(names.call).subsidy_rate)

    match details:
        case Extension():
            month = months.add(months.month_of_day(grant.ends_on), details.months)
            return before, replace(before, last_day=months.first_day(month) - timedelta(days=1))
        case Supplement():
            return before, replace(
                before,
                available_yen=before.available_yen + cost(details),
                available_gpu_seconds=before.available_gpu_seconds + details.gpu_seconds,
            )
        case Reduction():
            gpu, yen = details.gpu_seconds, cost(details)
            bound_gpu, bound_yen = min(gpu, before.committed_gpu_seconds), min(yen, before.committed_yen)
            return before, replace(
                before,
                committed_yen=before.committed_yen - bound_yen,
                committed_gpu_seconds=before.committed_gpu_seconds - bound_gpu,
                available_yen=before.available_yen - (yen - bound_yen),
                available_gpu_seconds=before.available_gpu_seconds - (gpu - bound_gpu),
            )
        case Transfer():
            target = repository.pools(work.session, [details.pool_id]).get(details.pool_id)
            if target is None:
                raise Invalid("there is no such open pool", where="details.pool_id")
            there = target.price_yen_per_gpu_hour
            return before, replace(
                before,
                pool=target.name,
                gpus=details.gpus or before.gpus,
                available_gpu_seconds=at_price(before.available_gpu_seconds, price, there),
                committed_gpu_seconds=at_price(before.committed_gpu_seconds, price, there),
            )
    return before, before
