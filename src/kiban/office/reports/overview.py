"""The programme at a glance, for everybody: many figures in few queries.

What is said here is what the open data and the annual report publish. Amounts of announced awards are public with the
names of those who have them, so sums over few of them hide nothing and are shown whole. What is not public: single
postings and jobs, which tell when people work; proposals that were not funded, but for how many a decided call
received; late reports; demand.

Each figure is the sum that `programme.figure` gives under the same key. Postings are never changed, so their sums are
kept in memory and only newer ones are added; sums over jobs are kept until jobs are read again.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from kiban.office import months as calendar
from kiban.office.calls.models import CallStatus
from kiban.office.ledger.accounts import AWARDING, GRANTS_OWN, GRANTS_RELEASED, JOULES, YEN
from kiban.office.ledger.models import AccountKind, CauseKind
from kiban.office.reports import overview_repository as repository
from kiban.office.reports.figures_repository import JOULES_PER_KWH
from kiban.office.reports.overview_repository import (
    Heads,
    JobSum,
    Movement,
    Newest,
    PublicCall,
    PublicGrant,
    Side,
)
from kiban.office.supply.balance import delivered_gpu_seconds, split_by_month
from kiban.office.supply.models import Lot, Pool
from kiban.office.work import Work
from kiban.plan.energy.grid import Carbon, carbon
from kiban.plan.energy.siting import find_site

SHOWN = 5  # newest models and events
MONEY = ("budget", "awarded", "released", "used", "expired", "reused")
_OWN = frozenset(kind.value for kind in GRANTS_OWN)
_RELEASED = frozenset(kind.value for kind in GRANTS_RELEASED)
_AWARDING = frozenset(cause.value for cause in AWARDING)
_DECIDED = (CallStatus.DECIDED, CallStatus.ARCHIVED)


@dataclass(frozen=True)
class Holding:
    """Where an amount stands now; the parts add up to what was appropriated, or awarded, of it."""

    used: int = 0
    available: int = 0  # released and not used; less what was used beyond
    committed: int = 0  # awarded and not released
    expired: int = 0
    unawarded: int = 0

    @property
    def total(self) -> int:
        return self.used + self.available + self.committed + self.expired + self.unawarded

    def __add__(self, other: Holding) -> Holding:
        return Holding(
            self.used + other.used,
            self.available + other.available,
            self.committed + other.committed,
            self.expired + other.expired,
            self.unawarded + other.unawarded,
        )


@dataclass(frozen=True)
class Emission:
    pool: Pool
    kwh: float
    carbon: Carbon
    pue: float
    is_pue_assumed: bool


@dataclass(frozen=True)
class Energy:
    """kWh of the servers: as posted, and of jobs that ended by how it is known."""

    posted_kwh: float
    measured_kwh: float
    estimated_kwh: float
    unknown_gpu_seconds: int
    emissions: tuple[Emission, ...]

    @property
    def co2_kg(self) -> float:
        return sum(each.carbon.kg for each in self.emissions)

    @property
    def co2_range_kg(self) -> tuple[float, float]:
        return sum(each.carbon.low_kg for each in self.emissions), sum(each.carbon.high_kg for each in self.emissions)


@dataclass(frozen=True)
class PoolUse:
    """GPU-seconds by month, as far as jobs have been read."""

    pool: Pool
    used: Mapping[str, int]
    there: Mapping[str, int]

    def utilisation(self, month: str) -> float | None:
        there = self.there.get(month, 0)
        return self.used.get(month, 0) / there if there else None


@dataclass(frozen=True)
class Overview:
    """What anybody may know of the whole programme; each part is read when it is first asked for."""

    session: Session
    read_until: datetime | None  # up to when jobs are known
    sums: _LedgerSums
    jobs: tuple[JobSum, ...]

    @property
    def last_posting(self) -> int:
        """The number of the last posting that counts."""
        return self.sums.last

    @cached_property
    def calls(self) -> tuple[PublicCall, ...]:
        return tuple(repository.calls(self.session))

    @cached_property
    def grants(self) -> tuple[PublicGrant, ...]:
        return tuple(repository.grants(self.session))

    @cached_property
    def pools(self) -> Mapping[uuid.UUID, tuple[Pool, tuple[Lot, ...]]]:
        return repository.pools(self.session)

    @cached_property
    def releases(self) -> Newest:
        return repository.releases(self.session, SHOWN)

    @cached_property
    def events(self) -> Newest:
        return repository.events(self.session, SHOWN)

    def amount(self, name: str, unit: str = YEN) -> int:
        """One of `MONEY`, in yen or GPU-seconds of a pool."""
        return self.sums.figures(unit)[name]

    @cached_property
    def by_call(self) -> dict[uuid.UUID, Holding]:
        """Where each call's yen stand."""
        own = {grant.id: grant.call_id for grant in self.grants}
        found: dict[uuid.UUID, Holding] = defaultdict(Holding)
        for side, amount in self.sums.balances(YEN).items():
            call_id = side.call_id or own.get(side.grant_id or uuid.UUID(int=0))
            if call_id is not None:
                found[call_id] += _holding(side.kind, amount)
        return found

    @cached_property
    def by_grant(self) -> dict[uuid.UUID, Holding]:
        """Where each grant's yen stand; what expired of them has gone back to the call."""
        found: dict[uuid.UUID, Holding] = defaultdict(Holding)
        for side, amount in self.sums.balances(YEN).items():
            if side.grant_id is not None:
                found[side.grant_id] += _holding(side.kind, amount)
        for grant_id, amount in self.sums.expired_of_grants(YEN).items():
            found[grant_id] += Holding(expired=amount)
        return found

    @cached_property
    def energy(self) -> Energy:
        of_grants = [job for job in self.jobs if job.is_of_grant and job.is_ended]
        known = [job for job in of_grants if job.energy_joules is not None]
        joules: Counter[str] = Counter()
        by_pool: Counter[uuid.UUID | None] = Counter()
        for job in known:
            joules[job.energy_source] += job.energy_joules or 0
            by_pool[job.pool_id] += job.energy_joules or 0
        return Energy(
            posted_kwh=self.sums.figures(JOULES)["used"] / JOULES_PER_KWH,
            measured_kwh=joules["measured"] / JOULES_PER_KWH,
            estimated_kwh=joules["estimated"] / JOULES_PER_KWH,
            unknown_gpu_seconds=sum(job.unknown_gpu_seconds for job in of_grants),
            emissions=tuple(_emission(pool, by_pool[pool.id] / JOULES_PER_KWH) for pool, _lots in self.pools.values()),
        )

    def use(self, months: int) -> list[PoolUse]:
        """The last months of which jobs are known, by pool; of the month that runs, up to the last reading."""
        if self.read_until is None:
            return []
        last = calendar.month_of(self.read_until)
        wanted = calendar.month_range(calendar.add(last, 1 - months), months)
        used: dict[uuid.UUID | None, Counter[str]] = defaultdict(Counter)
        for job in self.jobs:
            parts = (
                {job.month: job.gpu_seconds}
                if job.is_within_month
                else split_by_month(job.started_at, job.ended_at, job.gpu_seconds)
            )
            used[job.pool_id].update(parts)
        return [
            PoolUse(
                pool,
                {month: used[pool.id][month] for month in wanted},
                {month: sum(delivered_gpu_seconds(lot, month, self.read_until) for lot in lots) for month in wanted},
            )
            for pool, lots in self.pools.values()
        ]

    @property
    def proposals_received(self) -> int:
        """By calls that are decided; of the others it is told only how they stand."""
        return sum(call.proposals for call in self.calls if call.status in _DECIDED)


def overview(work: Work) -> Overview:
    """The whole programme as anybody may know it: all of it in at most seven queries."""
    sums, jobs, heads = _KEPT.setdefault(work.session.get_bind(), _Kept()).read(work.session)
    return Overview(work.session, heads.read_until, sums, jobs)


def _holding(kind: str, amount: int) -> Holding:
    if kind in (AccountKind.AVAILABLE, AccountKind.OVERRUN):
        return Holding(available=amount)
    if kind == AccountKind.USED:
        return Holding(used=amount)
    if kind == AccountKind.COMMITTED:
        return Holding(committed=amount)
    if kind == AccountKind.EXPIRED:
        return Holding(expired=amount)
    return Holding(unawarded=amount) if kind == AccountKind.BUDGET else Holding()


def _emission(pool: Pool, kwh: float) -> Emission:
    pue = pool.pue if pool.pue is not None else find_site().pue
    return Emission(pool, kwh, carbon(kwh * pue, pool.area), pue, pool.pue is None)


class _LedgerSums:
    """Postings up to one, added up. Never changed: those after it make another."""

    def __init__(self, last: int, last_hash: str, totals: Mapping[tuple[str, str, Side, Side], int]) -> None:
        self.last, self.last_hash, self.totals = last, last_hash, totals
        self._figures: dict[str, dict[str, int]] = {}

    def after(self, last: int, last_hash: str, newer: list[Movement]) -> _LedgerSums:
        totals = Counter(self.totals)
        for each in newer:
            totals[each.unit, each.cause, each.debit, each.credit] += each.amount
        return _LedgerSums(last, last_hash, totals)

    def figures(self, unit: str) -> dict[str, int]:
        """As `figures_repository` has them over the whole programme."""
        if unit not in self._figures:
            self._figures[unit] = self._summed(unit)
        return self._figures[unit]

    def _summed(self, unit: str) -> dict[str, int]:
        found = dict.fromkeys(MONEY, 0)
        for (of_unit, cause, debit, credit), amount in self.totals.items():
            if of_unit != unit:
                continue
            own = (debit.kind in _OWN) - (credit.kind in _OWN)
            found["awarded"] += own * amount * (cause in _AWARDING)
            found["used"] += ((debit.kind == AccountKind.USED) - (credit.kind == AccountKind.USED)) * amount
            into_budget = (debit.kind == AccountKind.BUDGET) - (credit.kind == AccountKind.BUDGET)
            found["budget"] += into_budget * amount * (cause == CauseKind.APPROPRIATION)
            released = (debit.kind in _RELEASED) - (credit.kind in _RELEASED)
            found["released"] += released * amount * (cause == CauseKind.TRANCHE or cause in _AWARDING)
            found["expired"] += amount * (debit.kind == AccountKind.EXPIRED and credit.kind != AccountKind.EXPIRED)
            found["reused"] += amount * (credit.kind == AccountKind.EXPIRED and debit.kind != AccountKind.EXPIRED)
        return found

    def balances(self, unit: str) -> Counter[Side]:
        found: Counter[Side] = Counter()
        for (of_unit, _cause, debit, credit), amount in self.totals.items():
            if of_unit == unit:
                found[debit] += amount
                found[credit] -= amount
        return found

    def expired_of_grants(self, unit: str) -> Counter[uuid.UUID]:
        found: Counter[uuid.UUID] = Counter()
        for (of_unit, _cause, debit, credit), amount in self.totals.items():
            if of_unit == unit and debit.kind == AccountKind.EXPIRED and credit.grant_id is not None:
                found[credit.grant_id] += amount
        return found


class _Kept:
    """Sums of one database in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums = _LedgerSums(0, "", {})
        self._jobs: tuple[tuple[object, ...], tuple[JobSum, ...]] = ((), ())

    def read(self, session: Session) -> tuple[_LedgerSums, tuple[JobSum, ...], Heads]:
        with self._lock:  # of many who want the same, one reads
            sums = self._sums
            heads, newer = repository.heads_and_movements(session, sums.last)
            if sums.last and heads.known_hash != sums.last_hash:  # another ledger: restored, or never committed
                sums = _LedgerSums(0, "", {})
                heads, newer = repository.heads_and_movements(session, 0)
            if heads.posting > sums.last:
                sums = self._sums = sums.after(heads.posting, heads.hash, newer)
            known_for, jobs = self._jobs
            if known_for != heads.of_jobs:
                jobs = tuple(repository.job_sums(session))
                self._jobs = heads.of_jobs, jobs
            return sums, jobs, heads


_KEPT: WeakKeyDictionary[object, _Kept] = WeakKeyDictionary()
