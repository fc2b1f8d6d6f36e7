"""Fixtures of the browser tests: one season, server and browser for each process, windows for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from .checks import Noise
from .season import Season
from .server import serving
from .visitors import Visitors, chromium

PageOf = Callable[..., Page]


@pytest.fixture(scope="session")
def season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Season]:
    """A copy of the demonstration season, with the accounts of its people by role."""
    made = Season(tmp_path_factory.mktemp("season"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def server(season: Season) -> Iterator[str]:
    """The address of a server over that copy."""
    with serving(season.folder) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def noise() -> Iterator[Noise]:
    """What a test makes the browser complain of, it allows here; anything else fails it."""
    heard = Noise()
    yield heard
    assert not heard.unexpected(), "\n".join(heard.unexpected())


@pytest.fixture
def visitors(browser: Browser, season: Season, server: str, noise: Noise) -> Iterator[Visitors]:
    made = Visitors(browser, season, server, noise)
    yield made
    made.close()


@pytest.fixture
def own_visitors(browser: Browser, tmp_path: Path, noise: Noise) -> Iterator[Visitors]:
    """Windows on a server over a season of the test's own: for what is done once and for all."""
    season = Season(tmp_path / "season")
    with serving(season.folder) as url:
        made = Visitors(browser, season, url, noise)
        yield made
        made.close()
    season.close()


@pytest.fixture
def page_of(visitors: Visitors) -> PageOf:
    """`page_of("reviewer", language="en", javascript=False, viewport="phone")`: see `Visitors.page_of`."""
    return visitors.page_of
