"""Where work runs. One protocol, one file per engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """One command to run somewhere: a stage of a recipe."""

    name: str
    command: tuple[str, ...]


class Engine(Protocol):
    def run(self, job: Job) -> int:
        """Run a job to its end, its output on this process's stderr, and return its exit status."""
