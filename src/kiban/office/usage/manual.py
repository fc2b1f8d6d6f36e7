"""Use of pools without a scheduler that the office can read: jobs as their provider lists them, taken in by key."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from kiban.engines.slurm.usage import JobUsage
from kiban.office.audit.service import record
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.grants.figures import earlier_pools
from kiban.office.supply.models import Pool
from kiban.office.usage import repository
from kiban.office.usage.schemas import JobRow
from kiban.office.usage.sync import SyncResult, take_in
from kiban.office.work import JST, Role, Work

MOST_ROWS = 10_000
COLUMNS = ("job_key", "grant", "gpus", "started_at", "ended_at", "name", "user_name")


@dataclass(frozen=True)
class ListedJob(JobUsage):
    """A job with the key that its provider gave it."""

    listed_key: str

    @property
    def key(self) -> str:
        return self.listed_key


def read_csv(text: str) -> list[JobRow]:
    """Rows of a CSV file with a header; `ended_at`, `name` and `user_name` may be missing. Times without zone are JST.

    Raises:
        Invalid: a column that is missing or unknown, or a value that is not what it must be; the row is named.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        unknown, missing = set(header) - set(COLUMNS), set(COLUMNS[:4]) - set(header)
        if unknown or missing or len(set(header)) < len(header):
            raise Invalid(f"the columns must be {', '.join(COLUMNS)}", where="csv")
        reader.fieldnames = header
        return [_row(number, values) for number, values in enumerate(reader, start=2)]
    except csv.Error as error:
        raise Invalid(f"not CSV: {error}", where=f"csv line {reader.line_num}") from None


def import_usage(work: Work, pool_id: uuid.UUID, rows: Sequence[JobRow]) -> SyncResult:
    """Take in jobs of a pool that is on no cluster; the same row again changes nothing, a longer one adds its growth.

    Raises:
        NotFound: no such pool.
        Conflict: the pool is on a cluster, which tells of its jobs itself.
        Invalid: a grant that there is not or that is not of the pool, a time to come, the same key twice.
    """
    work.require(Role.OPERATOR)
    pool = repository.pools(work.session, [pool_id]).get(pool_id)
    if pool is None:
        raise NotFound("there is no such pool", where="pool_id")
    if pool.slurm_cluster is not None:
        raise Conflict(f"the pool's jobs are read from {pool.slurm_cluster}", where="pool_id")
    if len(rows) > MOST_ROWS:
        raise Invalid(f"at most {MOST_ROWS:,} rows at a time", where="rows")
    _check(work, pool, rows)
    cluster = f"list/{pool.id.hex}"
    jobs = [_job(work, cluster, pool, row) for row in rows]
    result = take_in(work, cluster, jobs, work.now, pool_of_all=pool)
    record(work, "usage.imported", "pool", pool.id, jobs=len(rows), posted_gpu_seconds=result.posted_gpu_seconds)
    return result


def _row(number: int, values: dict[str, str | None]) -> JobRow:
    if None in values or any(value is None for value in values.values()):
        raise Invalid("it has more or fewer values than the header", where=f"csv line {number}")
    given: dict[str, object] = {name: value.strip() for name, value in values.items() if value and value.strip()}
    try:
        for name in ("started_at", "ended_at"):
            if name in given:
                given[name] = _time(str(given[name]))
        return JobRow.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid(first["msg"], where=f"csv line {number}{f', {where}' if where else ''}") from None
    except ValueError:
        raise Invalid("not a time", where=f"csv line {number}", hint="2026-09-01T09:00:00+09:00") from None


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=JST)


def _check(work: Work, pool: Pool, rows: Sequence[JobRow]) -> None:
    grants = repository.grants_by_code(work.session, {row.grant for row in rows})
    here = {
        code
        for code, grant in grants.items()
        if grant.pool_id == pool.id or any(pool_id == pool.id for pool_id, _ in earlier_pools(work, grant))
    }
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        where = f"row {number} ({row.job_key})"
        if row.grant not in here:
            raise Invalid(f"{row.grant!r} is no grant of this pool", where=where)
        if max(row.started_at, row.ended_at or row.started_at) > work.now:
            raise Invalid("it lies in the future", where=where)
        if row.job_key in seen:
            raise Invalid("the key stands twice in the list", where=where)
        seen.add(row.job_key)


def _job(work: Work, cluster: str, pool: Pool, row: JobRow) -> ListedJob:
    ended = row.ended_at or work.now
    return ListedJob(
        cluster=cluster,
        job_id=0,
        display_id=row.job_key,
        db_index=0,
        name=row.name,
        account=row.grant,
        user=row.user_name,
        partition=pool.name,
        qos="",
        state="RUNNING" if row.ended_at is None else "COMPLETED",
        exit_code="",
        submitted=row.started_at,
        started=row.started_at,
        ended=row.ended_at,
        elapsed_seconds=int((ended - row.started_at).total_seconds()),
        nodes=0,
        gpus=row.gpus,
        allocated_tres="",
        requested_tres="",
        energy_joules=None,
        listed_key=row.job_key,
    )
