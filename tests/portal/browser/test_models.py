"""From the list of models to two of them compared, and an artifact with its files."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from kiban.kit.store import Artifact, Store

from .checks import assert_accessible, assert_reflows
from .conftest import PageOf
from .season import Season
from .visitors import Language

pytestmark = pytest.mark.browser
TWO_MODELS = """
    SELECT one.name AS one, other.name AS other, one.scores AS scores
    FROM model_releases AS one JOIN model_releases AS other ON other.id > one.id ORDER BY one.id, other.id LIMIT 1
"""


@pytest.mark.parametrize(("language", "javascript"), [("ja", True), ("en", False)])
def test_somebody_compares_two_models(language: Language, javascript: bool, page_of: PageOf, season: Season) -> None:
    found = season.row_of(TWO_MODELS)
    page = page_of(language=language, javascript=javascript)
    page.goto(f"/{language}/models")
    page.locator("main input[name=q]").fill(found.one)
    page.locator("main input[name=q]").press("Enter")
    expect(page.locator("#table-models tbody tr")).to_have_count(1)
    page.locator("#table-models tbody a").first.click()
    expect(page.locator("h1")).to_have_text(found.one)
    page.locator("select[name=other]").select_option(label=found.other)
    page.locator("main form button[type=submit]").click()
    expect(page.locator("#compared-facts")).to_be_visible()
    compared = page.locator("[aria-labelledby=compared-table] tbody tr")
    expect(compared.first).to_contain_text(f"n={json.loads(found.scores)[0]['n']:,}")
    if javascript:
        assert_accessible(page)
        page.set_viewport_size({"width": 320, "height": 800})
        assert_reflows(page)


@pytest.mark.parametrize(("language", "javascript"), [("ja", True), ("en", False)])
def test_the_office_reads_an_artifact_and_saves_a_file(
    language: Language,
    javascript: bool,
    page_of: PageOf,
    season: Season,
    put_artifact: Callable[..., Artifact],
) -> None:
    store, name = Store(season.folder), f"browser-{language}"
    steps = [{"step": step, "tokens": 100 * step, "loss": 9.0 / step, "lr": 0.1} for step in range(1, 20)]
    corpus = put_artifact(store, f"{name}/corpus", config={"for": language}, inputs={"source:manuals": "ab" * 32})
    files = {"metrics.jsonl": "\n".join(map(json.dumps, steps)), "a <b>.txt": "file"}
    put_artifact(store, f"{name}/model", config={"shape": {"depth": 4}}, inputs={"corpus": corpus}, files=files)
    page = page_of("operator", language=language, javascript=javascript)
    link = page.get_by_role("link", name=f"{name}/model")
    for _ in range(50):  # the store is looked at once a second
        page.goto(f"/{language}/runs?kind=model&q={name}")
        if link.count():
            break
    link.click()
    expect(page.locator("#loss")).to_be_visible()
    page.locator("nav.tabs a[href*='scale=log']").click()
    expect(page.locator("nav.tabs a[href*='scale=log']")).to_have_attribute("aria-current", "page")
    with page.expect_download() as saving:
        page.locator("a[download][href*='/files/a%20']").click()
    assert saving.value.path().read_text() == "file"
    if javascript:
        assert_accessible(page)
        page.set_viewport_size({"width": 320, "height": 800})
        assert_reflows(page)
    page.locator(f"a[href$='{corpus.digest}']:visible").first.click()
    expect(page.locator("h1")).to_have_text(f"{name}/corpus")
