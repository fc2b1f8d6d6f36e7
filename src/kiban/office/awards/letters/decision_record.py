"""The decision record: how a call's awards came about, whole for those who decide and audit, redacted for the public.

The public version leaves out the reasons of pins, scores, proposals that were not funded, and people's names. It is
there once the decision is announced.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from kiban.kit.page import Table
from kiban.office.awards import repository
from kiban.office.awards.decisions import decides
from kiban.office.awards.letters.document import LANGUAGES, Document, Language, Section, plain_table, to_html
from kiban.office.awards.letters.facts import Decided, decided
from kiban.office.awards.letters.letter import CHECK
from kiban.office.awards.models import PinKind
from kiban.office.awards.solver.words import GROUPINGS
from kiban.office.calls.service import constraints_of, get_call, rubric_of
from kiban.office.calls.times import jst_en, jst_ja
from kiban.office.members.service import contacts
from kiban.office.proposals.models import Proposal, ProposalStatus
from kiban.office.work import Work

OBJECTIVES = {
    "merit": ("総合評価", "Merit"),
    "breadth": ("採択の広がり", "Breadth"),
    "openness": ("公開度", "Openness"),
    "balance": ("配分の均衡", "Balance"),
}
RULED_OUT_NAMES = {
    ProposalStatus.INELIGIBLE: ("対象外", "ineligible"),
    ProposalStatus.WITHDRAWN: ("取下げ", "withdrawn"),
}
PINS = {
    PinKind.MUST: ("採択する", "must be funded"),
    PinKind.MUST_NOT: ("採択しない", "must not be funded"),
    PinKind.OPTION: ("採択内容を指定", "gets this option"),
}


@dataclass(frozen=True)
class _Record:
    decided: Decided
    ruled_out: list[Proposal]  # ineligible or withdrawn: handed in, and not part of the decision
    names: dict[uuid.UUID, str]  # of who acted; empty in the public version
    is_public: bool


def decision_record_html(work: Work, call_id: uuid.UUID, *, public: bool = False) -> str:
    """The record as one file. Arguments and errors as of `decision_record`."""
    return to_html(decision_record(work, call_id, public=public))


def decision_record(work: Work, call_id: uuid.UUID, *, public: bool = False) -> list[Document]:
    """The record as this person may read it, in each language.

    Args:
        public: the redacted version, also for those who may read the whole one.

    Raises:
        NotFound: no decision, or none this person may see.
    """
    found = decided(work, get_call(work, call_id))
    redacted = public or not decides(work, call_id)
    decision = found.decision
    acted = {decision.drafted_by, decision.approved_by, *(pin.pinned_by for pin in found.pins)} - {None}
    people = [] if redacted else contacts(work, [each for each in acted if each is not None])
    ruled_out = repository.ruled_out(work.session, call_id)
    record = _Record(found, ruled_out, {person.person_id: person.name for person in people}, redacted)
    return [_document(record, language) for language in LANGUAGES]


def _document(record: _Record, language: Language) -> Document:
    ja, found = language == "ja", record.decided
    call = found.call
    sections = [
        _call(record, language),
        *_ruled_out(record, language),
        _objectives(record, language),
        _pins(record, language),
        _grey_zone(record, language),
        *_lottery(record, language),
        _awards(record, language),
        _who(record, language),
        _certificates(record, language),
    ]
    version = ("公開版", "public version") if record.is_public else ("全文", "whole")
    return Document(
        language,
        eyebrow=f"{call.cycle}・{version[0]}" if ja else f"{call.cycle}, {version[1]}",
        title=f"選定記録：{call.title_ja}" if ja else f"Decision record: {call.title_en}",
        lead=(
            f"公募 {call.code} の採択をどのように決めたかの記録です。"
            if ja
            else f"How the awards of call {call.code} came about.",
        ),
        sections=tuple(sections),
        footer="監査ができるよう、計算は証明書から再現できます。"
        if ja
        else "The computation can be repeated from the certificates.",
    )


def _call(record: _Record, language: Language) -> Section:
    ja, found = language == "ja", record.decided
    call, rules = found.call, constraints_of(found.call)
    candidates = sum(len(bloc.candidates) for bloc in found.problem.blocs.values())
    facts = [
        ("予算" if ja else "Budget", f"{call.budget_yen:,}円" if ja else f"{call.budget_yen:,} yen"),
        ("対象の提案" if ja else "Proposals", f"{candidates:,}"),
        ("採択" if ja else "Awards", f"{len(found.awards):,}" if found.awards else "—"),
        ("補助率" if ja else "Subsidy rate", f"{rules.subsidy_rate:.0%}"),
    ]
    items = []
    for share in rules.shares:
        of = ("金額", "the yen") if share.of == "yen" else ("件数", "the awards")
        low, high = share.at_least or 0.0, 1.0 if share.at_most is None else share.at_most
        by = GROUPINGS[share.by]
        items.append(
            f"{by[0]}「{share.value}」は{of[0]}の{low:.0%}以上{high:.0%}以下"
            if ja
            else f"{by[1]} {share.value}: {low:.0%} to {high:.0%} of {of[1]}"
        )
    for limit, said in (
        (
            rules.most_proposals_per_organisation,
            ("提案は1組織あたり{:,}件まで", "at most {:,} proposals per organisation"),
        ),
        (rules.per_organisation_yen, ("1組織あたり{:,}円まで", "at most {:,} yen per organisation")),
        (rules.per_organisation_gpu_hours, ("1組織あたり{:,} GPU時間まで", "at most {:,} GPU-hours per organisation")),
        (rules.per_organisation_awards, ("1組織あたり{:,}件まで", "at most {:,} awards per organisation")),
        (rules.most_awards, ("採択は{:,}件まで", "at most {:,} awards")),
    ):
        if limit is not None:
            items.append(said[0 if ja else 1].format(limit))
    rows = [(each.name_ja if ja else each.name_en, f"{each.weight:g}") for each in rubric_of(call)]
    heads = ("審査基準", "重み") if ja else ("Criterion", "Weight")
    tables = (plain_table("審査基準" if ja else "Rubric", heads, rows, numbers_from=1),)
    return Section(
        "公募と規則" if ja else "The call and its rules", facts=tuple(facts), items=tuple(items), tables=tables
    )


def _ruled_out(record: _Record, language: Language) -> list[Section]:
    """Proposals that were handed in and are not part of the decision; nothing where there are none."""
    ja = language == "ja"
    if not record.ruled_out:
        return []
    count = {status: sum(each.status is status for each in record.ruled_out) for status in RULED_OUT_NAMES}
    text = "、".join(f"{RULED_OUT_NAMES[status][0]} {n}件" for status, n in count.items() if n)
    if not ja:
        text = ", ".join(f"{RULED_OUT_NAMES[status][1]}: {n}" for status, n in count.items() if n)
    heading = "選考の対象とならなかった提案" if ja else "Proposals that did not compete"
    if record.is_public:
        return [Section(heading, paragraphs=(text,))]
    rows = [
        (each.receipt or "", each.title, RULED_OUT_NAMES[each.status][0 if ja else 1], each.status_reason or "—")
        for each in record.ruled_out
    ]
    heads = ("受付番号", "提案", "状態", "理由") if ja else ("Receipt", "Proposal", "State", "Reason")
    return [Section(heading, paragraphs=(text,), tables=(plain_table(heading, heads, rows, numbers_from=9),))]


def _objectives(record: _Record, language: Language) -> Section:
    ja, found = language == "ja", record.decided
    at = 0 if ja else 1
    rows = []
    for solution in found.study.solutions:
        totals = solution["totals"]
        name = OBJECTIVES[solution["objective"]][at]
        chosen = solution["objective"] == found.decision.objective
        balance = totals["balance_basis_points"]
        rows.append(
            (
                (name + ("（採用）" if ja else " (chosen)") * chosen)
                + ("" if solution["bloc"] == "all" else f" / {solution['bloc']}"),
                totals["awards"],
                totals["spent_yen"],
                totals["gpu_seconds"] // 3600,
                totals["merit_points"],
                totals["openness_points"],
                totals["above_floor"],
                "—" if balance is None else f"{balance / 100:.1f}%",
                "—" if solution["gap"] is None else f"{solution['gap']:.2%}",
            )
        )
    heads = (
        ("目的", "件数", "円", "GPU時間", "評価の和", "公開度の和", "基準以上", "均衡", "許容差")
        if ja
        else ("Objective", "Awards", "Yen", "GPU-hours", "Merit", "Openness", "Above floor", "Balance", "Gap")
    )
    text = (
        "同じ提案と制約を、複数の目的で解いて並べたものです。「許容差」は、これよりよい組合せがあり得る幅の上限です。"
        if ja
        else "The same proposals and rules, solved for several objectives. "
        "No set is better than the one shown by more than its gap."
    )
    caption = "目的別の結果" if ja else "Outcome by objective"
    return Section(
        "目的の比較" if ja else "Objectives side by side",
        paragraphs=(text,),
        tables=(plain_table(caption, heads, rows, numbers_from=1),),
    )


def _pins(record: _Record, language: Language) -> Section:
    ja, found = language == "ja", record.decided
    heading = "計算の前に決めたこと" if ja else "Decided before the solver"
    held = [pin for pin in found.pins if pin.removed_at is None]
    if not found.pins:
        return Section(heading, paragraphs=("ありません。" if ja else "None.",))
    if record.is_public:
        text = (
            f"{len(held)}件の提案について、審査会が先に決めました。"
            if ja
            else f"The panel decided on {len(held)} proposals first."
        )
        return Section(heading, paragraphs=(text,))
    rows = [
        (
            _receipt(found, pin.proposal_id),
            PINS[pin.kind][0 if ja else 1],
            pin.reason,
            _name(record, pin.pinned_by, language),
            "" if pin.removed_at is None else ("取消" if ja else "removed"),
        )
        for pin in found.pins
    ]
    heads = ("受付番号", "決定", "理由", "決めた人", "状態") if ja else ("Receipt", "Decision", "Reason", "By", "State")
    return Section(heading, tables=(plain_table(heading, heads, rows, numbers_from=9),))


def _grey_zone(record: _Record, language: Language) -> Section:
    ja, found = language == "ja", record.decided
    heading = "評価の誤差による安定性" if ja else "Stability under score noise"
    standings = [each for bloc in found.study.stability.values() for each in bloc["standings"]]
    if not standings:
        return Section(heading, paragraphs=("調べていません。" if ja else "Not studied.",))
    counts = {zone: sum(each["zone"] == zone for each in standings) for zone in ("always", "grey", "never")}
    text = (
        f"評価を誤差の範囲で動かして解き直すと、常に採択 {counts['always']} 件、どちらもあり得る {counts['grey']} 件、"
        f"常に不採択 {counts['never']} 件でした。"
        if ja
        else f"Solved again with scores drawn within their error: {counts['always']} always funded, "
        f"{counts['grey']} in the grey zone, {counts['never']} never."
    )
    tables: tuple[Table, ...] = ()
    grey = sorted((each for each in standings if each["zone"] == "grey"), key=lambda each: -each["probability"])
    if grey and not record.is_public:
        rows = [
            (
                _receipt(found, each["proposal_id"]),
                f"{each['probability']:.0%}",
                f"{each['low']:.0%}–{each['high']:.0%}",
            )
            for each in grey
        ]
        heads = ("受付番号", "採択の割合", "95%区間") if ja else ("Receipt", "Funded", "95% interval")
        tables = (plain_table("どちらもあり得る提案" if ja else "Grey zone", heads, rows, numbers_from=1),)
    return Section(heading, paragraphs=(text,), tables=tables)


def _lottery(record: _Record, language: Language) -> list[Section]:
    ja, found = language == "ja", record.decided
    sections = []
    for draw in found.draws.values():
        rows = [
            (place, ticket["proposal_id"], ticket["sha256"], ("採択" if ja else "funded") if ticket["option"] else "—")
            for place, ticket in enumerate(draw["tickets"], start=1)
        ]
        heads = ("順", "提案番号", "抽選券", "結果") if ja else ("Place", "Proposal", "Ticket", "Outcome")
        text = (
            "抽選券は次の式で誰でも確かめられます。小さい順に抽出しました。"
            if ja
            else "Anybody can check the tickets; they were drawn in ascending order."
        )
        sections.append(
            Section(
                "抽選" if ja else "Lottery",
                paragraphs=(text,),
                tables=(plain_table("抽選券" if ja else "Tickets", heads, rows, numbers_from=9),),
                code=(f"SEED={draw['seed']}", CHECK),
            )
        )
    return sections


def _awards(record: _Record, language: Language) -> Section:
    ja, found = language == "ja", record.decided
    heads: tuple[str, ...] = (
        ("受付番号", "提案", "組織", "提供元", "期間", "GPU", "GPU時間", "円")
        if ja
        else ("Receipt", "Proposal", "Organisation", "Pool", "Months", "GPUs", "GPU-hours", "Yen")
    )
    if not record.is_public:
        heads = (*heads, "評価" if ja else "Score")
    rows = []
    for award in found.awards.values():
        proposal = found.proposals[award.proposal_id]
        organisation = found.organisations[award.organisation_id]
        row: list[object] = [
            proposal.receipt or "",
            proposal.title + ("（抽選）" if ja else " (lottery)") * award.by_lottery,
            organisation.name_ja if ja else organisation.name_en,
            found.pool_name(award.pool_id),
            f"{award.start_month} +{award.months}",
            award.gpus,
            award.gpu_seconds // 3600,
            award.yen,
        ]
        if not record.is_public:
            place = found.bloc_of(award.proposal_id)
            row.append("—" if place is None else f"{place[2].score_mean:.3f} ± {place[2].score_standard_error:.3f}")
        rows.append(row)
    if not rows:
        text = "承認の後に確定します。" if ja else "Fixed with the approval."
        return Section("採択" if ja else "Awards", paragraphs=(text,))
    caption = f"{len(rows)}件" if ja else f"{len(rows)} awards"
    return Section("採択" if ja else "Awards", tables=(plain_table(caption, heads, rows, numbers_from=5),))


def _who(record: _Record, language: Language) -> Section:
    ja, decision = language == "ja", record.decided.decision
    shown = jst_ja if ja else jst_en
    acts = (
        ("起案", "Drafted", decision.drafted_at, decision.drafted_by),
        ("承認", "Approved", decision.approved_at, decision.approved_by),
        ("公表", "Announced", decision.announced_at, None),
    )
    facts = []
    for name_ja, name_en, at, who in acts:
        by = f" · {_name(record, who, language)}" if who is not None and not record.is_public else ""
        facts.append((name_ja if ja else name_en, "—" if at is None else f"{shown(at)}{by}"))
    text = "起案した人とは別の人が承認しました。" if ja else "Somebody else than who drafted it approved it."
    paragraphs = [text] if decision.approved_at is not None else []
    if not record.is_public:
        paragraphs.append(decision.reason)
    return Section("起案と承認" if ja else "Who decided", paragraphs=tuple(paragraphs), facts=tuple(facts))


def _certificates(record: _Record, language: Language) -> Section:
    ja, found = language == "ja", record.decided
    rows = [
        (
            OBJECTIVES[each["objective"]][0 if ja else 1] + ("" if each["bloc"] == "all" else f" / {each['bloc']}"),
            _solver(each["solution"]),
            each["inputs_sha256"],
            each["result_sha256"],
        )
        for each in found.study.certificates
    ]
    heads = ("目的", "解法", "入力のSHA-256", "結果のSHA-256") if ja else ("Objective", "Solver", "Inputs", "Result")
    text = (
        "証明書（問題と結果）を取得し、次の命令で、データベースなしに計算を再現できます。"
        if ja
        else "With the certificate file, which holds problem and outcome, this repeats the computation "
        "without a database:"
    )
    return Section(
        "証明書" if ja else "Certificates",
        paragraphs=(text,),
        code=("kiban office awards replay FILE",),
        tables=(plain_table("SHA-256", heads, rows, numbers_from=9),),
    )


def _solver(solution: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(solution["versions"].items()))
    return f"{solution['solver']}, seed {solution['seed']} ({versions})"


def _receipt(found: Decided, proposal_id: uuid.UUID | str) -> str:
    proposal = found.proposals.get(uuid.UUID(str(proposal_id)))
    return (proposal.receipt if proposal else None) or str(proposal_id)


def _name(record: _Record, person_id: uuid.UUID | None, language: Language) -> str:
    if person_id is None:
        return "事務局の端末" if language == "ja" else "the office's terminal"
    return record.names.get(person_id, "—")
