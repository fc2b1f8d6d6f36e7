"""When each timed task ran last, so that the office sees that time passes in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base
from kiban.office.work import Role, Work


class TimedRun(Base):
    __tablename__ = "timed_runs"

    task: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    ran_at: Mapped[datetime]
    error: Mapped[str] = mapped_column(sa.String(100))  # the kind of the last run's failure; empty: it went well


@dataclass(frozen=True)
class Run:
    at: datetime
    error: str


def note_runs(work: Work, runs: Mapping[str, Run]) -> None:
    """Put down the last run of each task named."""
    for task, run in runs.items():
        work.session.merge(TimedRun(task=task, ran_at=run.at, error=run.error[:100]))


def last_runs(work: Work) -> dict[str, Run]:
    """By task. A task that runs every few seconds may have run some minutes later than this says.

    Raises:
        Forbidden: only operators and auditors.
    """
    work.require(Role.OPERATOR, Role.AUDITOR)
    rows = work.session.scalars(sa.select(TimedRun))
    return {row.task: Run(row.ran_at, row.error) for row in rows}
