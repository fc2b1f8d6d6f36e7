"""How much waits to be done, for whoever watches the office run."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.grants.models import ClusterTask, ClusterTaskStatus
from kiban.office.ledger.models import LedgerHead
from kiban.office.notices.models import Notice, NoticeStatus


@dataclass(frozen=True)
class Backlog:
    ledger_head: int  # number of the last posting
    notices_waiting: int
    cluster_tasks_waiting: int


def read(session: Session) -> Backlog:
    notices = sa.select(sa.func.count()).where(Notice.status == NoticeStatus.WAITING)
    tasks = sa.select(sa.func.count()).where(ClusterTask.status == ClusterTaskStatus.WAITING)
    return Backlog(
        ledger_head=session.scalar(sa.select(sa.func.max(LedgerHead.number))) or 0,
        notices_waiting=session.scalar(notices) or 0,
        cluster_tasks_waiting=session.scalar(tasks) or 0,
    )
