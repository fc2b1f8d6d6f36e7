from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from kiban.office.office import Office
from kiban.office.supply import procurement
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider
from kiban.office.supply.schemas import LotIn, PoolIn, ProviderIn
from kiban.office.work import Actor, Role

from ..conftest import Rows


@pytest.fixture
def operator(rows: Rows) -> Actor:
    return rows.actor(Role.OPERATOR)


@pytest.fixture
def provider(office: Office, operator: Actor) -> Provider:
    with office.work(operator) as work:
        given = ProviderIn(name_ja="石狩クラウド", name_en="Ishikari Cloud", contact="sales@example.jp")
        return procurement.create_provider(work, given)


def pool_in(provider: Provider, **given: Any) -> PoolIn:
    values: dict[str, Any] = {
        "provider_id": provider.id,
        "name": "ishikari-h100",
        "accelerator": "H100",
        "site": "石狩",
        "area": "北海道",
        "price_yen_per_gpu_hour": 400,
    }
    return PoolIn.model_validate(values | given)


def new_pool(office: Office, operator: Actor, provider: Provider, **given: Any) -> Pool:
    with office.work(operator) as work:
        return procurement.create_pool(work, pool_in(provider, **given))


def new_lot(office: Office, operator: Actor, pool: Pool, **given: Any) -> Lot:
    """16 GPUs under contract from July 2026 for a year."""
    values: dict[str, Any] = {
        "name": "lot-1",
        "gpus": 16,
        "delivery_on": date(2026, 7, 1),
        "ends_on": date(2027, 7, 1),
        "status": LotStatus.CONTRACTED,
        "contract_yen": 50_000_000,
    }
    with office.work(operator) as work:
        return procurement.create_lot(work, pool.id, LotIn.model_validate(values | given))
