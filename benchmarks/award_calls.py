"""Synthetic calls for the award benchmark: what a national accelerator is asked for, with every seed fixed beforehand.

Model sizes are log-normal, cut off at 1.5 B and 700 B parameters; GPU-hours follow from 6·N·D at a site's speed. The
pools arrive in lots over the year and hold about a quarter of what is asked for in all, the budget about four fifths
of what the pools would cost, so that GPUs bind in some months and money over the whole.
"""

from __future__ import annotations

import math
import random

from kiban.office.awards.solver import (
    AwardProblem,
    Candidate,
    Option,
    OrganisationCap,
    Pool,
    Share,
    ThemeMinimum,
    months_from,
)

HOURS_A_MONTH = 730
# name, effective FLOP/s per GPU in training, yen per GPU-hour, part of all the GPUs
SITES = (
    ("h100-east", 4.0e14, 420, 0.40),
    ("h200-west", 4.4e14, 520, 0.25),
    ("b200-north", 8.8e14, 980, 0.20),
    ("a100-legacy", 1.5e14, 190, 0.15),
)
DOMAINS = ("general", "medicine", "manufacturing", "finance", "science", "media")
KINDS = (("startup", 0.45), ("enterprise", 0.30), ("university", 0.20), ("public", 0.05))
THEMES = ("language", "multimodal", "agents")
TIERS = ("minimum", "reduced", "planned", "preferred")
REPEATS = 1.5  # compute beyond the final run: ablations, restarts
COVERED = 0.25  # of the GPU-months asked for
FUNDED = 0.80  # of what the pools would cost


def synthetic_call(seed: int, proposals: int, months: int = 12) -> AwardProblem:
    """A call of `proposals` proposals with up to 4 tiers x 4 pools x every start month that fits."""
    draw = random.Random(seed)
    names = months_from("2027-04", months)
    organisations = max(1, round(proposals * 0.8))
    kinds = [draw.choices([kind for kind, _ in KINDS], [part for _, part in KINDS])[0] for _ in range(organisations)]
    candidates = tuple(_candidate(draw, at, kinds, names) for at in range(proposals))
    asked = sum(max(o.gpu_seconds for o in c.options if o.pool_id == SITES[0][0]) for c in candidates)
    gpus = COVERED * asked / (3600 * HOURS_A_MONTH) / months
    pools = tuple(
        Pool(id=name, name=name, gpus_by_month=_lots(draw, gpus * part, months), price_yen_per_gpu_hour=yen)
        for name, _, yen, part in SITES
    )
    worth = sum(sum(pool.gpus_by_month) * HOURS_A_MONTH * pool.price_yen_per_gpu_hour for pool in pools)
    return AwardProblem(
        call_id=f"synthetic-{seed}-{proposals}",
        budget_yen=round(FUNDED * worth),
        score_full_marks=100.0,
        score_floor=60.0,
        months=tuple(names),
        pools=pools,
        candidates=candidates,
        shares=(
            Share(by="domain", group="general", of="spent_yen", max_basis_points=4000),
            Share(by="domain", group="medicine", of="spent_yen", min_basis_points=1000),
            Share(by="organisation_kind", group="startup", of="spent_yen", min_basis_points=2500),
            Share(by="organisation_kind", group="enterprise", of="count", max_basis_points=4000),
        ),
        organisation_cap=OrganisationCap(yen=round(FUNDED * worth * 0.15), count=2),
        theme_minimums=tuple(ThemeMinimum(theme=theme, awards=max(1, proposals // 50)) for theme in THEMES),
    )


def _lots(draw: random.Random, gpus: float, months: int) -> tuple[int, ...]:
    """Three deliveries, the last by the middle of the year; nodes of eight."""
    parts = sorted(draw.uniform(0.3, 1.0) for _ in range(2))
    arrivals = sorted(draw.randrange(1, max(2, months // 2 + 1)) for _ in range(2))
    held = [parts[0] if m < arrivals[0] else parts[1] if m < arrivals[1] else 1.0 for m in range(months)]
    return tuple(max(8, 8 * round(gpus * part / 8)) for part in held)


def _candidate(draw: random.Random, at: int, kinds: list[str], months: list[str]) -> Candidate:
    organisation = draw.randrange(len(kinds))
    parameters = _between(draw.lognormvariate(math.log(13e9), 1.3), 1.5e9, 700e9)
    active = parameters * (draw.uniform(0.05, 0.25) if parameters > 30e9 else 1.0)
    tokens = _between(draw.lognormvariate(math.log(1.5e12), 0.9), 20e9, 15e12)
    duration = draw.randint(2, min(6, len(months)))
    tiers = [*sorted(draw.uniform(0.35, 0.95) for _ in range(draw.randint(2, 4) - 1)), 1.0]
    curvature = draw.uniform(0.3, 0.9)  # how merit falls with compute: scaling laws flatten
    earliest = draw.randrange(0, max(1, len(months) // 3))
    flops = REPEATS * 6 * active * tokens
    options = tuple(
        option
        for tier, part in zip(TIERS[-len(tiers) :], tiers, strict=True)
        for site in SITES
        for start in range(earliest, len(months) - duration + 1)
        if (option := _option(tier, part, part**curvature, site, months[start], duration, flops))
    )
    reviews = draw.randint(2, 5)
    score = min(100.0, max(0.0, draw.gauss(62, 13)))
    return Candidate(
        proposal_id=f"P{at:04d}",
        organisation_id=f"O{organisation:04d}",
        organisation_kind=kinds[organisation],
        domain=draw.choices(DOMAINS, (35, 15, 15, 10, 15, 10))[0],
        theme=draw.choices(THEMES, (60, 25, 15))[0],
        track="panel",
        score_mean=round(score, 2),
        score_standard_error=round(8.0 / math.sqrt(reviews), 3),
        reviews=reviews,
        openness=draw.choice((0.0, 0.25, 0.5, 0.75, 1.0)),
        options=options,
    )


def _option(
    tier: str, part: float, merit: float, site: tuple[str, float, int, float], start: str, months: int, flops: float
) -> Option:
    name, speed, price, _ = site
    hours = part * flops / speed / 3600
    gpus = max(8, 8 * math.ceil(hours / (months * HOURS_A_MONTH * 0.85) / 8))
    seconds = gpus * months * HOURS_A_MONTH * 3600
    return Option(tier=tier, pool_id=name, start_month=start, duration_months=months, gpus=gpus,
                  gpu_seconds=seconds, yen=seconds // 3600 * price, merit_share=merit)  # fmt: skip


def _between(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))
