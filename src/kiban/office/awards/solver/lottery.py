"""A public lottery inside the grey zone, which anybody can repeat with `sha256sum`.

1. The seed is a text that nobody can choose in advance: say the call, a date and a public beacon's value of that day,
   announced before the draw.
2. Each grey proposal gets the SHA-256, in hexadecimal, of the seed, one newline, and the proposal's id, in UTF-8:
   `printf '%s\\n%s' "$SEED" "$ID" | sha256sum`. Proposals are drawn in ascending order of that text.
3. Awards of the solution to proposals outside the grey zone stand. Everything else is free again.
4. In the order drawn, each proposal is given, of its options with which all rules can still be kept by some outcome
   of the rest of the draw, the one with the largest merit share; among equals the cheapest, then the earliest start,
   then the pool and the tier first in the alphabet. A proposal without such an option is passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from kiban.kit.config import StrictModel
from kiban.kit.errors import BadInput, Refused
from kiban.office.awards.solver import exact
from kiban.office.awards.solver.backends import SolverName
from kiban.office.awards.solver.conflicts import feasible
from kiban.office.awards.solver.problem import AwardProblem, Candidate, Option, OptionKey, Pin
from kiban.office.awards.solver.solution import Award, Solution, Totals, awards_digest

SECONDS_A_STEP = 30.0


class Ticket(StrictModel):
    """A grey proposal's place in the draw; `option` is None where nothing fitted."""

    proposal_id: str
    sha256: str
    option: OptionKey | None


class Draw(StrictModel):
    """The lottery's outcome: tickets in the order drawn, and all awards, those that stood included."""

    seed: str
    tickets: tuple[Ticket, ...]
    awards: tuple[Award, ...]
    totals: Totals
    digest: str


def ticket_sha256(seed: str, proposal_id: str) -> str:
    """What `printf '%s\\n%s' "$SEED" "$ID" | sha256sum` prints."""
    return hashlib.sha256(f"{seed}\n{proposal_id}".encode()).hexdigest()


def lottery(
    problem: AwardProblem, solution: Solution, grey: Collection[str], seed: str, *, solver: SolverName = "highs"
) -> Draw:
    """Draw among the grey proposals.

    Raises:
        BadInput: an empty seed, or a grey proposal that is pinned or no candidate.
        Refused: no outcome of the draw keeps all the rules.
    """
    if not seed.strip():
        raise BadInput("the seed is empty", where="seed", hint="a public text, for example a date and a beacon's value")
    candidates = {candidate.proposal_id: candidate for candidate in problem.candidates}
    pinned = {pin.proposal_id for pin in problem.pins}
    for who in grey:
        if who not in candidates:
            raise BadInput(f"{who} is no candidate", where="grey")
        if who in pinned:
            raise BadInput(f"{who} is pinned, so nothing about it is left to the lot", where="grey")
    chosen = {who: key for who, key in solution.chosen.items() if who not in grey}
    order = sorted(grey, key=lambda who: (ticket_sha256(seed, who), who))
    if not _completable(problem, chosen, order, solver):
        raise Refused("no outcome of the draw keeps all the rules", where=problem.call_id,
                      hint="widen the grey zone")  # fmt: skip
    tickets = []
    for at, who in enumerate(order):
        rest = order[at + 1 :]
        found = next(
            (
                option.key
                for option in _preferred(candidates[who])
                if _completable(problem, {**chosen, who: option.key}, rest, solver)
            ),
            None,
        )
        if found is not None:
            chosen[who] = found
        tickets.append(Ticket(proposal_id=who, sha256=ticket_sha256(seed, who), option=found))
    return Draw(
        seed=seed,
        tickets=tuple(tickets),
        awards=exact.awards_of(problem, solution.objective, chosen),
        totals=exact.totals_of(problem, chosen),
        digest=awards_digest(chosen),
    )


def _preferred(candidate: Candidate) -> list[Option]:
    return sorted(candidate.options, key=lambda o: (-o.merit_share, o.yen, o.start_month, o.pool_id, o.tier))


def _completable(problem: AwardProblem, chosen: dict[str, OptionKey], rest: list[str], solver: SolverName) -> bool:
    """Whether the awards keep all rules, as they are or with some of `rest`."""
    broken = exact.violations(problem, chosen)
    if not broken:
        return True
    if not rest or any(rule.group == "budget" or rule.group.startswith(("capacity/", "organisation_cap/"))
                       or rule.key == "max_awards" for rule in broken):  # fmt: skip
        return False  # further awards never give back what is spent
    given, undecided = set(chosen), set(rest)
    pins = [Pin(proposal_id=who, kind="option", option=key, reason="drawn") for who, key in chosen.items()]
    pins += [
        Pin(proposal_id=candidate.proposal_id, kind="must_not", reason="not drawn")
        for candidate in problem.candidates
        if candidate.proposal_id not in given | undecided
    ]
    return feasible(problem.pinned(*pins), SECONDS_A_STEP, 0, solver)
