"""Names of what accounts belong to, and single postings, for people who read the books."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.calls.models import Call
from kiban.office.grants.models import Grant
from kiban.office.ledger.models import Account, Posting
from kiban.office.ledger.repository import visible_postings
from kiban.office.members.models import Organisation
from kiban.office.supply.models import Pool
from kiban.office.work import Actor


@dataclass(frozen=True)
class GrantName:
    """A grant by its code on the cluster and who has it."""

    id: uuid.UUID
    code: str
    organisation: tuple[str, str]  # Japanese and English


def accounts(session: Session, numbers: Collection[int]) -> list[Account]:
    return list(session.scalars(sa.select(Account).where(Account.number.in_(numbers))))


def posting(session: Session, actor: Actor, number: int) -> Posting | None:
    """One that the actor may see at least one side of."""
    return session.scalars(sa.select(Posting).where(Posting.number == number, visible_postings(actor))).one_or_none()


def grants(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, GrantName]:
    if not ids:
        return {}
    statement = (
        sa.select(Grant.id, Grant.code, Organisation.name_ja, Organisation.name_en)
        .join(Organisation, Organisation.id == Grant.organisation_id)
        .where(Grant.id.in_(ids))
    )
    return {row.id: GrantName(row.id, row.code, (row.name_ja, row.name_en)) for row in session.execute(statement)}


def calls(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    if not ids:
        return {}
    statement = sa.select(Call.id, Call.title_ja, Call.title_en).where(Call.id.in_(ids))
    return {row.id: (row.title_ja, row.title_en) for row in session.execute(statement)}


def pools(session: Session, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    if not ids:
        return {}
    statement = sa.select(Pool.id, Pool.name).where(Pool.id.in_(ids))
    return {row.id: row.name for row in session.execute(statement)}
