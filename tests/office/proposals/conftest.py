"""A call with a pool, an applicant with a draft that could be submitted, and everybody who might look at it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from kiban.office.calls.models import Call
from kiban.office.members.models import Organisation
from kiban.office.office import Office
from kiban.office.proposals import drafts, submission
from kiban.office.reviews.models import Assignment, AssignmentStatus, ConflictKind, ConflictOfInterest
from kiban.office.supply.models import Pool
from kiban.office.work import Actor, Role

from ..conftest import Rows

SHAPE = {
    "hidden_size": 2048,
    "num_hidden_layers": 24,
    "vocab_size": 64_000,
    "num_attention_heads": 16,
    "intermediate_size": 8192,
}


def complete_body(pool_id: uuid.UUID, **given: Any) -> dict[str, Any]:
    """Everything that submission asks for; the request fits the plan."""
    body: dict[str, Any] = {
        "title": "医療文書のための基盤モデル",
        "theme": "language",
        "summary": "病院の記録と診療ガイドラインを学ぶ日本語の基盤モデルを作り、重みを公開する。",
        "training": {"model": {"shape": SHAPE}, "tokens": 200_000_000_000},
        "data": [{"name": "青空文庫", "rights": "public domain", "tokens": 300_000_000_000}],
        "safety": "出力の検査と人による確認を行う。",
        "openness": {"weights": True, "licence": "Apache-2.0"},
        "milestones": [{"key": "first", "title": "最初のモデル", "due_month": "2026-09"}],
        "team": [{"name": "山田花子", "email": "Hanako@Example.jp", "organisation_name": "第一研究所"}],
        "tiers": [
            {
                "key": "minimum",
                "gpus": 16,
                "months": 3,
                "gpu_hours": 2_000,
                "pool_ids": [str(pool_id)],
                "start_months": ["2026-07"],
            }
        ],
    }
    return body | given


@dataclass
class Season:
    office: Office
    rows: Rows
    pool: Pool
    call: Call
    organisation: Organisation
    applicant: Actor
    everybody: dict[str, Actor] = field(default_factory=dict)

    def body(self, **given: Any) -> dict[str, Any]:
        return complete_body(self.pool.id, **given)

    def draft(self, *, by: Actor | None = None, **given: Any) -> uuid.UUID:
        with self.office.work(by or self.applicant) as work:
            return drafts.create(work, self.call.id, self.body(**given)).id

    def submit(self, proposal_id: uuid.UUID, *, version: int = 1, by: Actor | None = None) -> str:
        with self.office.work(by or self.applicant) as work:
            return submission.submit(work, proposal_id, version=version).receipt

    def submitted(self, **given: Any) -> uuid.UUID:
        proposal_id = self.draft(**given)
        self.submit(proposal_id)
        return proposal_id

    def withdraw(self, proposal_id: uuid.UUID, *, by: Actor | None = None) -> None:
        with self.office.work(by or self.applicant) as work:
            submission.withdraw(work, proposal_id, reason="見直し")

    def counts(self) -> tuple[int, int]:
        """Receipts given by the call, and places taken in it."""
        with self.office.work(read_only=True) as work:
            call = work.session.get_one(Call, self.call.id)
            return call.receipts, call.places_taken

    def change_call(self, **given: Any) -> None:
        with self.office.work() as work:
            work.session.execute(sa.update(Call).where(Call.id == self.call.id).values(**given))

    def assign(self, actor: Actor, proposal_id: uuid.UUID, **given: Any) -> None:
        values: dict[str, Any] = {
            "is_peer": False,
            "status": AssignmentStatus.ASSIGNED,
            "affinity": 0.5,
            "assigned_at": self.office.clock(),
        }
        with self.office.work() as work:
            work.session.add(
                Assignment(id=work.new_id(), proposal_id=proposal_id, reviewer_id=actor.person_id, **(values | given))
            )

    def conflict(self, actor: Actor, **about: uuid.UUID) -> uuid.UUID:
        with self.office.work() as work:
            row = ConflictOfInterest(
                id=work.new_id(),
                person_id=actor.person_id,
                kind=ConflictKind.DECLARED,
                reason="共同研究",
                declared_at=work.now,
                **about,
            )
            work.session.add(row)
            return row.id


@pytest.fixture
def season(office: Office, rows: Rows) -> Season:
    pool = rows.pool()
    call = rows.call(pool)
    organisation = rows.organisation(name_ja="第一研究所", name_en="First Laboratory")
    return Season(office, rows, pool, call, organisation, rows.actor(Role.APPLICANT, organisation=organisation))
