"""The process: load, announce, serve, and leave in good order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kiban.kit.addresses import address_url
from kiban.kit.errors import BadInput
from kiban.kit.units import format_count
from kiban.use.locate import Located
from kiban.use.serving.app import Limits, Service
from kiban.use.serving.engine import Engine
from kiban.use.serving.http import Keys
from kiban.use.serving.loading import LoadedModel, load
from kiban.use.serving.metrics import Metrics
from kiban.use.serving.options import ServeOptions

HEADERS_TIMEOUT_S = 20.0
KEEP_ALIVE_S = 60
# After the grace time, how long connections may take to receive the news.
CLOSING_S = 5


def serve(located: Located, options: ServeOptions, listener: socket.socket) -> None:
    """Serve at a claimed port until SIGTERM or SIGINT.

    Raises:
        BadInput: the model cannot be loaded.
    """
    with listener, located.in_use():
        print(f"kiban: loading {located.name} ({located.digest[:12]})", file=sys.stderr, flush=True)
        model = load(located.folder, dtype=options.dtype, tuned_for_chat=not located.from_scratch)
        asyncio.run(_serve(located, model, options, listener))


async def _serve(located: Located, model: LoadedModel, options: ServeOptions, listener: socket.socket) -> None:
    metrics = Metrics(located.name, located.digest)
    engine = Engine(model, max_batch=options.max_batch, queue_limit=options.queue_limit, metrics=metrics)
    limits = Limits(options.request_timeout_s, options.max_tokens_limit)
    service = Service(located, model, engine, metrics, Keys(options.keys), limits)
    config = uvicorn.Config(
        service.gate,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSING_S,
    )
    server = _Server(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await _until(lambda: server.started or serving.done(), None)
        if serving.done():
            await serving
        _announce(located, model, options, address_url(listener))
        await stop.wait()
        stop.clear()
        service.gate.draining = True
        if service.gate.active:
            print("kiban: finishing running requests; a second signal stops at once", file=sys.stderr, flush=True)
        await _until(lambda: not service.gate.active or stop.is_set(), options.grace_s)
        engine.abort_all()
        server.should_exit = True
        await serving
    except OSError as error:
        raise BadInput(f"cannot listen: {error.strerror}", where="--port", hint="choose another port") from None
    finally:
        await asyncio.to_thread(engine.stop)


def _announce(located: Located, model: LoadedModel, options: ServeOptions, url: str) -> None:
    if options.as_json:
        ready = {"url": url, "model": located.name, "digest": located.digest, "pid": os.getpid()}
        print(json.dumps(ready, ensure_ascii=False), flush=True)
        return
    print(f"kiban: {located.name} ({located.fingerprint}) at {url}", file=sys.stderr)
    print(f"  chat:    {url}/", file=sys.stderr)
    print(f"  OpenAI:  {url}/v1   model {located.name!r}", file=sys.stderr)
    print(
        f"  context {format_count(model.context_tokens)} tokens, {options.max_batch} sequences at once, "
        f"{'keys needed' if options.keys else 'no key needed'}; Ctrl-C stops",
        file=sys.stderr,
        flush=True,
    )


async def _until(condition: Callable[[], bool], timeout_s: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.02)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would re-raise the signal after shutting down, and the exit status
    of a server that finished its work would be that of one that was killed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with a limit to how long the headers of a request may take to arrive."""

    _headers_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        in_request = self.cycle is not None and not self.cycle.response_complete
        if in_request and self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None
        elif not in_request and self._headers_timer is None:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_TIMEOUT_S, self.transport.close)
