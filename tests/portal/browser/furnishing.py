"""What pages show and the season has none of: each is made once in a season's copy, when it is first asked for."""

from __future__ import annotations

import json
import math
import uuid
from datetime import timedelta

import sqlalchemy as sa
from tests.conftest import made_artifact

from kiban.kit.store import Store
from kiban.office.calls import drafting
from kiban.office.calls import service as calls
from kiban.office.calls.schemas import CallIn, PoolOffer
from kiban.office.members import invitations, tokens
from kiban.office.members.models import Person
from kiban.office.members.schemas import InvitationIn, TokenIn
from kiban.office.notices import preferences, webhooks
from kiban.office.notices.models import Channel, Notice
from kiban.office.notices.schemas import WebhookIn
from kiban.office.reports import milestones
from kiban.office.reports.schemas import KpiResult, ReportBody
from kiban.office.work import Actor, Role

from .season import Season

INVITED = "guest@example.jp"


def _actor(season: Season, who: str, role: Role) -> Actor:
    with season.office.work(read_only=True) as work:
        person = work.session.scalars(sa.select(Person).where(Person.email == season.email_of(who))).one()
        return Actor(person_id=person.id, organisation_id=person.organisation_id, roles=frozenset({role}))


def token(season: Season) -> uuid.UUID:
    """The applicant's, for a program."""
    person = _actor(season, "applicant", Role.APPLICANT).person_id
    given = TokenIn(name="夜間の利用実績の取得", scopes=["usage:read"])
    with season.office.work() as work:
        return tokens.create(work, given, person_id=person)[0].id


def webhook(season: Season) -> uuid.UUID:
    """The applicant's organisation's."""
    given = WebhookIn(url="https://hooks.example.co.jp/kiban", events=("grants.alert_raised",))
    with season.office.work(_actor(season, "applicant", Role.APPLICANT)) as work:
        return webhooks.create_webhook(work, given).webhook.id


def invitation_link(season: Season) -> str:
    with season.office.work(_actor(season, "operator", Role.OPERATOR)) as work:
        invitations.invite(work, InvitationIn(email=INVITED, roles=[Role.REVIEWER]))
    return season.mailed_link(INVITED, "/ja/invitation").removeprefix("/ja")


def unsubscribe_link(season: Season) -> str:
    """As in the newest mail to the applicant."""
    newest = sa.select(Notice).where(Notice.recipient == season.email_of("applicant"), Notice.channel == Channel.MAIL)
    with season.office.work() as work:
        for notice in work.session.scalars(newest.order_by(Notice.id.desc())):
            found = preferences.unsubscribe_link(work, notice)
            if found is not None:
                return found[0].url(season.office.settings, "ja").split("/ja", 1)[1]
    raise LookupError("no mail to the applicant can be unsubscribed from")


def draft_call(season: Season) -> uuid.UUID:
    """Next year's call, after the one that is open."""
    open_id = season.id_of("SELECT id FROM calls WHERE status = 'published'")
    with season.office.work(_actor(season, "operator", Role.OPERATOR)) as work:
        like = calls.show_call(work, calls.get_call(work, open_id))
        given = like.model_dump(include=set(CallIn.model_fields) - {"pools"})
        given |= {
            "code": "2027-1",
            "pools": [PoolOffer(pool_id=offer.pool_id, gpus=offer.gpus) for offer in like.pools],
            "opens_at": like.opens_at + timedelta(days=168),
            "closes_at": like.closes_at + timedelta(days=168),
        }
        return drafting.create_call(work, CallIn.model_validate(given)).id


def report_handed_in(season: Season) -> uuid.UUID:
    """Somebody's, which waits to be judged."""
    row = season.row_of(
        "SELECT r.id, r.version, p.email FROM milestone_reports r JOIN grants g ON g.id = r.grant_id "
        "JOIN people p ON p.organisation_id = g.organisation_id "
        "WHERE r.status = 'draft' AND p.email <> :applicant AND p.email LIKE 'lead@%' ORDER BY r.id",
        applicant=season.email_of("applicant"),
    )
    report_id = uuid.UUID(str(row.id))
    with season.office.work(_actor(season, row.email, Role.APPLICANT)) as work:
        shown = milestones.show_report(work, milestones.get_report(work, report_id))
        results = tuple(KpiResult(name=kpi.name, achieved=kpi.target) for kpi in shown.kpis)
        body = ReportBody(text="計画どおり学習を終え、評価の結果を公開した。", kpis=results)
        saved = milestones.save(work, report_id, body, row.version)
        milestones.submit(work, report_id, saved.version)
    return report_id


def artifacts(season: Season) -> tuple[str, str]:
    """The digests of two trained models in the store, with what they were made from and how good they are."""
    store = Store(season.office.settings.store)
    corpus = made_artifact(store, "example/corpus", stats={"documents": 48_120, "bytes": 96_468_992})
    made = []
    for name, rate in (("example", 0.003), ("example-slow", 0.001)):
        steps = [
            {"step": step, "tokens": 8_192 * step, "loss": 2.1 + 7.4 * math.exp(-step * rate * 8), "lr": rate}
            for step in range(1, 401)
        ]
        model = made_artifact(
            store,
            f"{name}/model",
            config={"learning_rate": rate, "depth": 6},
            inputs={"corpus": corpus},
            stats={"parameters": {"total": 4_982_784}, "tokens_trained": 3_276_800},
            files={"metrics.jsonl": "\n".join(map(json.dumps, steps))},
        )
        made.append(model.digest)
    return made[0], made[1]
