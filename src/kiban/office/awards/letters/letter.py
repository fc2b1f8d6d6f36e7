"""The letter to an applicant after the announcement: what was awarded, or why not and what would have helped."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from kiban.office import months
from kiban.office.awards.letters.document import LANGUAGES, Document, Language, Section, plain_table, to_html
from kiban.office.awards.letters.facts import Decided, decided
from kiban.office.awards.letters.feedback import excluded_why, sentences
from kiban.office.awards.models import Award, DecisionStatus
from kiban.office.awards.solver import Feedback
from kiban.office.calls.service import rubric_of
from kiban.office.calls.times import jst_en, jst_ja
from kiban.office.errors import Conflict, NotFound
from kiban.office.grants.models import Tranche
from kiban.office.grants.service import grant_of_award, tranches_of
from kiban.office.proposals.models import Proposal
from kiban.office.proposals.policy import View
from kiban.office.proposals.service import see
from kiban.office.reviews.schemas import FeedbackOut
from kiban.office.reviews.service import feedback_on
from kiban.office.work import Work

CHECK = 'printf \'%s\\n%s\' "$SEED" "$ID" | sha256sum'


@dataclass(frozen=True)
class _Letter:
    decided: Decided
    proposal: Proposal
    reviews: FeedbackOut
    tranches: tuple[Tranche, ...]
    contact: str
    url: str

    @property
    def award(self) -> Award | None:
        return self.decided.awards.get(self.proposal.id)


def letter_html(work: Work, proposal_id: uuid.UUID) -> str:
    """The letter as one file. Raises: as `letter`."""
    return to_html(letter(work, proposal_id))


def letter(work: Work, proposal_id: uuid.UUID) -> list[Document]:
    """The letter about a proposal in each language, for its applicants and the office.

    Raises:
        NotFound: no such proposal of one's own.
        Conflict: the decision is not announced.
    """
    seen = see(work, proposal_id)
    # Reviewers and the panel see proposals too, but the letter is between the office and the applicant.
    if seen.view is not View.WHOLE:
        raise NotFound("there is no such proposal", where="proposal_id")
    proposal = seen.proposal
    try:
        found = decided(work, seen.call)
    except NotFound:
        raise Conflict("the decision is not announced yet") from None
    if found.decision.status is not DecisionStatus.ANNOUNCED:
        raise Conflict("the decision is not announced yet")
    if proposal.id not in found.proposals:
        raise NotFound("the proposal did not take part in the decision", where="proposal_id")
    award = found.awards.get(proposal.id)
    grant = None if award is None else grant_of_award(work, award.id)
    told = _Letter(
        decided=found,
        proposal=proposal,
        # Else for who takes part alone; but every applicant of the organisation may read this letter.
        reviews=feedback_on(work, proposal, seen.call),
        tranches=() if grant is None else tuple(tranches_of(work, grant)),
        contact=work.settings.contact or work.settings.mail_from,
        url=work.settings.public_url,
    )
    return [_document(told, language) for language in LANGUAGES]


def _document(letter: _Letter, language: Language) -> Document:
    ja, found, award = language == "ja", letter.decided, letter.award
    call, proposal = found.call, letter.proposal
    organisation = found.organisations[proposal.organisation_id]
    name = organisation.name_ja if ja else organisation.name_en
    if ja:
        title = "採択通知" if award else "選考結果のお知らせ"
        lead = (
            f"{name} 御中",
            f"ご応募いただいた「{proposal.title}」は、審査の結果、"
            + ("採択されました。" if award else "今回は採択に至りませんでした。ご応募に感謝いたします。"),
        )
    else:
        title = "Award letter" if award else "Outcome of your application"
        lead = (
            name,
            f"Your proposal “{proposal.title}” "
            + ("has been awarded." if award else "was not funded this time. Thank you for applying."),
        )
    announced = found.decision.announced_at
    assert announced is not None
    facts = (
        ("公募" if ja else "Call", f"{call.title_ja if ja else call.title_en}（{call.code}）"),
        ("受付番号" if ja else "Receipt", proposal.receipt or ""),
        ("公表日時" if ja else "Announced", jst_ja(announced) if ja else jst_en(announced)),
    )
    sections = [Section("応募" if ja else "Application", facts=facts)]
    sections += [_awarded(letter, award, language)] if award else [_why_not(letter, language)]
    sections += [*_lottery(letter, language), _reviews(letter, language)]
    sections.append(
        Section(
            "お問い合わせ" if ja else "Contact",
            paragraphs=(f"{letter.contact}\n{letter.url}",),
        )
    )
    footer = (
        f"選定計算{found.study.number}・入力のハッシュ {found.study.problem_sha256}"
        if ja
        else f"Study {found.study.number}, inputs {found.study.problem_sha256}"
    )
    return Document(language, call.cycle, title, lead, tuple(sections), footer)


def _awarded(letter: _Letter, award: Award, language: Language) -> Section:
    ja = language == "ja"
    last = months.add(award.start_month, award.months - 1)
    hours = award.gpu_seconds // 3600
    facts = (
        ("配分額" if ja else "Amount", f"{award.yen:,}円" if ja else f"{award.yen:,} yen"),
        ("計算資源" if ja else "Compute", f"{hours:,} GPU時間" if ja else f"{hours:,} GPU-hours"),
        ("GPU数" if ja else "GPUs", f"{award.gpus:,}"),
        ("提供元" if ja else "Pool", letter.decided.pool_name(award.pool_id)),
        ("期間" if ja else "Months", f"{award.start_month} 〜 {last}" if ja else f"{award.start_month} to {last}"),
    )
    rows = [
        (
            tranche.number,
            f"{tranche.yen:,}",
            f"{tranche.gpu_seconds // 3600:,}",
            _condition(tranche, language),
        )
        for tranche in letter.tranches
    ]
    heads = ("回", "円", "GPU時間", "条件") if ja else ("Tranche", "Yen", "GPU-hours", "Condition")
    caption = "配分の時期" if ja else "When it becomes available"
    conditions = (
        (
            "使われなかった分は、期間に比例した残量を下回らない範囲で失効します。",
            "マイルストーンごとの報告書を期限までに提出してください。",
        )
        if ja
        else (
            "What is not used in time expires, never below the balance that even use would leave.",
            "A report is due for each milestone.",
        )
    )
    tables = (plain_table(caption, heads, rows, numbers_from=1),) if rows else ()
    return Section("採択の内容" if ja else "What is awarded", facts=facts, tables=tables, items=conditions)


def _condition(tranche: Tranche, language: Language) -> str:
    if tranche.needs_report:
        return "報告書の受理後" if language == "ja" else "after an accepted report"
    return "開始月の初日" if language == "ja" else "on the first day of the first month"


def _why_not(letter: _Letter, language: Language) -> Section:
    ja, found = language == "ja", letter.decided
    key = str(letter.proposal.id)
    place = found.bloc_of(letter.proposal.id)
    said: list[str] = []
    pin = None
    if place is not None:
        pin = next((pin for pin in place[1].pins if pin.proposal_id == key and pin.kind == "must_not"), None)
    explained = found.study.explanations.get(key)
    # What is explained is the outcome of the first objective.
    first = (found.study.options.get("objectives") or [""])[0]
    if pin is not None and letter.proposal.id in found.pinned:
        said.append(
            "審査会の決定により、選定計算の前に対象から外されました。"
            if ja
            else "The panel decided against it before the selection was computed."
        )
    elif pin is not None:
        said.append(excluded_why(pin.reason, language))
    elif explained and first == found.decision.objective:
        answer = Feedback.model_validate_json(json.dumps(explained))
        said += sentences(answer, language, found.pool_name)
    else:
        said.append(
            "予算と計算資源の範囲では、ほかの提案の組合せが選ばれました。"
            if ja
            else "Within the budget and the GPUs there were, another set of proposals was chosen."
        )
    intro = (
        "採択は提案の順位ではなく、予算・計算資源・公募の条件のもとで全体として最もよい組合せを求めて決めました。次の場合には採択されました。"
        if ja
        else "Proposals are not ranked: the set was chosen that is best as a whole within budget, GPUs and the call's "
        "rules. This would have funded yours:"
    )
    return Section(
        "採択に至らなかった理由" if ja else "Why it was not funded",
        paragraphs=(intro,) if pin is None and explained and first == found.decision.objective else (),
        items=tuple(said),
    )


def _lottery(letter: _Letter, language: Language) -> list[Section]:
    ja = language == "ja"
    key = str(letter.proposal.id)
    for draw in letter.decided.draws.values():
        for place, ticket in enumerate(draw["tickets"], start=1):
            if ticket["proposal_id"] == key:
                won = ticket["option"] is not None
                count = len(draw["tickets"])
                text = (
                    f"評価の誤差の範囲では優劣がつかない{count}件の提案のあいだで公開の抽選を行いました。"
                    f"本提案は{place}番目に抽出され、{'採択されました' if won else '残りの枠に収まりませんでした'}。"
                    "抽選券は、公開の種と提案番号から誰でも計算できます。"
                    if ja
                    else f"A public lottery was held among {count} proposals that scores could not tell apart. Yours "
                    f"was drawn as number {place} and {'was funded' if won else 'did not fit what was left'}. "
                    "Anybody can compute the ticket from the public seed and the proposal's id:"
                )
                code = (f"SEED={draw['seed']}", f"ID={key}", CHECK, ticket["sha256"])
                return [Section("抽選" if ja else "Lottery", paragraphs=(text,), code=code)]
    return []


def _reviews(letter: _Letter, language: Language) -> Section:
    ja, reviews = language == "ja", letter.reviews
    if not reviews.n:
        text = "この提案には評価の対象となる審査がありません。" if ja else "No review of this proposal counts."
        return Section("審査" if ja else "Reviews", paragraphs=(text,))
    rows = [
        (
            criterion.name_ja if ja else criterion.name_en,
            f"{reviews.criteria[criterion.key]:.2f}",
            f"{criterion.lowest}–{criterion.highest}",
        )
        for criterion in rubric_of(letter.decided.call)
    ]
    caption = f"基準ごとの平均（審査 {reviews.n} 件）" if ja else f"Means by criterion ({reviews.n} reviews)"
    heads = ("基準", "平均", "尺度") if ja else ("Criterion", "Mean", "Scale")
    texts = tuple(text for text in reviews.texts if text.strip())
    return Section(
        "審査" if ja else "Reviews", tables=(plain_table(caption, heads, rows, numbers_from=1),), items=texts
    )
