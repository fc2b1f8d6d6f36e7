"""What stands between a draft and its submission: each gap with its place and what to do, in both languages."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kiban.office import months
from kiban.office.calls import service as calls
from kiban.office.calls.models import Call
from kiban.office.calls.schemas import Question
from kiban.office.errors import Invalid
from kiban.office.guards.text import normalise_email, orcid
from kiban.office.members.models import Organisation
from kiban.office.proposals import planning
from kiban.office.proposals.content import read_body
from kiban.office.proposals.outputs import Gap
from kiban.office.proposals.planning import OfferedPool
from kiban.office.proposals.schemas import ProposalBody

LEAST_SUMMARY_CHARS = 20


def gaps_of(
    body: Mapping[str, Any], call: Call, organisation: Organisation, pools: Mapping[uuid.UUID, OfferedPool]
) -> tuple[Gap, ...]:
    """Everything that submission would refuse, in the order of the form; empty: it can be submitted.

    What the plan remarks is no gap: an odd request may be made, and everybody reads the remark.
    """
    read, mistakes = read_body(body)
    found = [
        *_texts(read, call),
        *_training(read),
        *_data(read),
        *_people(read),
        *_tiers(read, call, pools),
        *_answers(read, calls.questions_for(call, read)),
    ]
    # A field with a mistake was left out of what was read, so nothing else is said about it until that is mended.
    mistaken = {gap.path.split(".")[0] for gap in mistakes}
    first: dict[str, Gap] = {}
    for gap in (*_organisation(call, organisation), *mistakes, *found):
        if gap in mistakes or gap.path.split(".")[0] not in mistaken:
            first.setdefault(gap.path, gap)
    return tuple(first.values())


def _organisation(call: Call, organisation: Organisation) -> Iterator[Gap]:
    allowed = calls.constraints_of(call).organisation_kinds
    if allowed and organisation.kind not in allowed:
        kinds = ", ".join(allowed)
        yield Gap(path="organisation", ja=f"この公募に応募できる組織の種別は{kinds}である",
                  en=f"this call is for organisations of the kinds {kinds}")  # fmt: skip
    if organisation.closed_at is not None:
        yield Gap(path="organisation", ja="この組織は閉鎖されている", en="this organisation is closed")


def _texts(body: ProposalBody, call: Call) -> Iterator[Gap]:
    if not body.title:
        yield _missing("title", "題名", "a title")
    themes = calls.themes_of(call)
    if body.theme not in [theme.key for theme in themes]:
        yield Gap(path="theme", ja=f"テーマを選ぶ：{'、'.join(theme.name_ja for theme in themes)}",
                  en=f"choose a theme: {', '.join(theme.name_en for theme in themes)}")  # fmt: skip
    if len(body.summary.strip()) < LEAST_SUMMARY_CHARS:
        yield Gap(path="summary", ja=f"概要を{LEAST_SUMMARY_CHARS}字以上で書く",
                  en=f"write a summary of at least {LEAST_SUMMARY_CHARS} characters")  # fmt: skip
    if not body.safety.strip():
        yield _missing("safety", "安全性の計画", "the safety plan")
    public = (body.openness.weights, body.openness.code, body.openness.data, body.openness.report)
    if not any(public) and not body.openness.text.strip():
        yield Gap(path="openness", ja="公開するものを選ぶか、公開しない理由を書く",
                  en="choose what will be public, or say why nothing can be")  # fmt: skip
    elif any(public[:3]) and not body.openness.licence:
        yield _missing("openness.licence", "公開時のライセンス", "the licence of what will be public")


def _training(body: ProposalBody) -> Iterator[Gap]:
    if not body.training.model:
        yield _missing("training.model", "モデルの形状", "the shape of the model")
    for name in planning.missing_sizes(body.training):
        yield Gap(path=f"training.model.shape.{name}", ja="記入されていない", en="it is missing")
    if body.training.tokens is None:
        yield _missing("training.tokens", "学習トークン数", "the number of tokens")
    base = body.base_model
    if base is None and body.training.adaptation is not None:
        yield _missing("base_model", "追加学習の元となるモデル", "the model that is trained on from")
    for name, ja, en in (
        ("name", "基盤モデルの名称", "its name"),
        ("licence", "基盤モデルのライセンス", "its licence"),
    ):
        if base is not None and not getattr(base, name):
            yield _missing(f"base_model.{name}", ja, en)


def _data(body: ProposalBody) -> Iterator[Gap]:
    if not body.data:
        yield _missing("data", "学習データ", "the data to train on")
    for place, source in enumerate(body.data):
        if not source.name:
            yield _missing(f"data.{place}.name", "データの名称", "the name of the data")
        if not source.rights:
            yield _missing(f"data.{place}.rights", "利用の根拠（権利）", "on what ground it may be used")


def _people(body: ProposalBody) -> Iterator[Gap]:
    if not body.team:
        yield _missing("team", "体制", "the team")
    for place, member in enumerate(body.team):
        if not member.name:
            yield _missing(f"team.{place}.name", "氏名", "a name")
        checks = ((member.email, normalise_email, "email"), (member.orcid, orcid, "orcid"))
        for value, check, name in checks:
            try:
                if value is not None:
                    check(value, where=name)
            except Invalid as error:
                yield Gap(path=f"team.{place}.{name}", ja=f"正しくない（{error.message}）", en=error.message)
    if not body.milestones:
        yield _missing("milestones", "マイルストーン", "milestones")
    yield from _twice("milestones", [each.key for each in body.milestones])


def _tiers(body: ProposalBody, call: Call, pools: Mapping[uuid.UUID, OfferedPool]) -> Iterator[Gap]:
    if not body.tiers:
        yield _missing("tiers", "希望する規模", "at least one tier")
    yield from _twice("tiers", [tier.key for tier in body.tiers])
    for place, tier in enumerate(body.tiers):
        for at, pool_id in enumerate(tier.pool_ids):
            pool = pools.get(pool_id)
            if pool is None:
                yield Gap(path=f"tiers.{place}.pool_ids.{at}", ja="この公募が提供しない計算資源である",
                          en="the call does not offer this pool")  # fmt: skip
            elif tier.gpus > pool.gpus:
                yield Gap(path=f"tiers.{place}.gpus", ja=f"{pool.name}から配分できるのは{pool.gpus:,}基までである",
                          en=f"the call has {pool.gpus:,} GPUs of {pool.name} at most")  # fmt: skip
        for at, month in enumerate(tier.start_months):
            after = months.between(call.first_month, month)
            if after < 0 or after + tier.months > call.months:
                last = months.add(call.first_month, call.months - 1)
                yield Gap(path=f"tiers.{place}.start_months.{at}",
                          ja=f"{month}からの{tier.months}か月は{call.first_month}〜{last}に収まらない",
                          en=f"{tier.months} months from {month} leave {call.first_month} to {last}")  # fmt: skip


def _answers(body: ProposalBody, questions: Sequence[Question]) -> Iterator[Gap]:
    for question in questions:
        path, answer = f"answers.{question.key}", body.answers.get(question.key)
        if answer is None or (isinstance(answer, str) and not answer.strip()):
            if question.is_required:
                yield _missing(path, question.label_ja, question.label_en)
            continue
        right = {
            "text": isinstance(answer, str),
            "number": isinstance(answer, int | float) and not isinstance(answer, bool),
            "choice": answer in question.choices,
            "yes_no": isinstance(answer, bool),
        }
        if not right[question.kind]:
            yield Gap(path=path, ja=f"{question.label_ja}：答えの形が違う（{question.kind}）",
                      en=f"{question.label_en}: not an answer of the kind {question.kind}")  # fmt: skip
        elif isinstance(answer, str) and len(answer.strip()) < question.least_characters:
            yield Gap(path=path, ja=f"{question.label_ja}：{question.least_characters}字以上で書く",
                      en=f"{question.label_en}: at least {question.least_characters} characters")  # fmt: skip


def _twice(path: str, keys: list[str]) -> Iterator[Gap]:
    for key, count in Counter(keys).items():
        if count > 1:
            yield Gap(path=path, ja=f"keyの{key}が{count}回使われている", en=f"the key {key} stands {count} times")


def _missing(path: str, ja: str, en: str) -> Gap:
    return Gap(path=path, ja=f"{ja}が記入されていない", en=f"{en} is missing")
