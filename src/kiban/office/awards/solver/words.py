"""The rules of a call in words, Japanese and English: for prices, for conflicts and for violations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kiban.kit.config import StrictModel
from kiban.office.awards.solver.problem import Grouping, Pin, Pool, Share, ThemeMinimum

Measure = Literal["yen", "gpu_seconds", "count"]

GROUPINGS: dict[Grouping, tuple[str, str]] = {
    "domain": ("分野", "domain"),
    "organisation_kind": ("組織種別", "organisation kind"),
    "theme": ("テーマ", "theme"),
}
MEASURES: dict[Measure, tuple[str, str]] = {
    "yen": ("金額", "yen"),
    "gpu_seconds": ("GPU秒", "GPU-seconds"),
    "count": ("件数", "number of awards"),
}


class Text(StrictModel):
    """A sentence in both languages."""

    ja: str
    en: str


@dataclass(frozen=True)
class Rule:
    """A rule by a stable key, with its words; `group` joins rules that one decision sets."""

    key: str
    group: str
    ja: str
    en: str
    group_ja: str = ""
    group_en: str = ""

    @property
    def text(self) -> Text:
        return Text(ja=self.ja, en=self.en)

    @property
    def group_text(self) -> Text:
        """Of the whole group of rules."""
        return Text(ja=self.group_ja or self.ja, en=self.group_en or self.en)


def _alone(key: str, ja: str, en: str) -> Rule:
    return Rule(key, key, ja, en)


def budget() -> Rule:
    return _alone("budget", "予算", "the budget")


def capacity(pool: Pool, month: str) -> Rule:
    group = f"capacity/{pool.id}"
    return Rule(f"{group}/{month}", group, f"{pool.name}の{month}のGPU数", f"the GPUs of {pool.name} in {month}",
                f"{pool.name}のGPU数", f"the GPUs of {pool.name}")  # fmt: skip


def most_awards() -> Rule:
    return _alone("max_awards", "採択件数の上限", "the most awards")


def fewest_awards() -> Rule:
    return _alone("min_awards", "採択件数の下限", "the fewest awards")


def theme_minimum(minimum: ThemeMinimum) -> Rule:
    theme = minimum.theme
    return _alone(f"theme_minimum/{theme}", f"テーマ「{theme}」は{minimum.awards}件以上",
                  f"at least {minimum.awards} awards in theme {theme}")  # fmt: skip


def organisation_cap(measure: Measure, organisation: str) -> Rule:
    ja, en = MEASURES[measure]
    group = f"organisation_cap/{measure}"
    return Rule(f"{group}/{organisation}", group, f"組織{organisation}の{ja}の上限",
                f"the cap on {en} of organisation {organisation}", f"1組織あたりの{ja}の上限",
                f"the cap on {en} of any one organisation")  # fmt: skip


def share(share: Share, side: Literal["least", "most"]) -> Rule:
    percent = (share.min_basis_points if side == "least" else share.max_basis_points) / 100
    of_ja, of_en = ("配分額", "the yen spent") if share.of == "spent_yen" else ("採択件数", "the awards")
    side_ja, side_en = ("以上", "at least") if side == "least" else ("以下", "at most")
    by_ja, by_en = GROUPINGS[share.by]
    return _alone(f"share/{share.by}/{share.group}/{share.of}/{side}",
                  f"{by_ja}「{share.group}」は{of_ja}の{percent:g}%{side_ja}",
                  f"{side_en} {percent:g}% of {of_en} to {by_en} {share.group}")  # fmt: skip


def balance(group: str) -> Rule:
    return _alone(f"balance/{group}", f"「{group}」への配分の割合", f"the granted share of {group}")


def pin(pin: Pin) -> Rule:
    what_ja = {"must": "採択する", "must_not": "採択しない", "option": f"採択内容は{pin.option}とする"}[pin.kind]
    what_en = {"must": "is funded", "must_not": "is not funded", "option": f"gets {pin.option}"}[pin.kind]
    return _alone(f"pin/{pin.proposal_id}", f"提案{pin.proposal_id}の固定:{what_ja}(理由:{pin.reason})",
                  f"the pin that {pin.proposal_id} {what_en} ({pin.reason})")  # fmt: skip
