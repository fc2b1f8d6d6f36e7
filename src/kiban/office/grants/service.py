"""Grants from their opening to their closing: what the ledger and the cluster must say of each.

Every change of a grant's amounts, users or status leaves a task that brings its account on the cluster to the new
state; `cluster` carries these out.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kiban.office import months
from kiban.office.audit.service import record
from kiban.office.awards.models import Award
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants import repository
from kiban.office.grants.models import (
    ClusterTask,
    ClusterTaskStatus,
    Grant,
    GrantStatus,
    GrantUser,
    Tranche,
    TrancheStatus,
)
from kiban.office.ledger import accounts, movements
from kiban.office.ledger.accounts import YEN
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import balances, lock_ledger, post
from kiban.office.paging import Page, PageRequest
from kiban.office.work import Role, Work

NO_GRANT = "there is no such grant"
# Login names as Linux and Slurm both take them.
USER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")


@dataclass(frozen=True)
class Standing:
    """What a grant has: yen, and GPU-seconds of its pool."""

    committed: Amounts
    available: Amounts
    used: Amounts
    overrun: Amounts
    joules: int


def open_grants(work: Work, awards: Sequence[tuple[Award, str]]) -> list[Grant]:
    """Make a grant of each award that has none, commit its amounts and plan its tranches.

    Half is released when the grant begins, half after an accepted report.

    Args:
        awards: each with the code its account gets on the cluster.

    Raises:
        Overdrawn: the call's budget, or what it may award of a pool, does not cover the awards. None is opened then.
    """
    opened, entries = [], []
    for award, code in awards:
        if repository.of_award(work.session, award.id) is not None:
            continue
        starts_on = months.first_day(award.start_month)
        grant = Grant(
            id=work.new_id(),
            award_id=award.id,
            call_id=award.call_id,
            proposal_id=award.proposal_id,
            organisation_id=award.organisation_id,
            pool_id=award.pool_id,
            code=code,
            gpus=award.gpus,
            starts_on=starts_on,
            ends_on=months.first_day(months.add(award.start_month, award.months)),
            status=GrantStatus.ACTIVE,
            opened_at=work.now,
        )
        work.session.add(grant)
        work.session.flush()
        for number, (yen, gpu_seconds) in enumerate(
            zip(_halves(award.yen), _halves(award.gpu_seconds), strict=True), start=1
        ):
            work.session.add(
                Tranche(
                    id=work.new_id(),
                    grant_id=grant.id,
                    number=number,
                    gpu_seconds=gpu_seconds,
                    yen=yen,
                    needs_report=number > 1,
                    status=TrancheStatus.DUE,
                )
            )
        amounts = Amounts(award.yen, award.pool_id, award.gpu_seconds)
        entries.append(movements.commit(award.call_id, grant.id, amounts, kind=CauseKind.AWARD, cause_id=str(award.id)))
        record(work, "grants.opened", "grant", grant.id, code=code, yen=award.yen, gpu_seconds=award.gpu_seconds)
        opened.append(grant)
        ask_cluster(work, grant, "opened")
    work.session.flush()
    post(work, *entries)
    for grant in opened:
        if grant.starts_on <= months.day_of(work.now):
            _release(work, grant, needs_report=False)
    return opened


def get_grant(work: Work, grant_id: uuid.UUID) -> Grant:
    """Raises: NotFound: no such grant, or none this person may see."""
    grant = repository.find(work.session, work.actor, grant_id)
    if grant is None:
        raise NotFound(NO_GRANT, where="grant_id")
    return grant


def grant_of_award(work: Work, award_id: uuid.UUID) -> Grant | None:
    """The grant that an award became; None: it is not announced."""
    return repository.of_award(work.session, award_id)


def lock_grant(work: Work, grant_id: uuid.UUID) -> Grant:
    """The grant, fresh, and held until the work ends.

    Raises:
        NotFound: as `get_grant`.
    """
    grant = repository.find(work.session, work.actor, grant_id, lock=True)
    if grant is None:
        raise NotFound(NO_GRANT, where="grant_id")
    return grant


def list_grants(
    work: Work,
    page: PageRequest,
    *,
    call_id: uuid.UUID | None = None,
    organisation_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    status: GrantStatus | None = None,
) -> Page[Grant]:
    return repository.page(
        work.session,
        work.actor,
        page,
        call_id=call_id,
        organisation_id=organisation_id,
        pool_id=pool_id,
        status=status,
    )


def standing(work: Work, grant: Grant) -> Standing:
    """What the ledger says a grant has, in its present pool."""
    yen, gpu = YEN, accounts.gpu_seconds(grant.pool_id)
    joules = accounts.used(grant.id, accounts.JOULES)
    sides = (accounts.committed, accounts.available, accounts.used, accounts.overrun)
    held = balances(work, [side(grant.id, unit) for side in sides for unit in (yen, gpu)] + [joules])
    committed, available, used, overrun = (
        Amounts(held[side(grant.id, yen)], grant.pool_id, held[side(grant.id, gpu)]) for side in sides
    )
    return Standing(committed, available, used, overrun, held[joules])


def tranches_of(work: Work, grant: Grant) -> list[Tranche]:
    return repository.tranches(work.session, [grant.id])


def users_of(work: Work, grant: Grant) -> list[GrantUser]:
    return repository.users(work.session, grant.id)


def release_due(work: Work) -> list[uuid.UUID]:
    """Release the first tranche of every grant that has begun. For the office's timed work.

    Returns:
        The grants that got one.
    """
    ids = repository.due_grants(work.session, months.day_of(work.now))
    # All grants first and the ledger after them, as everywhere: two who do it the other way wait for each other.
    for grant in [lock_grant(work, grant_id) for grant_id in ids]:
        _release(work, grant, needs_report=False)
    return ids


def release_after_report(work: Work, grant_id: uuid.UUID) -> list[Tranche]:
    """Release the next tranche that waited for a report; the caller has accepted it in the same work.

    Raises:
        Conflict: the grant is closed.
    """
    work.require(Role.OPERATOR)
    grant = lock_grant(work, grant_id)
    require_outsider(work, grant)
    if grant.status is GrantStatus.CLOSED:
        raise Conflict("the grant is closed", where=grant.code)
    return _release(work, grant, needs_report=True)


def _release(work: Work, grant: Grant, *, needs_report: bool) -> list[Tranche]:
    waiting = [
        tranche
        for tranche in repository.tranches(work.session, [grant.id])
        if tranche.status is TrancheStatus.DUE and tranche.needs_report == needs_report
    ]
    released = waiting[:1] if needs_report else waiting
    for tranche in released:
        tranche.status = TrancheStatus.RELEASED
        tranche.released_at = work.now
        amounts = Amounts(tranche.yen, grant.pool_id, tranche.gpu_seconds)
        post(work, movements.release(grant.id, amounts, cause_id=str(tranche.id)))
        cover_overrun(work, grant, CauseKind.TRANCHE, f"{tranche.id}/cover")
        record(work, "grants.tranche_released", "grant", grant.id, tranche=tranche.number, yen=tranche.yen)
    if released:
        ask_cluster(work, grant, "a tranche was released")
    return released


def cover_overrun(work: Work, grant: Grant, kind: CauseKind, cause_id: str) -> None:
    """Pay what was used beyond the balance from what has become available since."""
    lock_ledger(work)
    now = standing(work, grant)
    paid = Amounts(
        min(-now.overrun.yen, now.available.yen),
        grant.pool_id,
        min(-now.overrun.gpu_seconds, now.available.gpu_seconds),
    )
    post(work, movements.cover(grant.id, paid, kind=kind, cause_id=cause_id))


def freeze(work: Work, grant_id: uuid.UUID, reason: str) -> Grant:
    """Stop new jobs; those that run go on.

    Raises:
        Conflict: the grant is not active.
    """
    return _turn(work, grant_id, GrantStatus.ACTIVE, GrantStatus.FROZEN, reason)


def thaw(work: Work, grant_id: uuid.UUID, reason: str) -> Grant:
    """Let jobs run again.

    Raises:
        Conflict: the grant is not frozen.
    """
    return _turn(work, grant_id, GrantStatus.FROZEN, GrantStatus.ACTIVE, reason)


def _turn(work: Work, grant_id: uuid.UUID, before: GrantStatus, after: GrantStatus, reason: str) -> Grant:
    work.require(Role.OPERATOR)
    if not reason.strip():
        raise Invalid("say why", where="reason")
    grant = lock_grant(work, grant_id)
    if grant.status is not before:
        raise Conflict(f"the grant is {grant.status}, not {before}", where=grant.code)
    grant.status = after
    grant.status_reason = reason
    record(work, f"grants.{after}", "grant", grant.id, reason=reason)
    ask_cluster(work, grant, reason)
    return grant


def close(work: Work, grant_id: uuid.UUID, reason: str) -> Grant:
    """End a grant: what is available expires, what was never released goes back to the call's budget.

    Raises:
        Conflict: the grant is closed already.
    """
    work.require(Role.OPERATOR)
    grant = lock_grant(work, grant_id)
    if grant.status is GrantStatus.CLOSED:
        raise Conflict("the grant is closed already", where=grant.code)
    grant.status = GrantStatus.CLOSED
    grant.status_reason = reason
    grant.closed_at = work.now
    for tranche in repository.tranches(work.session, [grant.id]):
        if tranche.status is TrancheStatus.DUE:
            tranche.status = TrancheStatus.CANCELLED
    lock_ledger(work)
    now = standing(work, grant)
    nothing = Amounts(0, grant.pool_id, 0)
    post(
        work,
        movements.expire(grant.call_id, grant.id, now.available, cause_id=f"{grant.id}/closing"),
        movements.give_back(
            grant.call_id, grant.id, nothing, now.committed, kind=CauseKind.CLOSING, cause_id=str(grant.id)
        ),
    )
    record(work, "grants.closed", "grant", grant.id, reason=reason, expired_yen=now.available.yen)
    ask_cluster(work, grant, "closed")
    return grant


def close_ended(work: Work, *, grace_days: int = 14) -> list[uuid.UUID]:
    """Close the grants whose last day is `grace_days` past: late records of their last jobs are in by then."""
    ids = repository.grants_ending(work.session, months.day_of(work.now) - timedelta(days=grace_days))
    for grant in [lock_grant(work, grant_id) for grant_id in ids]:
        close(work, grant.id, "its months are over")
    return ids


def last_day(grant: Grant) -> date:
    """On which jobs may still start."""
    return grant.ends_on - timedelta(days=1)


def is_running(work: Work, grant: Grant) -> bool:
    """Whether new jobs may start: the grant is active, and today is one of its days."""
    return grant.status is GrantStatus.ACTIVE and grant.starts_on <= months.day_of(work.now) < grant.ends_on


def start_and_stop_due(work: Work) -> list[uuid.UUID]:
    """Have the cluster let jobs in from a grant's first day on, and no new ones from its end. For timed work.

    Returns:
        The grants about which it was asked.
    """
    today = months.day_of(work.now)
    asked = repository.last_asked(work.session)
    turned = []
    for grant in repository.begun(work.session, today):
        at, waits = asked.get(grant.id, (grant.opened_at, False))
        edge = months.day_starts_at(grant.ends_on if grant.ends_on <= today else grant.starts_on)
        if not waits and at < edge:
            turned.append(grant.id)
    for grant in [lock_grant(work, grant_id) for grant_id in turned]:
        ask_cluster(work, grant, "its months begin" if is_running(work, grant) else "its months are over")
    return turned


def add_user(work: Work, grant_id: uuid.UUID, user_name: str, person_id: uuid.UUID | None = None) -> GrantUser:
    """Let a login name of the cluster run jobs on the grant. The grant's own people and operators may.

    Raises:
        Invalid: not a login name.
        Conflict: the grant is closed.
    """
    grant = _own_grant(work, grant_id)
    if not USER_NAME.fullmatch(user_name):
        raise Invalid(
            f"{user_name!r} is no login name", where="user_name", hint="1 to 31 of a-z, 0-9, _ and -, a letter first"
        )
    for user in repository.users(work.session, grant.id):
        if user.user_name == user_name:
            if user.removed_at is not None:
                user.removed_at = None
                user.added_at = work.now
            break
    else:
        user = GrantUser(
            id=work.new_id(), grant_id=grant.id, person_id=person_id, user_name=user_name, added_at=work.now
        )
        work.session.add(user)
    record(work, "grants.user_added", "grant", grant.id, user_name=user_name)
    ask_cluster(work, grant, f"user {user_name} added")
    return user


def remove_user(work: Work, grant_id: uuid.UUID, user_name: str) -> None:
    """Raises: NotFound: no such user on the grant."""
    grant = _own_grant(work, grant_id)
    for user in repository.users(work.session, grant.id):
        if user.user_name == user_name and user.removed_at is None:
            user.removed_at = work.now
            record(work, "grants.user_removed", "grant", grant.id, user_name=user_name)
            ask_cluster(work, grant, f"user {user_name} removed")
            return
    raise NotFound(f"{user_name!r} runs nothing on this grant", where="user_name")


def _own_grant(work: Work, grant_id: uuid.UUID) -> Grant:
    grant = lock_grant(work, grant_id)
    if work.actor.organisation_id != grant.organisation_id or not work.actor.has(Role.APPLICANT):
        work.require(Role.OPERATOR)
    if grant.status is GrantStatus.CLOSED:
        raise Conflict("the grant is closed", where=grant.code)
    return grant


def require_outsider(work: Work, grant: Grant) -> None:
    """Go on only for somebody of another organisation: who gains from a decision does not take it.

    Raises:
        Forbidden: the actor belongs to the grant's organisation.
    """
    if work.actor.organisation_id == grant.organisation_id:
        raise Forbidden("somebody of another organisation decides on a grant", where=grant.code)


def ask_cluster(work: Work, grant: Grant, reason: str) -> None:
    """Leave a task that brings the cluster to what the grant is now; one that waits already will do."""
    work.session.flush()
    waiting = repository.waiting_task(work.session, grant.id)
    if waiting is not None:
        waiting.asked += 1
        if waiting.next_at > work.now and waiting.last_error:
            waiting.next_at = work.now
        return
    work.session.add(
        ClusterTask(
            id=work.new_id(),
            grant_id=grant.id,
            reason=reason[:200],
            status=ClusterTaskStatus.WAITING,
            next_at=work.now,
            created_at=work.now,
        )
    )


def _halves(amount: int) -> tuple[int, int]:
    """Half up front, half after a report; an odd unit is in the first."""
    return (amount + 1) // 2, amount // 2
