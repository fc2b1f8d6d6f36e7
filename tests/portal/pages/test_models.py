"""Released models: for everybody, with their uncertainty, and two of them compared."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from tests.office.grants.conftest import funded
from tests.office.reports.conftest import Running, running

from kiban.kit.store import Artifact
from kiban.office.office import Office

from .shelf import Shelf, accuracy

__all__ = ["funded", "running"]


@pytest.fixture
def shelf(office: Office, running: Running, put_artifact: Callable[..., Artifact]) -> Shelf:
    return Shelf(office, running, put_artifact)


def test_a_released_model_with_what_the_store_knows_of_it(browser: TestClient, shelf: Shelf) -> None:
    release_id = shelf.release(shelf.model, shelf.evaluation, name="<b>hinoki</b>")
    listed = browser.get("/ja/models").text
    assert f'href="/ja/models/{release_id}"' in listed
    assert "0.7 (0.65–0.75, n=400)" in listed.replace("0.700", "0.7").replace("0.650", "0.65").replace("0.750", "0.75")
    page = browser.get(f"/ja/models/{release_id}").text
    assert "<b>hinoki" not in listed + page
    assert "<script>alert" not in page
    assert f'href="/ja/runs/{shelf.card.digest}/card"' in page  # and not the card of another's evaluation
    assert f"/ja/runs/{shelf.corpus.digest}" not in page
    assert "CC0-1.0" in page
    assert f"kiban serve {shelf.model.digest[:12]}" in page


def test_a_model_that_the_store_no_longer_has(browser: TestClient, shelf: Shelf) -> None:
    release_id = shelf.release(shelf.model, shelf.evaluation)
    (shelf.model.path / "manifest.json").unlink()
    page = browser.get(f"/en/models/{release_id}")
    assert page.status_code == 200
    assert "no longer has this model" in page.text
    assert "4,000,512" in page.text


def test_a_search_and_its_file(browser: TestClient, shelf: Shelf) -> None:
    shelf.release(shelf.model, shelf.evaluation)
    assert "hinoki" in browser.get("/ja/models?q=HINO&licence=Apache-2.0").text
    assert "/ja/models/0" not in browser.get("/ja/models?q=%25").text
    answer = browser.get("/en/models?format=csv").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(answer))
    assert (row["Name"], row["Parameters"], row["Tokens trained"]) == ("hinoki", "4000512", "700160")


def test_two_models_on_the_same_task(browser: TestClient, shelf: Shelf) -> None:
    other = shelf.made_model("hinoki-2/model", learning_rate=0.001)
    evaluation = shelf.put("hinoki-2/evaluation", inputs={"model": other}, stats=accuracy(0.5, 0.45, 0.55))
    one = shelf.release(shelf.model, shelf.evaluation, name="hinoki")
    two = shelf.release(other, evaluation, name="hinoki-2")
    page = browser.get(f"/en/models/compare?one={one}&other={two}").text
    text = re.sub(r"<[^>]*>", "", page)
    assert "They differ." in text
    assert "learning_rate" in text
    assert 'id="losses"' in page
    assert "It could be chance." in browser.get(f"/en/models/compare?one={one}&other={one}").text
    assert browser.get(f"/en/models/compare?one={one}").status_code == 200
    assert browser.get(f"/en/models/compare?one={one}&other={'0' * 8}-0000-0000-0000-{'0' * 12}").status_code == 404
    assert browser.get("/en/models/compare?one=x").status_code == 422
