from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given as given_by
from hypothesis import strategies as st

from kiban.office.audit.models import AuditEvent
from kiban.office.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from kiban.office.office import Office
from kiban.office.paging import PageRequest
from kiban.office.supply import procurement, service
from kiban.office.supply.models import LotStatus, Pool, Provider
from kiban.office.supply.schemas import LotChange, LotIn, PoolChange, PoolOut, ProviderIn, QuotedPrice
from kiban.office.work import ANONYMOUS, Actor, Role

from ..conftest import Rows, TestClock
from .conftest import new_lot, new_pool, pool_in

QUOTED = {
    "amount": "2.49",
    "currency": "USD",
    "fx_yen_per_unit": "151.37",
    "fx_on": "2026-03-31",
    "fx_source": "日本銀行",
}


def _quoted(amount: str, rate: str) -> QuotedPrice:
    return QuotedPrice.model_validate(QUOTED | {"amount": amount, "fx_yen_per_unit": rate})


@pytest.mark.parametrize(
    ("amount", "rate", "yen"),
    [
        ("2.49", "151.37", 377),  # 376.9113
        ("2.5", "149", 373),  # 372.5: half a yen goes up, also where rounding to even would not
        ("1", "150.4999", 150),
        ("0.0001", "5000", 1),  # half a yen exactly
        # As binary floats 1.005 * 100 is below 100.5.
        ("1.005", "100", 101),
    ],
)
def test_the_yen_price_is_rounded_half_up_in_decimals(amount: str, rate: str, yen: int) -> None:
    assert procurement.yen_price(_quoted(amount, rate)) == yen


@given_by(
    st.decimals(Decimal("0.1"), Decimal(9999), places=4, allow_nan=False),
    st.decimals(Decimal(10), Decimal(9999), places=4, allow_nan=False),
)
def test_the_yen_price_is_within_half_a_yen(amount: Decimal, rate: Decimal) -> None:
    price = procurement.yen_price(_quoted(str(amount), str(rate)))
    assert -Decimal("0.5") < price - amount * rate <= Decimal("0.5")


def test_less_than_half_a_yen_is_no_price() -> None:
    with pytest.raises(Invalid, match="less than a yen"):
        procurement.yen_price(_quoted("0.0001", "4999.9999"))


def test_a_quoted_price_keeps_its_rate_day_and_source(office: Office, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider, price_yen_per_gpu_hour=None, quoted=QUOTED)
    with office.work(operator, read_only=True) as work:
        shown = PoolOut.model_validate(service.get_pool(work, pool.id))
    assert shown.price_yen_per_gpu_hour == 377
    assert (shown.price_quoted, shown.currency) == (Decimal("2.49"), "USD")
    assert (shown.fx_yen_per_unit, shown.fx_on, shown.fx_source) == (Decimal("151.37"), date(2026, 3, 31), "日本銀行")


@pytest.mark.parametrize(
    "given",
    [
        {"quoted": QUOTED},
        {"price_yen_per_gpu_hour": None},
        {"price_yen_per_gpu_hour": 0},
        {"price_yen_per_gpu_hour": None, "quoted": QUOTED | {"currency": "JPY"}},
        {"price_yen_per_gpu_hour": None, "quoted": QUOTED | {"amount": "1.00001"}},
        {"price_yen_per_gpu_hour": None, "quoted": QUOTED | {"fx_source": ""}},
    ],
)
def test_one_whole_price(provider: Provider, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        pool_in(provider, **given)


def test_a_rate_of_tomorrow_is_none(office: Office, operator: Actor, provider: Provider, clock: TestClock) -> None:
    quoted = QUOTED | {"fx_on": "2026-04-02"}
    with pytest.raises(Invalid, match="not come"):
        new_pool(office, operator, provider, price_yen_per_gpu_hour=None, quoted=quoted)
    clock.forward(hours=15)  # midnight in Japan, 15:00 of the day before in UTC
    new_pool(office, operator, provider, price_yen_per_gpu_hour=None, quoted=quoted)


def test_names_become_those_of_the_catalogue(office: Office, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider, accelerator="NVIDIA H100 80GB HBM3", area="hokkaido")
    assert (pool.accelerator, pool.area) == ("H100", "北海道")


@pytest.mark.parametrize(
    ("given", "where", "nearest"),
    [({"accelerator": "H1000"}, "accelerator", "H100"), ({"area": "Tokio"}, "area", "東京")],
)
def test_an_unknown_name_is_told_the_nearest(
    office: Office, operator: Actor, provider: Provider, given: dict[str, str], where: str, nearest: str
) -> None:
    with pytest.raises(Invalid) as caught:
        new_pool(office, operator, provider, **given)
    assert caught.value.where == where
    assert nearest in str(caught.value.hint)


def test_a_pools_name_is_its_own(office: Office, operator: Actor, provider: Provider) -> None:
    new_pool(office, operator, provider)
    with pytest.raises(Conflict, match="ishikari-h100"):
        new_pool(office, operator, provider)


def test_a_closed_provider_brings_no_new_pool(office: Office, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider)
    with office.work(operator) as work:
        procurement.close_provider(work, provider.id)
    with pytest.raises(Conflict, match="closed"):
        new_pool(office, operator, provider, name="other")
    with office.work(operator) as work:
        assert service.get_pool(work, pool.id).closed_at is None
        with pytest.raises(Conflict):
            procurement.close_provider(work, provider.id)


def test_a_change_keeps_what_is_not_given_and_is_audited(office: Office, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider, pue=1.2, slurm_cluster="abci")
    with office.work(operator) as work:
        changed = procurement.change_pool(work, pool.id, PoolChange(pue=None, area="東京", reason="移設"))
        assert (changed.pue, changed.area, changed.slurm_cluster) == (None, "東京", "abci")
        with pytest.raises(Invalid, match="empty"):
            procurement.change_pool(work, pool.id, PoolChange(site=None, reason="x"))
    with office.work(read_only=True) as work:
        details = work.session.scalar(sa.select(AuditEvent.details).where(AuditEvent.action == "supply.pool_changed"))
    assert details == {
        "reason": "移設",
        "before": {"pue": 1.2, "area": "北海道"},
        "after": {"pue": None, "area": "東京"},
    }


def test_a_closed_pool_is_settled(office: Office, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider)
    with office.work(operator) as work:
        procurement.close_pool(work, pool.id, "契約終了")
    for act in (
        lambda work: procurement.close_pool(work, pool.id, "again"),
        lambda work: procurement.change_pool(work, pool.id, PoolChange(pue=1.1, reason="x")),
        lambda work: procurement.create_lot(
            work, pool.id, LotIn(name="a", gpus=1, delivery_on=date(2026, 7, 1), ends_on=date(2026, 8, 1))
        ),
    ):
        with office.work(operator) as work, pytest.raises(Conflict, match="closed"):
            act(work)


def test_only_operators_enter(office: Office, rows: Rows, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider)
    lot = new_lot(office, operator, pool)
    acts = (
        lambda work: procurement.create_provider(work, ProviderIn(name_ja="a", name_en="a")),
        lambda work: procurement.update_provider(work, provider.id, ProviderIn(name_ja="a", name_en="a")),
        lambda work: procurement.close_provider(work, provider.id),
        lambda work: procurement.create_pool(work, pool_in(provider, name="b")),
        lambda work: procurement.change_pool(work, pool.id, PoolChange(pue=1.1, reason="x")),
        lambda work: procurement.close_pool(work, pool.id, "x"),
        lambda work: procurement.create_lot(
            work, pool.id, LotIn(name="a", gpus=1, delivery_on=date(2026, 7, 1), ends_on=date(2026, 8, 1))
        ),
        lambda work: procurement.change_lot(work, lot.id, LotChange(gpus=1, reason="x")),
    )
    outsider = rows.actor(*(set(Role) - {Role.OPERATOR}))
    for act in acts:
        with office.work(outsider) as work, pytest.raises(Forbidden):
            act(work)
        with office.work(ANONYMOUS) as work, pytest.raises(Unauthenticated):
            act(work)


@pytest.mark.parametrize(
    ("old", "new", "follows"),
    [
        ("planned", "contracted", True),
        ("planned", "delivered", True),
        ("planned", "cancelled", True),
        ("contracted", "planned", False),
        ("contracted", "delivered", True),
        ("contracted", "cancelled", True),
        ("delivered", "contracted", False),
        ("delivered", "cancelled", False),
    ],
)
def test_which_status_follows_which(
    office: Office, operator: Actor, provider: Provider, old: str, new: str, follows: bool
) -> None:
    pool = new_pool(office, operator, provider)
    lot = new_lot(office, operator, pool, status=old, delivery_on="2026-04-01")
    change = LotChange(status=LotStatus(new), reason="連絡")
    with office.work(operator) as work:
        if follows:
            assert procurement.change_lot(work, lot.id, change).status == new
        else:
            with pytest.raises(Conflict, match=f"{old} does not become {new}"):
                procurement.change_lot(work, lot.id, change)


def test_facts_of_a_lot(office: Office, operator: Actor, provider: Provider) -> None:
    lot = new_lot(office, operator, new_pool(office, operator, provider))

    def change(**given: Any) -> None:
        with office.work(operator) as work:
            procurement.change_lot(work, lot.id, LotChange.model_validate({"reason": "連絡"} | given))

    with pytest.raises(Invalid, match="day to come"):
        change(status="delivered")
    with pytest.raises(Invalid, match="`ends_on` must be after"):
        change(delivery_on="2027-07-01")
    with pytest.raises(Invalid, match="empty"):
        change(gpus=None)
    change(delivery_on="2026-08-01", contract_yen=None)
    change(status="delivered", delivery_on="2026-04-01")
    with pytest.raises(Conflict, match="settled"):
        change(gpus=8)
    change(ends_on="2027-01-01")
    other = new_lot(office, operator, new_pool(office, operator, provider, name="b"), name="lot-2")
    with office.work(operator) as work:
        procurement.change_lot(work, other.id, LotChange(status=LotStatus.CANCELLED, reason="不調"))
        with pytest.raises(Conflict, match="cancelled"):
            procurement.change_lot(work, other.id, LotChange(gpus=1, reason="x"))
        with pytest.raises(NotFound):
            procurement.change_lot(work, lot.pool_id, LotChange(gpus=1, reason="x"))


def test_a_lot_is_not_delivered_in_the_future(office: Office, operator: Actor, provider: Provider) -> None:
    pool = new_pool(office, operator, provider)
    with pytest.raises(Invalid, match="day to come"):
        new_lot(office, operator, pool, status="delivered", delivery_on="2026-04-02")
    with pytest.raises(ValueError, match="does not begin"):
        new_lot(office, operator, pool, status="cancelled")


def test_pools_are_seen_once_a_call_offers_them(office: Office, rows: Rows) -> None:
    offered, hidden = rows.pool(), rows.pool()
    rows.call(offered)
    rows.call(hidden, status="draft")

    def seen(actor: Actor) -> list[Pool]:
        with office.work(actor, read_only=True) as work:
            return service.list_pools(work, PageRequest()).items

    for role in (Role.APPLICANT, Role.REVIEWER, Role.PANEL, Role.OBSERVER):
        actor = rows.actor(role)
        assert [pool.id for pool in seen(actor)] == [offered.id]
        with office.work(actor, read_only=True) as work:
            for look in (service.get_pool, procurement.list_lots, lambda work, key: service.capacity(work, key, [])):
                look(work, offered.id)
                with pytest.raises(NotFound):
                    look(work, hidden.id)
            with pytest.raises(NotFound) as caught:
                service.find_pool(work, hidden.name[:-1])
            assert hidden.name not in str(caught.value)
    for role in (Role.OPERATOR, Role.AUDITOR):
        assert {pool.id for pool in seen(rows.actor(role))} == {offered.id, hidden.id}
    assert seen(ANONYMOUS) == []


def test_contacts_and_contract_sums_are_for_operators_and_auditors(
    office: Office, rows: Rows, operator: Actor, provider: Provider
) -> None:
    pool = new_pool(office, operator, provider)
    new_lot(office, operator, pool)
    rows.call(pool)
    days = (date(2026, 1, 1), date(2028, 1, 1))
    for role in Role:
        allowed = role in (Role.OPERATOR, Role.AUDITOR)
        with office.work(rows.actor(role), read_only=True) as work:
            [listed] = procurement.list_providers(work, PageRequest()).items
            assert procurement.show_provider(work, listed).contact == ("sales@example.jp" if allowed else "")
            expected = 50_000_000 if allowed else None
            assert [lot.contract_yen for lot in procurement.list_lots(work, pool.id)] == [expected]
            entries = procurement.procurement_calendar(work, *days)
            assert [entry.lot.contract_yen for entry in entries] == [expected] * 2
    with office.work(ANONYMOUS, read_only=True) as work:
        with pytest.raises(Unauthenticated):
            procurement.list_providers(work, PageRequest())
        assert procurement.procurement_calendar(work, *days) == []


def test_the_calendar_marks_what_is_late(office: Office, operator: Actor, provider: Provider, clock: TestClock) -> None:
    pool = new_pool(office, operator, provider)
    new_lot(office, operator, pool)
    new_lot(office, operator, pool, name="lot-2", delivery_on="2026-07-02", ends_on="2026-12-01")
    cancelled = new_lot(office, operator, pool, name="lot-3")
    with office.work(operator) as work:
        procurement.change_lot(work, cancelled.id, LotChange(status=LotStatus.CANCELLED, reason="x"))
    clock.forward(days=91, hours=15)  # 2 July in Japan
    with office.work(operator, read_only=True) as work:
        entries = procurement.procurement_calendar(work, date(2026, 7, 1), date(2026, 12, 1))
        with pytest.raises(Invalid):
            procurement.procurement_calendar(work, date(2026, 7, 2), date(2026, 7, 1))
    assert [(entry.on.isoformat(), entry.event, entry.lot.name, entry.is_overdue) for entry in entries] == [
        ("2026-07-01", "delivery", "lot-1", True),
        ("2026-07-02", "delivery", "lot-2", False),
        ("2026-12-01", "end", "lot-2", False),
    ]
