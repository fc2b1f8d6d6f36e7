"""What everybody may see: the front page, figures, supply, open data, search; and the office's forms of the supply."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from tests.office.conftest import Rows

from kiban.office.calls.models import CallStatus
from kiban.office.ledger import service
from kiban.office.ledger.accounts import YEN, budget, source
from kiban.office.ledger.models import CauseKind
from kiban.office.ledger.service import Entry, Move
from kiban.office.members.models import Person
from kiban.office.office import Office
from kiban.office.reports.open_data import TABLES
from kiban.office.work import Role

from ..conftest import BrowserOf

HOSTILE = "<script>alert('a')</script>"


@pytest.fixture
def published(office: Office, rows: Rows) -> str:
    """A public call with a budget, and one that is a draft."""
    pool = rows.pool(name="ishikari")
    call = rows.call(pool, title_ja=f"公開ｶﾞｽ{HOSTILE}", published_at=office.clock())
    rows.call(pool, title_ja="秘密ガス", status=CallStatus.DRAFT, published_at=None)
    with office.work() as work:
        move = Move(budget(call.id, YEN), source(YEN), 2_900_000_000, memo="")
        service.post(work, Entry(CauseKind.APPROPRIATION, str(call.id), (move,)))
    return str(call.id)


def test_a_citizen_follows_the_budget(browser: TestClient, browser_of: BrowserOf, published: str) -> None:
    front = browser.get("/ja").text
    assert "29億円" in front
    assert 'href="/ja/figures/budget.yen"' in front
    assert "秘密" not in front
    assert "<script>alert" not in front
    figure = browser.get("/ja/figures/budget.yen").text
    assert 'value="2900000000"' in figure
    assert f"/ja/calls/{published}" in figure
    assert "/ledger/postings/" not in figure
    assert 'href="/ja/ledger/postings/1"' in browser_of(Role.AUDITOR).get("/ja/figures/budget.yen").text


def test_only_the_office_reads_of_late_grants(browser: TestClient, browser_of: BrowserOf, published: str) -> None:
    assert browser.get("/ja/figures/grants.late").headers["location"].startswith("/ja/sign-in")
    assert browser_of(Role.APPLICANT).get("/ja/figures/grants.late").status_code == 403
    assert browser_of(Role.OBSERVER).get("/ja/figures/grants.late").status_code == 200
    assert browser.get("/ja/figures/nothing.yen").status_code in (303, 404)


def test_open_data_is_for_everybody(browser: TestClient, published: str) -> None:
    page = browser.get("/en/open-data").text
    links = set(re.findall(r'href="(/en/open-data/files/[^"]+)"', page))
    assert len(links) == 2 * len(TABLES) + 2
    archive = zipfile.ZipFile(io.BytesIO(browser.get("/en/open-data/files/open-data.zip").content))
    for link in links - {"/en/open-data/files/open-data.zip"}:
        answer = browser.get(link)
        assert answer.status_code == 200
        name = link.rpartition("/")[2]
        assert answer.content == archive.read(name)
    assert "秘密" not in archive.read("calls.csv").decode()
    assert browser.get("/en/open-data/files/people.csv").status_code == 404


def test_a_search_finds_what_one_may_read(browser: TestClient, browser_of: BrowserOf, published: str) -> None:
    found = browser.get("/ja/search?q=ガス").text
    assert f"/ja/calls/{published}" in found
    assert "<mark>ｶﾞｽ</mark>" in found or "ｶﾞｽ" in found
    assert "<script>alert" not in found
    assert "秘密" not in found
    assert "秘密<mark>ガス</mark>" in browser_of(Role.OPERATOR).get("/ja/search?q=ｶﾞｽ").text
    assert "<mark>ishi</mark>kari" in browser.get("/ja/search?q=ＩＳＨＩ&kind=pool").text
    assert browser.get("/ja/search?q=").status_code == 200
    assert "figures/budget.yen" in browser.get("/ja/search?q=予算").text
    assert "kind=proposal" not in found, "the public finds none of these"
    assert "kind=proposal" in browser_of(Role.OPERATOR).get("/ja/search?q=ガス").text


def test_an_officer_enters_supply_and_a_mistake_keeps_what_was_typed(browser_of: BrowserOf, rows: Rows) -> None:
    office = browser_of(Role.OPERATOR)
    token = {"csrf_token": office.csrf_token}  # type: ignore[attr-defined]
    office.post("/ja/supply/providers/new", data=token | {"name_ja": "提供者", "name_en": "Provider"})
    form = office.get("/ja/supply/new-pool").text
    provider = re.search(r'<option value="([0-9a-f-]{36})"', form)
    assert provider is not None
    given = token | {
        "provider_id": provider[1],
        "name": "oita-h100",
        "accelerator": "H100",
        "site": "大分",
        "area": "九州",
        "quoted.amount": "",
    }
    wrong = office.post("/ja/supply/new-pool", data=given)
    assert wrong.status_code == 422
    assert "oita-h100" in wrong.text
    made = office.post("/ja/supply/new-pool", data=given | {"price_yen_per_gpu_hour": "４２８"})
    assert made.status_code == 303
    place = made.headers["location"].partition("?")[0]
    lot = {"name": "第1", "status": "planned", "gpus": "64", "delivery_on": "2030-04-01", "ends_on": "2032-04-01"}
    assert office.post(f"{place}/lots/new", data=token | lot).status_code == 303
    shown = office.get(place).text
    assert "428円" in shown
    change = re.search(rf'href="({place}/lots/[0-9a-f-]+/edit)"', shown)
    assert change is not None
    changed = token | lot | {"status": "contracted", "contract_yen": "1億円", "reason": "契約"}
    assert office.post(change[1], data=changed).status_code == 303
    assert "1億円" in office.get(place).text
    assert browser_of(Role.APPLICANT).get("/ja/supply/new-pool").status_code == 403


def test_an_organisation_answers_a_survey(browser_of: BrowserOf, office: Office, rows: Rows) -> None:
    officer = browser_of(Role.OPERATOR)
    token = {"csrf_token": officer.csrf_token}  # type: ignore[attr-defined]
    survey = {"title_ja": "調査", "title_en": "Survey", "opens_at": "2020-01-01T10:00", "closes_at": "2099-01-01T10:00"}
    made = officer.post("/ja/demand/new", data=token | survey)
    place = made.headers["location"].partition("?")[0]
    member = browser_of(Role.APPLICANT)
    organisation = rows.organisation().id
    with office.work() as work:
        work.session.execute(sa.update(Person).values(organisation_id=organisation))
    own = {"csrf_token": member.csrf_token}  # type: ignore[attr-defined]
    answer = {
        "accelerator": "H100",
        "gpus": "１２８",
        "start_month": "2027-04",
        "months": "3",
        "can_procure_itself": "false",
    }
    assert member.post(f"{place}/answers", data=own | answer | {"gpus": "0"}).status_code == 422
    assert member.post(f"{place}/answers", data=own | answer).status_code == 303
    assert "128" in member.get(place).text
    assert "2027-06" in officer.get(place).text
    assert member.post(f"{place}/withdrawal", data=own | {"accelerator": "H100"}).status_code == 303
    assert officer.post(f"{place}/closing", data=token | {"reason": "早期"}).status_code == 303
    assert member.post(f"{place}/answers", data=own | answer).status_code == 409
