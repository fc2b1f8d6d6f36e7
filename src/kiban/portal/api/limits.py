"""How often one person may ask for what takes long to compute.

Counted in each server process by itself: it spares the processors, and guards no secret, for which there is
`kiban.office.members.attempts`.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from kiban.office.errors import TooMany

MOST_PEOPLE = 10_000


class PerPerson:
    """So many uses within so many seconds."""

    def __init__(self, uses: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._uses, self._seconds, self._clock = uses, seconds, clock
        self._used: dict[uuid.UUID, deque[float]] = {}
        self._lock = threading.Lock()

    def use(self, person_id: uuid.UUID) -> None:
        """Count one use; a refused one is not counted.

        Raises:
            TooMany: it has to wait.
        """
        now = self._clock()
        with self._lock:
            used = self._used.setdefault(person_id, deque())
            while used and now - used[0] >= self._seconds:
                used.popleft()
            if len(used) >= self._uses:
                wait = ceil(self._seconds - (now - used[0]))
                raise TooMany("too many of these in a short time", retry_after_seconds=max(1, wait))
            used.append(now)
            if len(self._used) > MOST_PEOPLE:
                self._used = {each: times for each, times in self._used.items() if now - times[-1] < self._seconds}


class OneAtATime:
    """No second use while a person's first is still running, and never more than so many uses of all people."""

    def __init__(self, most: int = MOST_PEOPLE, wait_seconds: float = 0.0) -> None:
        """Args: wait_seconds: how long a use waits for those of others."""
        self._most, self._wait_seconds = most, wait_seconds
        self._running: set[uuid.UUID] = set()
        self._ended = threading.Condition()

    @contextmanager
    def use(self, person_id: uuid.UUID) -> Iterator[None]:
        """Raises: TooMany: the person's first one, or too many others, are still running."""
        with self._ended:
            if not self._ended.wait_for(lambda: len(self._running) < self._most, self._wait_seconds):
                raise TooMany("others are doing this at the moment", retry_after_seconds=10)
            if person_id in self._running:
                raise TooMany("one of these is still running for you", retry_after_seconds=5)
            self._running.add(person_id)
        try:
            yield
        finally:
            with self._ended:
                self._running.discard(person_id)
                self._ended.notify()
