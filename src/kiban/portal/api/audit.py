from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime

from kiban.office.audit import service
from kiban.office.audit.repository import AuditFilter
from kiban.office.audit.schemas import AuditEventOut
from kiban.portal.api.dependencies import Page, PageQuery, Reading

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("", summary="The record of privileged acts")
def list_events(
    work: Reading,
    page: PageQuery,
    actor_id: uuid.UUID | None = None,
    action: Annotated[
        str | None, Query(max_length=64, description="`members.disabled`, or `members.` for all of a module")
    ] = None,
    subject_kind: Annotated[str | None, Query(max_length=32)] = None,
    subject_id: Annotated[str | None, Query(max_length=64)] = None,
    request_id: Annotated[str | None, Query(max_length=64)] = None,
    since: AwareDatetime | None = None,
    until: Annotated[AwareDatetime | None, Query(description="not included")] = None,
) -> Page[AuditEventOut]:
    """Newest first, for auditors and operators."""
    filters = AuditFilter(actor_id, action, subject_kind, subject_id, request_id, since, until)
    return Page.of(service.events(work, page, filters), AuditEventOut)


@router.get("/{number}", summary="One act")
def read_event(work: Reading, number: Annotated[int, Path(ge=1, lt=2**63)]) -> AuditEventOut:
    """For auditors and operators."""
    return AuditEventOut.model_validate(service.event(work, number))
