"""Grants: what each has, who runs jobs on it, change requests, alerts, incidents, checklists."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query

from kiban.office.grants import alerts, changes, checklist, cluster, expiry, incidents, service
from kiban.office.grants import burndown as burning
from kiban.office.grants.figures import whole
from kiban.office.grants.models import ChangeStatus, ClusterTaskStatus, Grant, GrantStatus
from kiban.office.grants.schemas import (
    AlertOut,
    AmountsOut,
    Because,
    BurndownOut,
    ChangeIn,
    ChangeOut,
    DecisionIn,
    GrantDetail,
    GrantOut,
    IncidentClosing,
    IncidentIn,
    IncidentOut,
    RefundIn,
    ReusedOut,
    StandingOut,
    StepDone,
    StepOut,
    TaskOut,
    TrancheOut,
    UserIn,
    UserOut,
)
from kiban.office.work import Work
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing

router = APIRouter(prefix="/grants", tags=["grants"])

OfGrant = Annotated[uuid.UUID | None, Query(description="only of this grant")]


@router.get("", summary="Grants")
def list_grants(
    work: Reading,
    page: PageQuery,
    call_id: uuid.UUID | None = None,
    organisation_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    status: GrantStatus | None = None,
) -> Page[GrantOut]:
    """One's own organisation's; all of them for operators, auditors and observers."""
    rows = service.list_grants(
        work, page, call_id=call_id, organisation_id=organisation_id, pool_id=pool_id, status=status
    )
    return Page.of(rows, GrantOut)


@router.get("/changes", summary="Change requests, newest first")
def list_changes(
    work: Reading, page: PageQuery, grant_id: OfGrant = None, status: ChangeStatus | None = None
) -> Page[ChangeOut]:
    """Of the grants one may see."""
    return Page.of(changes.list_changes(work, page, grant_id=grant_id, status=status), ChangeOut)


@router.get("/changes/{change_id}", summary="One change request")
def get_change(work: Reading, change_id: uuid.UUID) -> ChangeOut:
    """A request, with the decision on it."""
    return ChangeOut.model_validate(changes.get_change(work, change_id))


@router.post("/changes/{change_id}/decide", summary="Decide a change request")
def decide_change(work: Writing, change_id: uuid.UUID, given: DecisionIn) -> ChangeOut:
    """Approve or refuse; by another operator than the one who asked. An approval takes effect at once."""
    row = changes.decide_change(work, change_id, approve=given.approve, reason=given.reason)
    return ChangeOut.model_validate(row)


@router.post("/changes/{change_id}/withdraw", summary="Take a change request back")
def withdraw_change(work: Writing, change_id: uuid.UUID) -> ChangeOut:
    """Before it is decided."""
    return ChangeOut.model_validate(changes.withdraw_change(work, change_id))


@router.get("/alerts", summary="Alerts, newest first")
def list_alerts(work: Reading, page: PageQuery, grant_id: OfGrant = None) -> Page[AlertOut]:
    """Thresholds crossed, idle grants, use behind and ahead of plan, overruns."""
    return Page.of(alerts.list_alerts(work, page, grant_id=grant_id), AlertOut)


@router.get("/incidents", summary="Incidents, newest first")
def list_incidents(
    work: Reading,
    page: PageQuery,
    grant_id: OfGrant = None,
    pool_id: uuid.UUID | None = None,
    is_open: bool | None = None,
) -> Page[IncidentOut]:
    """Of the grants one may see and of their pools."""
    rows = incidents.list_incidents(work, page, grant_id=grant_id, pool_id=pool_id, is_open=is_open)
    return Page(items=incidents.show_incidents(work, rows.items), next_cursor=rows.next_cursor)


@router.post("/incidents", status_code=201, summary="Log an incident")
def open_incident(work: Writing, given: IncidentIn) -> IncidentOut:
    """Of a grant, by its people or an operator; of a pool as a whole, by an operator."""
    return incidents.show_incidents(work, [incidents.open_incident(work, given)])[0]


@router.get("/incidents/{incident_id}", summary="One incident")
def get_incident(work: Reading, incident_id: uuid.UUID) -> IncidentOut:
    """An incident, with what was given back for it."""
    return incidents.show_incidents(work, [incidents.get_incident(work, incident_id)])[0]


@router.post("/incidents/{incident_id}/close", summary="Close an incident")
def close_incident(work: Writing, incident_id: uuid.UUID, given: IncidentClosing) -> IncidentOut:
    """With what became of it."""
    return incidents.show_incidents(work, [incidents.close_incident(work, incident_id, given.text)])[0]


@router.post("/incidents/{incident_id}/refund", summary="Give back what an incident cost")
def refund_incident(work: Writing, incident_id: uuid.UUID, given: RefundIn) -> IncidentOut:
    """Once per grant, never more than was used; the cluster's limit rises by as much."""
    return incidents.show_incidents(work, [incidents.refund(work, incident_id, given)])[0]


@router.get("/tasks", summary="Work on the cluster, newest first")
def list_tasks(work: Reading, page: PageQuery, status: ClusterTaskStatus | None = None) -> Page[TaskOut]:
    """Accounts that wait to be brought up to date, and those that were; for operators and auditors."""
    return Page.of(cluster.list_tasks(work, page, status=status), TaskOut)


@router.post("/expired/{call_id}/reuse", summary="Award what expired again")
def reuse_expired(work: Writing, call_id: uuid.UUID, given: Because) -> ReusedOut:
    """Put all that expired in a call back into its budget."""
    return ReusedOut(amounts=expiry.reuse_expired(work, call_id, given.reason))


@router.get("/{grant_id}", summary="One grant")
def get_grant(work: Reading, grant_id: uuid.UUID) -> GrantDetail:
    """A grant with what it has by the ledger, its tranches and who runs jobs on it."""
    return _detail(work, service.get_grant(work, grant_id))


@router.get("/{grant_id}/burndown", summary="Use day by day")
def get_burndown(work: Reading, grant_id: uuid.UUID) -> BurndownOut:
    """Used against even use and against what was released, and when nothing will be left."""
    return burning.burndown(work, service.get_grant(work, grant_id))


@router.post("/{grant_id}/users", status_code=201, summary="Let somebody run jobs")
def add_user(work: Writing, grant_id: uuid.UUID, given: UserIn) -> UserOut:
    """By the name that they have on the cluster."""
    return UserOut.model_validate(service.add_user(work, grant_id, given.user_name, given.person_id))


@router.delete("/{grant_id}/users/{user_name}", status_code=204, summary="Let somebody run jobs no more")
def remove_user(work: Writing, grant_id: uuid.UUID, user_name: str) -> None:
    """Jobs that run go on."""
    service.remove_user(work, grant_id, user_name)


@router.post("/{grant_id}/freeze", summary="Stop new jobs")
def freeze(work: Writing, grant_id: uuid.UUID, given: Because) -> GrantOut:
    """Jobs that run go on."""
    return GrantOut.model_validate(service.freeze(work, grant_id, given.reason))


@router.post("/{grant_id}/thaw", summary="Let jobs run again")
def thaw(work: Writing, grant_id: uuid.UUID, given: Because) -> GrantOut:
    """After a freeze."""
    return GrantOut.model_validate(service.thaw(work, grant_id, given.reason))


@router.post("/{grant_id}/close", summary="End a grant")
def close(work: Writing, grant_id: uuid.UUID, given: Because) -> GrantOut:
    """What is available expires, what was never released goes back to the call's budget."""
    return GrantOut.model_validate(service.close(work, grant_id, given.reason))


@router.post("/{grant_id}/changes", status_code=201, summary="Ask for a change")
def request_change(work: Writing, grant_id: uuid.UUID, given: ChangeIn) -> ChangeOut:
    """Extension, supplement, transfer, reduction, team or scope, with the reason."""
    return ChangeOut.model_validate(changes.request_change(work, grant_id, given))


@router.get("/{grant_id}/checklist", summary="Handover and closing")
def get_checklist(work: Reading, grant_id: uuid.UUID) -> list[StepOut]:
    """Every step, with who did it."""
    return checklist.list_steps(work, grant_id)


@router.post("/{grant_id}/checklist/{key}/done", summary="Tick a step off")
def do_step(work: Writing, grant_id: uuid.UUID, key: str, given: StepDone) -> StepOut:
    """The grant's people do their own steps, operators any."""
    return checklist.do_step(work, grant_id, key, given.note)


@router.post("/{grant_id}/checklist/{key}/undone", summary="Say that a step is not done after all")
def undo_step(work: Writing, grant_id: uuid.UUID, key: str, given: Because) -> StepOut:
    """With the reason."""
    return checklist.undo_step(work, grant_id, key, given.reason)


def _detail(work: Work, grant: Grant) -> GrantDetail:
    return GrantDetail(
        **GrantOut.model_validate(grant).model_dump(),
        standing=StandingOut.model_validate(service.standing(work, grant)),
        whole=AmountsOut.model_validate(whole(work, grant)),
        tranches=[TrancheOut.model_validate(row) for row in service.tranches_of(work, grant)],
        users=[UserOut.model_validate(row) for row in service.users_of(work, grant)],
    )
