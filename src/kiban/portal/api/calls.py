"""Calls for proposals: public once published; drafts are the office's own."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query

from kiban.office.calls import drafting, lifecycle, service
from kiban.office.calls.models import CallStatus
from kiban.office.calls.schemas import Amendment, CallIn, CallOut, CallRevision, Closing, Problem
from kiban.portal.api.dependencies import Page, PageQuery, Reading, Writing

router = APIRouter(prefix="/calls", tags=["calls"])


@router.get("", summary="Calls, newest first")
def list_calls(
    work: Reading,
    page: PageQuery,
    status: Annotated[CallStatus | None, Query(description="only calls in this state")] = None,
) -> Page[CallOut]:
    """Every published call, for anybody; drafts too for operators and auditors."""
    rows = service.list_calls(work, page, status)
    return Page(items=service.show_calls(work, rows.items, counts_down=True), next_cursor=rows.next_cursor)


@router.post("", status_code=201, summary="Begin a call")
def create_call(work: Writing, given: CallIn) -> CallOut:
    """Begin a draft, which operators can change as a whole until it is published."""
    return service.show_call(work, drafting.create_call(work, given), counts_down=True)


@router.get("/{call_id}", summary="One call, with countdown")
def get_call(work: Reading, call_id: uuid.UUID) -> CallOut:
    """The call as it stands; `seconds_left` is of the office's clock."""
    return service.show_call(work, service.get_call(work, call_id), counts_down=True)


@router.put("/{call_id}", summary="Replace a draft")
def update_call(work: Writing, call_id: uuid.UUID, given: CallRevision) -> CallOut:
    """Replace a draft whole; 409 where another person changed it since `version`."""
    return service.show_call(work, drafting.update_call(work, call_id, given, given.version), counts_down=True)


@router.get("/{call_id}/problems", summary="What keeps a draft from being published")
def get_problems(work: Reading, call_id: uuid.UUID) -> list[Problem]:
    """Errors that publication would refuse, and warnings that it would not."""
    return lifecycle.problems_of(work, service.get_call(work, call_id))


@router.post("/{call_id}/publish", summary="Publish a draft")
def publish_call(work: Writing, call_id: uuid.UUID) -> CallOut:
    """Make the draft public; 422 names every error."""
    return service.show_call(work, lifecycle.publish_call(work, call_id), counts_down=True)


@router.post("/{call_id}/amend", summary="Amend a published call")
def amend_call(work: Writing, call_id: uuid.UUID, given: Amendment) -> CallOut:
    """Move dates to later ones or change texts, with a reason that is recorded and told to those who apply."""
    return service.show_call(work, lifecycle.amend_call(work, call_id, given), counts_down=True)


@router.post("/{call_id}/close", summary="Close a call before its date")
def close_call(work: Writing, call_id: uuid.UUID, given: Closing) -> CallOut:
    """Take no more proposals; a closed call does not open again."""
    return service.show_call(work, lifecycle.close_call(work, call_id, given.reason), counts_down=True)


@router.post("/{call_id}/archive", summary="Put a call away")
def archive_call(work: Writing, call_id: uuid.UUID) -> CallOut:
    """Archive a decided call, a closed one without proposals, or a draft that is given up."""
    return service.show_call(work, lifecycle.archive_call(work, call_id), counts_down=True)
