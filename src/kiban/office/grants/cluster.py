"""A grant's account on the cluster: stated whole from the database and the ledger, brought about by tasks."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from kiban.engines.slurm import accounts as slurm_accounts
from kiban.engines.slurm.accounts import SlurmAccount
from kiban.kit.errors import KibanError
from kiban.office.grants import repository
from kiban.office.grants.figures import earlier_pools
from kiban.office.grants.models import ClusterTask, ClusterTaskStatus, Grant, GrantStatus
from kiban.office.grants.service import get_grant, is_running, standing
from kiban.office.office import Office
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work

log = structlog.get_logger(__name__)

LONGEST_WAIT = timedelta(hours=1)
# How long a task is left to the process that took it; afterwards that process is taken for dead.
LEASE = timedelta(minutes=5)
# Makes a cluster's account so and returns what it changed.
Apply = Callable[[SlurmAccount], list[str]]


def desired_account(work: Work, grant: Grant) -> SlurmAccount | None:
    """What the cluster must have for a grant; None for one that never was in a pool on a cluster.

    A grant that was transferred from a cluster to a pool on none keeps its account there, frozen and without users.

    Slurm counts what jobs used over the account's life and knows nothing of refunds or expiry, so its limit is what
    its jobs have been charged so far and what they may still be. Outside the grant's months nothing new starts.
    """
    pool = repository.pool(work.session, grant.pool_id)
    is_there = pool.slurm_partition is not None
    cluster = pool.slurm_cluster or ""
    ids = [grant.pool_id, *(pool_id for pool_id, _ in earlier_pools(work, grant))]
    partitions = [repository.pool(work.session, pool_id).slurm_partition for pool_id in ids]
    partition = next((name for name in partitions if name is not None), None)
    if partition is None:
        return None
    charged = repository.charged_gpu_seconds(work.session, grant.id, cluster)
    now = standing(work, grant)
    users = [user.user_name for user in repository.users(work.session, grant.id) if user.removed_at is None]
    budget = charged + now.available.gpu_seconds + now.overrun.gpu_seconds if is_there else 0
    has_users = is_there and grant.status is not GrantStatus.CLOSED
    return SlurmAccount(
        name=grant.code,
        description=f"kiban grant {grant.code}",
        organisation=_latin(str(grant.organisation_id)),
        partitions=(partition,),
        gpu_minutes=max(0, budget) // 60,
        users=tuple(users) if has_users else (),
        frozen=not is_there or not is_running(work, grant),
        max_gpus=grant.gpus,
    )


def carry_out(office: Office, *, apply: Apply = slurm_accounts.apply) -> int:
    """Carry out the tasks that are due and return how many were done.

    A cluster that does not answer is asked again after a while that doubles, up to an hour; the task stays, and
    `last_error` says why. Being killed between the cluster's change and the commit does no harm: the state is stated
    whole, and stating it again changes nothing. No transaction is open while the cluster works.
    """
    with office.work(read_only=True) as work:
        due = repository.due_tasks(work.session, work.now)
    return sum(_carry_out_one(office, task_id, apply) for task_id in due)


def list_tasks(work: Work, page: PageRequest, *, status: ClusterTaskStatus | None = None) -> Page[ClusterTask]:
    """What was and is to be done on the cluster, the newest first.

    Raises:
        Forbidden: only operators and auditors read it.
    """
    work.require(Role.OPERATOR, Role.AUDITOR)
    return repository.tasks(work.session, page, status=status)


def _carry_out_one(office: Office, task_id: uuid.UUID, apply: Apply) -> bool:
    with office.work() as work:
        task = repository.lock_task(work.session, task_id, work.now)
        if task is None:
            return False
        task.attempts += 1
        task.next_at = work.now + LEASE
        asked = task.asked
        grant = get_grant(work, task.grant_id)
        wanted = desired_account(work, grant)
    try:
        changes, error = (apply(wanted) if wanted is not None else []), ""
    except KibanError as caught:
        changes, error = [], str(caught)
    with office.work() as work:
        task = repository.task(work.session, task_id)
        task.last_error = error
        if error:
            task.next_at = _later(work.now, task.attempts)
            log.warning("cluster_task_failed", grant=grant.code, attempts=task.attempts, error=error)
            return False
        task.changes = [*task.changes, *changes]
        if task.asked != asked:
            # Asked for something else while the cluster worked: once more, from what is true now.
            task.next_at = work.now
            return False
        task.status = ClusterTaskStatus.DONE
        task.done_at = work.now
    log.info("cluster_task_done", grant=grant.code, changes=changes)
    return True


def _later(now: datetime, attempts: int) -> datetime:
    return now + min(LONGEST_WAIT, timedelta(seconds=10 * 2 ** min(attempts, 10)))


def _latin(text: str) -> str:
    """Slurm's database keeps Latin letters only."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9 .:()/_-]+", "-", plain)[:120].strip() or "kiban"
