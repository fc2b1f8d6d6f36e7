"""The award problem as an integer program: one binary per proposal and option, every coefficient an integer.

What is left out never changes the answer: options larger than a pool, capacity rows that cannot bind, options that
are alike in every row that is left, and options that another of the same proposal beats in every respect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from kiban.office.awards.solver import words
from kiban.office.awards.solver.objectives import (
    BALANCE_POINTS,
    BALANCE_STEPS,
    ObjectiveName,
    merit_points,
    option_points,
    requested_yen,
)
from kiban.office.awards.solver.problem import AwardProblem, Option, OptionKey, Share

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One rule: `lower` ≤ the sum of coefficients of what is chosen ≤ `upper`; None where there is no bound.

    Attributes:
        name: what it is, for prices and conflicts; rows with the same name are one rule.
        unit: of the bounds, for words.
    """

    name: words.Rule
    lower: int | None
    upper: int | None


@dataclass(frozen=True)
class Program:
    """Maximise `points` over columns, at most one of each owner's, within the rows.

    Attributes:
        problem: in canonical order.
        owner: the candidate that each column belongs to.
        option: which of the candidate's options it is.
        required: candidates that must be funded, by a pin.
        balance: where there is one, the last column of `matrix` counts basis points of the smallest granted share;
            it is no option, an integer from 0 to `BALANCE_STEPS`.
        matrix: rows × columns, int64, without the rows "at most one of each owner's".
    """

    problem: AwardProblem
    objective: ObjectiveName
    owner: Integers
    option: Integers
    points: Integers
    required: frozenset[int]
    balance: bool
    rows: tuple[Row, ...]
    matrix: Any
    options_before_reduction: int

    @property
    def columns(self) -> int:
        """Without the balance column."""
        return len(self.owner)

    def restrict(self, keep: npt.NDArray[np.bool_]) -> Program:
        """The program over some of its option columns."""
        kept = np.append(keep, True) if self.balance else keep
        return Program(self.problem, self.objective, self.owner[keep], self.option[keep], self.points[keep],
                       self.required, self.balance, self.rows, self.matrix[:, np.flatnonzero(kept)],
                       self.options_before_reduction)  # fmt: skip

    def chosen(self, columns: Iterable[int]) -> dict[str, Option]:
        """Columns as option by proposal id."""
        found = {}
        for column in columns:
            candidate = self.problem.candidates[self.owner[column]]
            found[candidate.proposal_id] = candidate.options[self.option[column]]
        return found

    def has(self, chosen: Mapping[str, OptionKey]) -> bool:
        """Whether every option chosen is among the columns; what never pays was left out."""
        return len(self.columns_of(chosen)) == len(chosen)

    def columns_of(self, chosen: Mapping[str, OptionKey]) -> list[int]:
        """Option by proposal id as columns, without those that were left out."""
        found = []
        for column, (owner, option) in enumerate(zip(self.owner.tolist(), self.option.tolist(), strict=True)):
            candidate = self.problem.candidates[owner]
            if candidate.proposal_id in chosen and candidate.options[option].key == chosen[candidate.proposal_id]:
                found.append(column)
        return found


@dataclass(frozen=True)
class _Columns:
    """One array per property of an option, in canonical order."""

    owner: Integers
    option: Integers
    points: Integers
    merit: Integers
    yen: Integers
    gpu_seconds: Integers
    gpus: Integers
    pool: Integers
    start: Integers
    end: Integers

    def __getitem__(self, keep: Any) -> _Columns:
        return _Columns(**{name: values[keep] for name, values in self.__dict__.items()})


def formulate(problem: AwardProblem, objective: ObjectiveName, *, reduce: bool = True) -> Program:
    """Build the program; `reduce=False` keeps every option (for tests and measurements)."""
    problem = problem.canonical()
    columns = _read(problem, objective)
    before = len(columns.owner)
    columns = columns[_allowed(problem, columns, reduce)]
    if reduce:
        columns = columns[_undominated(problem, objective, columns)]
    builder = _Rows(problem, columns, objective == "balance")
    builder.build(reduce)
    matrix = builder.matrix()
    program = Program(problem, objective, columns.owner, columns.option, columns.points,
                      frozenset(_pinned_in(problem)), builder.balance, tuple(builder.rows), matrix,
                      before)  # fmt: skip
    return program.restrict(_first_of_alike(program)) if reduce else program


def _read(problem: AwardProblem, objective: ObjectiveName) -> _Columns:
    pool = {each.id: at for at, each in enumerate(problem.pools)}
    month = {each: at for at, each in enumerate(problem.months)}
    table = [
        (
            owner,
            at,
            option_points(problem, objective, candidate, option),
            merit_points(problem, candidate, option),
            option.yen,
            option.gpu_seconds,
            option.gpus,
            pool[option.pool_id],
            month[option.start_month],
            month[option.start_month] + option.duration_months,
        )
        for owner, candidate in enumerate(problem.candidates)
        for at, option in enumerate(candidate.options)
    ]
    values = np.array(table, dtype=np.int64).reshape(-1, 10)
    return _Columns(*np.ascontiguousarray(values.T))


def _pinned_in(problem: AwardProblem) -> list[int]:
    at = {candidate.proposal_id: index for index, candidate in enumerate(problem.candidates)}
    return [at[pin.proposal_id] for pin in problem.pins if pin.kind != "must_not"]


def _allowed(problem: AwardProblem, columns: _Columns, reduce: bool) -> npt.NDArray[np.bool_]:
    """Options that pins leave and that fit alone into the budget and the pool."""
    keep = np.ones(len(columns.owner), dtype=bool)
    at = {candidate.proposal_id: index for index, candidate in enumerate(problem.candidates)}
    for pin in problem.pins:
        candidate = problem.candidates[at[pin.proposal_id]]
        mine = columns.owner == at[pin.proposal_id]
        if pin.kind == "must_not":
            keep &= ~mine
        elif pin.option is not None:
            wanted = [index for index, option in enumerate(candidate.options) if option.key == pin.option]
            keep &= ~mine | np.isin(columns.option, wanted)
    if not reduce:
        return keep
    keep &= columns.yen <= problem.budget_yen
    for pool, each in enumerate(problem.pools):
        for month, gpus in enumerate(each.gpus_by_month):
            held = (columns.pool == pool) & (columns.start <= month) & (month < columns.end)
            keep &= ~held | (columns.gpus <= gpus)
    return keep


def _undominated(problem: AwardProblem, objective: ObjectiveName, columns: _Columns) -> npt.NDArray[np.bool_]:
    """All but options that another of the same proposal in the same pool and months beats in every respect."""
    keep = np.ones(len(columns.owner), dtype=bool)
    yen_may_help = objective == "balance" or any(share.of == "spent_yen" for share in problem.shares)
    places: dict[tuple[int, ...], list[int]] = {}
    where = np.stack([columns.owner, columns.pool, columns.start, columns.end], axis=1)
    for column, place in enumerate(map(tuple, where.tolist())):
        places.setdefault(place, []).append(column)
    for alike in places.values():
        for one in alike:
            for other in alike:
                if one == other or not keep[other] or not keep[one]:
                    continue
                yen, other_yen = columns.yen[one], columns.yen[other]
                if (
                    columns.points[other] >= columns.points[one]
                    and columns.gpus[other] <= columns.gpus[one]
                    and columns.gpu_seconds[other] <= columns.gpu_seconds[one]
                    and (other_yen == yen if yen_may_help else other_yen <= yen)
                ):
                    keep[one] = False
    return keep


def _first_of_alike(program: Program) -> npt.NDArray[np.bool_]:
    """All but options equal to an earlier one of the same proposal in points and in every row."""
    matrix = program.matrix.tocsc()
    keep = np.ones(program.columns, dtype=bool)
    seen: set[tuple[int, int, bytes, bytes]] = set()
    owners, points = program.owner.tolist(), program.points.tolist()
    for column in range(program.columns):
        start, end = matrix.indptr[column], matrix.indptr[column + 1]
        key = owners[column], points[column], matrix.indices[start:end].tobytes(), matrix.data[start:end].tobytes()
        if key in seen:
            keep[column] = False
        seen.add(key)
    return keep


class _Rows:
    """Collects rows as coordinates; coefficients of a row that cannot bind are never made."""

    def __init__(self, problem: AwardProblem, columns: _Columns, balance: bool) -> None:
        self.problem, self.columns = problem, columns
        self.balance = balance and bool(requested_yen(problem))
        self.rows: list[Row] = []
        self.row_at: list[Integers] = []
        self.column_at: list[Integers] = []
        self.values: list[Integers] = []

    def matrix(self) -> Any:
        shape = len(self.rows), len(self.columns.owner) + self.balance
        if not self.values:
            return csr_array(shape, dtype=np.int64)
        places = np.concatenate(self.row_at), np.concatenate(self.column_at)
        matrix = csr_array((np.concatenate(self.values), places), shape=shape, dtype=np.int64)
        matrix.sort_indices()
        return matrix

    def build(self, reduce: bool) -> None:
        problem, columns = self.problem, self.columns
        every = np.ones(len(columns.owner), dtype=bool)
        one = np.ones(len(columns.owner), dtype=np.int64)
        self.add(words.budget(), every, columns.yen, upper=problem.budget_yen, reduce=reduce)
        self.capacity(reduce)
        if problem.max_awards is not None:
            self.add(words.most_awards(), every, one, upper=problem.max_awards, reduce=reduce)
        if problem.min_awards:
            self.add(words.fewest_awards(), every, one, lower=problem.min_awards)
        for minimum in problem.theme_minimums:
            inside = self.owners(lambda c, wanted=minimum.theme: c.theme == wanted)  # type: ignore[misc]
            self.add(words.theme_minimum(minimum), inside, one, lower=minimum.awards)
        self.caps(one, reduce)
        for share in problem.shares:
            self.share(share, one)
        if self.balance:
            self.even_hand()

    def add(
        self,
        name: words.Rule,
        where: npt.NDArray[np.bool_],
        amounts: Integers,
        *,
        lower: int | None = None,
        upper: int | None = None,
        reduce: bool = False,
        balance: int = 0,
    ) -> None:
        """Add a row, unless `reduce` and even each proposal's largest option together stay below `upper`."""
        if reduce and upper is not None and lower is None:
            largest = np.zeros(len(self.problem.candidates), dtype=np.int64)
            np.maximum.at(largest, self.columns.owner[where], amounts[where])
            if sum(largest.tolist()) <= upper:
                return
        at = np.flatnonzero(where & (amounts != 0))
        values = amounts[at]
        if balance:
            at, values = np.append(at, len(self.columns.owner)), np.append(values, balance)
        self.row_at.append(np.full(len(at), len(self.rows)))
        self.column_at.append(at)
        self.values.append(values)
        self.rows.append(Row(name, lower, upper))

    def owners(self, belongs: Callable[[Any], bool]) -> npt.NDArray[np.bool_]:
        """Columns of the candidates that `belongs` holds for."""
        found = np.array([belongs(candidate) for candidate in self.problem.candidates], dtype=bool)
        return found[self.columns.owner] if len(found) else np.zeros(0, dtype=bool)

    def capacity(self, reduce: bool) -> None:
        columns = self.columns
        for pool, each in enumerate(self.problem.pools):
            here = columns.pool == pool
            for month, gpus in enumerate(each.gpus_by_month):
                held = here & (columns.start <= month) & (month < columns.end)
                self.add(words.capacity(each, self.problem.months[month]), held, columns.gpus, upper=gpus,
                         reduce=reduce)  # fmt: skip

    def caps(self, one: Integers, reduce: bool) -> None:
        cap = self.problem.organisation_cap
        limits: Sequence[tuple[words.Measure, int | None, Integers]] = (
            ("yen", cap.yen, self.columns.yen),
            ("gpu_seconds", cap.gpu_seconds, self.columns.gpu_seconds),
            ("count", cap.count, one),
        )
        for organisation in sorted({candidate.organisation_id for candidate in self.problem.candidates}):
            mine = self.owners(lambda c, wanted=organisation: c.organisation_id == wanted)  # type: ignore[misc]
            for measure, limit, amounts in limits:
                if limit is not None:
                    name = words.organisation_cap(measure, organisation)
                    self.add(name, mine, amounts, upper=limit, reduce=reduce)

    def share(self, share: Share, one: Integers) -> None:
        weights = self.columns.yen if share.of == "spent_yen" else one
        inside = self.owners(lambda candidate: candidate.group(share.by) == share.group)
        every = np.ones(len(weights), dtype=bool)

        def beyond(limit_basis_points: int) -> Integers:
            part = Fraction(limit_basis_points, 10_000)
            coefficients: Integers = weights * (part.denominator * inside - part.numerator)
            return coefficients

        if share.min_basis_points > 0:
            self.add(words.share(share, "least"), every, beyond(share.min_basis_points), lower=0)
        if share.max_basis_points < 10_000:
            self.add(words.share(share, "most"), every, beyond(share.max_basis_points), upper=0)

    def even_hand(self) -> None:
        """Granted yen of each group, in basis points of what it asked for, is at least the balance column."""
        for group, asked in requested_yen(self.problem).items():
            inside = self.owners(lambda c, wanted=group: c.group(self.problem.balance_by) == wanted)  # type: ignore[misc]
            self.add(words.balance(group), inside, BALANCE_STEPS * self.columns.yen, lower=0, balance=-asked)


def balance_points_of(program: Program) -> int:
    """What one step of the balance column is worth."""
    return BALANCE_POINTS if program.balance else 0
