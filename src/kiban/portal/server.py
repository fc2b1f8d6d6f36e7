"""The office's HTTP server: uvicorn, in one process or several, with the timed work in one of them."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from kiban.kit.addresses import address_url
from kiban.office import schema
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.timed import TimedWork
from kiban.portal import charts, logs
from kiban.portal.app import create_app
from kiban.portal.protocol import BoundedHeads

# A proxy keeps its connections open longer than this server's default, and would find them closed.
KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 30
CONNECTIONS = 1000
FIGURES = "PROMETHEUS_MULTIPROC_DIR"  # where workers write what they count


def app() -> FastAPI:
    """One worker's application, from the environment."""
    logs.configure()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), name="tether", daemon=True).start()
    office = Office(Settings.from_environment())

    def start() -> Callable[[], None]:
        timed = TimedWork(office)
        timed.start()
        # The first chart of a process takes a second, and nobody should wait for it.
        threading.Thread(target=charts.warm_up, name="charts", daemon=True).start()

        def stop() -> None:
            timed.stop()
            office.close()

        return stop

    return create_app(office, on_start=start)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Stop when the process that started this worker is gone, killed included: it would keep address and database."""
    parent.join()
    shutil.rmtree(os.environ.get(FIGURES, ""), ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS + 5)
    os.kill(os.getpid(), signal.SIGKILL)


def prepare(settings: Settings) -> None:
    """See that the tables are there: on SQLite they are made or brought up to date.

    Raises:
        Refused: on PostgreSQL they are not this version's, and a command has to be run first.
    """
    office = Office(settings)
    try:
        if office.database.is_sqlite:
            schema.upgrade(office.database)
        schema.require_current(office.database)
    finally:
        office.close()


def serve(listener: socket.socket, workers: int, ready: Callable[[str], None]) -> None:
    """Serve until a signal says otherwise.

    Args:
        listener: as `kiban.kit.addresses.claim_port` gave it; closed at the end.
        ready: told the address once requests are answered.
    """
    config = uvicorn.Config(
        "kiban.portal.server:app",
        factory=True,
        workers=workers,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # `middleware` knows which proxies to believe
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=CONNECTIONS,
        loop="uvloop",
        http=BoundedHeads,
    )
    url = address_url(listener)
    figures = Path(tempfile.mkdtemp(prefix="kiban-metrics-")) if workers > 1 else None
    if figures is not None:
        os.environ[FIGURES] = str(figures)
    # uvicorn stops in good order and then raises the signal again; being told to stop is no failure.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    threading.Thread(target=_tell_when_ready, args=(url, ready), daemon=True).start()
    try:
        if workers > 1:
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        if figures is not None:
            shutil.rmtree(figures, ignore_errors=True)


def _tell_when_ready(url: str, ready: Callable[[str], None]) -> None:
    # What is bound to every address is asked on the loopback one.
    asked = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    while True:
        try:
            with urllib.request.urlopen(f"{asked}/health/live", timeout=5):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    ready(url)
