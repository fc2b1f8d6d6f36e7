from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator

from kiban.office.schemas import Schema

LARGEST_GPUS = 100_000


class UsageOut(Schema):
    id: uuid.UUID
    pool_id: uuid.UUID | None
    grant_id: uuid.UUID | None
    cluster: str
    job_key: str
    job_name: str
    account: str
    user_name: str
    partition: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    gpus: int
    gpu_seconds: int
    posted_gpu_seconds: int = Field(description="charged so far")
    posted_yen: int
    energy_joules: int | None
    energy_source: str = Field(description="measured, estimated or unknown")
    artifact_digest: str | None
    last_read_at: datetime


class DifferenceOut(Schema):
    id: uuid.UUID
    kind: str = Field(examples=["scheduler_and_ledger"])
    subject: str
    grant_id: uuid.UUID | None
    expected: int | None
    found: int | None
    unit: str
    found_at: datetime
    last_seen_at: datetime
    explained_by: uuid.UUID | None = Field(description="null where the records came to agree by themselves")
    explained_at: datetime | None
    explanation: str


class Explanation(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"explanation": "試験用アカウントのジョブである"}})

    explanation: Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=4_000)]


class ArtifactLink(Schema):
    model_config = ConfigDict(json_schema_extra={"example": {"digest": "0" * 64}})

    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(description="null: none")


class JobRow(Schema):
    """One job of a pool without a scheduler that the office reads."""

    job_key: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,64}$")] = Field(description="the provider's own name")
    grant: Annotated[str, StringConstraints(min_length=1, max_length=31)] = Field(description="the grant's code")
    gpus: Annotated[int, Field(gt=0, le=LARGEST_GPUS)]
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = Field(None, description="null: it still runs, and is charged up to now")
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    user_name: Annotated[str, StringConstraints(max_length=64)] = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.ended_at is not None and self.ended_at < self.started_at:
            raise ValueError("it ends before it starts")
        return self


class ImportIn(Schema):
    """Rows, or a CSV file with the same columns."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "pool_id": "019d4b1c-5c00-7000-8000-000000000001",
                "rows": [
                    {
                        "job_key": "run-17",
                        "grant": "k2026-0001",
                        "gpus": 8,
                        "started_at": "2026-09-01T09:00:00+09:00",
                        "ended_at": "2026-09-01T12:00:00+09:00",
                    }
                ],
            }
        }
    )

    pool_id: uuid.UUID
    rows: Annotated[tuple[JobRow, ...], Field(max_length=10_000)] = ()
    csv: Annotated[str, StringConstraints(max_length=4_000_000)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.rows) == bool(self.csv):
            raise ValueError("give `rows` or `csv`")
        return self


class SyncOut(Schema):
    cluster: str
    jobs: int
    new: int
    grown: int
    posted_gpu_seconds: int
    posted_yen: int
    without_grant: int


class ReconciliationOut(Schema):
    compared: int
    differing: int
    settled: int
    linked: int
    not_answered: tuple[str, ...]
