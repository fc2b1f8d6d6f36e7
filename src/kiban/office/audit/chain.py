"""The hash chain over the record, joined a little after the acts by timed work, so that it keeps no act waiting.

An event gets its link (`AuditLink`) once every act that could still add an event with a lower number has ended. Links
follow the events' numbers; how a hash is computed: `office.hash_chain`. A number that is missing was an act that
failed.

What it proves: from its link on, an event cannot be changed, taken away, moved or slipped in between without `verify`
naming it, unless all links after it are computed anew, which a head noted elsewhere shows (it is in every backup). It
proves nothing of an event between the act and its link, a minute as a rule, nor of acts that were never recorded.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from kiban.office import hash_chain
from kiban.office.audit import repository
from kiban.office.audit.models import AuditEvent
from kiban.office.hash_chain import Walk
from kiban.office.office import Office
from kiban.office.work import Role, Work

BATCH = 1000  # events linked in one transaction
PATIENCE_SECONDS = 5.0  # for acts under way; longer ones are waited for the next time
_LOOK_SECONDS = 0.05


class Link(NamedTuple):
    """What an event's hash covers."""

    previous_hash: str
    number: int
    at: datetime
    actor_id: uuid.UUID | None
    token_id: uuid.UUID | None
    is_system: bool
    action: str
    subject_kind: str
    subject_id: str
    details: dict[str, Any]
    request_id: str
    address: str

    def hash(self) -> str:
        return hash_chain.digest(self)


@dataclass(frozen=True)
class Verification:
    """What verifying found. `bad_number` is the first event that does not hold, `problem` why.

    Attributes:
        events: that the chain holds.
        waiting: newer events, which it does not hold yet.
    """

    ok: bool
    events: int
    waiting: int
    head: str
    bad_number: int | None = None
    problem: str = ""


def extend(office: Office, *, wait: Callable[[float], object] = time.sleep) -> int:
    """Link the events that no act under way can get before any more.

    Returns:
        How many were linked; none where an act under way took too long.
    """
    with office.work(read_only=True) as work:
        if not repository.has_unlinked(work.session):
            return 0
    last = _settled(office, wait)
    linked = 0
    while True:
        with office.work() as work:
            count = _link(work, last)
        linked += count
        if count < BATCH:
            return linked


def _settled(office: Office, wait: Callable[[float], object]) -> int:
    """The number up to which no event can appear any more; 0 where that takes too long to know."""
    with office.database.reading() as session:
        last = repository.last_number(session)
        under_way = repository.writers(session)
        for _ in range(round(PATIENCE_SECONDS / _LOOK_SECONDS)):
            if not under_way:
                return last
            wait(_LOOK_SECONDS)
            under_way &= repository.writers(session)
    return 0 if under_way else last


def _link(work: Work, last: int) -> int:
    before = repository.head(work.session)
    number, head = (before.number, before.hash) if before else (0, hash_chain.GENESIS)
    rows = []
    for event in repository.events_between(work.session, number, last, BATCH):
        link = _link_of(event, head)
        head = link.hash()
        rows.append({"number": event.number, "previous_hash": link.previous_hash, "hash": head})
    repository.insert_links(work.session, rows)
    return len(rows)


@dataclass(frozen=True)
class Standing:
    """How far the chain goes: the last linked event's number (0: none), its hash, and how many events wait."""

    number: int
    head: str
    waiting: int


def standing(work: Work) -> Standing:
    """Raises: Forbidden: only auditors and operators read the record."""
    work.require(Role.AUDITOR, Role.OPERATOR)
    last = repository.head(work.session)
    number, head = (last.number, last.hash) if last else (0, hash_chain.GENESIS)
    return Standing(number, head, repository.count_after(work.session, number))


def verify(work: Work, *, expected_head: str | None = None) -> Verification:
    """Compute every link again.

    Args:
        expected_head: a hash noted earlier, which must be in the chain.
    """
    walk = Walk(expected_head)
    count = number = 0

    def bad(at: int, problem: str) -> Verification:
        return Verification(False, count, waiting, walk.head, at, problem)

    before = repository.head(work.session)
    last = before.number if before else 0
    waiting = repository.count_after(work.session, last)
    for number, event, link in repository.every_link(work.session, last):
        if link is None:
            return bad(number, "it was put in after the events beside it were linked, or its link is missing")
        if event is None:
            return bad(number, "the event is missing")
        problem = walk.step(link.previous_hash, link.hash, _link_of(event, link.previous_hash).hash())
        if problem:
            return bad(number, problem)
        count += 1
    if problem := walk.end():
        return bad(number, problem)
    return Verification(True, count, waiting, walk.head)


def _link_of(event: AuditEvent, previous_hash: str) -> Link:
    return Link(previous_hash, *(getattr(event, name) for name in Link._fields[1:]))
