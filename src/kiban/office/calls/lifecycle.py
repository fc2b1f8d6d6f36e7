"""From draft to archive: publishing, amending, closing. Proposals are taken in by `proposals.submission`.

A closed call does not open again. Those who kept the date would compete with those who did not, and after closing
proposals may have been read. More time is given before the end, by an amendment; afterwards it takes a new call.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from kiban.office import months as calendar
from kiban.office.audit.service import record
from kiban.office.calls import checks, repository
from kiban.office.calls.funding import fund
from kiban.office.calls.models import Call, CallStatus
from kiban.office.calls.schemas import Amendment, Problem
from kiban.office.calls.service import lock_call, offered_pools
from kiban.office.calls.times import jst_en, jst_ja
from kiban.office.errors import Conflict, Invalid
from kiban.office.links import Link, Place
from kiban.office.notices.service import Message, notify
from kiban.office.reviews.impartiality import require_impartial
from kiban.office.supply import service as supply
from kiban.office.work import Role, Work


def problems_of(work: Work, call: Call) -> list[Problem]:
    """What keeps a draft from being published, and what to look at again; for those who run or audit it.

    Raises:
        Forbidden: the actor does neither.
    """
    work.require(Role.OPERATOR, Role.AUDITOR, call_id=call.id)
    return checks.problems(work, call)


def publish_call(work: Work, call_id: uuid.UUID) -> Call:
    """Make a draft public, and put its budget into the ledger.

    From `opens_at` on it takes proposals, from now on where that has passed.

    Raises:
        NotFound: no such call.
        Conflict: it is no draft.
        Invalid: something is wrong with it; every error is in the message.
    """
    call = lock_call(work, call_id)
    work.require(Role.OPERATOR, call_id=call_id)
    if call.status is not CallStatus.DRAFT:
        raise Conflict(f"the call is {call.status}, no draft")
    supply.hold_pools(work, list(offered_pools(work, call_id)))
    found = checks.problems(work, call)
    errors = [problem for problem in found if problem.severity == "error"]
    if errors:
        raise Invalid("; ".join(f"{each.where}: {each.message}" for each in errors), where=errors[0].where)
    call.status = CallStatus.PUBLISHED
    call.published_at = work.now
    call.opens_at = max(call.opens_at, work.now)
    call.version += 1
    warnings = [f"{each.where}: {each.message}" for each in found]
    record(work, "calls.published", "call", call.id, code=call.code, warnings=warnings)
    _tell(work, call, "published", "公募を公開しました", "The call is published", to_applicants=False)
    fund(work, call)
    return call


def amend_call(work: Work, call_id: uuid.UUID, given: Amendment) -> Call:
    """Change a published call before it closes: dates to later ones, and texts. Those who write proposals are told.

    Raises:
        NotFound: no such call.
        Forbidden: not an operator of it, or one who competes in it.
        Conflict: it is not published or has closed.
        Invalid: a date that is not later, an opening that has been, a close after the first month of awards.
    """
    call = lock_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    if call.status is not CallStatus.PUBLISHED or work.now >= call.closes_at:
        raise Conflict("only a published call that has not closed is amended")
    changes = given.model_dump(exclude_unset=True, exclude_none=True, exclude={"reason"})
    if "opens_at" in changes:
        if work.now >= call.opens_at:
            raise Invalid("the call has opened", where="opens_at")
        _only_later(call.opens_at, changes["opens_at"], "opens_at")
    if "closes_at" in changes:
        _only_later(call.closes_at, changes["closes_at"], "closes_at")
        if changes["closes_at"] > calendar.starts_at(call.first_month):
            raise Invalid("awards would start before the call closes", where="closes_at")
    if changes.get("opens_at", call.opens_at) >= changes.get("closes_at", call.closes_at):
        raise Invalid("`closes_at` must be after `opens_at`", where="opens_at")
    before = {key: _plain(getattr(call, key)) for key in changes}
    for key, value in changes.items():
        setattr(call, key, value)
    call.version += 1
    after = {key: _plain(value) for key, value in changes.items()}
    record(work, "calls.amended", "call", call.id, reason=given.reason, before=before, after=after)
    _tell(work, call, f"amended:{call.version}", f"公募を変更しました。理由: {given.reason}",
          f"The call was amended. Reason: {given.reason}")  # fmt: skip
    return call


def close_call(work: Work, call_id: uuid.UUID, reason: str) -> Call:
    """Close a call before its date.

    Raises:
        NotFound: no such call.
        Forbidden: not an operator of it, or one who competes in it.
        Conflict: it is not published, or closed.
    """
    call = lock_call(work, call_id)
    require_impartial(work, call_id, Role.OPERATOR)
    if call.status is not CallStatus.PUBLISHED:
        raise Conflict(f"the call is {call.status}")
    _close(work, call, min(work.now, call.closes_at), "early" if work.now < call.closes_at else "date", reason)
    _tell(work, call, "closed", f"公募の受付を終了しました。{reason}", f"The call is closed. {reason}")
    return call


def close_due(work: Work) -> list[Call]:
    """Close every call whose date has come or whose places are taken; for the timed job, as often as it likes.

    Until this has closed it, a full call is merely full: a withdrawal frees its place (`submission.withdraw`).
    """
    work.require(Role.OPERATOR)
    due = repository.lock_due(work.session, work.now)
    for call in due:
        by_date = call.closes_at <= work.now
        _close(work, call, call.closes_at if by_date else work.now, "date" if by_date else "count", "")
    return due


def mark_decided(work: Work, call_id: uuid.UUID) -> Call:
    """Its awards are announced; who may do that is the awards' rule.

    Raises:
        NotFound: no such call.
        Conflict: it is not under review.
    """
    call = lock_call(work, call_id)
    if call.status is not CallStatus.REVIEWING:
        raise Conflict(f"the call is {call.status}, not under review")
    call.status, call.decided_at = CallStatus.DECIDED, work.now
    call.version += 1
    record(work, "calls.decided", "call", call.id)
    return call


def archive_call(work: Work, call_id: uuid.UUID) -> Call:
    """Put away a decided call, a closed one in which no proposal stands, or a draft that is given up.

    Raises:
        NotFound: no such call.
        Conflict: it has proposals to decide on, or is archived.
    """
    call = lock_call(work, call_id)
    work.require(Role.OPERATOR, call_id=call_id)
    unanswered = call.status is CallStatus.REVIEWING and call.places_taken == 0
    if call.status not in (CallStatus.DECIDED, CallStatus.DRAFT) and not unanswered:
        raise Conflict(f"the call is {call.status}", hint="close and decide it first")
    record(work, "calls.archived", "call", call.id, was=str(call.status))
    call.status = CallStatus.ARCHIVED
    call.version += 1
    return call


def _close(work: Work, call: Call, at: datetime, by: str, reason: str) -> None:
    call.status, call.closed_at = CallStatus.REVIEWING, at
    call.version += 1
    record(work, "calls.closed", "call", call.id, by=by, reason=reason, proposals=call.places_taken)


def _only_later(now: datetime, given: datetime, where: str) -> None:
    if given <= now:
        raise Invalid("a published date only moves to a later one", where=where)


def _plain(value: datetime | str) -> str:
    return value.isoformat() if isinstance(value, datetime) else value


def _tell(work: Work, call: Call, what: str, ja: str, en: str, *, to_applicants: bool = True) -> None:
    """Tell webhooks, and those who write proposals for the call, each in their language first."""
    people = repository.applicants(work.session, call.id) if to_applicants else []
    for language in ("ja", "en"):
        notify(
            work,
            cause=f"call:{call.id}:{what}",
            event=f"calls.{what.partition(':')[0]}",
            emails=[email for email, spoken in people if spoken == language],
            ja=Message(f"[{call.code}] {call.title_ja}", f"{ja}\n締切: {jst_ja(call.closes_at)}"),
            en=Message(f"[{call.code}] {call.title_en}", f"{en}\nCloses: {jst_en(call.closes_at)}"),
            link=Link(Place.CALL, call_id=call.id),
            payload={"call_id": str(call.id), "code": call.code, "closes_at": call.closes_at.isoformat()},
            language=language,
        )
