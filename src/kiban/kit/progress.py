"""Progress on stderr: a bar with rate and ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from kiban.kit.units import format_count, format_seconds

PLAIN_LINE_SECONDS = 10.0


class Progress(Protocol):
    def advance(self, amount: float, note: str = "") -> None:
        """Say that `amount` more units are done; `note` replaces the text at the end of the line."""


@contextmanager
def progress(title: str, total: float | None, unit: str, *, done: float = 0) -> Iterator[Progress]:
    """Show work of `total` units (None: unknown) that begins at `done`, an earlier attempt's share."""
    if sys.stderr.isatty():
        with _bar(title, total, unit, done) as shown:
            yield shown
    else:
        lines = _Lines(title, total, unit, done)
        yield lines
        lines.finish()


@contextmanager
def _bar(title: str, total: float | None, unit: str, done: float) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="dim"),
    ]
    with RichProgress(*columns, console=Console(stderr=True), refresh_per_second=4) as bars:
        task = bars.add_task(title, total=total, completed=int(done), amount="", note="")
        started = time.monotonic()

        class Bar:
            def __init__(self) -> None:
                self.count = done

            def advance(self, amount: float, note: str = "") -> None:
                self.count += amount
                rate = (self.count - done) / max(time.monotonic() - started, 1e-9)
                shown = f"{_of(self.count, total)} {unit}  {format_count(rate)}/s"
                bars.update(task, completed=self.count, amount=shown, note=note)

        yield Bar()


class _Lines:
    def __init__(self, title: str, total: float | None, unit: str, done: float) -> None:
        self.title, self.total, self.unit, self.begun, self.count = title, total, unit, done, done
        self.started = self.printed = time.monotonic()
        self.note = ""

    def advance(self, amount: float, note: str = "") -> None:
        self.count += amount
        self.note = note or self.note
        if time.monotonic() - self.printed >= PLAIN_LINE_SECONDS:
            self.printed = time.monotonic()
            self._print()

    def finish(self) -> None:
        self._print(finished=True)

    def _print(self, *, finished: bool = False) -> None:
        elapsed = time.monotonic() - self.started
        rate = (self.count - self.begun) / max(elapsed, 1e-9)
        parts = [
            f"{self.title}: {_of(self.count, self.total)} {self.unit}",
            f"{format_count(rate)} {self.unit}/s",
        ]
        if finished:
            parts.append(f"in {format_seconds(elapsed)}")
        elif self.total and rate > 0:
            parts.append(f"{format_seconds((self.total - self.count) / rate)} left")
        if self.note:
            parts.append(self.note)
        print(", ".join(parts), file=sys.stderr, flush=True)


def _of(count: float, total: float | None) -> str:
    return f"{format_count(count)}/{format_count(total)}" if total else format_count(count)
