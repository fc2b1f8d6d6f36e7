"""The incident log: what went wrong on a grant or a pool, and GPU-seconds given back for what was lost by it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from kiban.office.audit.service import record
from kiban.office.calls.service import constraints_of, get_call
from kiban.office.errors import Conflict, Invalid, NotFound
from kiban.office.grants import case_repository, figures_repository, repository
from kiban.office.grants.models import Grant, GrantStatus, Incident
from kiban.office.grants.schemas import IncidentIn, IncidentOut, RefundIn
from kiban.office.grants.service import ask_cluster, cover_overrun, lock_grant, require_outsider, standing
from kiban.office.grants.telling import tell
from kiban.office.ledger import movements
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.movements import Amounts
from kiban.office.ledger.service import lock_ledger, post
from kiban.office.links import Link, Place
from kiban.office.notices.service import Message
from kiban.office.paging import Page, PageRequest
from kiban.office.usage.charges import charged_yen
from kiban.office.work import Role, Work

NO_INCIDENT = "there is no such incident"


def open_incident(work: Work, given: IncidentIn) -> Incident:
    """Log an incident: of a grant, by its people or an operator, or of a pool as a whole, by an operator.

    Raises:
        Invalid: neither a grant nor a pool, or both.
        NotFound: no such grant or pool.
    """
    if (given.grant_id is None) == (given.pool_id is None):
        raise Invalid("an incident is of a grant or of a pool", where="grant_id")
    grant = None
    if given.grant_id is not None:
        grant = lock_grant(work, given.grant_id)
        if work.actor.organisation_id != grant.organisation_id or not work.actor.has(Role.APPLICANT):
            work.require(Role.OPERATOR)
    else:
        work.require(Role.OPERATOR)
        if given.pool_id not in repository.pools(work.session, [given.pool_id] if given.pool_id else []):
            raise NotFound("there is no such pool", where="pool_id")
    row = Incident(
        id=work.new_id(),
        grant_id=given.grant_id,
        pool_id=given.pool_id,
        severity=given.severity,
        title=given.title,
        text=given.text,
        gpu_seconds_lost=given.gpu_seconds_lost,
        opened_by=work.actor.person_id,
        opened_at=work.now,
    )
    case_repository.add(work.session, row)
    record(work, "grants.incident_opened", "incident", row.id, severity=row.severity, title=row.title)
    if grant is not None:
        tell(
            work,
            grant,
            cause=f"incident:{row.id}:opened",
            event="grants.incident_opened",
            ja=Message(f"障害報告: {row.title}", row.text),
            en=Message(f"Incident: {row.title}", row.text),
            link=Link(Place.INCIDENT, incident_id=row.id),
            payload={"incident_id": str(row.id), "severity": row.severity},
        )
    return row


def get_incident(work: Work, incident_id: uuid.UUID, *, lock: bool = False) -> Incident:
    """Raises: NotFound: no such incident, or none this person may see."""
    row = case_repository.incident(work.session, work.actor, incident_id, lock=lock)
    if row is None:
        raise NotFound(NO_INCIDENT, where="incident_id")
    return row


def list_incidents(
    work: Work,
    page: PageRequest,
    *,
    grant_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    is_open: bool | None = None,
) -> Page[Incident]:
    """Newest first."""
    return case_repository.incidents(
        work.session, work.actor, page, grant_id=grant_id, pool_id=pool_id, is_open=is_open
    )


def show_incidents(work: Work, rows: Sequence[Incident]) -> list[IncidentOut]:
    """With what was given back for each, as far as it is of grants."""
    refunded = figures_repository.refunded_gpu_seconds(work.session, [row.id for row in rows])
    return [
        IncidentOut(
            id=row.id,
            grant_id=row.grant_id,
            pool_id=row.pool_id,
            severity=row.severity,
            title=row.title,
            text=row.text,
            gpu_seconds_lost=row.gpu_seconds_lost,
            gpu_seconds_refunded=refunded[row.id],
            opened_by=row.opened_by,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            closed_text=row.closed_text,
        )
        for row in rows
    ]


def close_incident(work: Work, incident_id: uuid.UUID, text: str) -> Incident:
    """Raises: Conflict: it is closed already."""
    work.require(Role.OPERATOR)
    row = get_incident(work, incident_id, lock=True)
    if row.closed_at is not None:
        raise Conflict("the incident is closed already", where="incident_id")
    row.closed_at, row.closed_text = work.now, text
    record(work, "grants.incident_closed", "incident", row.id, text=text)
    return row


def refund(work: Work, incident_id: uuid.UUID, given: RefundIn) -> Incident:
    """Give GPU-seconds that an incident cost back to a grant, once per grant, with the yen they were charged at.

    The same refund again changes nothing.

    Raises:
        Invalid: more than the incident cost or than the grant used in its present pool, or another grant's.
        Conflict: the grant is closed, or another amount was given back for this incident before.
    """
    work.require(Role.OPERATOR)
    row = get_incident(work, incident_id)
    grant_id = row.grant_id or given.grant_id
    if grant_id is None or (given.grant_id is not None and given.grant_id != grant_id):
        raise Invalid("say which grant gets it: the incident's own, or one of its pool", where="grant_id")
    grant = lock_grant(work, grant_id)
    require_outsider(work, grant)
    row = get_incident(work, incident_id, lock=True)
    if row.pool_id is not None and row.pool_id != grant.pool_id:
        raise Invalid("the grant is not in the incident's pool", where="grant_id")
    if grant.status is GrantStatus.CLOSED:
        raise Conflict("the grant is closed", where=grant.code)
    cause_id = f"{row.id}/{grant.id}"
    lock_ledger(work)
    earlier = figures_repository.refunded_gpu_seconds(work.session, [row.id], grant.id)[row.id]
    if earlier == given.gpu_seconds:
        return row
    if earlier:
        raise Conflict(f"{earlier:,} GPU-seconds were given back for it before", where="incident_id")
    so_far = figures_repository.refunded_gpu_seconds(work.session, [row.id])[row.id]
    if row.gpu_seconds_lost is not None and so_far + given.gpu_seconds > row.gpu_seconds_lost:
        raise Invalid(f"the incident cost {row.gpu_seconds_lost:,} GPU-seconds in all", where="gpu_seconds")
    amounts = _amounts(work, grant, given.gpu_seconds)
    post(work, movements.refund(grant.id, amounts, cause_id=cause_id))
    cover_overrun(work, grant, CauseKind.REFUND, f"{cause_id}/cover")
    record(
        work,
        "grants.refunded",
        "grant",
        grant.id,
        incident_id=str(row.id),
        gpu_seconds=amounts.gpu_seconds,
        yen=amounts.yen,
        reason=given.reason,
    )
    ask_cluster(work, grant, "GPU-seconds were refunded")
    tell(
        work,
        grant,
        cause=f"incident:{cause_id}:refunded",
        event="grants.refunded",
        ja=Message("障害による利用分を返還しました", f"{amounts.gpu_seconds:,}GPU秒\n{given.reason}"),
        en=Message("GPU-seconds were given back", f"{amounts.gpu_seconds:,} GPU-seconds\n{given.reason}"),
        link=Link(Place.INCIDENT, incident_id=row.id),
        payload={"incident_id": str(row.id), "gpu_seconds": amounts.gpu_seconds, "yen": amounts.yen},
        to_operators=False,
    )
    return row


def _amounts(work: Work, grant: Grant, gpu_seconds: int) -> Amounts:
    used = standing(work, grant).used
    if gpu_seconds > used.gpu_seconds:
        raise Invalid(f"the grant has used {used.gpu_seconds:,} GPU-seconds of its pool, no more", where="gpu_seconds")
    price = repository.pool(work.session, grant.pool_id).price_yen_per_gpu_hour
    rate = constraints_of(get_call(work, grant.call_id)).subsidy_rate
    return Amounts(min(charged_yen(gpu_seconds, price, rate), used.yen), grant.pool_id, gpu_seconds)
