"""How many proposals a call has, by what became of them and by day: for those who run or audit it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from kiban.office.proposals import repository
from kiban.office.proposals.models import ProposalStatus
from kiban.office.work import JST, Role, Work


@dataclass(frozen=True)
class Arrivals:
    """Days are Japan's; each has how many drafts were started and proposals first handed in on it, in order."""

    by_status: Mapping[ProposalStatus, int]
    days: tuple[tuple[date, int, int], ...]

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


def arrivals(work: Work, call_id: uuid.UUID) -> Arrivals:
    """Raises: Forbidden: the actor neither runs nor audits the call."""
    work.require(Role.OPERATOR, Role.AUDITOR, call_id=call_id)
    rows = repository.arrivals(work.session, call_id)
    started = Counter(_day(started) for _status, started, _handed_in in rows)
    handed_in = Counter(_day(at) for _status, _started, at in rows if at is not None)
    return Arrivals(
        Counter(status for status, _started, _handed_in in rows),
        tuple((day, started[day], handed_in[day]) for day in sorted({*started, *handed_in})),
    )


def _day(at: datetime) -> date:
    return at.astimezone(JST).date()
