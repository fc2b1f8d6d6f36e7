"""Change requests: asked for with a reason, decided by an operator who did not ask, effective in one work.

A transfer moves what is left to another pool. Jobs that run in the old pool go on and are charged in the new pool's
GPU-seconds at the price of the pool they run in (`usage.sync`), so that a job costs the same before and after.
"""

from __future__ import annotations

import uuid

from pydantic import TypeAdapter

from kiban.office import months
from kiban.office.audit.service import record
from kiban.office.calls.service import constraints_of, get_call
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound
from kiban.office.grants import case_repository, repository
from kiban.office.grants.figures import at_price
from kiban.office.grants.models import ChangeKind, ChangeRequest, ChangeStatus, Grant, GrantStatus, TrancheStatus
from kiban.office.grants.schemas import ChangeIn, Details, Extension, Reduction, Scope, Supplement, Team, Transfer
from kiban.office.grants.service import (
    add_user,
    ask_cluster,
    cover_overrun,
    lock_grant,
    remove_user,
    require_outsider,
    standing,
    tranches_of,
)
from kiban.office.grants.telling import tell
from kiban.office.ledger import movements
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import lock_ledger, post
from kiban.office.links import Link, Place
from kiban.office.notices.service import Message
from kiban.office.paging import Page, PageRequest
from kiban.office.supply.models import Pool
from kiban.office.usage.charges import charged_yen
from kiban.office.work import Role, Work

NO_CHANGE = "there is no such change request"
DETAILS: TypeAdapter[Details] = TypeAdapter(Details)
NAMES = {
    ChangeKind.EXTENSION: ("期間延長", "extension"),
    ChangeKind.SUPPLEMENT: ("追加配分", "supplement"),
    ChangeKind.TRANSFER: ("計算資源の変更", "transfer to another pool"),
    ChangeKind.REDUCTION: ("減額", "reduction"),
    ChangeKind.TEAM: ("体制変更", "change of team"),
    ChangeKind.SCOPE: ("計画変更", "change of scope"),
}


def request_change(work: Work, grant_id: uuid.UUID, given: ChangeIn) -> ChangeRequest:
    """Ask for a change. The grant's own people and operators may; operators are told.

    Raises:
        Unauthenticated: nobody in person asks.
        Forbidden: neither one of the grant's people nor an operator.
        Conflict: the grant is closed.
        Invalid: a transfer to a pool that is not there, or is the grant's own.
    """
    grant = lock_grant(work, grant_id)
    _require_own(work, grant)
    _require_open(grant)
    details = given.details
    if isinstance(details, Transfer):
        _target(work, grant, details)
    row = ChangeRequest(
        id=work.new_id(),
        grant_id=grant.id,
        kind=details.kind,
        details=details.model_dump(mode="json"),
        reason=given.reason,
        status=ChangeStatus.REQUESTED,
        requested_by=work.person_id,
        requested_at=work.now,
    )
    case_repository.add(work.session, row)
    record(work, "grants.change_requested", "grant", grant.id, change_id=str(row.id), kind=row.kind)
    ja, en = NAMES[row.kind]
    tell(
        work,
        grant,
        cause=f"change:{row.id}:requested",
        event="grants.change_requested",
        ja=Message(f"変更申請（{ja}）", f"申請理由:\n{row.reason}"),
        en=Message(f"Change request: {en}", f"Reason:\n{row.reason}"),
        link=Link(Place.CHANGE_REQUEST, change_id=row.id),
        payload={"change_id": str(row.id), "kind": row.kind.value},
        to_grantee=False,
    )
    return row


def get_change(work: Work, change_id: uuid.UUID) -> ChangeRequest:
    """Raises: NotFound: no such request, or none this person may see."""
    row = case_repository.change(work.session, work.actor, change_id)
    if row is None:
        raise NotFound(NO_CHANGE, where="change_id")
    return row


def list_changes(
    work: Work, page: PageRequest, *, grant_id: uuid.UUID | None = None, status: ChangeStatus | None = None
) -> Page[ChangeRequest]:
    """Newest first, of the grants one may see."""
    return case_repository.changes(work.session, work.actor, page, grant_id=grant_id, status=status)


def withdraw_change(work: Work, change_id: uuid.UUID) -> ChangeRequest:
    """Take a request back before it is decided.

    Raises:
        Conflict: it is decided or withdrawn already.
    """
    grant, row = _lock(work, change_id)
    _require_own(work, grant)
    _require_undecided(row)
    row.status = ChangeStatus.WITHDRAWN
    record(work, "grants.change_withdrawn", "grant", grant.id, change_id=str(row.id))
    return row


def decide_change(work: Work, change_id: uuid.UUID, *, approve: bool, reason: str) -> ChangeRequest:
    """Approve a request, with all its effects, or refuse it.

    Raises:
        Forbidden: not an operator, the one who asked, or one of the grant's organisation.
        Conflict: it is decided already, the grant is closed, or the state of the grant does not allow it.
        Overdrawn: the call's budget, or what the grant has left, does not cover it. Nothing is changed then.
    """
    work.require(Role.OPERATOR)
    grant, row = _lock(work, change_id)
    if work.actor.person_id == row.requested_by:
        raise Forbidden("another operator than the one who asked decides", where="change_id")
    require_outsider(work, grant)
    _require_undecided(row)
    if not reason.strip():
        raise Invalid("say why", where="reason")
    row.decided_by, row.decided_at, row.decided_reason = work.actor.person_id, work.now, reason
    if approve:
        _require_open(grant)
        row.status = ChangeStatus.APPROVED
        _carry_out(work, grant, row)
        ask_cluster(work, grant, f"{row.kind} approved")
    else:
        row.status = ChangeStatus.REFUSED
    record(work, f"grants.change_{row.status}", "grant", grant.id, change_id=str(row.id), kind=row.kind, reason=reason)
    _tell_decision(work, grant, row)
    return row


def _carry_out(work: Work, grant: Grant, row: ChangeRequest) -> None:
    details = DETAILS.validate_python(row.details)
    match details:
        case Extension():
            month = months.add(months.month_of_day(grant.ends_on), details.months)
            grant.ends_on = months.first_day(month)
        case Supplement():
            _supplement(work, grant, row, details)
        case Transfer():
            _transfer(work, grant, row, details)
        case Reduction():
            _reduce(work, grant, row, details)
        case Team():
            for name in details.add_users:
                add_user(work, grant.id, name)
            there = {user.user_name for user in repository.users(work.session, grant.id) if user.removed_at is None}
            for name in there.intersection(details.remove_users):
                remove_user(work, grant.id, name)
        case Scope():
            pass  # what was agreed is the request itself, for reports and auditors


def _supplement(work: Work, grant: Grant, row: ChangeRequest, details: Supplement) -> None:
    more = Amounts(_yen(work, grant, details), grant.pool_id, details.gpu_seconds)
    post(
        work,
        movements.commit(grant.call_id, grant.id, more, kind=CauseKind.CHANGE_REQUEST, cause_id=str(row.id)),
        movements.release(grant.id, more, cause_id=f"{row.id}/release"),
    )
    cover_overrun(work, grant, CauseKind.CHANGE_REQUEST, f"{row.id}/cover")


def _transfer(work: Work, grant: Grant, row: ChangeRequest, details: Transfer) -> None:
    target = _target(work, grant, details)
    old = repository.pool(work.session, grant.pool_id)
    lock_ledger(work)
    now = standing(work, grant)
    if now.overrun.gpu_seconds:
        raise Conflict(
            "it has used more of its pool than it had", where=grant.code, hint="cover the overrun by a supplement first"
        )

    def there(gpu_seconds: int) -> int:
        return at_price(gpu_seconds, old.price_yen_per_gpu_hour, target.price_yen_per_gpu_hour)

    due = [tranche for tranche in tranches_of(work, grant) if tranche.status is TrancheStatus.DUE]
    for tranche in due:
        tranche.gpu_seconds = there(tranche.gpu_seconds)
    released = Amounts(now.available.yen, target.id, there(now.available.gpu_seconds))
    bound = Amounts(now.committed.yen, target.id, sum(tranche.gpu_seconds for tranche in due))
    both = Amounts(released.yen + bound.yen, target.id, released.gpu_seconds + bound.gpu_seconds)
    kind = CauseKind.CHANGE_REQUEST
    post(
        work,
        movements.give_back(grant.call_id, grant.id, now.available, now.committed, kind=kind, cause_id=f"{row.id}/out"),
        movements.commit(grant.call_id, grant.id, both, kind=kind, cause_id=f"{row.id}/in"),
        movements.release(grant.id, released, cause_id=f"{row.id}/release"),
    )
    # How it was, for whoever reads the books afterwards and for jobs that still run there.
    row.details = row.details | {
        "from_pool_id": str(old.id),
        "gpu_seconds_before": now.available.gpu_seconds + now.committed.gpu_seconds,
        "gpu_seconds_after": both.gpu_seconds,
    }
    grant.pool_id = target.id
    grant.gpus = details.gpus or grant.gpus
    work.session.flush()


def _reduce(work: Work, grant: Grant, row: ChangeRequest, details: Reduction) -> None:
    lock_ledger(work)
    now = standing(work, grant)
    gpu, yen = details.gpu_seconds, _yen(work, grant, details)
    bound_gpu, bound_yen = min(gpu, now.committed.gpu_seconds), min(yen, now.committed.yen)
    released = Amounts(yen - bound_yen, grant.pool_id, gpu - bound_gpu)
    bound = Amounts(bound_yen, grant.pool_id, bound_gpu)
    post(
        work,
        movements.give_back(
            grant.call_id, grant.id, released, bound, kind=CauseKind.CHANGE_REQUEST, cause_id=str(row.id)
        ),
    )
    for tranche in reversed(tranches_of(work, grant)):
        if tranche.status is TrancheStatus.DUE:
            less_gpu, less_yen = min(bound_gpu, tranche.gpu_seconds), min(bound_yen, tranche.yen)
            tranche.gpu_seconds -= less_gpu
            tranche.yen -= less_yen
            bound_gpu -= less_gpu
            bound_yen -= less_yen
            if not (tranche.gpu_seconds or tranche.yen):
                tranche.status = TrancheStatus.CANCELLED


def _yen(work: Work, grant: Grant, details: Supplement | Reduction) -> int:
    if details.yen is not None:
        return details.yen
    price = repository.pool(work.session, grant.pool_id).price_yen_per_gpu_hour
    return charged_yen(details.gpu_seconds, price, constraints_of(get_call(work, grant.call_id)).subsidy_rate)


def _target(work: Work, grant: Grant, details: Transfer) -> Pool:
    target = repository.pools(work.session, [details.pool_id]).get(details.pool_id)
    if target is None or target.closed_at is not None:
        raise Invalid("there is no such open pool", where="details.pool_id")
    if target.id == grant.pool_id:
        raise Invalid("the grant is in this pool already", where="details.pool_id")
    return target


def _lock(work: Work, change_id: uuid.UUID) -> tuple[Grant, ChangeRequest]:
    """The grant first, as everything that changes one does, then the request."""
    grant = lock_grant(work, get_change(work, change_id).grant_id)
    row = case_repository.change(work.session, work.actor, change_id, lock=True)
    if row is None:
        raise NotFound(NO_CHANGE, where="change_id")
    return grant, row


def _require_own(work: Work, grant: Grant) -> None:
    if work.actor.organisation_id != grant.organisation_id or not work.actor.has(Role.APPLICANT):
        work.require(Role.OPERATOR)


def _require_open(grant: Grant) -> None:
    if grant.status is GrantStatus.CLOSED:
        raise Conflict("the grant is closed", where=grant.code)


def _require_undecided(row: ChangeRequest) -> None:
    if row.status is not ChangeStatus.REQUESTED:
        raise Conflict(f"the request is {row.status} already", where="change_id")


def _tell_decision(work: Work, grant: Grant, row: ChangeRequest) -> None:
    ja, en = NAMES[row.kind]
    verb_ja, verb_en = ("承認", "approved") if row.status is ChangeStatus.APPROVED else ("不承認", "refused")
    tell(
        work,
        grant,
        cause=f"change:{row.id}:decided",
        event=f"grants.change_{row.status}",
        ja=Message(f"変更申請（{ja}）: {verb_ja}", f"理由:\n{row.decided_reason}"),
        en=Message(f"Change request ({en}): {verb_en}", f"Reason:\n{row.decided_reason}"),
        link=Link(Place.CHANGE_REQUEST, change_id=row.id),
        payload={"change_id": str(row.id), "kind": row.kind.value, "status": row.status.value},
        to_operators=False,
    )
