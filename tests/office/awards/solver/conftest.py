"""Small calls: random ones for hypothesis, and every award set of them by brute force."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from kiban.office.awards.solver import (
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
    violations,
)

MONTHS = tuple(months_from("2027-04", 3))


def option(tier: str = "preferred", *, start: int = 0, months: int = 1, gpus: int = 8, yen: int = 100,
           share: float = 1.0, pool: str = "a") -> Option:  # fmt: skip
    return Option(tier=tier, pool_id=pool, start_month=MONTHS[start], duration_months=months, gpus=gpus,
                  gpu_seconds=gpus * months * 1000, yen=yen, merit_share=share)  # fmt: skip


def candidate(who: str, score: float = 50.0, *options: Option, **changes: Any) -> Candidate:
    values = {
        "organisation_id": f"org-{who}",
        "organisation_kind": "startup",
        "domain": "general",
        "theme": "language",
        "track": "panel",
        "score_standard_error": 5.0,
        "reviews": 3,
        "openness": 0.5,
        **changes,
    }
    return Candidate(proposal_id=who, score_mean=score, options=options or (option(),), **values)


def problem(*candidates: Candidate, gpus: tuple[int, ...] = (16, 16, 16), **changes: Any) -> AwardProblem:
    values = {
        "call_id": "call",
        "budget_yen": 1000,
        "months": MONTHS,
        "pools": (
            Pool(id="a", name="East", gpus_by_month=gpus, price_yen_per_gpu_hour=400),
            Pool(id="b", name="West", gpus_by_month=gpus, price_yen_per_gpu_hour=500),
        ),
        **changes,
    }
    return AwardProblem(candidates=candidates, **values)


def every_award_set(asked: AwardProblem) -> Iterator[dict[str, OptionKey]]:
    """All that keep the rules."""
    choices = [[None, *(o.key for o in c.options)] for c in asked.candidates]
    for picked in itertools.product(*choices):
        chosen = {c.proposal_id: key for c, key in zip(asked.candidates, picked, strict=True) if key is not None}
        if not violations(asked, chosen):
            yield chosen


@st.composite
def problems(draw: Any, huge: bool = False) -> AwardProblem:
    unit = draw(st.sampled_from([1, 999_999_937])) if huge else 1
    candidates = []
    for at in range(draw(st.integers(1, 5))):
        keys = draw(
            st.lists(
                st.tuples(st.sampled_from(["small", "large"]), st.sampled_from("ab"), st.integers(0, 2)),
                min_size=1,
                max_size=3,
                unique=True,
            )
        )
        options = []
        for tier, pool, start in keys:
            months = draw(st.integers(1, 3 - start))
            options.append(
                option(
                    tier,
                    start=start,
                    months=months,
                    gpus=draw(st.integers(0, 12)),
                    pool=pool,
                    yen=unit * draw(st.integers(0, 400)) + (draw(st.integers(0, 1)) if huge else 0),
                    share=draw(st.sampled_from([0.5, 0.8, 1.0])),
                )
            )
        candidates.append(
            candidate(
                f"p{at}",
                float(draw(st.integers(0, 100))),
                *options,
                organisation_id=draw(st.sampled_from(["x", "y", "z"])),
                organisation_kind=draw(st.sampled_from(["startup", "university"])),
                domain=draw(st.sampled_from(["general", "medicine"])),
                theme=draw(st.sampled_from(["language", "agents"])),
                openness=draw(st.sampled_from([0.0, 0.5, 1.0])),
            )
        )
    shares = []
    for by, group in draw(st.sets(st.sampled_from([("domain", "general"), ("organisation_kind", "startup")]))):
        least = draw(st.sampled_from([0, 2000, 3333]))
        most = draw(st.sampled_from([5000, 7000, 10_000]))
        shares.append(Share(by=by, group=group, of=draw(st.sampled_from(["spent_yen", "count"])),
                            min_basis_points=least, max_basis_points=most))  # fmt: skip
    pins = []
    for who in draw(st.sets(st.sampled_from([c.proposal_id for c in candidates]), max_size=1)):
        pins.append(Pin(proposal_id=who, kind=draw(st.sampled_from(["must", "must_not"])), reason="said so"))
    return problem(
        *candidates,
        gpus=tuple(draw(st.lists(st.integers(0, 20), min_size=3, max_size=3))),
        budget_yen=unit * draw(st.integers(0, 1200)),
        score_floor=float(draw(st.sampled_from([0, 50]))),
        shares=tuple(shares),
        organisation_cap=OrganisationCap(count=draw(st.sampled_from([None, 1, 2]))),
        max_awards=draw(st.sampled_from([None, 2, 3])),
        min_awards=draw(st.sampled_from([0, 0, 1, 2])),
        theme_minimums=tuple(ThemeMinimum(theme="agents", awards=1) for _ in range(draw(st.integers(0, 1)))),
        pins=tuple(pins),
    )
