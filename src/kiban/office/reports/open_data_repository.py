"""Rows of the open-data export: public facts alone, in a stable order."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kiban.office.awards.models import Award, Decision, DecisionStatus
from kiban.office.calls.models import Call, CallPool, CallStatus
from kiban.office.grants.models import Grant
from kiban.office.ledger.accounts import JOULES, YEN
from kiban.office.ledger.models import Account, AccountKind, Posting
from kiban.office.members.models import Organisation
from kiban.office.months import month_of_day
from kiban.office.proposals.models import Proposal
from kiban.office.reports.models import Event, ModelRelease
from kiban.office.reports.sums import day_in_japan
from kiban.office.supply.models import Pool, Provider

Row = dict[str, Any]
_DECIDED = (CallStatus.DECIDED, CallStatus.ARCHIVED)


def calls(session: Session) -> Iterator[Row]:
    """Published calls; how many proposals came is told of decided ones."""
    announced = (
        sa.select(Award.call_id, sa.func.count(), sa.func.sum(Award.yen))
        .join(Decision, Decision.id == Award.decision_id)
        .where(Decision.status == DecisionStatus.ANNOUNCED)
        .group_by(Award.call_id)
    )
    sums = {call_id: (int(count), int(yen)) for call_id, count, yen in session.execute(announced)}
    for call in session.scalars(sa.select(Call).where(Call.published_at.is_not(None)).order_by(Call.code)):
        decided = call.status in _DECIDED
        awards, yen = sums.get(call.id, (0, 0))
        yield {
            "call": call.code,
            "cycle": call.cycle,
            "title_ja": call.title_ja,
            "title_en": call.title_en,
            "budget_yen": call.budget_yen,
            "opens_at": call.opens_at,
            "closes_at": call.closes_at,
            "first_month": call.first_month,
            "months": call.months,
            "status": call.status.value,
            "decided_at": call.decided_at,
            "proposals": call.places_taken if decided else None,
            "awards": awards if decided else None,
            "awarded_yen": yen if decided else None,
        }


def awards(session: Session) -> Iterator[Row]:
    """Announced ones."""
    statement = (
        sa.select(Award, Call.code, Organisation, Proposal.title, Proposal.theme, Pool.name, Grant.code)
        .join(Decision, Decision.id == Award.decision_id)
        .join(Call, Call.id == Award.call_id)
        .join(Organisation, Organisation.id == Award.organisation_id)
        .join(Proposal, Proposal.id == Award.proposal_id)
        .join(Pool, Pool.id == Award.pool_id)
        .outerjoin(Grant, Grant.award_id == Award.id)
        .where(Decision.status == DecisionStatus.ANNOUNCED)
        .order_by(Award.id)
    )
    for award, call, organisation, title, theme, pool, grant in session.execute(statement):
        yield {
            "grant": grant,
            "call": call,
            "title": title,
            "theme": theme,
            "organisation_ja": organisation.name_ja,
            "organisation_en": organisation.name_en,
            "organisation_kind": organisation.kind.value,
            "organisation_size": organisation.size.value,
            "domain": organisation.domain,
            "pool": pool,
            "start_month": award.start_month,
            "months": award.months,
            "gpus": award.gpus,
            "gpu_hours": award.gpu_seconds / 3600,
            "yen": award.yen,
            "by_lottery": award.by_lottery,
        }


def usage(session: Session) -> Iterator[Row]:
    """What each grant used in each month in Japan, as posted: refunds count where they were made."""
    names = {pool.id: pool.name for pool in session.scalars(sa.select(Pool))}
    codes: dict[uuid.UUID | None, str] = {grant.id: grant.code for grant in session.scalars(sa.select(Grant))}
    sums: defaultdict[tuple[str, str], defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    day = day_in_japan(Posting.at)
    for column, sign in ((Posting.debit_account, 1), (Posting.credit_account, -1)):
        statement = (
            sa.select(Account.grant_id, Posting.unit, day, sa.func.sum(Posting.amount))
            .join(Account, Account.number == column)
            .where(Account.kind == AccountKind.USED)
            .group_by(Account.grant_id, Posting.unit, day)
        )
        for grant_id, unit, when, amount in session.execute(statement):
            sums[codes.get(grant_id, str(grant_id)), month_of_day(when)][unit] += sign * int(amount)
    for (grant, month), units in sorted(sums.items()):
        pools = sorted(unit for unit in units if unit.startswith("gpu_s:"))
        for position, unit in enumerate(pools or [""]):
            yield {
                "grant": grant,
                "month": month,
                "pool": names.get(uuid.UUID(unit.removeprefix("gpu_s:"))) if unit else None,
                "gpu_hours": units[unit] / 3600 if unit else 0.0,
                # Yen and energy are the grant's, not a pool's: they stand in its first row of the month.
                "yen": units.get(YEN, 0) if position == 0 else 0,
                "kwh": units.get(JOULES, 0) / 3.6e6 if position == 0 else 0.0,
            }


def models(session: Session) -> Iterator[Row]:
    statement = sa.select(ModelRelease, Grant.code).join(Grant, Grant.id == ModelRelease.grant_id)
    for release, grant in session.execute(statement.order_by(ModelRelease.id)):
        stated = release.card.get("source") != "artifact"
        yield {
            "model": str(release.id),
            "grant": grant,
            "name": release.name,
            "licence": release.licence,
            "url": release.url or None,
            "artifact_sha256": None if stated else release.artifact_digest,
            "parameters": release.parameters,
            "tokens": release.tokens,
            "source": "stated by the grantee" if stated else "artifact",
            "released_on": release.released_on,
        }


def scores(session: Session) -> Iterator[Row]:
    """Scores of the models, and those of reference models beside them."""
    for release in session.scalars(sa.select(ModelRelease).order_by(ModelRelease.id)):
        for score in release.scores:
            base = {"model": str(release.id), "task": score["task"], "metric": score["metric"]}
            yield base | _score(release.name, score, score.get("source", ""), score.get("not_measured") or None)
            for reference in score.get("references") or ():
                yield base | _score(reference["name"], reference, reference.get("source") or "measured beside", None)


def _score(name: str, given: dict[str, Any], source: str, why: str | None) -> Row:
    low, high = given.get("ci95") or (None, None)
    return {
        "scored": name,
        "value": given.get("value"),
        "n": given.get("n"),
        "ci95_low": low,
        "ci95_high": high,
        "source": source,
        "not_measured": why,
    }


def events(session: Session) -> Iterator[Row]:
    """The programme's own, and those of published calls and their grants."""
    statement = (
        sa.select(Event, Call.code)
        .outerjoin(Call, Call.id == Event.call_id)
        .where(sa.or_(Event.call_id.is_(None), Call.published_at.is_not(None)))
    )
    for event, call in session.execute(statement.order_by(Event.held_on, Event.id)):
        yield {
            "held_on": event.held_on,
            "kind": event.kind,
            "title_ja": event.title_ja,
            "title_en": event.title_en,
            "call": call,
            "people": event.people,
            "people_trained": event.people_trained,
        }


def pools(session: Session) -> Iterator[Row]:
    """Those that published calls offered."""
    offered = sa.select(CallPool.pool_id).join(Call, Call.id == CallPool.call_id).where(Call.published_at.is_not(None))
    statement = sa.select(Pool, Provider).join(Provider, Provider.id == Pool.provider_id)
    statement = statement.where(Pool.id.in_(offered)).order_by(Pool.name)
    for pool, provider in session.execute(statement):
        yield {
            "pool": pool.name,
            "provider_ja": provider.name_ja,
            "provider_en": provider.name_en,
            "accelerator": pool.accelerator,
            "site": pool.site,
            "area": pool.area,
            "pue": pool.pue,
            "price_yen_per_gpu_hour": pool.price_yen_per_gpu_hour,
        }
