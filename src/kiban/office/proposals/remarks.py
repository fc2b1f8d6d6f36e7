"""What the plan says against a request: figures and reasons for applicant, reviewer and panel alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Literal

from kiban.kit.figures import short_count
from kiban.office import months
from kiban.office.errors import Invalid
from kiban.office.proposals.outputs import Band, PlanAnswer, Remark, TierNeed
from kiban.office.proposals.planning import OfferedPool, plan_of
from kiban.office.proposals.schemas import ProposalBody, Tier

# Requests commonly hold trials and evaluation beside the run that is planned: half as much again is still usual.
MUCH_OVER_NEED = 1.5
# Up to four epochs are worth nearly as much as new text, later ones soon nothing (Muennighoff et al., 2023).
MOST_EPOCHS = 4.0
DAYS_PER_MONTH = 365.2425 / 12
HOURS_PER_MONTH = 24 * DAYS_PER_MONTH


def answer_for(
    body: ProposalBody, pools: Mapping[uuid.UUID, OfferedPool], first_month: str, call_months: int
) -> PlanAnswer:
    """The plan of a body with every remark, those that say it cannot work first.

    Args:
        pools: those that the call offers, by id.
        first_month, call_months: when awards of the call can run.
    """
    plan = plan_of(body, pools)
    found = [*_data(body), *_order(body.tiers), *plan.remarks]
    for place, tier in enumerate(body.tiers):
        path = f"tiers.{tier.key}"
        found += _request(path, tier)
        found += _when(path, tier, first_month, call_months)
        if plan.tiers:
            found += _need(path, tier, plan.tiers[place])
    found.sort(key=lambda remark: remark.level != "refuse")
    return plan.model_copy(update={"remarks": tuple(found)})


def _need(path: str, tier: Tier, need: TierNeed) -> Iterator[Remark]:
    """The request beside what the training takes, on the pool where it takes least."""
    if not need.pools:
        return
    feasible = [(pool, pool.gpu_hours, pool.days) for pool in need.pools if pool.gpu_hours and pool.days]
    for pool in need.pools:
        if not pool.is_feasible:
            level = "check" if feasible else "refuse"
            yield _remark("infeasible", level, path, tier.gpus,
                          f"{pool.accelerator} {tier.gpus:,}基では学習できない：{pool.reason_ja}",
                          f"it cannot be trained on {tier.gpus:,} x {pool.accelerator}: {pool.reason_en}")  # fmt: skip
    if not feasible:
        return
    least, hours, _ = min(feasible, key=lambda each: each[1].value)
    ratio = tier.gpu_hours / hours.value
    asked, takes = short_count(tier.gpu_hours, "ja"), _hours(hours, "ja")
    asked_en, takes_en = short_count(tier.gpu_hours, "en"), _hours(hours, "en")
    if tier.gpu_hours < hours.low:
        yield _remark("request_below_need", "refuse", path, ratio,
                      f"申請の{asked} GPU時間は、見積り{takes}の{ratio:.2g}倍で足りない（{least.accelerator}）",
                      f"{asked_en} GPU-hours are {ratio:.2g} times the {takes_en} that it takes on "
                      f"{least.accelerator}: too few")  # fmt: skip
    elif tier.gpu_hours > MUCH_OVER_NEED * hours.high:
        yield _remark("request_above_need", "check", path, ratio,
                      f"申請の{asked} GPU時間は、見積り{takes}の{ratio:.2g}倍ある（{least.accelerator}）。"
                      "残りの使い道を書いてほしい",
                      f"{asked_en} GPU-hours are {ratio:.2g} times the {takes_en} that it takes on "
                      f"{least.accelerator}; say what the rest is for")  # fmt: skip
    quickest = min((each[2] for each in feasible), key=lambda each: each.value)
    there_are = tier.months * DAYS_PER_MONTH
    if quickest.high > there_are:
        level = "refuse" if quickest.low > there_are else "check"
        yield _remark("months_too_short", level, path, quickest.value,
                      f"学習に{quickest.value:,.0f}日（80%区間{quickest.low:,.0f}〜{quickest.high:,.0f}日）かかり、"
                      f"{tier.months}か月に収まらない" + ("" if level == "refuse" else "おそれがある"),
                      f"training takes {quickest.value:,.0f} days (80%: {quickest.low:,.0f} to {quickest.high:,.0f}) "
                      f"and {'does' if level == 'refuse' else 'may'} not fit {tier.months} months")  # fmt: skip


def _request(path: str, tier: Tier) -> Iterator[Remark]:
    most = tier.gpus * tier.months * HOURS_PER_MONTH
    # A month has up to 2% more hours than the mean one.
    if tier.gpu_hours > most * 1.02:
        yield _remark("more_hours_than_gpus", "refuse", path, tier.gpu_hours / most,
                      f"{tier.gpus:,}基を{tier.months}か月使い続けても{most:,.0f} GPU時間にしかならない",
                      f"{tier.gpus:,} GPUs give {most:,.0f} GPU-hours in {tier.months} months, and no more"
                      )  # fmt: skip


def _when(path: str, tier: Tier, first_month: str, call_months: int) -> Iterator[Remark]:
    for month in tier.start_months:
        try:
            after = months.between(first_month, month)
        except Invalid:
            continue
        if after < 0 or after + tier.months > call_months:
            last = months.add(first_month, call_months - 1)
            yield _remark("outside_the_call", "refuse", path, after,
                          f"{month}からの{tier.months}か月は、この公募の期間（{first_month}〜{last}）に収まらない",
                          f"{tier.months} months from {month} leave those of the call ({first_month} to {last})"
                          )  # fmt: skip


def _data(body: ProposalBody) -> Iterator[Remark]:
    listed = [source.tokens for source in body.data]
    tokens = body.training.tokens
    if not tokens or not listed or any(each is None for each in listed):
        return
    total = sum(each for each in listed if each is not None)
    epochs = tokens / total
    if epochs <= 1:
        return
    ja = f"{short_count(tokens, 'ja')}トークンは、挙げたデータ{short_count(total, 'ja')}トークンの{epochs:.3g}倍ある"
    en = f"{short_count(tokens, 'en')} tokens are {epochs:.3g} times the {short_count(total, 'en')} of the data listed"
    if epochs > MOST_EPOCHS:
        ja += "。4回を超える反復の効果は小さい (Muennighoff et al., 2023)"
        en += "; beyond four epochs little is gained (Muennighoff et al., 2023)"
    yield _remark("tokens_exceed_data", "check", "training.tokens", epochs, ja, en)


def _order(tiers: tuple[Tier, ...]) -> Iterator[Remark]:
    for smaller, larger in pairwise(tiers):
        if larger.gpu_hours <= smaller.gpu_hours:
            yield _remark("tiers_not_ascending", "check", f"tiers.{larger.key}", larger.gpu_hours,
                          "規模は、最小限のものから希望するものへと大きくなる順に並べる",
                          "tiers go from the smallest viable to the preferred, each larger than the last"
                          )  # fmt: skip


def _remark(code: str, level: str, path: str, figure: float, ja: str, en: str) -> Remark:
    return Remark.model_validate({"code": code, "level": level, "path": path, "figure": figure, "ja": ja, "en": en})


def _hours(band: Band, language: Literal["ja", "en"]) -> str:
    value, low, high = (short_count(each, language) for each in (band.value, band.low, band.high))
    if language == "ja":
        return f"{value} GPU時間（80%区間{low}〜{high}）"
    return f"{value} GPU-hours (80%: {low} to {high})"
