"""Usage as people read it, and the reading of every cluster's scheduler."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from datetime import datetime

import structlog

from kiban.engines.slurm.usage import JobUsage, read_usage
from kiban.kit.errors import KibanError
from kiban.office.office import Office
from kiban.office.paging import Page, PageRequest
from kiban.office.usage import repository
from kiban.office.usage.models import UsageRecord
from kiban.office.usage.repository import MonthOfUse
from kiban.office.usage.sync import SyncResult, latest, reading_window, take_in
from kiban.office.work import Work

MOST_AT_ONCE = 2_000  # jobs taken in by one unit of work
log = structlog.get_logger(__name__)
# Asks a scheduler for every run that was active since an instant.
Read = Callable[[datetime], list[JobUsage]]


def list_usage(
    work: Work,
    page: PageRequest,
    *,
    grant_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    user_name: str | None = None,
    state: str | None = None,
) -> Page[UsageRecord]:
    """Jobs of the grants one may see that started from `since` on and before `until`, the newest first.

    Args:
        user_name: on the cluster.
        state: as the scheduler calls it.
    """
    return repository.records(
        work.session,
        work.actor,
        page,
        grant_id=grant_id,
        pool_id=pool_id,
        since=since,
        until=until,
        user_name=user_name,
        state=state,
    )


def use_by_month(
    work: Work, *, grant_id: uuid.UUID | None = None, pool_id: uuid.UUID | None = None
) -> list[MonthOfUse]:
    """What the jobs used of the grants one may see, by the month in which they started, by pool, and by how their
    energy is known."""
    return repository.months(work.session, work.actor, grant_id=grant_id, pool_id=pool_id)


def sync(office: Office, *, read: Read = read_usage) -> list[SyncResult]:
    """Read every cluster that pools are on. No transaction is open while a scheduler answers.

    A cluster that does not answer is left for the next time, which reads what was missed.
    """
    with office.work(read_only=True) as work:
        windows = {cluster: reading_window(work, cluster) for cluster in repository.clusters(work.session)}
    results = []
    for cluster, since in windows.items():
        asked_at = office.clock()
        try:
            jobs = [job for job in read(since) if job.cluster == cluster]
        except KibanError as error:
            log.warning("usage_not_read", cluster=cluster, error=str(error))
            continue
        results.append(_take_in_parts(office, cluster, latest(jobs), asked_at))
    return results


def _take_in_parts(office: Office, cluster: str, jobs: list[JobUsage], asked_at: datetime) -> SyncResult:
    """A reading, some thousand jobs at a time, so that others post meanwhile; the cursor moves at the end."""
    results = []
    for start in range(0, max(len(jobs), 1), MOST_AT_ONCE):
        end = start + MOST_AT_ONCE
        with office.work() as work:
            results.append(take_in(work, cluster, jobs[start:end], asked_at if end >= len(jobs) else None))
    figures = [dataclasses.astuple(result)[1:] for result in results]
    return SyncResult(cluster, *map(sum, zip(*figures, strict=True)))
