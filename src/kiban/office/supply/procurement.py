"""What operators enter: providers, pools with their prices, and the lots that are ordered and delivered."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from kiban.kit.errors import BadInput
from kiban.office import months as calendar
from kiban.office.audit.service import record
from kiban.office.errors import Conflict, Invalid, NotFound, Unauthenticated
from kiban.office.paging import Page, PageRequest
from kiban.office.supply import repository
from kiban.office.supply.models import Lot, LotStatus, Pool, Provider
from kiban.office.supply.schemas import (
    CalendarEntry,
    LotChange,
    LotIn,
    LotOut,
    PoolChange,
    PoolIn,
    ProviderIn,
    ProviderOut,
    QuotedPrice,
)
from kiban.office.supply.service import NO_POOL, get_pool
from kiban.office.work import Role, Work
from kiban.plan.energy.grid import find_area
from kiban.plan.hardware.accelerators import find_accelerator

# A delivered lot stays delivered: that it ends earlier is said with `ends_on`.
NEXT = {
    LotStatus.PLANNED: (LotStatus.CONTRACTED, LotStatus.DELIVERED, LotStatus.CANCELLED),
    LotStatus.CONTRACTED: (LotStatus.DELIVERED, LotStatus.CANCELLED),
    LotStatus.DELIVERED: (),
    LotStatus.CANCELLED: (),
}


def yen_price(quoted: QuotedPrice) -> int:
    """Whole yen per GPU-hour of a quoted price; half a yen is rounded up.

    Raises:
        Invalid: it would be less than half a yen.
    """
    price = int((quoted.amount * quoted.fx_yen_per_unit).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    if price < 1:
        raise Invalid("the price is less than a yen per GPU-hour", where="quoted")
    return price


def accelerator_name(given: str, where: str = "accelerator") -> str:
    """The name in the plan's catalogue of what was meant.

    Raises:
        Invalid: nothing fits; the nearest names are given.
    """
    try:
        return find_accelerator(given, where=where).name
    except BadInput as error:
        raise Invalid(error.message, where=where, hint=error.hint) from None


def area_name(given: str) -> str:
    """The supply area of the plan's grid that was meant.

    Raises:
        Invalid: nothing fits; the nearest names are given.
    """
    try:
        return find_area(given, where="area").name
    except BadInput as error:
        raise Invalid(error.message, where="area", hint=error.hint) from None


def create_provider(work: Work, given: ProviderIn) -> Provider:
    work.require(Role.OPERATOR)
    provider = Provider(id=work.new_id(), created_at=work.now, closed_at=None, **given.model_dump())
    work.session.add(provider)
    record(work, "supply.provider_created", "provider", provider.id, name=given.name_en)
    return provider


def update_provider(work: Work, provider_id: uuid.UUID, given: ProviderIn) -> Provider:
    """Raises: NotFound: no such provider."""
    work.require(Role.OPERATOR)
    provider = _provider(work, provider_id)
    for key, value in given.model_dump().items():
        setattr(provider, key, value)
    record(work, "supply.provider_updated", "provider", provider.id, name=given.name_en)
    return provider


def close_provider(work: Work, provider_id: uuid.UUID) -> Provider:
    """No new pools from this provider; the pools there are go on.

    Raises:
        NotFound: no such provider.
        Conflict: it is closed.
    """
    work.require(Role.OPERATOR)
    provider = _provider(work, provider_id)
    if provider.closed_at is not None:
        raise Conflict("the provider is closed")
    provider.closed_at = work.now
    record(work, "supply.provider_closed", "provider", provider.id)
    return provider


def get_provider(work: Work, provider_id: uuid.UUID) -> Provider:
    """One provider with its contact. Raises: NotFound: no such provider."""
    work.require(Role.OPERATOR, Role.AUDITOR)
    found = repository.find_provider(work.session, provider_id)
    if found is None:
        raise NotFound("there is no such provider", where="provider_id")
    return found


def list_providers(work: Work, page: PageRequest) -> Page[Provider]:
    """For every signed-in person: a survey asks for the preferred one. `show_provider` leaves the contact out.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    if work.actor.person_id is None and not work.actor.is_system:
        raise Unauthenticated("sign in first")
    return repository.providers(work.session, page)


def show_provider(work: Work, provider: Provider) -> ProviderOut:
    out = ProviderOut.model_validate(provider)
    return out if work.actor.sees_everything else out.model_copy(update={"contact": ""})


def _provider(work: Work, provider_id: uuid.UUID) -> Provider:
    provider = repository.find_provider(work.session, provider_id, lock=True)
    if provider is None:
        raise NotFound("there is no such provider", where="provider_id")
    return provider


def create_pool(work: Work, given: PoolIn) -> Pool:
    """Add a pool; a price in foreign money is turned into yen at the quoted rate, which stays beside it.

    Raises:
        Invalid: an unknown accelerator or area, a rate of a day to come, a price below one yen.
        NotFound: no such provider.
        Conflict: the provider is closed, or a pool has this name.
    """
    work.require(Role.OPERATOR)
    if _provider(work, given.provider_id).closed_at is not None:
        raise Conflict("the provider is closed", where="provider_id")
    if repository.pool_name_is_taken(work.session, given.name):
        raise Conflict(f"there is a pool {given.name!r} already", where="name")
    quoted = given.quoted
    if quoted is not None and quoted.fx_on > calendar.day_of(work.now):
        raise Invalid("the rate is of a day that has not come", where="quoted.fx_on")
    price = yen_price(quoted) if quoted else given.price_yen_per_gpu_hour
    pool = Pool(
        id=work.new_id(),
        provider_id=given.provider_id,
        name=given.name,
        accelerator=accelerator_name(given.accelerator),
        site=given.site,
        area=area_name(given.area),
        pue=given.pue,
        price_yen_per_gpu_hour=price,
        price_quoted=quoted.amount if quoted else None,
        currency=quoted.currency if quoted else "JPY",
        fx_yen_per_unit=quoted.fx_yen_per_unit if quoted else None,
        fx_on=quoted.fx_on if quoted else None,
        fx_source=quoted.fx_source if quoted else "",
        slurm_cluster=given.slurm_cluster,
        slurm_partition=given.slurm_partition,
        created_at=work.now,
        closed_at=None,
    )
    repository.add_pool(work.session, pool)
    record(work, "supply.pool_created", "pool", pool.id, name=pool.name, price_yen_per_gpu_hour=price)
    return pool


def change_pool(work: Work, pool_id: uuid.UUID, change: PoolChange) -> Pool:
    """Raises: NotFound: no such pool. Invalid: an unknown area. Conflict: it is closed."""
    work.require(Role.OPERATOR)
    pool = _open_pool(work, pool_id)
    given = change.model_dump(exclude_unset=True, exclude={"reason"})
    for key in ("site", "area"):
        if key in given and given[key] is None:
            raise Invalid("this cannot be left empty", where=key)
    if "area" in given:
        given["area"] = area_name(given["area"])
    before = {key: getattr(pool, key) for key in given}
    for key, value in given.items():
        setattr(pool, key, value)
    record(work, "supply.pool_changed", "pool", pool.id, reason=change.reason, before=before, after=given)
    return pool


def close_pool(work: Work, pool_id: uuid.UUID, reason: str) -> Pool:
    """No call can offer it any more; awards from it go on.

    Raises:
        NotFound: no such pool.
        Conflict: it is closed.
    """
    work.require(Role.OPERATOR)
    pool = _open_pool(work, pool_id)
    pool.closed_at = work.now
    record(work, "supply.pool_closed", "pool", pool.id, reason=reason)
    return pool


def _open_pool(work: Work, pool_id: uuid.UUID) -> Pool:
    pool = repository.find_pool(work.session, work.actor, pool_id, lock=True)
    if pool is None:
        raise NotFound(NO_POOL, where="pool_id")
    if pool.closed_at is not None:
        raise Conflict("the pool is closed")
    return pool


def create_lot(work: Work, pool_id: uuid.UUID, given: LotIn) -> Lot:
    """Raises: NotFound: no such pool. Invalid: delivered on a day to come. Conflict: the pool is closed."""
    work.require(Role.OPERATOR)
    pool = _open_pool(work, pool_id)
    if given.status is LotStatus.DELIVERED:
        _delivered_by_now(work, given.delivery_on)
    lot = Lot(id=work.new_id(), pool_id=pool.id, created_at=work.now, **given.model_dump())
    work.session.add(lot)
    work.session.flush()
    record(work, "supply.lot_created", "lot", lot.id, pool_id=str(pool.id), **given.model_dump(mode="json"))
    return lot


def change_lot(work: Work, lot_id: uuid.UUID, change: LotChange) -> Lot:
    """Record what became of a lot: contracted, delivered (on which day), late, smaller, ending at another day.

    Facts are taken as they are, also where awards then stand without GPUs: the shortfall view shows it.

    Raises:
        NotFound: no such lot.
        Invalid: a day order that cannot be, delivered on a day to come, an empty value.
        Conflict: a status that does not follow, or a delivered lot's size or delivery day.
    """
    work.require(Role.OPERATOR)
    lot = repository.find_lot(work.session, lot_id)
    if lot is None:
        raise NotFound("there is no such lot", where="lot_id")
    given = change.model_dump(exclude_unset=True, exclude={"reason"})
    for key in set(given) - {"contract_yen"}:
        if given[key] is None:
            raise Invalid("this cannot be left empty", where=key)
    status = change.status or lot.status
    if status is not lot.status and status not in NEXT[lot.status]:
        raise Conflict(f"a lot that is {lot.status} does not become {status}", where="status")
    if lot.status is LotStatus.CANCELLED:
        raise Conflict("the lot is cancelled", hint="add another one")
    if lot.status is LotStatus.DELIVERED and {"gpus", "delivery_on"} & set(given):
        raise Conflict("what was delivered, and when, is settled", hint="say that it ends earlier with `ends_on`")
    delivery_on, ends_on = given.get("delivery_on", lot.delivery_on), given.get("ends_on", lot.ends_on)
    if ends_on <= delivery_on:
        raise Invalid("`ends_on` must be after `delivery_on`", where="ends_on")
    if status is LotStatus.DELIVERED and lot.status is not LotStatus.DELIVERED:
        _delivered_by_now(work, delivery_on)
    before = {key: str(getattr(lot, key)) for key in given}
    for key, value in given.items():
        setattr(lot, key, value)
    after = {key: str(value) for key, value in given.items()}
    record(work, "supply.lot_changed", "lot", lot.id, reason=change.reason, before=before, after=after)
    return lot


def _delivered_by_now(work: Work, delivery_on: date) -> None:
    if delivery_on > calendar.day_of(work.now):
        raise Invalid("a lot cannot have been delivered on a day to come", where="delivery_on")


def list_lots(work: Work, pool_id: uuid.UUID) -> list[LotOut]:
    """Every lot of a pool by delivery.

    Raises:
        NotFound: no such pool, or none that this person may see.
    """
    get_pool(work, pool_id)
    return [show_lot(work, lot) for lot in repository.lots(work.session, [pool_id])]


def get_lot(work: Work, pool_id: uuid.UUID, lot_id: uuid.UUID) -> LotOut:
    """One lot of a pool. Raises: NotFound: no such pool or lot, or none that this person may see."""
    found = next((lot for lot in list_lots(work, pool_id) if lot.id == lot_id), None)
    if found is None:
        raise NotFound("there is no such lot", where="lot_id")
    return found


def show_lot(work: Work, lot: Lot) -> LotOut:
    out = LotOut.model_validate(lot)
    return out if work.actor.sees_everything else out.model_copy(update={"contract_yen": None})


def procurement_calendar(work: Work, first: date, last: date) -> list[CalendarEntry]:
    """Deliveries and ends of lots from day `first` to day `last`, by day; a late delivery is marked.

    Raises:
        Invalid: `last` is before `first`.
    """
    if last < first:
        raise Invalid("`last` must not be before `first`", where="last")
    today = calendar.day_of(work.now)
    entries = []
    for lot, pool in repository.lots_between(work.session, work.actor, first, last):
        late = lot.status is not LotStatus.DELIVERED and lot.delivery_on < today
        for event, on in (("delivery", lot.delivery_on), ("end", lot.ends_on)):
            if first <= on <= last:
                entries.append(
                    CalendarEntry(
                        on=on,
                        event=event,
                        pool_id=pool.id,
                        pool_name=pool.name,
                        lot=show_lot(work, lot),
                        is_overdue=late and event == "delivery",
                    )
                )
    return sorted(entries, key=lambda entry: (entry.on, entry.event, entry.pool_name, entry.lot.id))
