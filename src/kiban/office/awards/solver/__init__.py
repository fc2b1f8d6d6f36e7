"""The award solver: who is funded with which option, proven to a gap, and everything an officer must answer about it.

Pure functions over data, without a database. `AwardProblem` (problem.py) says what is on offer, asked for and
required. `solve` chooses an option or none per proposal for one of the `OBJECTIVES` and returns a `Solution` with its
value, the bound that nothing exceeds, the prices that prove it, or the conflict where no award set keeps all rules.
`compare` puts several side by side, `greedy_by_density` and `by_score_order` are the ways without a solver,
`stability` says whose award hangs on noise in the scores, `lottery` draws among those in public,
`explain_all` answers the rejected proposals, and `certificate` and `replay` let anybody check the decision.

Inside: formulation.py (the integer program), prices.py (its relaxation and exact bound), backends.py (HiGHS, CP-SAT),
search.py (the search), exchange.py (one more proposal, two fewer), anneal.py (a quick search under noise), exact.py
(every rule once more in integers), conflicts.py (what cannot hold together).
"""

from kiban.office.awards.solver.baselines import by_score_order, greedy_by_density
from kiban.office.awards.solver.certificate import Certificate, Replay, certificate, replay
from kiban.office.awards.solver.compare import Comparison, compare
from kiban.office.awards.solver.exact import totals_of, value_of, violations
from kiban.office.awards.solver.feedback import Feedback, explain_all, what_would_have_funded
from kiban.office.awards.solver.lottery import Draw, lottery, ticket_sha256
from kiban.office.awards.solver.objectives import OBJECTIVES, POINTS, Objective, ObjectiveName
from kiban.office.awards.solver.problem import (
    AwardProblem,
    Candidate,
    Option,
    OptionKey,
    OrganisationCap,
    Pin,
    Pool,
    Share,
    ThemeMinimum,
    months_from,
)
from kiban.office.awards.solver.solution import Award, Change, Conflict, PoolUse, ShadowPrice, Solution, Totals
from kiban.office.awards.solver.solve import solve
from kiban.office.awards.solver.stability import Stability, Standing, stability
from kiban.office.awards.solver.words import Text

__all__ = [
    "OBJECTIVES",
    "POINTS",
    "Award",
    "AwardProblem",
    "Candidate",
    "Certificate",
    "Change",
    "Comparison",
    "Conflict",
    "Draw",
    "Feedback",
    "Objective",
    "ObjectiveName",
    "Option",
    "OptionKey",
    "OrganisationCap",
    "Pin",
    "Pool",
    "PoolUse",
    "Replay",
    "ShadowPrice",
    "Share",
    "Solution",
    "Stability",
    "Standing",
    "Text",
    "ThemeMinimum",
    "Totals",
    "by_score_order",
    "certificate",
    "compare",
    "explain_all",
    "greedy_by_density",
    "lottery",
    "months_from",
    "replay",
    "solve",
    "stability",
    "ticket_sha256",
    "totals_of",
    "value_of",
    "violations",
    "what_would_have_funded",
]
