from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from kiban.office.idempotency.models import IdempotencyKey


def claim(session: Session, person_id: uuid.UUID, key: str, fingerprint: str, at: datetime) -> bool:
    """Put the key down as this request's; False when it is there already.

    On PostgreSQL this waits for another transaction that has claimed the same key and not ended yet.
    """
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(IdempotencyKey)
        .values(person_id=person_id, key=key, fingerprint=fingerprint, headers={}, body="", created_at=at)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return session.scalar(statement) is not None


def find(session: Session, person_id: uuid.UUID, key: str) -> IdempotencyKey | None:
    return session.get(IdempotencyKey, (person_id, key))


def keep(session: Session, person_id: uuid.UUID, key: str, status: int, headers: dict[str, str], body: str) -> None:
    session.execute(
        sa.update(IdempotencyKey)
        .where(IdempotencyKey.person_id == person_id, IdempotencyKey.key == key)
        .values(status=status, headers=headers, body=body)
    )


def remove(session: Session, person_id: uuid.UUID, key: str) -> None:
    session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.person_id == person_id, IdempotencyKey.key == key))


def remove_before(session: Session, at: datetime) -> int:
    result = session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < at))
    return cast(sa.CursorResult[Any], result).rowcount
