"""What comes out of the audit record."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from kiban.office.schemas import Schema


class AuditEventOut(Schema):
    number: int
    at: datetime
    actor_id: uuid.UUID | None = Field(description="null: nobody signed in, or the office's own command")
    token_id: uuid.UUID | None
    is_system: bool
    action: str = Field(examples=["awards.approved"])
    subject_kind: str = Field(examples=["award"])
    subject_id: str
    details: dict[str, Any]
    request_id: str
    address: str
