"""Bars with interval whiskers, as percentages of a row's width; the templates draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiban.prove.card.contents import Estimate, Scores
from kiban.prove.card.facts import Fact


@dataclass(frozen=True)
class Bar:
    """Positions from 0 (left) to 100 (right); None where the figure is missing."""

    length: str | None
    low: str | None
    high: str | None
    mark: str | None


def bits_bars(scores: Scores) -> dict[str, Bar]:
    """One bar per row of the bits-per-byte table, from zero, on one scale."""
    rows = scores.bits_per_byte
    scale = _scale([row.bits for row in rows])
    return {row.key: _bar(row.bits, None, scale) for row in rows}


def task_bars(scores: Scores) -> dict[tuple[str, str], Bar]:
    """One bar per row of the task table, from 0 to 100 % correct, with the chance level marked."""
    return {(row.name, row.key): _bar(row.accuracy, row.chance, 1.0) for row in scores.tasks}


def _scale(estimates: Sequence[Estimate]) -> float:
    known = [fact.number for each in estimates for fact in (each.value, each.high) if fact.number is not None]
    return max(known, default=1.0) * 1.02 or 1.0


def _bar(estimate: Estimate, mark: Fact | None, scale: float) -> Bar:
    def place(fact: Fact | None) -> str | None:
        return None if fact is None or fact.number is None else f"{100 * fact.number / scale:.2f}"

    return Bar(place(estimate.value), place(estimate.low), place(estimate.high), place(mark))
