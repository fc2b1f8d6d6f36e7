"""The application: every module's routes under /api/v1, the pages, and what is true of all of them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module

import anyio.to_thread
from fastapi import FastAPI
from sqlalchemy import event

import kiban
from kiban.office.members import policy as members
from kiban.office.members.sessions import cookie_name
from kiban.office.office import Office
from kiban.portal import web
from kiban.portal.api import health, openapi, problems
from kiban.portal.api.compression import Compression
from kiban.portal.api.kept import KeptAnswers
from kiban.portal.api.middleware import RequestContext, Surroundings, read_networks
from kiban.portal.api.recent import Recents
from kiban.portal.api.routing import WorkRoute, work_routes
from kiban.portal.serving import ModelServer
from kiban.portal.web.assets import ServeAssets
from kiban.portal.web.heads import HeadsOfPages

PREFIX = "/api/v1"
MODULES = ("auth", *members.MODULES)
# More threads would only wait for one another: for Python's lock, and on SQLite for the file's.
THREADS = 8
# PostgreSQL gives up a statement, or waiting for a lock, rather than hold the threads; the caller is told to try again.
STATEMENT_SECONDS = 30
LOCK_SECONDS = 5


def create_app(
    office: Office,
    *,
    on_start: Callable[[], Callable[[], None]] | None = None,
) -> FastAPI:
    """The API and the pages of an office.

    Args:
        on_start: run when the server starts; what it returns is run when the server stops.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        stop = on_start() if on_start is not None else None
        yield
        await app.state.model_server.close()
        recents.looks.close()
        if stop is not None:
            await anyio.to_thread.run_sync(stop)

    app = FastAPI(
        title="kiban office",
        version=kiban.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.office = office
    app.state.model_server = ModelServer(office.settings)
    recents = app.state.recents = Recents(office.database, office.clock)
    app.router.routes.extend(_api_routes())
    health.install(app)
    openapi.install(app, cookie_name(office.settings))
    problems.install(app, web.tell)
    settings = office.settings
    assets = web.install(app, settings)
    surroundings = Surroundings(
        path_prefix=settings.path_prefix,
        trusted_proxies=read_networks(settings.trusted_proxies),
        over_tls=settings.public_url.startswith("https://"),
    )
    app.add_middleware(KeptAnswers, recents=recents, cookie_name=cookie_name(settings))
    app.add_middleware(HeadsOfPages)
    app.add_middleware(Compression)
    app.add_middleware(ServeAssets, assets=assets)
    app.add_middleware(RequestContext, surroundings=surroundings, tell=web.tell)
    if not office.database.is_sqlite:
        for engine in (office.database.engine, office.database.reading_engine):
            event.listen(engine, "connect", _limit_waiting)
    return app


@functools.cache
def _api_routes() -> list[WorkRoute]:
    """Made once: making them takes longer than most requests, and no application changes them."""
    routers = [import_module(f"kiban.portal.api.{module}").router for module in MODULES]
    return [route for router in routers for route in work_routes(router, PREFIX)]


def _limit_waiting(connection: object, record: object) -> None:
    with connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
        cursor.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
    connection.commit()  # type: ignore[attr-defined]
