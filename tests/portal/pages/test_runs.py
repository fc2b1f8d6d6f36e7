"""Artifacts' pages: who sees what, what of a manifest is shown, and stores that are damaged or hostile."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.office.grants.conftest import funded
from tests.office.reports.conftest import Running, running

from kiban.kit.store import Artifact
from kiban.office.members.models import Person
from kiban.office.members.sessions import cookie_name, open_session
from kiban.office.office import Office
from kiban.office.work import Role

from ..conftest import BrowserOf
from .shelf import SECRET, Shelf

__all__ = ["funded", "running"]


@pytest.fixture
def shelf(office: Office, running: Running, put_artifact: Callable[..., Artifact]) -> Shelf:
    return Shelf(office, running, put_artifact)


@pytest.fixture
def grantee(app: FastAPI, office: Office, running: Running) -> TestClient:
    """A browser of the grant's own applicant."""
    with office.work() as work:
        person = work.session.get_one(Person, running.member.person_id)
        opened = open_session(work, person, is_strong=True, replaces=None, user_agent="test")
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    client.cookies.set(cookie_name(office.settings), opened.cookie)
    return client


def statuses(client: TestClient, shelf: Shelf, end: str = "") -> dict[str, int]:
    shown = {each.kind: each for each in (shelf.corpus, shelf.model, shelf.evaluation, shelf.card)}
    shown |= {f"others' {kind}": each for kind, each in shelf.others.items()}
    return {name: client.get(f"/ja/runs/{each.digest}{end}").status_code for name, each in shown.items()}


def test_everybody_sees_of_a_release_what_was_recorded_with_it(
    browser: TestClient, browser_of: BrowserOf, shelf: Shelf
) -> None:
    assert set(statuses(browser, shelf).values()) == {303}  # to sign in: nothing is public yet
    shelf.release(shelf.model, shelf.evaluation)
    public = {"model": 200, "evaluation": 200, "card": 200}
    assert statuses(browser, shelf) == public | {"corpus": 303, "others' evaluation": 303, "others' card": 303}
    stranger = browser_of(Role.APPLICANT)
    assert statuses(stranger, shelf) == public | {"corpus": 404, "others' evaluation": 404, "others' card": 404}
    assert stranger.get(f"/ja/runs/{shelf.model.digest}/files/weights.bin").status_code == 404
    listed = set(re.findall(r"/ja/runs/([0-9a-f]{64})", stranger.get("/ja/runs").text))
    assert listed == {shelf.model.digest, shelf.evaluation.digest, shelf.card.digest}
    assert browser.get("/ja/runs/" + "0" * 64).status_code == 303  # as what is there and is not public


def test_a_grants_people_see_what_its_jobs_made_and_from_what(grantee: TestClient, shelf: Shelf) -> None:
    assert set(statuses(grantee, shelf).values()) == {404}
    shelf.made_by_a_job(shelf.model)
    seen = [name for name, status in statuses(grantee, shelf).items() if status == 200]
    assert seen == ["corpus", "model"]
    saved = grantee.get(f"/ja/runs/{shelf.model.digest}/files/weights.bin")
    assert (saved.status_code, saved.text) == (200, "w")
    assert saved.headers["content-disposition"].startswith("attachment")
    # What the model was made from may be others' material.
    assert grantee.get(f"/ja/runs/{shelf.corpus.digest}/files/data.txt").status_code == 404


def test_to_release_a_model_gives_nobody_its_files(grantee: TestClient, shelf: Shelf) -> None:
    shelf.release(shelf.model, None)
    assert grantee.get(f"/ja/runs/{shelf.model.digest}").status_code == 200
    assert grantee.get(f"/ja/runs/{shelf.model.digest}/files/weights.bin").status_code == 404


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_the_office_sees_everything_and_takes_files(browser_of: BrowserOf, shelf: Shelf, role: Role) -> None:
    client = browser_of(role)
    assert set(statuses(client, shelf).values()) == {200}
    path = f"/ja/runs/{shelf.model.digest}/files"
    assert client.get(f"{path}/weights.bin").status_code == 200
    for odd in ("..%2f..%2fnames%2fhinoki%2fmodel", "manifest.json", "%2fetc%2fpasswd", "weights.bin%00"):
        assert client.get(f"{path}/{odd}").status_code in (400, 404)


def test_a_page_shows_settings_without_folders_and_nothing_of_it_runs(browser_of: BrowserOf, shelf: Shelf) -> None:
    client = browser_of(Role.OPERATOR)
    corpus = client.get(f"/ja/runs/{shelf.corpus.digest}").text
    assert "…/manuals" in corpus
    assert SECRET not in corpus
    assert "<script>alert" not in corpus
    model = client.get(f"/en/runs/{shelf.model.digest}?scale=log").text
    assert "4 M parameters" in model
    assert 'id="loss"' in model
    assert "1 line of the training" in model
    card = client.get(f"/ja/runs/{shelf.card.digest}/card")
    assert card.headers["content-security-policy"].startswith("sandbox")


def test_two_trainings_beside_each_other(browser_of: BrowserOf, shelf: Shelf) -> None:
    other = shelf.made_model("hinoki-2/model", learning_rate=0.001)
    page = browser_of(Role.AUDITOR).get(f"/ja/runs/compare?one={shelf.model.digest}&other={other.digest[:12]}").text
    rows = re.findall(r'<th scope="row"><code translate="no">([^<]*)</code>', page)
    assert "learning_rate" in rows
    assert "depth" not in rows
    assert 'id="losses"' in page


def test_damaged_and_endless_manifests_leave_the_rest_readable(browser_of: BrowserOf, shelf: Shelf) -> None:
    many = {f"key{number}": {"deeper": ["x" * 2000] * 3} for number in range(500)}
    huge = shelf.put("huge/corpus", config=many)
    broken = shelf.store.root / "artifacts" / ("cd" * 32)
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    client = browser_of(Role.OPERATOR)
    listed = client.get("/ja/runs").text
    assert broken.name in listed
    assert f"/ja/runs/{broken.name}" not in listed
    shown = client.get(f"/ja/runs/{huge.digest}")
    assert shown.status_code == 200
    assert len(shown.content) < 500_000
    assert client.get(f"/ja/runs/{broken.name}").status_code == 404


def test_a_long_list_in_pages_and_in_order(browser_of: BrowserOf, shelf: Shelf) -> None:
    client = browser_of(Role.OPERATOR)
    found, path = [], "/ja/runs?limit=2&sort=name"
    while path:
        page = client.get(path).text
        found += re.findall(r'<th scope="row"><a href="/ja/runs/[0-9a-f]{64}"><bdi[^>]*>([^<]*)', page)
        following = re.search(r'href="([^"]*)" id="table-artifacts-next"', page)
        path = "/ja/runs" + following[1].replace("&amp;", "&") if following else ""
    names = ["hinoki/card", "hinoki/corpus", "hinoki/evaluation", "hinoki/model", "others/card", "others/evaluation"]
    assert found == names
    for odd in ("?cursor=x", "?sort=x", "?since=x", "/zz", "/compare?one=x"):
        assert client.get(f"/ja/runs{odd}").status_code == 422
