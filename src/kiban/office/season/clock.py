"""The season's time: it stands still while something is done, and moves from one thing to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ParamSpec

from kiban.office.work import JST

P = ParamSpec("P")
# When, in what order at the same time, and what.
Entry = tuple[datetime, int, Callable[[], object]]


def jst(text: str) -> datetime:
    """`2025-04-07 10:00`, in Japan."""
    return datetime.fromisoformat(text).replace(tzinfo=JST).astimezone(UTC)


class SeasonClock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Agenda:
    """What is still to be done, in the order of its time; what was put in first comes first at the same time."""

    def __init__(self, clock: SeasonClock) -> None:
        self.clock = clock
        self._entries: list[Entry] = []
        self._count = 0

    def at(self, when: datetime, act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do something at a time, or now if that has passed."""
        self._count += 1
        entry: Entry = max(when, self.clock.now), self._count, partial(act, *args, **kwargs)
        heapq.heappush(self._entries, entry)

    def after(self, wait: timedelta, act: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        self.at(self.clock.now + wait, act, *args, **kwargs)

    def run(self, until: datetime, tell: Callable[[datetime], None] | None = None) -> None:
        """Do everything that is due up to a time; what lies beyond it never happens."""
        while self._entries and self._entries[0][0] <= until:
            when, _, act = heapq.heappop(self._entries)
            self.clock.now = when
            act()
            if tell is not None:
                tell(when)
        self.clock.now = until
