"""The thread that runs the batch, and the asyncio side that feeds it."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Sequence

from kiban.use.serving.batching import Batcher, Delta, GenerationParams, GenerationTask
from kiban.use.serving.errors import ApiError, generation_failed, queue_full, shutting_down
from kiban.use.serving.loading import LoadedModel
from kiban.use.serving.metrics import Metrics

RETRY_AFTER_S = 2


class Engine:
    """Runs sequences in a thread of its own. Everything but the thread belongs to the event loop that made it.

    Attributes:
        healthy: the last step went well.
    """

    def __init__(self, model: LoadedModel, *, max_batch: int, queue_limit: int, metrics: Metrics) -> None:
        self.model = model
        self.metrics = metrics
        self.healthy = True
        self._room = max_batch + queue_limit
        self._unfinished = 0
        self._jobs: set[Job] = set()
        self._loop = asyncio.get_running_loop()
        self._batcher = Batcher(model, max_batch, metrics)
        self._inbox: list[GenerationTask] = []
        self._stopping = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="kiban-engine", daemon=True)
        self._thread.start()

    def submit(self, prompts: Sequence[Sequence[int]], params: Sequence[GenerationParams]) -> Job:
        """Put one request's sequences into the waiting line.

        A request with more sequences than there is room for is let in when nothing else is there: it could never
        run otherwise.

        Raises:
            ApiError: 429 when too many sequences are waiting.
        """
        if self._unfinished and self._unfinished + len(prompts) > self._room:
            raise queue_full(RETRY_AFTER_S)
        job = Job(self, prompts, params)
        self._unfinished += len(prompts)
        self._jobs.add(job)
        self.metrics.prompt_tokens.inc(sum(len(prompt) for prompt in prompts))
        with self._wake:
            self._inbox += job.tasks
            self._wake.notify()
        return job

    def release(self, job: Job, sequences: int) -> None:
        """Called by a job as its sequences end."""
        self._unfinished -= sequences
        if not job.unfinished:
            self._jobs.discard(job)
        with self._wake:
            self._wake.notify()  # so that a cancelled sequence leaves the queue at once

    def abort_all(self) -> None:
        """End every request with an error; the grace time is over."""
        for job in list(self._jobs):
            job.abort(shutting_down())

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def deliver(self, job: Job, index: int, delta: Delta) -> None:
        """Hand a delta from the engine's thread to the event loop."""
        self._loop.call_soon_threadsafe(job.events.put_nowait, (index, delta))

    def _run(self) -> None:
        busy = False
        while True:
            with self._wake:
                if not busy and not self._inbox and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                arrived, self._inbox = self._inbox, []
            for task in arrived:
                self._batcher.submit(task)
            try:
                busy = self._batcher.step()
                self.healthy = True
            except Exception as error:
                # Whatever the model raised (out of memory, a device error), the requests in the batch must hear of
                # it and the server must go on with the next ones.
                traceback.print_exc(file=sys.stderr)
                self.healthy = False
                self._batcher.fail_all(f"the model failed: {type(error).__name__}")
                busy = True


class Job:
    """The sequences of one request.

    Attributes:
        events: (index of the sequence, what it says) in the order they happened; an ApiError ends all.
        unfinished: indices of sequences that still run.
    """

    def __init__(self, engine: Engine, prompts: Sequence[Sequence[int]], params: Sequence[GenerationParams]) -> None:
        self.events: asyncio.Queue[tuple[int, Delta | ApiError]] = asyncio.Queue()
        self.unfinished = set(range(len(prompts)))
        self._engine = engine
        self._started = time.monotonic()
        self._first_seen = False
        self.tasks = [
            GenerationTask(engine.model, prompt, each, functools.partial(engine.deliver, self, index))
            for index, (prompt, each) in enumerate(zip(prompts, params, strict=True))
        ]

    async def deltas(self) -> AsyncIterator[tuple[int, Delta]]:
        """What the sequences say until all have ended; leaving early cancels the rest.

        Raises:
            ApiError: the model failed, or the server shuts down.
        """
        try:
            while self.unfinished:
                index, delta = await self.events.get()
                if isinstance(delta, ApiError):
                    raise delta
                self._note(index, delta)
                if delta.error:
                    raise generation_failed(delta.error)
                yield index, delta
        finally:
            self.cancel()

    def _note(self, index: int, delta: Delta) -> None:
        metrics = self._engine.metrics
        metrics.generated_tokens.inc(delta.tokens)
        if delta.tokens and not self._first_seen:
            self._first_seen = True
            metrics.first_token.observe(time.monotonic() - self._started)
        if delta.finish or delta.error:
            self.unfinished.discard(index)
            self._engine.release(self, 1)

    def cancel(self) -> None:
        """Give up what still runs; its rows are free before the next step."""
        left, self.unfinished = len(self.unfinished), set()
        if left:
            for task in self.tasks:
                task.cancelled = True
            self._engine.metrics.cancelled.inc(left)
            self._engine.release(self, left)

    def abort(self, error: ApiError) -> None:
        self.events.put_nowait((0, error))
