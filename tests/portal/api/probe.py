"""Routes that do what real ones do at their worst, for tests of what surrounds every route."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI
from pydantic import Field

from kiban.kit.errors import BadInput, Refused
from kiban.office.errors import Conflict, TooMany
from kiban.office.members.models import Organisation, OrganisationKind, OrganisationSize
from kiban.office.schemas import Schema
from kiban.portal.api.dependencies import Reading, Writing
from kiban.portal.api.routing import work_routes


class Thing(Schema):
    name: str = Field(max_length=200)
    size: int = 1
    more: dict[str, Any] = Field(default_factory=dict)


class Named(Schema):
    name: str


def _full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def mount(app: FastAPI) -> None:
    router = APIRouter(prefix="/probe", tags=["supply"])
    errors = {
        "bad-input": BadInput("wrong", where="title", hint="do it right"),
        "refused": Refused("not allowed"),
        "conflict": Conflict("closed"),
        "too-many": TooMany("slowly", retry_after_seconds=7),
        "integrity": sa.exc.IntegrityError("INSERT secret", {}, Exception("secret")),
        "data": sa.exc.DataError("INSERT secret", {}, Exception("secret")),
        "locked": sa.exc.OperationalError("SELECT secret", {}, Exception("database is locked")),
        "gone": sa.exc.OperationalError("SELECT secret", {}, Exception("connection refused by secret host")),
        "disk-full": OSError(errno.ENOSPC, "secret"),
        "full": sa.exc.OperationalError("INSERT secret", {}, _full()),
        "missing-file": FileNotFoundError(errno.ENOENT, "secret"),
        "overflow": OverflowError("secret"),
        "bug": RuntimeError("secret"),
    }

    @router.get("/errors/{kind}")
    def fail(work: Reading, kind: str) -> Named:
        raise errors[kind]

    @router.post("/things", status_code=201)
    def add(work: Writing, thing: Thing) -> Named:
        """Adds an organisation: an effect that can be counted."""
        work.session.add(
            Organisation(
                id=work.new_id(),
                name_ja=thing.name,
                name_en=thing.name,
                kind=OrganisationKind.COMPANY,
                size=OrganisationSize.SMALL,
                domain="language",
                created_at=work.now,
            )
        )
        work.session.flush()
        if thing.size < 0:
            raise Conflict("no such size")
        return Named(name=thing.name)

    @router.get("/things")
    def count(work: Reading) -> int:
        return work.session.scalar(sa.select(sa.func.count()).select_from(Organisation)) or 0

    app.router.routes[:0] = work_routes(router, "/api/v1")  # before those that take every path
