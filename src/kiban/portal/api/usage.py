"""Use: jobs as schedulers tell of them, what does not agree, and reading it now."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from kiban.office.office import Office
from kiban.office.usage import differences, manual, reconciliation, service
from kiban.office.usage.schemas import (
    ArtifactLink,
    DifferenceOut,
    Explanation,
    ImportIn,
    ReconciliationOut,
    SyncOut,
    UsageOut,
)
from kiban.office.work import Role
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing, actor_of, office_of

router = APIRouter(prefix="/usage", tags=["usage"])


@router.get("/records", summary="Jobs, newest first")
def list_usage(
    work: Reading,
    page: PageQuery,
    grant_id: uuid.UUID | None = None,
    pool_id: uuid.UUID | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    user_name: Annotated[str | None, Query(max_length=64, description="on the cluster")] = None,
) -> Page[UsageOut]:
    """Of the grants one may see, by when they started; those of no grant for operators and auditors."""
    rows = service.list_usage(
        work, page, grant_id=grant_id, pool_id=pool_id, since=since, until=until, user_name=user_name
    )
    return Page.of(rows, UsageOut)


@router.put("/records/{record_id}/artifact", summary="Say which artifact a job made")
def link_artifact(work: Writing, record_id: uuid.UUID, given: ArtifactLink) -> UsageOut:
    """Its manifest's metering is then held against the job."""
    return UsageOut.model_validate(reconciliation.link_artifact(work, record_id, given.digest))


@router.get("/differences", summary="Records that do not agree, newest first")
def list_differences(work: Reading, page: PageQuery, explained: bool | None = None) -> Page[DifferenceOut]:
    """Of the grants one may see."""
    return Page.of(differences.list_differences(work, page, explained=explained), DifferenceOut)


@router.post("/differences/{difference_id}/explain", summary="Explain a difference")
def explain(work: Writing, difference_id: uuid.UUID, given: Explanation) -> DifferenceOut:
    """Takes it off the list; it comes back if its figures change."""
    return DifferenceOut.model_validate(differences.explain(work, difference_id, given.explanation))


@router.post("/import", summary="Take in jobs of a pool without a scheduler")
def import_usage(work: Writing, given: ImportIn) -> SyncOut:
    """As rows or as CSV; the same job again changes nothing, a longer one adds its growth."""
    rows = manual.read_csv(given.csv) if given.csv is not None else given.rows
    return SyncOut.model_validate(manual.import_usage(work, given.pool_id, rows))


# These two open units of work of their own: none may be open while schedulers answer.


@router.post("/sync", summary="Read the schedulers now")
def sync(request: Request) -> list[SyncOut]:
    """What the office does by itself every few minutes; for operators."""
    return [SyncOut.model_validate(result) for result in service.sync(_for_operator(request))]


@router.post("/reconcile", summary="Compare the records now")
def reconcile(request: Request) -> ReconciliationOut:
    """What the office does by itself every day; for operators."""
    return ReconciliationOut.model_validate(reconciliation.reconcile(_for_operator(request)))


def _for_operator(request: Request) -> Office:
    office = office_of(request)
    with office.work(actor_of(request), read_only=True) as work:
        work.require(Role.OPERATOR)
    return office
