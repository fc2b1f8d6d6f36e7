"""What must be done before a grantee can work, and before a grant can be put away; who did it and when."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Literal

from kiban.office.audit.service import record
from kiban.office.errors import Conflict, NotFound
from kiban.office.grants import case_repository
from kiban.office.grants.models import ChecklistItem, Grant
from kiban.office.grants.schemas import StepOut
from kiban.office.grants.service import get_grant, lock_grant
from kiban.office.work import Role, Work


@dataclass(frozen=True)
class Step:
    key: str
    phase: Literal["handover", "closing"]
    by: Literal["organisation", "operator"]
    text_ja: str
    text_en: str


STEPS = (
    Step("contract", "handover", "operator", "契約・交付決定の手続きが済んでいる", "The contract is signed"),
    Step("terms", "handover", "organisation", "利用規約に同意した", "The terms of use are accepted"),
    Step("contacts", "handover", "organisation", "技術と事務の連絡先を届け出た", "Contacts are named"),
    Step("accounts", "handover", "operator", "クラスタのアカウントを発行した", "The accounts on the cluster exist"),
    Step("access", "handover", "organisation", "全員がログインできた", "Everybody has signed in on the cluster"),
    Step("training", "handover", "operator", "利用講習を行った", "Training in use has been given"),
    Step("data_in", "handover", "organisation", "データを搬入した", "The data is on the cluster"),
    Step("first_job", "handover", "organisation", "最初のジョブが完走した", "A first job has run to its end"),
    Step("final_report", "closing", "organisation", "最終報告を提出した", "The final report is handed in"),
    Step("results", "closing", "organisation", "モデルと成果物を登録した", "Models and other results are registered"),
    Step("data_out", "closing", "organisation", "データを搬出した", "The data has been taken home"),
    Step("data_erased", "closing", "operator", "クラスタ上のデータを消去した", "The data on the cluster is erased"),
    Step("accounts_closed", "closing", "operator", "アカウントを停止した", "The accounts on the cluster are closed"),
    Step("reconciled", "closing", "operator", "利用実績と台帳の照合が済んでいる", "Use and ledger are reconciled"),
)  # fmt: skip
_BY_KEY = {step.key: step for step in STEPS}


def list_steps(work: Work, grant_id: uuid.UUID) -> list[StepOut]:
    """Every step in order, with who did it."""
    grant = get_grant(work, grant_id)
    done = case_repository.checklist(work.session, grant.id)
    return [_show(step, done.get(step.key)) for step in STEPS]


def do_step(work: Work, grant_id: uuid.UUID, key: str, note: str = "") -> StepOut:
    """Tick a step off. The grant's people do their own, operators any.

    Raises:
        NotFound: no such step.
        Forbidden: it is the office's to do.
        Conflict: it is done already.
    """
    grant, step = _own_step(work, grant_id, key)
    item = case_repository.checklist(work.session, grant.id).get(key)
    if item is not None and item.done_at is not None:
        raise Conflict("it is done already", where="key")
    if item is None:
        item = ChecklistItem(id=work.new_id(), grant_id=grant.id, key=key)
    item.done_by, item.done_at, item.note = work.actor.person_id, work.now, note
    case_repository.add(work.session, item)
    record(work, "grants.step_done", "grant", grant.id, key=key, note=note)
    return _show(step, item)


def undo_step(work: Work, grant_id: uuid.UUID, key: str, note: str) -> StepOut:
    """Say that a step is not done after all.

    Raises:
        NotFound, Forbidden: as `do_step`.
        Conflict: it is not done.
    """
    grant, step = _own_step(work, grant_id, key)
    item = case_repository.checklist(work.session, grant.id).get(key)
    if item is None or item.done_at is None:
        raise Conflict("it is not done", where="key")
    item.done_by, item.done_at, item.note = None, None, note
    record(work, "grants.step_undone", "grant", grant.id, key=key, note=note)
    return _show(step, item)


def _own_step(work: Work, grant_id: uuid.UUID, key: str) -> tuple[Grant, Step]:
    grant = lock_grant(work, grant_id)
    step = _BY_KEY.get(key)
    if step is None:
        raise NotFound(f"there is no step {key!r}", where="key", hint=", ".join(_BY_KEY))
    is_own = work.actor.organisation_id == grant.organisation_id and work.actor.has(Role.APPLICANT)
    if step.by == "operator" or not is_own:
        work.require(Role.OPERATOR)
    return grant, step


def _show(step: Step, item: ChecklistItem | None) -> StepOut:
    return StepOut(
        key=step.key,
        phase=step.phase,
        text_ja=step.text_ja,
        text_en=step.text_en,
        by=step.by,
        done_by=item.done_by if item else None,
        done_at=item.done_at if item else None,
        note=item.note if item else "",
    )
