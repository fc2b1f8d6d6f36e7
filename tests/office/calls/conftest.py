"""A call as an operator would write it, and pools that can serve it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kiban.office.calls.drafting import create_call
from kiban.office.calls.lifecycle import publish_call
from kiban.office.calls.models import Call
from kiban.office.calls.schemas import CallIn
from kiban.office.office import Office
from kiban.office.supply.models import Pool
from kiban.office.work import Actor, Role

from ..conftest import START, Rows

ANCHORS = [
    {"score": 1, "text_ja": "不十分", "text_en": "Poor"},
    {"score": 5, "text_ja": "優秀", "text_en": "Excellent"},
]


def call_in(*pools: Pool, **given: Any) -> CallIn:
    """Opens in a day, closes in 30, awards from July 2026 for a year; 8 GPUs of each pool."""
    values: dict[str, Any] = {
        "code": "2026-1",
        "cycle": "第1期",
        "title_ja": "基盤モデル開発支援",
        "title_en": "Support for foundation models",
        "text_ja": "計算資源を提供する。",
        "text_en": "Compute is provided.",
        "budget_yen": 20_000_000,
        "opens_at": START + timedelta(days=1),
        "closes_at": START + timedelta(days=30),
        "first_month": "2026-07",
        "months": 12,
        "themes": [
            {"key": "language", "name_ja": "言語", "name_en": "Language"},
            {"key": "robots", "name_ja": "ロボット", "name_en": "Robots"},
        ],
        "rubric": [
            {"key": "performance", "name_ja": "性能", "name_en": "Performance", "weight": 2, "anchors": ANCHORS},
            {"key": "openness", "name_ja": "公開度", "name_en": "Openness", "weight": 1, "anchors": ANCHORS},
        ],
        "tracks": [
            {"key": "small", "name_ja": "小", "name_en": "Small", "kind": "automatic", "up_to_gpu_hours": 5_000},
            {"key": "middle", "name_ja": "中", "name_en": "Middle", "kind": "peer", "up_to_gpu_hours": 50_000},
            {"key": "large", "name_ja": "大", "name_en": "Large", "kind": "panel"},
        ],
        "pools": [{"pool_id": pool.id, "gpus": 8} for pool in pools],
    }
    return CallIn.model_validate(values | given)


@pytest.fixture
def operator(rows: Rows) -> Actor:
    return rows.actor(Role.OPERATOR)


@pytest.fixture
def pool(rows: Rows) -> Pool:
    return rows.pool()


def draft(office: Office, operator: Actor, *pools: Pool, **given: Any) -> Call:
    with office.work(operator) as work:
        return create_call(work, call_in(*pools, **given))


def published(office: Office, operator: Actor, *pools: Pool, **given: Any) -> Call:
    call = draft(office, operator, *pools, **given)
    with office.work(operator) as work:
        return publish_call(work, call.id)
