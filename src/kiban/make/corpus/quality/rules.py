"""Rules as data: a statistic of a text, a limit, and what becomes of a text beyond it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from kiban.make.corpus.letters import Letters, Offsets
from kiban.make.corpus.quality.statistics import Counts, Table, classes

Comparison = Literal["<", "<=", ">", ">="]
Indices = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

COMPARE: dict[Comparison, Callable[[Values, float], npt.NDArray[np.bool_]]] = {
    "<": lambda values, limit: values < limit,
    "<=": lambda values, limit: values <= limit,
    ">": lambda values, limit: values > limit,
    ">=": lambda values, limit: values >= limit,
}


@dataclass(frozen=True)
class Rule:
    """A text fails the rule where its statistic stands in the comparison to the limit: `letters < 400`.

    A statistic that says nothing about a text (shares of nothing, too few letters to tell) is NaN and fails no rule.
    """

    name: str
    statistic: str
    comparison: Comparison
    limit: float
    decision: Literal["drop", "rephrase"] = "drop"


@dataclass(frozen=True)
class Batch:
    """Texts and their letters: text i is texts[i] and codes[starts[i] : starts[i + 1]]."""

    texts: Sequence[str]
    letters: Letters
    _counted: dict[int, Counts] = field(default_factory=dict, init=False)

    def spans(self, chosen: Indices) -> tuple[Offsets, Offsets]:
        """Where the chosen texts begin and end in the codes."""
        starts = self.letters.starts
        return starts[chosen], starts[chosen + 1]

    def classes(self, chosen: Indices, kinds: Table, number: int) -> Counts:
        """`statistics.classes` of the chosen texts; counted once for the batch, since several groups ask."""
        if id(kinds) not in self._counted:
            starts = self.letters.starts
            self._counted[id(kinds)] = classes(self.letters.codes, starts[:-1], starts[1:], kinds, number)
        return self._counted[id(kinds)][chosen]


@dataclass(frozen=True)
class Group:
    """Statistics that are measured together.

    Attributes:
        measure: of the chosen texts (int64 [chosen]) of a batch -> float64 [chosen, names].
    """

    names: tuple[str, ...]
    measure: Callable[[Batch, Indices], Values]


@dataclass(frozen=True)
class Definition:
    """What a profile is made of: the measures that its rules ask for, and its edit."""

    groups: tuple[Group, ...]
    edit: Callable[[str], str] | None = None


def share(part: npt.ArrayLike, whole: npt.ArrayLike, nothing: float = 0.0) -> Values:
    """part / whole, and `nothing` where the whole is nothing."""
    parts, wholes = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    result = np.full(wholes.shape, nothing)
    np.divide(parts, wholes, out=result, where=wholes != 0)
    return result


def per_text(*measures: Callable[[str], float]) -> Callable[[Batch, Indices], Values]:
    """The measure of a Group from functions of one text."""

    def measure(batch: Batch, chosen: Indices) -> Values:
        return np.array([[each(batch.texts[i]) for each in measures] for i in chosen], np.float64)

    return measure
