"""The model server beside a portal on one's own machine: started, started again when it dies, and gone with it."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

_LOG = structlog.get_logger("kiban.model_server")
# A model that dies so often will not live; whoever mends it starts the portal again.
MOST_STARTS, WITHIN_SECONDS = 5, 600.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
STOP_SECONDS = 20.0
MOST_LOG_BYTES = 8 * 2**20


class ModelServer:
    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
        given_up: Callable[[], object] = lambda: None,
    ) -> None:
        """Args:
        command: ends when its stdin is closed, as `kiban.cli.tethered` does: a pipe that this process holds.
        log: gets what the command writes; begun anew when it has become large.
        environment: of the command; default: this process's.
        given_up: called when it died too often.
        """
        self._command, self._log, self._environment = list(command), log, environment
        self._first_wait, self._given_up = first_wait_seconds, given_up
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="model server", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it: by closing its stdin, and after a time by force."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            _end(process)
        if self._thread.is_alive():
            self._thread.join()

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def _keep(self) -> None:
        starts: deque[float] = deque(maxlen=MOST_STARTS)
        wait = self._first_wait
        while not self._stopping.is_set():
            began = time.monotonic()
            if len(starts) == MOST_STARTS and began - starts[0] < WITHIN_SECONDS:
                _LOG.error("the model server died too often and is not started again", log=str(self._log))
                self._given_up()
                return
            starts.append(began)
            status = self._run()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > WITHIN_SECONDS:
                wait = self._first_wait
            _LOG.warning("the model server ended", status=status, log=str(self._log), again_in_s=wait)
            self._stopping.wait(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _run(self) -> int:
        """Start it, and wait for its end."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        is_large = self._log.is_file() and self._log.stat().st_size > MOST_LOG_BYTES
        with self._log.open("wb" if is_large else "ab") as log:
            with self._lock:
                if self._stopping.is_set():
                    return 0
                # In a session of its own, so that Ctrl-C is for the portal, which then sees to it.
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=None if self._environment is None else dict(self._environment),
                    start_new_session=True,
                )
            return self._process.wait()


def free_port() -> int:
    """A port on the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
