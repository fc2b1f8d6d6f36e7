from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from kiban.office.database import Base


class IdempotencyKey(Base):
    """A key a caller has used, and what was answered. Committed with the effect or not at all."""

    __tablename__ = "idempotency_keys"

    person_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(128), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))  # SHA-256 of method, path, query and body
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    headers: Mapped[dict[str, Any]]
    body: Mapped[str] = mapped_column(sa.Text)  # encrypted: an answer may hold a secret shown once
    created_at: Mapped[datetime] = mapped_column(index=True)
