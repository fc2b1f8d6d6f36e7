"""A programme from an empty database to its report, through the API, the command line and a real Slurm."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.engines.slurm.conftest import RealSlurm, real
from tests.office.conftest import empty_database_url, postgresql_server

from kiban.office import months
from kiban.office.members import roles, service, tokens
from kiban.office.members.policy import SCOPES
from kiban.office.members.schemas import PersonIn, TokenIn
from kiban.office.notices.models import Notice
from kiban.office.office import Office
from kiban.office.settings import Settings
from kiban.office.work import Role
from kiban.portal.app import create_app

__all__ = ["empty_database_url", "postgresql_server", "real"]
pytestmark = [pytest.mark.slow, pytest.mark.slurm]

PASSWORD = "誰も知らない長い合言葉を使う 4312"
USER = "games"  # a Unix user of every Debian machine


class Programme:
    """An office whose clock a test sets, and the people who use its API."""

    def __init__(self, database_url: str, home: Path) -> None:
        self.behind = timedelta(days=40)
        settings = Settings(home=home, store=home, database_url=database_url, cookie_secure=False, password_cost=1)
        self.office = Office(settings, clock=lambda: datetime.now(UTC) - self.behind)
        self.app = create_app(self.office)
        # The office's own commands read the same settings; their clock is the system's.
        self.environment = os.environ | {
            "KIBAN_HOME": str(home),
            "KIBAN_STORE": str(home),
            "KIBAN_DATABASE_URL": database_url,
        }

    def now(self) -> datetime:
        return self.office.clock()

    def client(self, **headers: str) -> TestClient:
        return TestClient(self.app, headers=headers, base_url="http://kiban.test")

    def holder(self, email: str, name: str, *given: Role) -> TestClient:
        """Somebody of the office with a token, as its terminal makes them."""
        with self.office.work() as work:
            person = service.add_person(work, PersonIn(email=email, name=name))
            for role in given:
                roles.grant(work, person.id, role)
            _, token = tokens.create(work, TokenIn(name="journey", scopes=sorted(SCOPES)), person_id=person.id)
        return self.client(Authorization=f"Bearer {token}")

    def invited(self, operator: TestClient, email: str, name: str, organisation: str) -> TestClient:
        """An applicant who follows the link in the mail and signs in with a password."""
        done(operator.post("/api/v1/members/invitations", json={
            "email": email, "organisation_id": organisation, "roles": ["applicant"]}))  # fmt: skip
        with self.office.work(read_only=True) as work:
            body = work.session.scalars(sa.select(Notice.body).where(Notice.recipient == email)).one()
        link = re.search(r"/invitation\?token=(\S+)", body)
        assert link is not None
        client = self.client()
        account = {"name": name, "password": PASSWORD}
        done(client.post("/api/v1/members/invitations/acceptance", json={"token": link[1], "account": account}))
        signed_in = done(client.post("/api/v1/auth/sign-in", json={"email": email, "password": PASSWORD}))
        client.headers["X-CSRF-Token"] = signed_in["csrf_token"]
        return client

    def kiban(self, *words: str) -> Any:
        """What a command of the office prints with --json."""
        command = [sys.executable, "-m", "kiban", "office", *words, "--json"]
        finished = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)


def done(response: Any) -> Any:
    assert response.is_success, response.text
    return response.json() if response.content else None


@pytest.fixture
def programme(empty_database_url: str, tmp_path: Path) -> Iterator[Programme]:
    made = Programme(empty_database_url, tmp_path)
    yield made
    made.office.close()


def body(pool: str, month: str) -> dict[str, Any]:
    """A small Japanese model, from scratch."""
    return {
        "title": "製造現場の日本語小型モデル",
        "theme": "manufacturing",
        "summary": "工場の保全記録を読み解く小型の日本語モデルを一から学習し、重みと評価を公開する。" * 3,
        "training": {
            "model": {
                "shape": {
                    "hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4,
                    "intermediate_size": 1536, "vocab_size": 32000,
                }
            },
            "tokens": 200_000_000,
        },
        "data": [{
            "name": "保全記録", "owner": "自社", "licence": "自社保有", "rights": "自社が作成", "tokens": 200_000_000,
            "is_on_internet": False,
        }],
        "safety": "有害表現と個人情報の出力を公開前に測定し、結果をモデルカードに記載する。" * 2,
        "openness": {"weights": True, "code": True, "report": True, "licence": "Apache-2.0"},
        "milestones": [{
            "key": "halfway", "title": "中間評価", "due_month": month,
            "kpis": [{"name": "bits per byte", "target": 1.1}],
        }],
        "team": [{"name": "佐藤", "email": "sato@maker.example.jp", "role": "責任者"}],
        "tiers": [{
            "key": "minimum", "gpus": 8, "months": 1, "gpu_hours": 1, "pool_ids": [pool], "start_months": [month],
            "text": "評価まで到達できる最小の規模",
        }],
    }  # fmt: skip


def test_from_an_empty_database_to_the_report(programme: Programme, real: RealSlurm) -> None:
    programme.kiban("migrate")
    operator = programme.holder("operator@office.example.jp", "事務局", Role.OPERATOR)
    second = programme.holder("second@office.example.jp", "事務局長", Role.OPERATOR)
    auditor = programme.holder("auditor@office.example.jp", "監査", Role.AUDITOR)
    reviewers = [programme.holder(f"r{n}@univ.example.jp", f"審査員{n}", Role.REVIEWER) for n in (1, 2)]

    # Supply and a call. Its code names the account on the cluster, which remembers those of earlier runs.
    code = f"J{time.time_ns() // 10**6:x}"
    cluster = real.slurm("scontrol", "show", "config").split("ClusterName")[1].split("=")[1].split()[0]
    provider = done(operator.post("/api/v1/supply/providers", json={"name_ja": "計算", "name_en": "Compute"}))
    pool = done(operator.post("/api/v1/supply/pools", json={
        "provider_id": provider["id"], "name": "gpu-a", "accelerator": "H100", "site": "石狩", "area": "北海道",
        "price_yen_per_gpu_hour": 400, "slurm_cluster": cluster, "slurm_partition": "gpu-a"}))["id"]  # fmt: skip
    month = months.month_of(datetime.now(UTC))
    last = months.first_day(months.add(month, 12))
    done(operator.post(f"/api/v1/supply/pools/{pool}/lots", json={
        "name": "第1", "gpus": 8, "delivery_on": "2026-01-01", "ends_on": str(last),
        "status": "delivered"}))  # fmt: skip
    call = done(operator.post("/api/v1/calls", json={
        "code": code, "cycle": "第1期", "title_ja": "基盤モデル開発支援", "title_en": "Foundation models",
        "text_ja": "公募", "text_en": "A call", "budget_yen": 1_000_000,
        "opens_at": (programme.now() - timedelta(hours=1)).isoformat(),
        "closes_at": (programme.now() + timedelta(days=5)).isoformat(), "first_month": month, "months": 2,
        "themes": [{"key": "manufacturing", "name_ja": "製造", "name_en": "Manufacturing"}],
        "rubric": [{"key": "performance", "name_ja": "性能", "name_en": "Performance", "weight": 2},
                   {"key": "openness", "name_ja": "公開度", "name_en": "Openness", "weight": 1}],
        "tracks": [{"key": "panel", "name_ja": "審査会", "name_en": "Panel", "kind": "panel"}],
        "reviews_per_proposal": 2, "pools": [{"pool_id": pool, "gpus": 8}]}))["id"]  # fmt: skip
    assert done(operator.get(f"/api/v1/calls/{call}/problems")) is not None
    done(operator.post(f"/api/v1/calls/{call}/publish"))

    # An applicant comes by invitation and hands a proposal in.
    maker = done(operator.post("/api/v1/members/organisations", json={
        "name_ja": "製造社", "name_en": "Maker", "kind": "startup", "size": "small",
        "domain": "manufacturing"}))  # fmt: skip
    applicant = programme.invited(operator, "sato@maker.example.jp", "佐藤", maker["id"])
    draft = done(applicant.post("/api/v1/proposals", json={"call_id": call, "body": body(pool, month)}))
    proposal = draft["id"]
    assert draft["gaps"] == []
    assert draft["plan"]
    receipt = done(applicant.post(f"/api/v1/proposals/{proposal}/submit", json={"version": draft["version"]}))
    assert receipt["receipt"] == f"{code}-0001"
    done(operator.post(f"/api/v1/calls/{call}/close", json={"reason": "応募が揃ったため"}))

    # Reviews.
    assert done(operator.post(f"/api/v1/reviews/calls/{call}/conflicts")) is not None
    done(operator.post(f"/api/v1/reviews/calls/{call}/assignments", json={"track": "panel"}))
    for reviewer in reviewers:
        (mine,) = done(reviewer.get("/api/v1/reviews/assignments/mine"))["items"]
        path = f"/api/v1/reviews/assignments/{mine['id']}/review"
        text = "計画は具体的で、必要な計算量も妥当である。公開の範囲も明確である。" * 4
        scores = {"performance": 4, "openness": 5}
        review = {"version": 0, "submission": 1, "scores": scores, "confidence": 4, "text_to_applicant": text}
        saved = done(reviewer.put(path, json=review))
        done(reviewer.post(f"{path}/submit", json={"version": saved["version"]}))

    # Awards, by four eyes.
    study = done(operator.post(f"/api/v1/awards/calls/{call}/studies", json={"draws": 5}))
    given = {"study_id": study["id"], "objective": "merit", "reason": "審査会の決定による"}
    done(operator.post(f"/api/v1/awards/calls/{call}/decision", json=given))
    assert operator.post(f"/api/v1/awards/calls/{call}/decision/approve").status_code == 403
    done(second.post(f"/api/v1/awards/calls/{call}/decision/approve"))
    done(operator.post(f"/api/v1/awards/calls/{call}/decision/announce"))
    assert "製造現場の日本語小型モデル" in applicant.get(f"/api/v1/awards/proposals/{proposal}/letter").text

    # Months later the grant has begun: a real account with half of the hour.
    programme.behind = timedelta(0)
    signed_in = done(applicant.post("/api/v1/auth/sign-in", json={
        "email": "sato@maker.example.jp", "password": PASSWORD}))  # fmt: skip
    applicant.headers["X-CSRF-Token"] = signed_in["csrf_token"]
    (grant,) = done(applicant.get("/api/v1/grants"))["items"]
    path, account = f"/api/v1/grants/{grant['id']}", grant["code"]
    done(applicant.post(f"{path}/users", json={"user_name": USER}))
    programme.kiban("grants", "release")
    programme.kiban("grants", "cluster")

    # A job runs; what is left does not carry the next one; an accepted report frees it.
    first = real.submit(USER, account, "--gres=gpu:8", "--partition=gpu-a", script="sleep 25")
    real.wait(first, "COMPLETED", seconds=60)
    assert "AssocGrpGRESMinutes" in real.submit(USER, account, "--gres=gpu:8", "--time=4", "--partition=gpu-a")
    waiting = real.submit(USER, account, "--gres=gpu:7", "--time=4", "--partition=gpu-a", script="sleep 1")
    real.wait(waiting, "PENDING (AssocGrpGRESMinutes", "PENDING AssocGrpGRESMinutes", seconds=60)
    programme.kiban("usage", "sync")
    standing = done(applicant.get(path))["standing"]
    assert 8 * 25 <= standing["used"]["gpu_seconds"] < 1_800
    assert standing["used"]["gpu_seconds"] + standing["available"]["gpu_seconds"] == 1_800
    report(applicant, operator, grant["id"])
    assert done(applicant.get(path))["standing"]["committed"]["gpu_seconds"] == 0
    programme.kiban("grants", "cluster")
    real.wait(waiting, "COMPLETED", seconds=60)
    programme.kiban("usage", "sync")
    programme.kiban("usage", "sync")

    # The books, and the auditor's way from a figure to its postings.
    records = done(auditor.get("/api/v1/usage/records", params={"grant_id": grant["id"]}))["items"]
    used = done(auditor.get(path))["standing"]["used"]
    assert len(records) == 2
    assert used["gpu_seconds"] == sum(record["gpu_seconds"] for record in records)
    (held,) = done(auditor.get("/api/v1/ledger/accounts", params={
        "grant_id": grant["id"], "kind": "used", "unit": "yen"}))["items"]  # fmt: skip
    postings = done(auditor.get("/api/v1/ledger/postings", params={"account": held["number"]}))["items"]
    assert sum(posting["amount"] for posting in postings) == held["balance"] == used["yen"]
    verified = programme.kiban("ledger", "verify")
    assert verified["ok"]
    assert verified["postings"] >= 10
    assert programme.kiban("report", "figures")


def report(applicant: TestClient, operator: TestClient, grant: str) -> None:
    """The milestone's report: written, handed in, accepted."""
    (due,) = done(applicant.get("/api/v1/reports/milestones", params={"grant_id": grant}))["items"]
    path = f"/api/v1/reports/milestones/{due['id']}"
    text = {
        "text": "学習を開始し、中間の評価を終えた。" * 3,
        "next_steps": "後半の学習を行う。",
        "kpis": [{"name": "bits per byte", "achieved": 1.15}],
    }
    saved = done(applicant.put(path, json={"version": due["version"], "body": text}))
    done(applicant.post(f"{path}/submit", json={"version": saved["version"]}))
    done(operator.post(f"{path}/accept", json={"remark": "計画どおりである"}))
