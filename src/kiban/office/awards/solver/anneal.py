"""A quick search by annealing, from an award set that was good for slightly other scores.

One proposal at a time is given an option or none with the probability that its points, less what breaking rules
costs, have at a temperature that falls (Gibbs sampling; Geman and Geman, 1984; Kirkpatrick, Gelatt and Vecchi, 1983).
It proves nothing and counts its steps, not seconds, so that its outcome is the same on every machine.
"""

from __future__ import annotations

import numpy as np

from kiban.office.awards.solver import exact
from kiban.office.awards.solver.formulation import Program
from kiban.office.awards.solver.prices import Prices, best_of_each
from kiban.office.awards.solver.problem import OptionKey
from kiban.office.awards.solver.search import Chosen

OPTIONS = 40  # of each proposal, the least behind
BEHIND = 0.03  # of the bound, that an option may be behind
PENALTY = 1.5  # times the price of a rule, for breaking it
LEAST_PENALTY = 0.3  # of a median award's points, for breaking a rule by the largest amount in it
HOT, COLD = 0.1, 0.006  # temperatures, in a median award's points


def anneal(program: Program, prices: Prices, start: Chosen, *, sweeps: int, seed: int) -> Chosen | None:
    """The best award set met that keeps every rule, or None. Programs with a balance column are not for it."""
    if program.balance:
        raise ValueError("a balance column cannot be annealed")
    keep = best_of_each(program.owner, -prices.behind, prices.behind <= BEHIND * prices.bound, OPTIONS)
    keep[program.columns_of(start)] = True
    columns = np.flatnonzero(keep)
    if not len(columns):
        return None
    owner, points = program.owner[columns], program.points[columns].astype(np.float64)
    amounts = program.matrix.tocsc()[:, columns].toarray().T
    typical = max(1.0, float(np.median(points)))
    largest = np.maximum(np.abs(amounts).max(axis=0, initial=0), 1)
    price = np.array([abs(prices.points(row)) for row in range(len(program.rows))])
    weight = np.maximum(PENALTY * price, LEAST_PENALTY * typical / largest)
    upper = weight * np.array([np.inf if row.upper is None else row.upper for row in program.rows])
    lower = weight * np.array([-np.inf if row.lower is None else row.lower for row in program.rows])
    at_least = np.flatnonzero(np.isfinite(lower))
    held = set(program.columns_of(start))
    owners = np.unique(owner)
    places = [np.flatnonzero(owner == each) for each in owners]
    blocks = [np.vstack([np.zeros(len(weight)), amounts[at] * weight]) for at in places]
    worths = [np.concatenate([[0.0], points[at]]) for at in places]
    now = [next((1 + n for n, at in enumerate(group) if columns[at] in held), 0) for group in places]
    load = sum((block[at] for block, at in zip(blocks, now, strict=True)), np.zeros(len(weight)))
    best_value, best = 0.0, None
    value = float(sum(worth[at] for worth, at in zip(worths, now, strict=True)))
    random = np.random.default_rng(seed)
    for heat in np.geomspace(HOT, COLD, sweeps) * typical:
        for one in random.permutation(len(owners)).tolist():
            block, worth = blocks[one], worths[one]
            rest = load - block[now[one]]
            then = rest + block
            energy = worth - np.maximum(then - upper, 0).sum(axis=1)
            energy -= np.maximum(lower[at_least] - then[:, at_least], 0).sum(axis=1)
            pick = int(np.argmax(energy + heat * random.gumbel(size=len(energy))))
            if pick != now[one]:
                value += worth[pick] - worth[now[one]]
                now[one], load = pick, rest + block[pick]
            if value > best_value and (load <= upper + 1e-6).all() and (load >= lower - 1e-6).all():
                best_value, best = value, list(now)
    if best is None:
        return None
    taken = [columns[group[at - 1]] for group, at in zip(places, best, strict=True) if at]
    chosen: dict[str, OptionKey] = {who: option.key for who, option in program.chosen(taken).items()}
    return None if exact.violations(program.problem, chosen) else chosen
