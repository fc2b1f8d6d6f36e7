from __future__ import annotations

import pytest

from kiban.portal.app import create_app
from kiban.portal.web.routing import PageRoute

from .checks import Noise, assert_accessible, assert_contrast, assert_reflows
from .conftest import PageOf
from .pages import PAGES, UNLISTED, Listed
from .season import Season
from .visitors import VIEWPORTS, Language

pytestmark = pytest.mark.browser
NOWHERE = "/ja/there-is-no-such-page"


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("listed", PAGES, ids=[listed.name for listed in PAGES])
def test_everybody_can_use_every_page(
    listed: Listed, language: Language, page_of: PageOf, season: Season, noise: Noise
) -> None:
    page = page_of(listed.who_in(season), language=language)
    if listed.status != 200:
        noise.allow(f"the server responded with a status of {listed.status}")
    answer = page.goto(f"/{language}{listed.path_in(season)}")
    assert answer is not None
    assert answer.status == listed.status
    assert page.locator("html").get_attribute("lang") == language
    width, height = VIEWPORTS["phone"]
    # Both languages have the same elements and colours: one is looked at on a desk and in the dark, one on a phone.
    if language == "ja":
        assert_accessible(page)
        page.emulate_media(color_scheme="dark")
        assert_contrast(page)
    else:
        page.set_viewport_size({"width": width, "height": height})
        # As high as the page: what sticks to the window's foot covers something only until one scrolls.
        page.set_viewport_size({"width": width, "height": int(page.evaluate("document.documentElement.scrollHeight"))})
        assert_accessible(page)
    # 320 px: what 1280 are at a zoom of 400 %.
    page.set_viewport_size({"width": 320, "height": height})
    assert_reflows(page)


def test_every_page_is_listed(season: Season) -> None:
    """Whoever adds a page adds it to the list, so that it is looked at."""
    app = create_app(season.office)
    found = [route for route in app.router.routes if isinstance(route, PageRoute) and "GET" in route.methods]
    found = [route for route in found if not route.name.startswith("missing.")]
    paths = [f"/ja{listed.path_in(season)}".partition("?")[0] for listed in PAGES]
    seen = {next(route.path for route in found if route.path_regex.match(path)) for path in paths if path != NOWHERE}
    missing = {route.path.removeprefix("/{language:language}") for route in found} - UNLISTED
    missing -= {path.removeprefix("/{language:language}") for path in seen}
    assert not missing
