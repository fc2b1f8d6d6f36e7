"""Every page, once: what axe looks at, what screenshots are made of, whose queries are counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .season import Season

PathOf = Callable[[Season], str]


@dataclass(frozen=True)
class Listed:
    """A page, as somebody sees it who has something there to see."""

    name: str  # of the screenshot
    path: str | PathOf  # without language: `/calls`, or found in the season: `lambda season: f"/calls/{…}"`
    role: str | None = None  # in `Season.accounts`; None: nobody signed in
    status: int = 200

    def path_in(self, season: Season) -> str:
        return self.path if isinstance(self.path, str) else self.path(season)


PAGES = (
    Listed("home", ""),
    Listed("sign-in", "/sign-in"),
    Listed("preferences", "/preferences"),
    Listed("home-applicant", "", "applicant"),
    Listed("not-found", "/there-is-no-such-page", status=404),
)
