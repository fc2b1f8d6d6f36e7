"""Award sets side by side: who is funded whatever the objective, and who only by some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput
from kiban.office.awards.solver.problem import OptionKey
from kiban.office.awards.solver.solution import Solution, Totals


class Alternative(StrictModel):
    """One of the award sets by every yardstick."""

    name: str
    totals: Totals
    gap: float | None
    only_here: tuple[str, ...]


class Comparison(StrictModel):
    """Who is in all, in some (with the names of the sets), and whose option differs between sets that fund it."""

    alternatives: tuple[Alternative, ...]
    in_all: tuple[str, ...]
    in_some: Mapping[str, tuple[str, ...]]
    options_differ: Mapping[str, Mapping[str, OptionKey]]


def compare(solutions: Sequence[Solution], names: Sequence[str] | None = None) -> Comparison:
    """Put solutions of one call side by side, named by their objectives unless `names` are given.

    Raises:
        BadInput: no solutions, solutions of several calls, or names that are not one each.
    """
    if not solutions or len({solution.call_id for solution in solutions}) > 1:
        raise BadInput("only solutions of one call can be compared", where="solutions")
    named = list(names) if names is not None else [solution.objective for solution in solutions]
    if len(set(named)) != len(solutions) or len(named) != len(solutions):
        raise BadInput("every solution needs a name of its own", where="names")
    chosen = {name: solution.chosen for name, solution in zip(named, solutions, strict=True)}
    funded: dict[str, tuple[str, ...]] = {
        who: tuple(name for name in named if who in chosen[name])
        for who in sorted({who for each in chosen.values() for who in each})
    }
    differ = {}
    for who, where in funded.items():
        options = {name: chosen[name][who] for name in where}
        if len(set(map(str, options.values()))) > 1:
            differ[who] = options
    return Comparison(
        alternatives=tuple(
            Alternative(
                name=name,
                totals=solution.totals,
                gap=solution.gap,
                only_here=tuple(who for who, where in funded.items() if where == (name,) and len(named) > 1),
            )
            for name, solution in zip(named, solutions, strict=True)
        ),
        in_all=tuple(who for who, where in funded.items() if len(where) == len(named)),
        in_some={who: where for who, where in funded.items() if len(where) < len(named)},
        options_differ=differ,
    )
