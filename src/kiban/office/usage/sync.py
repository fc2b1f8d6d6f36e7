"""Reading what ran from a scheduler into usage records and the ledger, as often as one likes.

A job's charge is posted in steps while it runs: each step's cause names the job and how much it had used in all, so
that the same reading twice posts nothing, and a reading that was lost is made up for by the next.

A job costs the price of the pool it runs in. GPU-seconds of another pool than the grant's present one — its job was
running there when the grant was transferred — are taken as those of the present pool that cost the same: nothing of
the grant is left in the old pool, and the job costs what it would have cost without the transfer.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kiban.engines.slurm.usage import JobUsage
from kiban.office.calls.service import constraints_of, get_call
from kiban.office.grants.figures import at_price, earlier_pools
from kiban.office.grants.models import Grant
from kiban.office.grants.service import ask_cluster, lock_grant, standing
from kiban.office.ledger import movements
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import lock_ledger, post
from kiban.office.supply.models import Pool
from kiban.office.usage import repository
from kiban.office.usage.charges import charged_yen
from kiban.office.usage.differences import note
from kiban.office.usage.energy import job_energy
from kiban.office.usage.models import UsageRecord
from kiban.office.work import Work

# Records may reach the scheduler's database late; each reading goes back this far before the last one's end.
MARGIN = timedelta(hours=2)
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class SyncResult:
    cluster: str
    jobs: int
    new: int
    grown: int
    posted_gpu_seconds: int
    posted_yen: int
    without_grant: int


def reading_window(work: Work, cluster: str) -> datetime:
    """From when on the scheduler must be asked: the last reading less a margin, or the oldest job still running."""
    last = repository.cursor(work.session, cluster)
    if last is None:
        return BEGINNING
    if last > work.now + MARGIN:
        # The clock was ahead when this was written: what has run since the true time of that reading is unknown.
        return BEGINNING
    running = repository.unended_since(work.session, cluster)
    start = last - MARGIN
    return start if running is None else min(start, running)


def take_in(
    work: Work, cluster: str, jobs: Sequence[JobUsage], read_at: datetime | None, *, pool_of_all: Pool | None = None
) -> SyncResult:
    """Record jobs and charge what they have used since they were last seen.

    Args:
        read_at: when the scheduler was asked; the next reading starts a margin before. None: more of this reading
            follows.
        pool_of_all: where the jobs ran, if no scheduler tells it by partition.
    """
    cursor = repository.lock_cursor(work.session, cluster, BEGINNING)
    # Backwards too, where the clock was: reading a stretch again posts nothing, and one never read is lost.
    cursor.read_until = read_at or cursor.read_until
    pools = repository.pools_of(work.session, cluster)
    grants = repository.grants_by_code(work.session, {job.account for job in jobs})
    own = {grant.code: _pools_of_grant(work, grant) for grant in grants.values()}
    known = repository.records_by_key(work.session, cluster, [job.key for job in jobs])
    new = grown = without_grant = 0
    touched: dict[str, list[UsageRecord]] = {}
    for job in latest(jobs):
        grant = grants.get(job.account)
        places = (pool for pool in own.get(job.account, ()) if _is_at(pool, cluster, job.partition))
        pool = pool_of_all or next(places, pools.get(job.partition))
        record = known.get(job.key)
        if record is None:
            record = _new_record(work, cluster, job, grant, pool)
            work.session.add(record)
            new += 1
        elif record.grant_id is None and grant is not None:
            record.grant_id = grant.id  # opened since the job was first seen
            record.pool_id = record.pool_id or (pool.id if pool else None)
        if _grow(work, record, job, pool):
            grown += 1
        if grant is None:
            without_grant += 1
            if record.gpu_seconds:
                note(work, "job_without_grant", f"{cluster}/{job.key}", found=record.gpu_seconds, unit="gpu_s")
        elif record.gpu_seconds > record.posted_gpu_seconds or _energy_due(record):
            touched.setdefault(grant.code, []).append(record)
    work.session.flush()
    posted_gpu = posted_yen = 0
    # All grants first, in the order of their ids, and the ledger after them, as everywhere: no two wait for each other.
    for grant_id in sorted(grants[code].id for code in touched):
        lock_grant(work, grant_id)
    for code in sorted(touched):
        gpu, yen = _charge(work, grants[code], touched[code])
        posted_gpu += gpu
        posted_yen += yen
    return SyncResult(cluster, len(jobs), new, grown, posted_gpu, posted_yen, without_grant)


def _pools_of_grant(work: Work, grant: Grant) -> list[Pool]:
    """A grant's pool and those it was transferred from: its jobs are theirs, though a newer pool has the partition."""
    ids = [grant.pool_id, *(pool_id for pool_id, _ in earlier_pools(work, grant))]
    found = repository.pools(work.session, ids)
    return [found[pool_id] for pool_id in ids]


def _is_at(pool: Pool, cluster: str, partition: str) -> bool:
    return (pool.slurm_cluster, pool.slurm_partition) == (cluster, partition)


def latest(jobs: Iterable[JobUsage]) -> list[JobUsage]:
    """Each run once, as it was seen with the most time: a reading may hold it twice."""
    latest: dict[str, JobUsage] = {}
    for job in jobs:
        if job.key not in latest or latest[job.key].elapsed_seconds <= job.elapsed_seconds:
            latest[job.key] = job
    return list(latest.values())


def _new_record(work: Work, cluster: str, job: JobUsage, grant: Grant | None, pool: Pool | None) -> UsageRecord:
    return UsageRecord(
        id=work.new_id(),
        pool_id=pool.id if pool else None,
        grant_id=grant.id if grant else None,
        cluster=cluster,
        job_key=job.key,
        job_name=job.name[:200],
        account=job.account[:64],
        user_name=job.user[:64],
        partition=job.partition[:64],
        state=job.state[:32],
        started_at=job.started,
        gpus=job.gpus,
        gpu_seconds=0,
        posted_gpu_seconds=0,
        posted_yen=0,
        energy_source="unknown",
        first_read_at=work.now,
        last_read_at=work.now,
    )


def _grow(work: Work, record: UsageRecord, job: JobUsage, pool: Pool | None) -> bool:
    """Bring a record up to what the scheduler says now; whether it grew."""
    before = record.gpu_seconds
    if job.gpu_seconds < record.gpu_seconds:
        # Usage does not vanish: what was seen stays charged until somebody looks at it and refunds.
        note(
            work,
            "job_shrank",
            f"{record.cluster}/{record.job_key}",
            expected=record.gpu_seconds,
            found=job.gpu_seconds,
            unit="gpu_s",
            grant_id=record.grant_id,
        )
    record.gpu_seconds = max(record.gpu_seconds, job.gpu_seconds)
    record.state = job.state[:32]
    record.ended_at = job.ended
    record.last_read_at = work.now
    record.energy_joules, record.energy_source = job_energy(job, pool)
    return record.gpu_seconds > before


def _energy_due(record: UsageRecord) -> bool:
    return record.ended_at is not None and bool(record.energy_joules) and not record.posted_joules


def _charge(work: Work, grant: Grant, records: Sequence[UsageRecord]) -> tuple[int, int]:
    """Post what records have used beyond what was posted; GPU-seconds and yen posted."""
    grant = lock_grant(work, grant.id)
    ids = {grant.pool_id} | {record.pool_id for record in records if record.pool_id is not None}
    pools = repository.pools(work.session, ids)
    present = pools[grant.pool_id]
    transfers = earlier_pools(work, grant)
    rate = constraints_of(get_call(work, grant.call_id)).subsidy_rate
    lock_ledger(work)
    left = standing(work, grant).available
    left_gpu, left_yen = left.gpu_seconds, left.yen
    entries = []
    total_gpu = total_yen = 0
    for record in records:
        job = f"{record.cluster}/{record.job_key}"
        ran_in = pools[record.pool_id] if record.pool_id is not None else present
        if ran_in is not present and not _ran_before_transfer(record, transfers):
            note(work, "job_in_other_pool", job, found=record.gpu_seconds, unit="gpu_s", grant_id=grant.id)
        amounts = Amounts(
            max(0, charged_yen(record.gpu_seconds, ran_in.price_yen_per_gpu_hour, rate) - record.posted_yen),
            grant.pool_id,
            _as_of(ran_in, present, record.gpu_seconds) - _as_of(ran_in, present, record.posted_gpu_seconds),
        )
        covered = Amounts(min(amounts.yen, left_yen), grant.pool_id, min(amounts.gpu_seconds, left_gpu))
        left_gpu -= covered.gpu_seconds
        left_yen -= covered.yen
        entries.append(movements.use(grant.id, amounts, covered, cause_id=f"{job}/{record.gpu_seconds}"))
        if _energy_due(record):
            entries.append(movements.draw(grant.id, record.energy_joules or 0, cause_id=f"{job}/energy"))
            record.posted_joules = record.energy_joules or 0
        record.posted_gpu_seconds = max(record.posted_gpu_seconds, record.gpu_seconds)
        record.posted_yen += amounts.yen
        total_gpu += amounts.gpu_seconds
        total_yen += amounts.yen
    post(work, *entries)
    if any(record.pool_id not in (None, present.id) for record in records):
        # The cluster counts such a job's own GPU-seconds, the grant loses those of its present pool: another limit.
        ask_cluster(work, grant, "a job in another pool was charged")
    return total_gpu, total_yen


def _ran_before_transfer(record: UsageRecord, transfers: Sequence[tuple[uuid.UUID, datetime]]) -> bool:
    return any(pool_id == record.pool_id and record.started_at < at for pool_id, at in transfers)


def _as_of(pool: Pool, present: Pool, gpu_seconds: int) -> int:
    """GPU-seconds of a pool as those of the grant's present one."""
    if pool is present:
        return gpu_seconds
    return at_price(gpu_seconds, pool.price_yen_per_gpu_hour, present.price_yen_per_gpu_hour)
