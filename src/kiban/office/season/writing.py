"""What applicants write: titles, plans, data, milestones and sizes, put together from fields and runs."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kiban.kit.figures import short_count
from kiban.office import months
from kiban.office.season.cast import Organisation
from kiban.office.season.fields import Subject, fields
from kiban.office.season.programme import CallOf
from kiban.office.season.shapes import POOLS, RUNS, Run

Oddity = Literal["", "oversized", "undersized", "infeasible"]
FOREIGN_REASON = (
    "同規模の国産モデルが公開されておらず、追加学習の出発点として性能と許諾条件を満たすものが他にないため。"
    "追加学習後の重みは国内で管理し、国産モデルが公開され次第置き換える。"
)
# What is asked for, beside what the training takes, in the smallest and the preferred size.
ASKED: dict[Oddity, tuple[float, float]] = {
    "": (1.12, 1.45),
    "oversized": (2.6, 3.6),
    "undersized": (0.35, 0.5),
    "infeasible": (1.0, 1.2),
}
# Who asks for GPUs reckons that they are busy so much of the time, and counts in whole nodes.
BUSY, GPUS_PER_NODE = 0.92, 8
OPEN: dict[str, tuple[dict[str, Any], str]] = {
    "open": ({"weights": True, "code": True, "report": True, "licence": "Apache-2.0"}, "重みとコードを公開する。"),
    "weights": ({"weights": True, "report": True, "licence": "CC BY 4.0"}, "重みと技術報告を公開する。"),
    "report": ({"report": True}, "取引先の秘密を含むため重みは公開せず、知見を報告書で公開する。"),
}  # fmt: skip


@dataclass(frozen=True)
class Idea:
    """What an organisation proposes in a call. `quality`: as reviewers come to see it, around 0."""

    organisation: Organisation
    subject: Subject
    run: str
    quality: float
    oddity: Oddity = ""
    again: bool = False  # after a rejection in an earlier call
    partners: tuple[Organisation, ...] = ()


def body_of(idea: Idea, call: CallOf, pools: Mapping[str, uuid.UUID], chance: random.Random) -> dict[str, Any]:
    """The whole of a proposal, complete for submission."""
    field, run = fields()[idea.organisation.of.field], RUNS[idea.run]
    openness = chance.choices(tuple(OPEN), weights=(4, 3, 2))[0]
    body: dict[str, Any] = {
        "title": idea.subject.title + ("（改訂）" if idea.again else ""),
        "theme": idea.organisation.of.field,
        "summary": _summary(idea, run),
        "training": {
            "model": {"shape": run.shape},
            "tokens": run.tokens,
            "seq_len_tokens": run.seq_len_tokens,
            "precision": "bf16",
        },
        "data": _data(idea, run),
        "safety": "学習前に個人情報と有害表現を除き、公開前に差別・誤情報・危険行為の三分野で評価する。"
        f"{field.name_ja}の利用では誤りの影響が大きいため、根拠の提示と人の確認を前提とし、"
        "公開後の通報窓口と停止手順を定める。",
        "openness": OPEN[openness][0] | {"text": OPEN[openness][1]},
        "milestones": _milestones(idea, call),
        "team": _team(idea),
        "tiers": _tiers(idea, run, call, pools),
        "answers": {},
    }
    if run.base is not None:
        name, developer, licence, foreign = run.base
        body["base_model"] = {"name": name, "developer": developer, "licence": licence, "is_foreign": foreign}
        body["training"]["adaptation"] = {"method": "full"}
        if foreign:
            body["answers"]["foreign_model_reason"] = FOREIGN_REASON
    return body


def _summary(idea: Idea, run: Run) -> str:
    field = fields()[idea.organisation.of.field]
    how = "を出発点に追加学習" if run.base else "から"
    start = run.base[0] if run.base else "初期値"
    text = (
        f"【背景】{idea.subject.gap}。\n"
        f"【方法】{run.label}モデルを{start}{how}{'する' if run.base else '学習する'}。"
        f"{short_count(run.tokens, 'ja')}トークンの内訳は{'、'.join(source.name for source in field.sources)}である。\n"
        f"【評価】{field.kpi.name}{field.kpi.target:g}{field.kpi.unit}を目標とし、"
        "同規模の公開モデルと並べて95%信頼区間とともに示す。\n"
        f"【実装】{idea.subject.use}に用い、{idea.organisation.of.name_ja}と利用者の現場で検証する。"
    )
    if idea.again:
        text += "\n【前回からの変更】審査意見に従い、データの権利を整理し、評価の標本数を増やし、最小規模を見直した。"
    if idea.partners:
        text += f"\n【連携】{'、'.join(each.of.name_ja for each in idea.partners)}と共同で進める。"
    return text


def _data(idea: Idea, run: Run) -> list[dict[str, Any]]:
    sources = fields()[idea.organisation.of.field].sources
    whole = sum(source.share for source in sources)
    return [
        {
            "name": source.name,
            "owner": source.owner,
            "licence": source.licence,
            "rights": source.rights,
            "personal_data": source.personal,
            "tokens": int(run.tokens * source.share / whole),
            "is_on_internet": source.is_on_internet,
        }
        for source in sources
    ]


def _milestones(idea: Idea, call: CallOf) -> list[dict[str, Any]]:
    """The interim report is due in the middle of the longest size that is asked for."""
    kpi = fields()[idea.organisation.of.field].kpi
    longest = max(months_of(idea, call))
    first = call.first_month
    return [
        {
            "key": "interim",
            "title": "学習の中間評価",
            "due_month": months.add(first, max(0, longest // 2 - 1)),
            "kpis": [{"name": "学習済みトークンの割合", "unit": "%", "target": 50.0}],
        },
        {
            "key": "final",
            "title": "最終評価と公開",
            "due_month": months.add(first, longest - 1),
            "kpis": [{"name": kpi.name, "unit": kpi.unit, "target": kpi.target}],
        },
    ]


def _team(idea: Idea) -> list[dict[str, Any]]:
    team = [
        {
            "name": person.name,
            "email": person.email,
            "orcid": person.orcid,
            "organisation_name": idea.organisation.of.name_ja,
            "role": role,
            "may_edit": True,
        }
        for person, role in zip(idea.organisation.people, ("研究代表者", "学習基盤"), strict=True)
    ]
    for partner in idea.partners:
        person = partner.lead
        team.append(
            {
                "name": person.name,
                "email": person.email,
                "orcid": person.orcid,
                "organisation_name": partner.of.name_ja,
                "role": "共同研究",
                "may_edit": False,
            }
        )
    return team


def months_of(idea: Idea, call: CallOf) -> list[int]:
    """How long each size takes; longer calls are used for longer."""
    return [min(9, count * (call.months // 4)) for _, count in RUNS[idea.run].sizes]


def _tiers(idea: Idea, run: Run, call: CallOf, pools: Mapping[str, uuid.UUID]) -> list[dict[str, Any]]:
    tiers = []
    offered = {name: call.pools[name] for name in POOLS[run.sizes[0][0]] if name in call.pools}
    for (family, _), count, part, key, text in zip(
        run.sizes,
        months_of(idea, call),
        ASKED[idea.oddity],
        ("minimum", "preferred"),
        ("一度の学習と最小限の評価ができる規模", "比較実験と十分な評価を含む規模"),
        strict=True,
    ):
        hours = run.gpu_hours(family) * part
        gpus = GPUS_PER_NODE * math.ceil(hours / (count * 720 * BUSY) / GPUS_PER_NODE)
        gpus = min(gpus, max(offered.values()))
        if idea.oddity == "infeasible":
            gpus = max(1, gpus // 16)
        tiers.append(
            {
                "key": key,
                "gpus": gpus,
                "months": count,
                "gpu_hours": min(gpus * count * 720, round(hours / 100) * 100),
                "pool_ids": [str(pools[name]) for name, there in offered.items() if there >= gpus],
                "start_months": _starts(idea, call, count),
                "text": text,
            }
        )
    return tiers


def _starts(idea: Idea, call: CallOf, count: int) -> list[str]:
    latest = call.months - count
    return [months.add(call.first_month, after) for after in (0, 1, 3) if after <= latest]
