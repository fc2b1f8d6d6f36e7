from __future__ import annotations

import pytest

from .checks import Noise, assert_accessible, assert_contrast, assert_reflows
from .conftest import PageOf
from .pages import PAGES, Listed
from .season import Season
from .visitors import VIEWPORTS, Language

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("listed", PAGES, ids=[listed.name for listed in PAGES])
def test_everybody_can_use_every_page(
    listed: Listed, language: Language, page_of: PageOf, season: Season, noise: Noise
) -> None:
    page = page_of(listed.role, language=language)
    if listed.status != 200:
        noise.allow(f"the server responded with a status of {listed.status}")
    answer = page.goto(f"/{language}{listed.path_in(season)}")
    assert answer is not None
    assert answer.status == listed.status
    assert page.locator("html").get_attribute("lang") == language
    assert_accessible(page)
    width, height = VIEWPORTS["phone"]
    if language == "ja":  # colours and layout are those of the English page
        page.emulate_media(color_scheme="dark")
        assert_contrast(page)
        page.set_viewport_size({"width": width, "height": height})
        assert_accessible(page)
        page.emulate_media(color_scheme="light")
        assert_contrast(page)
    # 320 px: what 1280 are at a zoom of 400 %.
    page.set_viewport_size({"width": 320, "height": height})
    assert_reflows(page)
