"""What stands beside the form: what is missing, and the plan's figures and remarks, each with its place in the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kiban.office.calls.schemas import CallOut, OfferOut
from kiban.office.proposals.outputs import Gap, PlanAnswer, PoolNeed, Remark, TierNeed
from kiban.portal.i18n import _, errors, in_language
from kiban.portal.pages.proposals.body_fields import ReadBody
from kiban.portal.pages.proposals.places import field_at, name_of
from kiban.portal.web import page as pages


@dataclass(frozen=True)
class Placed:
    """Something said about a field. `level`: missing, or as of a remark."""

    field: str
    text: str
    level: str

    @property
    def anchor(self) -> str:
        return f"field-{self.field}" if self.field else ""


@dataclass(frozen=True)
class Need:
    """A pool and what the training takes there."""

    pool: OfferOut | None
    need: PoolNeed

    @property
    def reason(self) -> str:
        return self.need.reason_ja if pages.current().language == "ja" else self.need.reason_en


@dataclass(frozen=True)
class Size:
    """A size that is asked for, beside what it takes."""

    number: int
    tier: TierNeed
    needs: tuple[Need, ...]

    @property
    def least(self) -> PoolNeed | None:
        """Where it takes the fewest GPU-hours."""
        feasible = [each.need for each in self.needs if each.need.gpu_hours is not None]
        return min(feasible, key=lambda each: each.gpu_hours.value if each.gpu_hours else 0.0, default=None)


@dataclass(frozen=True)
class Panel:
    plan: PlanAnswer
    gaps: tuple[Placed, ...]
    remarks: tuple[Placed, ...]
    sizes: tuple[Size, ...]
    missing: tuple[Placed, ...]  # to say more

    def at(self, name: str) -> list[Placed]:
        """What is remarked of a field or, of an entry of a list, of any of its fields."""
        return [each for each in self.remarks if each.field == name or each.field.startswith(f"{name}.")]


def panel_of(plan: PlanAnswer, gaps: Sequence[Gap], read: ReadBody, call: CallOut) -> Panel:
    pools = {each.pool_id: each for each in call.pools}
    sizes = tuple(
        Size(number, tier, tuple(Need(pools.get(need.pool_id), need) for need in tier.pools))
        for number, tier in enumerate(plan.tiers, start=1)
    )
    return Panel(
        plan,
        tuple(Placed(field_at(each.path, read), _named(each, call), "missing") for each in gaps),
        tuple(Placed(field_at(each.path, read), _said(each), each.level) for each in plan.remarks),
        sizes,
        tuple(Placed(field_at(each.path, read), _named(each, call), "missing") for each in plan.missing),
    )


def of_stored(body: Mapping[str, Any]) -> ReadBody:
    """A stored body, whose rows are in the form as they are in it."""
    return ReadBody(dict(body))


def _named(gap: Gap, call: CallOut) -> str:
    """A gap in words; of those that do not name their field, with its name."""
    text = _said(gap)
    if gap.ja.startswith(("記入されていない", "この項目はない", "値が正しくない")):
        said = _("%(field)s: %(message)s", field=name_of(gap.path, call.questions), message=text)
        return in_language(said, pages.current().language)
    return text


def _said(each: Gap | Remark) -> str:
    if pages.current().language != "ja":
        return each.en
    if isinstance(each, Gap) and each.ja.startswith("値が正しくない"):  # with what a library says of it, in English
        known = errors.say(each.en, "ja")
        return known.text if known.language == "ja" else each.ja
    return each.ja
