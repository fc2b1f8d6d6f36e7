"""Where the season's GPUs come from: providers, pools, lots that come on time or late, and the surveys of demand."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from decimal import Decimal

from kiban.office.season.cast import Organisation, Season
from kiban.office.season.clock import jst
from kiban.office.season.programme import LotOf, PoolOf, SurveyOf
from kiban.office.supply import demand, procurement
from kiban.office.supply.models import LotStatus
from kiban.office.supply.schemas import (
    AnswerIn,
    LotChange,
    LotIn,
    PoolIn,
    ProviderIn,
    QuotedPrice,
    SurveyIn,
)

RATE_SOURCE = "仮想の中心相場（デモ）"
ACCELERATORS = ("H100", "H200", "B200", "A100")


def plan_supply(season: Season) -> None:
    """Put all of it on the agenda; pools and lots come on the days the programme's file says."""
    providers = {}
    for key, of in season.programme.providers.items():
        with season.work(season.operator) as work:
            given = ProviderIn(name_ja=of.name_ja, name_en=of.name_en, contact=of.contact)
            providers[key] = procurement.create_provider(work, given).id
    for pool in season.programme.pools:
        season.agenda.at(jst(f"{pool.from_} 10:00"), _pool, season, pool, providers[pool.provider])
    for lot in season.programme.lots:
        season.agenda.at(jst(f"{lot.ordered} 11:00"), _lot, season, lot)
    for number, survey in enumerate(season.programme.surveys):
        at = jst(survey.opens) - timedelta(days=1)
        season.agenda.at(at, _survey, season, number, survey, providers)


def _pool(season: Season, of: PoolOf, provider_id: uuid.UUID) -> None:
    quoted = None
    if of.quoted is not None:
        amount, currency, rate, day = of.quoted
        quoted = QuotedPrice(
            amount=Decimal(amount),
            currency=currency,
            fx_yen_per_unit=Decimal(rate),
            fx_on=date.fromisoformat(day),
            fx_source=RATE_SOURCE,
        )
    given = PoolIn(
        provider_id=provider_id,
        name=of.name,
        accelerator=of.accelerator,
        site=of.site,
        area=of.area,
        pue=of.pue,
        price_yen_per_gpu_hour=of.yen,
        quoted=quoted,
        slurm_cluster=of.cluster,
        slurm_partition=of.name,
    )
    with season.work(season.operator) as work:
        season.pools[of.name] = procurement.create_pool(work, given).id


def _lot(season: Season, of: LotOf) -> None:
    promised, until = date.fromisoformat(of.promised), date.fromisoformat(of.until)
    with season.work(season.operator) as work:
        pool = next(each for each in season.programme.pools if each.name == of.pool)
        given = LotIn(name=of.name, gpus=of.gpus, delivery_on=promised, ends_on=until)
        lot_id = procurement.create_lot(work, season.pools[pool.name], given).id
    price = pool.yen or 500
    if of.contracted is not None:
        yen = of.gpus * price * 24 * (until - promised).days * 9 // 10
        contract = LotChange(status=LotStatus.CONTRACTED, contract_yen=yen, reason="契約を締結した")
        season.agenda.at(jst(f"{of.contracted} 15:00"), _change, season, lot_id, contract)
    if of.delivered is not None:
        delivered = date.fromisoformat(of.delivered)
        words = (
            "検収を終えた" if delivered <= promised else f"約束の日から{(delivered - promised).days}日遅れて検収した"
        )
        change = LotChange(status=LotStatus.DELIVERED, delivery_on=delivered, reason=words)
        season.agenda.at(jst(f"{of.delivered} 09:30"), _change, season, lot_id, change)


def _change(season: Season, lot_id: uuid.UUID, change: LotChange) -> None:
    with season.work(season.operator) as work:
        procurement.change_lot(work, lot_id, change)


def _survey(season: Season, number: int, of: SurveyOf, providers: dict[str, uuid.UUID]) -> None:
    opens, closes = jst(of.opens), jst(of.closes)
    with season.work(season.operator) as work:
        given = SurveyIn(title_ja=of.title_ja, title_en=of.title_en, opens_at=opens, closes_at=closes)
        survey_id = demand.create_survey(work, given).id
    chance = season.random("survey", number)
    hours = int((closes - opens).total_seconds() // 3600)
    for organisation in season.organisations.values():
        if chance.random() < 0.3:
            continue
        answer = AnswerIn(
            accelerator=ACCELERATORS[min(3, int(chance.expovariate(1.1)))],
            gpus=8 * chance.choice((1, 2, 4, 4, 8, 8, 16, 32)),
            start_month=of.first_month,
            months=chance.choice((3, 6, 6, 12)),
            preferred_provider_id=chance.choice((None, *providers.values())),
            can_procure_itself=chance.random() < (0.5 if organisation.of.size == "large" else 0.12),
            purpose="事前学習と評価" if chance.random() < 0.6 else "既存モデルの追加学習",
        )
        at = opens + timedelta(hours=chance.randrange(1, hours))
        season.agenda.at(at, _answer, season, survey_id, organisation, answer)


def _answer(season: Season, survey_id: uuid.UUID, organisation: Organisation, given: AnswerIn) -> None:
    with season.work(organisation.lead.actor) as work:
        demand.answer_survey(work, survey_id, given)
