"""The API's description: OpenAPI with what is true of every route, and a page of it that loads nothing else."""

from __future__ import annotations

import html
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from kiban.portal.api import idempotency
from kiban.portal.api.identity import CSRF_HEADER
from kiban.portal.api.problems import CODES, DOCUMENTED_AT, MEDIA_TYPE, Problem
from kiban.portal.api.routing import WorkRoute

_DESCRIPTION = f"""The accelerator programme over HTTP.

Sign in with `Authorization: Bearer` and an API token; it needs the scope `<module>:read` for GET and
`<module>:write` for everything else. A browser's session works too and sends `{CSRF_HEADER}` with every change.
Lists come in pages: pass `next_cursor` on as `cursor`; most can be sorted by their columns (`sort=-created_at`). Errors
are problem details (RFC 9457). Every POST that writes takes `{idempotency.HEADER}`, except those that answer with a
secret and those that say otherwise. Times are UTC with an offset; yen and GPU-seconds are whole numbers.
"""
_METHODS = {"get", "put", "post", "delete", "patch"}


def install(app: FastAPI, cookie: str) -> None:
    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe(app, cookie)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]

    async def document(request: Request) -> Response:
        prefix = request.scope.get("root_path", "")
        return JSONResponse(described() | {"servers": [{"url": prefix or "/"}]})

    async def page(request: Request) -> Response:
        # Styles of its own and nothing else: no script, no other site.
        policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
        return HTMLResponse(_page(described()), headers={"Content-Security-Policy": policy})

    app.router.routes.append(Route("/openapi.json", document, include_in_schema=False))
    app.router.routes.append(Route(DOCUMENTED_AT, page, include_in_schema=False))


def _describe(app: FastAPI, cookie: str) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    if "ProblemDetails" in schemas:
        raise TypeError("a module's schema has the name of every error's")
    schemas["ProblemDetails"] = problem
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token, `kbn_…`."},
        "session": {"type": "apiKey", "in": "cookie", "name": cookie},
    }
    components["parameters"] = {"IdempotencyKey": idempotency.PARAMETER}
    components["responses"] = {
        "Problem": {
            "description": "What went wrong",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for route in app.routes:
        if isinstance(route, WorkRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(route, found["paths"][route.path_format][method.lower()])
    return found


def _complete(route: WorkRoute, operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    if "HTTPValidationError" in str(responses.get("422", "")):
        del responses["422"]
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    if "security" not in operation:
        operation["security"] = [{"token": []}, {"session": []}]
        if not route.needs_somebody:  # how much is shown depends on who asks
            operation["security"].append({})
    if route.takes_key:
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})


_STYLE = """
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
code { font-family: ui-monospace, monospace } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #e6e6e6 } td, th { border-color: #444 } }
"""


def _page(found: dict[str, Any]) -> str:
    by_tag: dict[str, list[str]] = {}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            if method not in _METHODS:
                continue
            tag = operation.get("tags", ["api"])[0]
            words = operation.get("description") or operation.get("summary", "")
            by_tag.setdefault(tag, []).append(
                f"<tr><td><code>{method.upper()}</code></td><td><code>{html.escape(path)}</code></td>"
                f"<td>{html.escape(words)}</td></tr>"
            )
    parts = [f"<h2>{html.escape(tag)}</h2><table>{''.join(rows)}</table>" for tag, rows in by_tag.items()]
    codes = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{status}</td></tr>' for status, code in CODES.items()
    )
    words = "".join(f"<p>{html.escape(part)}</p>" for part in _DESCRIPTION.split("\n\n"))
    title = html.escape(found["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1>{words}"
        '<p>The whole description, for programs: <a href="../../openapi.json">openapi.json</a></p>'
        f"{''.join(parts)}<h2>Problems</h2><table>{codes}</table></body></html>"
    )
