"""How long the office's API takes to answer reads at 50 concurrent clients, on PostgreSQL and on SQLite.

The data are the demo season, ten times over (`kiban office demo --scale 10`): it is played once for each database,
which takes minutes, kept in the folder `--folder`, and copied for each run. The server is `kiban office serve` with two
workers; the clients are 50 connections of one other process, each sending its next request when the last was answered:
lists and single things of calls, proposals, supply and members, read by an operator, an auditor, an applicant and
nobody. All of it, the database too, shares this machine. Reads are measured while nothing changes; with five acts a
second written to tables that these reads do not ask, as the work of an office does; and with five changes a second to
the pools, which most of these reads show, so that the server has to read most of them anew each time.

The peer is the least that could serve the same rows: a bare Starlette application with one hand-written statement and
orjson for lists and single calls, without accounts, rules, schemas or logs, on the same server with the same workers.
The ratio is our p95, with acts, to its own; the bar is a p95 below 40 ms on PostgreSQL while nothing changes and with
acts. Any answer other than 200 makes the run invalid.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import secrets
import sqlite3
import sys
import tempfile
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import psycopg.rows
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.supervisors import Multiprocess

from kiban.office.calls.models import Call, CallStatus
from kiban.office.guards.tokens import RANDOM_BYTES, new_token, token_digest
from kiban.office.members.models import ApiToken, Person, RoleGrant
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.settings import Settings
from kiban.office.supply.models import Pool
from kiban.office.work import Role
from shared.season_load import (
    FOLDER,
    SCALE,
    WORKERS,
    WRITES_PER_SECOND,
    Read,
    Source,
    act,
    change,
    load,
    rounds_of,
    served,
    writing,
)

BAR_MS = 40.0
CLIENTS = 50
WARM_SECONDS = 5.0  # until both workers have their connections, and have answered each of the reads
# Different proposals that each reader opens.
PROPOSALS = 30
READERS = (Role.OPERATOR, Role.AUDITOR, Role.APPLICANT)
SCOPES = ["members:read", "calls:read", "supply:read", "proposals:read"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter rounds; under a minute")
    parser.add_argument("--only", choices=("postgresql", "sqlite"), help="one database; decides nothing on SQLite")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--scale", type=int, default=SCALE, help="of the demo season; below 10 decides nothing")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the filled databases are kept between runs")
    parser.add_argument("--postgresql", help="URL of a server to use in place of one of its own")
    options = parser.parse_args()
    seconds, rounds = (3.0, 3) if options.quick else (10.0, 5)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("postgresql", "sqlite") if options.only is None else (options.only,):
            source = Source(options.folder, options.scale, options.postgresql)
            with source.copy(kind, Path(scratch)) as url:
                found[kind] = measure(url, Path(scratch) / kind, seconds, rounds)
            if not options.json:
                print(kind, json.dumps(found[kind]), file=sys.stderr)
    figures = found.get("postgresql") or found["sqlite"]
    ours, peer = figures["with_acts"]["p95_ms"], figures["peer"]["p95_ms"]
    valid = all(each["failed"] == 0 for kind in found.values() for each in kind.values())
    result = {
        "name": "office_api",
        "ours": ours,
        "peer": peer,
        "ratio": round(ours / peer, 2),
        "bar": BAR_MS,
        "ok": valid
        and "postgresql" in found
        and options.scale >= SCALE
        and max(ours, figures["unchanging"]["p95_ms"]) < BAR_MS,
        "valid": valid,
        "n": figures["with_acts"]["requests"],
        "unit": "ms",
        "clients": CLIENTS,
        "workers": WORKERS,
        "scale": options.scale,
        "writes_per_second": WRITES_PER_SECOND,
        "load_average": os.getloadavg()[0],
        **found,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


def measure(url: str, home: Path, seconds: float, rounds: int) -> dict[str, Any]:
    home.mkdir()
    office = Office(Settings(home=home, store=home, database_url=url))
    reads = reads_of(office)
    if not office.database.is_sqlite:
        with office.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_DATABASE_URL": url}
    ours = [sys.executable, "-m", "kiban", "office", "serve", "--port", "0", "--workers", str(WORKERS), "--json"]
    found: dict[str, Any] = {}
    with served(ours, home / "log", environment) as (port, pid):
        load(port, reads, CLIENTS, WARM_SECONDS)
        found["unchanging"] = rounds_of(port, pid, reads, clients=CLIENTS, seconds=seconds, rounds=rounds)
        with writing(office, act):
            found["with_acts"] = rounds_of(port, pid, reads, clients=CLIENTS, seconds=seconds, rounds=rounds)
        with writing(office, change):
            found["with_changes"] = rounds_of(port, pid, reads, clients=CLIENTS, seconds=seconds, rounds=rounds)
    office.close()
    peer = [sys.executable, __file__, "--peer"]
    calls = [(path, token) for path, token in reads if path.startswith("/api/v1/calls")]
    with served(peer, home / "peer-log", environment) as (port, pid):
        load(port, calls, CLIENTS, WARM_SECONDS)
        found["peer"] = rounds_of(port, pid, calls, clients=CLIENTS, seconds=seconds, rounds=rounds)
    return found


def peer() -> Starlette:
    """Calls as they lie in the database; one connection for each thread."""
    url = sa.make_url(os.environ["KIBAN_DATABASE_URL"])
    held = threading.local()

    def rows(where: str, given: tuple[Any, ...]) -> list[dict[str, Any]]:
        if not hasattr(held, "connection"):
            if url.get_backend_name() == "sqlite":
                held.connection = sqlite3.connect(str(url.database))
                held.connection.row_factory = sqlite3.Row
            else:
                plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
                held.connection = psycopg.connect(plain, autocommit=True, row_factory=psycopg.rows.dict_row)
        mark = "?" if isinstance(held.connection, sqlite3.Connection) else "%s"
        statement = f"SELECT * FROM calls {where.replace('?', mark)}"
        return [dict(row) for row in held.connection.execute(statement, given).fetchall()]

    def listed(request: Request) -> Response:
        limit = int(request.query_params.get("limit", "50"))
        found = rows("WHERE published_at IS NOT NULL ORDER BY id DESC LIMIT ?", (limit,))
        return Response(orjson.dumps({"items": found}), media_type="application/json")

    def single(request: Request) -> Response:
        key: Any = uuid.UUID(request.path_params["id"])
        found = rows("WHERE id = ?", (key.hex if url.get_backend_name() == "sqlite" else key,))
        return Response(orjson.dumps(found[0]), media_type="application/json")

    return Starlette(routes=[Route("/api/v1/calls", listed), Route("/api/v1/calls/{id}", single)])


def serve_peer() -> None:
    config = uvicorn.Config("office_api:peer", factory=True, port=0, workers=WORKERS, log_config=None, access_log=False)
    listener = config.bind_socket()
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    Multiprocess(config, sockets=[listener]).run()


def reads_of(office: Office) -> list[Read]:
    """What is read of the season: each path with the token of who reads."""
    now = office.clock()
    draw = random.Random(1)
    with office.work() as work:
        session = work.session
        tokens = {role: new_token(secrets.token_bytes(RANDOM_BYTES)) for role in READERS}
        people: dict[Role, Person] = {}
        for role in READERS:
            having = sa.select(Person).join(RoleGrant, RoleGrant.person_id == Person.id).where(RoleGrant.role == role)
            person = people[role] = session.scalars(having.order_by(Person.id).limit(1)).one()
            token = tokens[role]
            session.add(
                ApiToken(
                    id=office.ids.new(now),
                    person_id=person.id,
                    name="benchmark",
                    digest=token_digest(token),
                    start=token[:8],
                    scopes=SCOPES,
                    created_at=now,
                    expires_at=now + timedelta(days=1),
                    is_strong=True,
                )
            )
        own = people[Role.APPLICANT].organisation_id
        calls = list(session.scalars(sa.select(Call.id).where(Call.status != CallStatus.DRAFT).order_by(Call.id)))
        pools = list(session.scalars(sa.select(Pool.id).order_by(Pool.id)))
        handed_in = sa.select(Proposal.id).where(Proposal.status != ProposalStatus.DRAFT).order_by(Proposal.id)
        proposals = list(session.scalars(handed_in))
        written = list(session.scalars(handed_in.where(Proposal.organisation_id == own)))
    shared = [
        "/api/v1/calls?limit=10",
        "/api/v1/calls?limit=20",
        "/api/v1/supply/pools",
        *(f"/api/v1/calls/{draw.choice(calls)}" for _ in range(10)),
    ]
    reads = [(path, "") for path in shared]
    for role, token in tokens.items():
        seen = written if role is Role.APPLICANT else proposals
        mine = [
            *(f"/api/v1/supply/pools/{draw.choice(pools)}" for _ in range(3)),
            "/api/v1/members/me",
            "/api/v1/proposals?limit=20",
            f"/api/v1/members/organisations/{own}",
            *(f"/api/v1/proposals/{each}" for each in draw.sample(seen, min(PROPOSALS, len(seen)))),
        ]
        reads += [(path, f"Authorization: Bearer {token}") for path in (*shared, *mine)]
    return reads


if __name__ == "__main__":
    if sys.argv[1:] == ["--peer"]:
        serve_peer()
    else:
        main()
