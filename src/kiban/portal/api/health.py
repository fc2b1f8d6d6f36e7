"""Whether the server lives, whether it can work, and its figures."""

from __future__ import annotations

import ipaddress

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kiban.kit.errors import KibanError
from kiban.office import schema
from kiban.office.work import Role
from kiban.portal.api import identity, metrics, problems
from kiban.portal.api.dependencies import office_of


def install(app: FastAPI) -> None:
    app.router.routes.extend(
        [
            Route("/health/live", _live, include_in_schema=False),
            Route("/health/ready", _ready, include_in_schema=False),
            Route("/metrics", _metrics, include_in_schema=False),
        ]
    )


async def _live(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request) -> Response:
    """200 when the database answers and its tables are this version's."""
    try:
        state = await run_in_threadpool(schema.state, office_of(request).database)
    except Exception:  # whatever it is, no request would fare better
        return JSONResponse({"status": "unavailable", "database": "unreachable"}, 503)
    if not state.is_current:
        return JSONResponse({"status": "unavailable", "database": "reachable", "schema": "behind"}, 503)
    return JSONResponse({"status": "ok", "database": "reachable", "schema": "current"})


async def _metrics(request: Request) -> Response:
    """For a collector on the same machine, or an operator's or auditor's token from anywhere."""
    if not _is_local(request):
        refused = await run_in_threadpool(_refusal, request)
        if refused is not None:
            return refused
    body = await run_in_threadpool(metrics.exposition, office_of(request))
    return Response(body, media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    """Whether the caller itself sits on this machine: what a proxy here passes on does not."""
    try:
        on_this_machine = request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
    return on_this_machine and not {"x-forwarded-for", "forwarded", "x-real-ip", "via"} & set(request.headers.keys())


def _refusal(request: Request) -> Response | None:
    request_id = request.state.request_id
    try:
        actor = identity.identify(request, None)
    except KibanError:
        return problems.problem(request_id, 401, "sign in first", headers={"WWW-Authenticate": "Bearer"})
    if actor.has(Role.OPERATOR) or actor.has(Role.AUDITOR):
        return None
    return problems.problem(request_id, 403, "this takes the role operator or auditor")
