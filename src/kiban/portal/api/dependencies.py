"""What every endpoint asks for: a unit of work for the person who calls, and a page of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, cast

from fastapi import Depends, Query, Request
from pydantic import BaseModel

from kiban.office.members import sessions
from kiban.office.office import Office
from kiban.office.paging import CURSOR_CHARS, LARGEST, PageRequest
from kiban.office.paging import Page as Rows
from kiban.office.work import ANONYMOUS, Actor, Work

Out = TypeVar("Out", bound=BaseModel)


def office_of(request: Request) -> Office:
    return cast(Office, request.app.state.office)


def actor_of(request: Request) -> Actor:
    """Who calls: found from the session cookie or the bearer token when the work begins; nobody is ANONYMOUS."""
    return cast(Actor, getattr(request.state, "actor", ANONYMOUS))


@dataclass(frozen=True)
class WorkWanted:
    """That an endpoint wants a unit of work.

    The route opens it (`routing`), in the thread that runs the endpoint: opening it here would cost a change of
    threads of its own, and one more to close it.
    """

    read_only: bool


async def reading() -> WorkWanted:
    return WorkWanted(read_only=True)


async def writing() -> WorkWanted:
    return WorkWanted(read_only=False)


# The transaction ends before the response is sent: what the caller is told has happened.
Reading = Annotated[Work, Depends(reading)]
Writing = Annotated[Work, Depends(writing)]


# A coroutine: FastAPI sends plain functions to another thread.
async def _page_request(
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before, in the same order", max_length=CURSOR_CHARS)
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST)] = 50,
    sort: Annotated[
        str | None,
        Query(
            description="a column to sort by instead of the list's own order, with a minus in front from the greatest "
            "down; rows without a value come last. One that the list cannot be sorted by is answered with those that "
            "it can.",
            examples=["-created_at"],
            max_length=64,
        ),
    ] = None,
) -> PageRequest:
    return PageRequest(cursor, limit, sort)


PageQuery = Annotated[PageRequest, Depends(_page_request)]


async def session_cookie(request: Request) -> str | None:
    return request.cookies.get(sessions.cookie_name(office_of(request).settings))


# A part of what tells callers apart, so that an answer which depends on it can be kept.
SessionCookie = Annotated[str | None, Depends(session_cookie)]


class Page(BaseModel, Generic[Out]):
    items: list[Out]
    next_cursor: str | None = None

    @classmethod
    def of(cls, rows: Rows[Any], schema: type[Out]) -> Page[Out]:
        """Rows of the database as the schema that shows them."""
        return cls(items=[schema.model_validate(row) for row in rows.items], next_cursor=rows.next_cursor)
